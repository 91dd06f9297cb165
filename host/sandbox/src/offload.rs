//! Offloads a policy that computes for long to a low-priority thread.
//!
//! A policy that decides quickly never gets here. One that spins would occupy a whole processor until its CPU time limit,
//! and several of them all processors. There are as many low-priority threads as processors. On Linux each runs at nice
//! +15, about a thirtieth of the weight of a normal thread, so together they take little from other requests.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{LazyLock, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};

/// The rest of the work on a request.
pub(crate) type PolicyFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// One permit for each processor, for all policies of this process.
static PERMITS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(thread::available_parallelism().map_or(1, std::num::NonZero::get)));

/// The relation of a thread to the policy that it polls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OffloadState {
    /// A normal thread.
    Normal,
    /// A normal thread; the policy is to be offloaded when it yields.
    Requested,
    /// A normal thread; no low-priority thread was free, so the policy is to be stopped.
    Refused,
    /// A low-priority thread.
    Offloaded,
}

thread_local! {
    static STATE: Cell<OffloadState> = const { Cell::new(OffloadState::Normal) };
}

/// Requests that the policy that is being polled is offloaded when it yields. Returns false if no low-priority thread was
/// free in time.
pub(crate) fn request_offload() -> bool {
    match STATE.get() {
        OffloadState::Normal => {
            STATE.set(OffloadState::Requested);
            true
        }
        OffloadState::Requested | OffloadState::Offloaded => true,
        OffloadState::Refused => false,
    }
}

/// The CPU time of the policy that is being polled since it was offloaded; `None` if it was not, or if the operating
/// system does not report it.
pub(crate) fn cpu_time() -> Option<Duration> {
    if STATE.get() == OffloadState::Offloaded { thread_cpu_time() } else { None }
}

/// Runs the future on the current task until it requests to be offloaded, then on a low-priority thread. It waits at most
/// `timeout` for one.
pub(crate) async fn run<T: Send + 'static>(mut future: PolicyFuture<T>, timeout: Duration) -> T {
    let on_this_task = poll_fn(|context| {
        let polled = future.as_mut().poll(context);
        // The state belongs to this future; the thread polls others next.
        match (polled, STATE.replace(OffloadState::Normal)) {
            (Poll::Ready(output), _) => Poll::Ready(Some(output)),
            (Poll::Pending, OffloadState::Requested) => Poll::Ready(None),
            (Poll::Pending, _) => Poll::Pending,
        }
    });
    if let Some(output) = on_this_task.await {
        return output;
    }
    let Ok(Ok(permit)) = tokio::time::timeout(timeout, PERMITS.acquire()).await else {
        return poll_fn(|context| {
            STATE.set(OffloadState::Refused);
            let polled = future.as_mut().poll(context);
            STATE.set(OffloadState::Normal);
            polled
        })
        .await;
    };
    let runtime = Handle::current();
    let (send_future, receive_future) = mpsc::channel::<PolicyFuture<T>>();
    let (send_output, mut receive_output) = oneshot::channel();
    let thread = thread::Builder::new().name("policy-offload".to_owned()).spawn(move || {
        let _permit = permit;
        STATE.set(OffloadState::Offloaded);
        lower_priority();
        if let Ok(future) = receive_future.recv() {
            // Timers and connections stay with the runtime; only computing happens here.
            let _ = send_output.send(runtime.block_on(future));
        }
    });
    match thread {
        Ok(_) => match send_future.send(future) {
            Ok(()) => match (&mut receive_output).await {
                Ok(output) => output,
                // The thread panicked, so this task panics too, as it would have without the thread.
                Err(error) => std::panic::resume_unwind(Box::new(error)),
            },
            Err(mpsc::SendError(future)) => future.await,
        },
        Err(error) => {
            tracing::warn!(%error, "cannot start a low-priority thread; the policy continues at normal priority");
            future.await
        }
    }
}

#[cfg(target_os = "linux")]
fn lower_priority() {
    // On Linux this applies to the calling thread alone. Lowering a priority needs no privilege.
    let normal = rustix::process::getpriority_process(None).unwrap_or(0);
    let _ = rustix::process::setpriority_process(None, normal.saturating_add(15));
}

#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

#[cfg(target_os = "linux")]
fn thread_cpu_time() -> Option<Duration> {
    Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime)).ok()
}

#[cfg(not(target_os = "linux"))]
fn thread_cpu_time() -> Option<Duration> {
    None
}
