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
        let cpu_time_limit = config.limits.cpu_time_limit();
        let tick = (cpu_time_limit / TICKS).max(MIN_TICK);
        let max_ticks = u32::try_from(cpu_time_limit.as_nanos() / tick.as_nanos()).unwrap_or(TICKS);
        let (engine, shared) = (engine.weak(), Arc::clone(config));
        thread::Builder::new().name("policy-ticker".to_owned()).spawn(move || {
            loop {
                thread::sleep(tick);
                let Some(engine) = engine.upgrade() else { return };
                shared.ticks.fetch_add(1, Ordering::Relaxed);
                engine.increment_epoch();
            }
        })?;
        Ok(Self { execution_timeout: config.limits.execution_timeout(), tick, max_ticks })
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
        let Self { tick, max_ticks, .. } = *self;
        store.set_epoch_deadline(1);
        // Called at every tick during which the instance runs. It yields, so that the thread can do other work.
        store.epoch_deadline_callback(move |mut context| {
            let state = context.data_mut();
            state.check_wasi_calls()?;
            let used = match offload::cpu_time() {
                // A low-priority thread waits for others; ticks that pass meanwhile are not the policy's.
                Some(time) => {
                    let ticks = u32::try_from(time.as_nanos() / tick.as_nanos()).unwrap_or(u32::MAX - max_ticks);
                    state.ticks() + ticks
                }
                None => state.count_tick(),
            };
            // One tick more than the limit, because the first can come right after the start.
            if used > max_ticks || (used >= OFFLOAD_TICKS && !offload::request_offload()) {
                Err(CpuTimeExceeded.into())
            } else {
                Ok(UpdateDeadline::Yield(1))
            }
        });
    }
}
