//! How long a policy may run: deadline, ticker and timeout, made by one constructor so that none is on without the
//! others.

use super::aside;
use super::state::{State, Terms};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::{io, thread};
use wasmtime::{Engine, Store, UpdateDeadline};

/// Bounds what a policy may use of wall time and of the processor.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    wall: Duration,
    tick: Duration,
    /// Ticks of its own that a policy may run.
    ticks: u32,
}

/// Ticks in which the time on the processor is counted, as long as each is a millisecond at least.
const TICKS: u32 = 25;

/// After so many it takes long. The first may come right after the start, so this is the time of one.
const MANY_TICKS: u32 = 2;

/// How a run ended.
pub(super) enum End<T> {
    /// By itself, or by a trap.
    Ended(wasmtime::Result<T>),
    /// By the wall clock.
    OutOfTime,
}

/// Why a policy was stopped from within; found again in the error by its type.
#[derive(Debug, thiserror::Error)]
#[error("the policy used more processor time than it may")]
pub(super) struct OutOfProcessorTime;

impl Deadline {
    /// Starts the ticker of this engine. It ends by itself when the engine does.
    pub(super) fn start(engine: &Engine, terms: &Arc<Terms>) -> io::Result<Self> {
        // An OS thread of its own: a runtime whose threads all spin could not tick.
        let time = Duration::from_millis(terms.limits.policy_cpu_ms);
        let tick = (time / TICKS).max(Duration::from_millis(1));
        let ticks = u32::try_from(time.as_nanos() / tick.as_nanos()).unwrap_or(TICKS);
        let engine = engine.weak();
        let ticking = Arc::clone(terms);
        thread::Builder::new().name("policy-ticker".to_owned()).spawn(move || {
            loop {
                thread::sleep(tick);
                match engine.upgrade() {
                    Some(engine) => {
                        ticking.ticks.fetch_add(1, Ordering::Relaxed);
                        engine.increment_epoch();
                    }
                    None => return,
                }
            }
        })?;
        Ok(Self { wall: terms.limits.policy_wall(), tick, ticks })
    }

    /// Runs a policy within the bounds.
    pub(super) async fn bound<T>(
        &self,
        store: &mut Store<State>,
        run: impl AsyncFnOnce(&mut Store<State>) -> wasmtime::Result<T>,
    ) -> End<T> {
        let Self { tick, ticks, .. } = *self;
        store.set_epoch_deadline(1);
        // Called once for every tick in which the policy ran. After each the runtime gets to do other work.
        store.epoch_deadline_callback(move |mut context| {
            let state = context.data_mut();
            state.check_calls()?;
            let used = match aside::processor_time() {
                // Its thread has to wait for others; while it waits ticks pass that are not its own.
                Some(time) => {
                    state.ticks() + u32::try_from(time.as_nanos() / tick.as_nanos()).unwrap_or(u32::MAX - ticks)
                }
                None => state.tick(),
            };
            // One more than the limit: the first tick may come right after the start.
            if used > ticks || (used >= MANY_TICKS && !aside::move_aside()) {
                Err(OutOfProcessorTime.into())
            } else {
                Ok(UpdateDeadline::Yield(1))
            }
        });
        match tokio::time::timeout(self.wall, run(store)).await {
            Ok(result) => End::Ended(result),
            Err(_) => End::OutOfTime,
        }
    }
}
