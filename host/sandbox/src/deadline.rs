//! The execution timeout and the CPU time limit. One constructor creates both and starts the ticker, so that none of the
//! three works without the others.

use crate::error::CpuTimeExceeded;
use crate::host_state::{HostState, SharedConfig};
use crate::offload;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::{io, thread};
use wasmtime::{Engine, Store, UpdateDeadline};

/// Limits the time of a policy.
#[derive(Clone, Copy)]
pub(crate) struct Deadline {
    execution_timeout: Duration,
    cpu_time: CpuTimeLimit,
}

/// The CPU time limit, in ticks.
#[derive(Clone, Copy)]
struct CpuTimeLimit {
    tick: Duration,
    max_ticks: u32,
}

/// Ticks per CPU time limit, unless a tick would be shorter than [`MIN_TICK`].
const TICKS: u32 = 25;

const MIN_TICK: Duration = Duration::from_millis(1);

/// Ticks after which a policy is offloaded. The first tick can come right after the start, so two ticks are at least
/// one tick of time.
const OFFLOAD_TICKS: u32 = 2;

/// How a run ended.
pub(crate) enum RunOutcome<T> {
    /// The policy returned or failed.
    Finished(wasmtime::Result<T>),
    /// The execution timeout passed.
    TimedOut,
}

impl Deadline {
    /// Starts the ticker of this engine on a thread of its own, because an async runtime whose threads all run policies
    /// could not tick. The thread ends when the engine is dropped.
    pub(crate) fn start(engine: &Engine, config: &Arc<SharedConfig>) -> io::Result<Self> {
        let cpu_time = CpuTimeLimit::new(config.limits.cpu_time_limit());
        let (engine, shared) = (engine.weak(), Arc::clone(config));
        thread::Builder::new().name("policy-ticker".to_owned()).spawn(move || {
            loop {
                thread::sleep(cpu_time.tick);
                let Some(engine) = engine.upgrade() else { return };
                shared.ticks.fetch_add(1, Ordering::Relaxed);
                engine.increment_epoch();
            }
        })?;
        Ok(Self { execution_timeout: config.limits.execution_timeout(), cpu_time })
    }

    /// Runs a policy within its limits. The execution timeout includes its guards.
    pub(crate) async fn run_with_limits<T>(
        &self,
        store: &mut Store<HostState>,
        run: impl AsyncFnOnce(&mut Store<HostState>) -> wasmtime::Result<T>,
    ) -> RunOutcome<T> {
        self.start_call(store);
        match tokio::time::timeout(self.execution_timeout, run(store)).await {
            Ok(result) => RunOutcome::Finished(result),
            Err(_) => RunOutcome::TimedOut,
        }
    }

    /// Limits the CPU time of an instance. The time since its last call does not count.
    pub(crate) fn start_call(&self, store: &mut Store<HostState>) {
        let cpu_time = self.cpu_time;
        store.set_epoch_deadline(1);
        // Called at every tick during which the instance runs. It yields, so that the thread can do other work.
        store.epoch_deadline_callback(move |mut context| {
            let state = context.data_mut();
            state.check_wasi_calls()?;
            let used = match offload::cpu_time() {
                // A low-priority thread waits for others; ticks that pass meanwhile are not the policy's.
                Some(time) => cpu_time.add(state.ticks(), time),
                None => state.count_tick(),
            };
            if cpu_time.can_continue(used, offload::request_offload) {
                Ok(UpdateDeadline::Yield(1))
            } else {
                Err(CpuTimeExceeded.into())
            }
        });
    }
}

impl CpuTimeLimit {
    fn new(limit: Duration) -> Self {
        let tick = (limit / TICKS).max(MIN_TICK);
        Self { tick, max_ticks: u32::try_from(limit.as_nanos() / tick.as_nanos()).unwrap_or(TICKS) }
    }

    /// The ticks used before and in this time.
    fn add(self, ticks: u32, time: Duration) -> u32 {
        ticks.saturating_add(u32::try_from(time.as_nanos() / self.tick.as_nanos()).unwrap_or(u32::MAX))
    }

    /// Whether a policy that has used these ticks may continue. `offload` asks for a low-priority thread, and returns whether
    /// the policy can continue on one.
    fn can_continue(self, used: u32, offload: impl FnOnce() -> bool) -> bool {
        // One tick more than the limit, because the first can come right after the start.
        used <= self.max_ticks && (used < OFFLOAD_TICKS || offload())
    }
}

#[cfg(test)]
mod tests {
    use super::CpuTimeLimit;
    use std::time::Duration;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn limit_has_25_ticks_or_fewer_that_are_not_shorter_than_a_millisecond() {
        for (limit, tick, max_ticks) in [(1000, 40, 25), (50, 2, 25), (25, 1, 25), (20, 1, 20), (1, 1, 1)] {
            let cpu_time = CpuTimeLimit::new(limit * MILLISECOND);
            assert_eq!((cpu_time.tick, cpu_time.max_ticks), (tick * MILLISECOND, max_ticks), "{limit} ms");
        }
    }

    #[test]
    fn time_on_a_low_priority_thread_is_added_in_full_ticks() {
        let cpu_time = CpuTimeLimit::new(1000 * MILLISECOND);
        assert_eq!([0, 39, 40, 79, 80].map(|time| cpu_time.add(2, time * MILLISECOND)), [2, 2, 3, 3, 4]);
        assert_eq!(cpu_time.add(2, Duration::MAX), u32::MAX);
    }

    #[test]
    fn policy_continues_up_to_the_limit_and_from_the_second_tick_on_a_low_priority_thread() {
        let cpu_time = CpuTimeLimit::new(1000 * MILLISECOND);
        // Whether it may continue, and whether it asked for a thread.
        let at = |used, can_offload| {
            let mut asked = false;
            let can_continue = cpu_time.can_continue(used, || {
                asked = true;
                can_offload
            });
            (can_continue, asked)
        };
        assert_eq!([0, 1, 2, 25, 26].map(|used| at(used, true).0), [true, true, true, true, false]);
        assert_eq!([1, 2, 25].map(|used| at(used, false)), [(true, false), (false, true), (false, true)]);
    }
}
