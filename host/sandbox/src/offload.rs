//! Offloads a policy that computes for long to a low-priority thread.
//!
//! A policy that decides quickly never gets here. One that spins would occupy a whole processor until its CPU time limit,
//! and several of them all processors. On Linux a low-priority thread runs at nice +15, about a thirtieth of the weight of
//! a normal thread. At most as many of them compute at a time as there are processors, so together they take little from
//! other requests. A policy that waits for its storage lets another compute meanwhile.

use std::cell::Cell;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::sync::{LazyLock, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tracing::{Instrument, Span};

/// The rest of the work on a request.
pub(crate) type PolicyFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The permits to compute: one for each processor, for all policies of this process.
static PERMITS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(thread::available_parallelism().map_or(1, std::num::NonZero::get)));

/// The relation of a thread to the policy that it polls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OffloadState {
    /// A normal thread.
    Normal,
    /// A normal thread; the policy yields and is to be offloaded.
    Requested,
    /// A low-priority thread with a permit.
    Offloaded,
    /// A low-priority thread with a permit; the policy yields and has more to compute.
    Yielded,
    /// A low-priority thread without a permit, so the policy is to be stopped at its next tick.
    Refused,
}

thread_local! {
    static STATE: Cell<OffloadState> = const { Cell::new(OffloadState::Normal) };
}

/// Announces that the policy that is being polled yields and has more to compute. It continues on a low-priority thread.
/// Returns false if none could compute in time.
pub(crate) fn request_offload() -> bool {
    match STATE.get() {
        OffloadState::Normal | OffloadState::Requested => STATE.set(OffloadState::Requested),
        OffloadState::Offloaded | OffloadState::Yielded => STATE.set(OffloadState::Yielded),
        OffloadState::Refused => return false,
    }
    true
}

/// The CPU time of the policy that is being polled since it was offloaded; `None` if it was not, or if the operating
/// system does not report it.
pub(crate) fn cpu_time() -> Option<Duration> {
    if STATE.get() == OffloadState::Offloaded { thread_cpu_time() } else { None }
}

/// Runs the future on the current task until it requests to be offloaded, then on a low-priority thread. Each time that it
/// has something to compute there, it waits at most `timeout` for a permit.
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
    let runtime = Handle::current();
    let (send_future, receive_future) = mpsc::channel::<PolicyFuture<T>>();
    let (mut send_output, mut receive_output) = oneshot::channel();
    // A new thread is in no span.
    let span = Span::current();
    let thread = thread::Builder::new().name("policy-offload".to_owned()).spawn(move || {
        lower_priority();
        let Ok(future) = receive_future.recv() else { return };
        let mut policy = Box::pin(run_with_permits(future, timeout).instrument(span));
        // Timers and connections stay with the runtime; only computing happens here. If the request is dropped, so is the
        // policy.
        let output = runtime.block_on(poll_fn(|context| match send_output.poll_closed(context) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => policy.as_mut().poll(context).map(Some),
        }));
        // It holds the span of the request, which must be closed before the request ends: the process can end after it.
        drop(policy);
        if let Some(output) = output {
            let _ = send_output.send(output);
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

/// Polls the future with a permit, which it keeps when it yields and returns when it waits.
async fn run_with_permits<T>(mut future: PolicyFuture<T>, timeout: Duration) -> T {
    let mut permit = None;
    loop {
        if permit.is_none() {
            permit = tokio::time::timeout(timeout, PERMITS.acquire()).await.ok().and_then(Result::ok);
        }
        STATE.set(if permit.is_some() { OffloadState::Offloaded } else { OffloadState::Refused });
        if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
            return output;
        }
        if STATE.get() != OffloadState::Yielded {
            permit = None;
        }
        // Until the future wakes this task.
        let mut polled = false;
        poll_fn(|_| if mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

fn lower_priority() {
    // On Linux this applies to the calling thread alone. Lowering a priority needs no privilege.
    #[cfg(target_os = "linux")]
    {
        let normal = rustix::process::getpriority_process(None).unwrap_or(0);
        let _ = rustix::process::setpriority_process(None, normal.saturating_add(15));
    }
}

fn thread_cpu_time() -> Option<Duration> {
    #[cfg(target_os = "linux")]
    {
        Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime)).ok()
    }
    #[cfg(not(target_os = "linux"))]
    {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, OnceLock};
    use tokio::sync::Barrier;
    use tracing::{Event, Metadata, Subscriber};
    use tracing_core::span::{Attributes, Current, Id, Record};

    #[test]
    fn policies_that_wait_for_storage_let_others_compute() {
        let policies = thread::available_parallelism().map_or(1, std::num::NonZero::get) + 1;
        let storage = Arc::new(Barrier::new(policies));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let policy = |storage: Arc<Barrier>| async move {
                for _ in 0..3 {
                    assert!(request_offload());
                    tokio::task::yield_now().await;
                }
                storage.wait().await;
                // It has something to compute again.
                assert!(request_offload());
            };
            let start = |_| {
                let storage = Arc::clone(&storage);
                tokio::spawn(run(Box::pin(policy(storage)), Duration::from_secs(10)))
            };
            for policy in (0..policies).map(start).collect::<Vec<_>>() {
                policy.await.expect("the policy ends");
            }
        });
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn offloaded_policy_has_low_priority_and_its_cpu_time_is_measured() {
        let priority = || rustix::process::getpriority_process(None).expect("a priority");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let normal = priority();
        let policy = async move {
            assert_eq!((cpu_time(), priority()), (None, normal));
            assert!(request_offload());
            tokio::task::yield_now().await;
            assert_eq!(priority(), (normal + 15).min(19));
            let begin = cpu_time().expect("a time");
            // Sleeping is not computing.
            thread::sleep(Duration::from_millis(50));
            let slept = cpu_time().expect("a time") - begin;
            assert!(slept < Duration::from_millis(25), "{slept:?}");
            let start = std::time::Instant::now();
            while cpu_time().expect("a time") < begin + Duration::from_millis(50) {
                assert!(start.elapsed() < Duration::from_secs(60), "computing takes CPU time");
            }
        };
        runtime.block_on(run(Box::pin(policy), Duration::from_secs(10)));
        assert_eq!(priority(), normal);
    }

    /// A subscriber with one span, which is always the current one. It counts the span's handles. The low-priority thread takes
    /// 50 ms to drop one.
    #[derive(Default)]
    struct SlowSubscriber {
        handles: Arc<AtomicUsize>,
        metadata: OnceLock<&'static Metadata<'static>>,
    }

    impl Subscriber for SlowSubscriber {
        fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, attributes: &Attributes<'_>) -> Id {
            self.metadata.set(attributes.metadata()).expect("one span");
            self.clone_span(&Id::from_u64(1))
        }

        fn clone_span(&self, id: &Id) -> Id {
            self.handles.fetch_add(1, Ordering::Relaxed);
            id.clone()
        }

        fn try_close(&self, _id: Id) -> bool {
            if thread::current().name() == Some("policy-offload") {
                thread::sleep(Duration::from_millis(50));
            }
            self.handles.fetch_sub(1, Ordering::Relaxed) == 1
        }

        fn current_span(&self) -> Current {
            self.metadata.get().map_or_else(Current::none, |metadata| Current::new(Id::from_u64(1), metadata))
        }

        fn record(&self, _id: &Id, _values: &Record<'_>) {}
        fn record_follows_from(&self, _id: &Id, _follows: &Id) {}
        fn event(&self, _event: &Event<'_>) {}
        fn enter(&self, _id: &Id) {}
        fn exit(&self, _id: &Id) {}
    }

    #[test]
    fn span_of_an_offloaded_policy_is_closed_when_the_policy_returns() {
        let policy = poll_fn(move |_| {
            if STATE.get() == OffloadState::Offloaded {
                return Poll::Ready(());
            }
            assert!(request_offload());
            Poll::Pending
        });
        let subscriber = SlowSubscriber::default();
        let handles = Arc::clone(&subscriber.handles);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("request");
            runtime.block_on(run(Box::pin(policy), Duration::from_secs(10)).instrument(span));
        });
        assert_eq!(handles.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn dropped_request_drops_its_offloaded_policy() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (owned_by_policy, mut dropped) = oneshot::channel::<()>();
            let (offloaded, is_offloaded) = oneshot::channel();
            let policy = async move {
                let _owned = owned_by_policy;
                assert!(request_offload());
                tokio::task::yield_now().await;
                offloaded.send(()).expect("the test waits");
                std::future::pending::<()>().await;
            };
            let request = tokio::spawn(run(Box::pin(policy), Duration::from_secs(60)));
            is_offloaded.await.expect("the policy continues");
            assert_eq!(dropped.try_recv(), Err(oneshot::error::TryRecvError::Empty));
            request.abort();
            let end = tokio::time::timeout(Duration::from_secs(10), &mut dropped).await;
            end.expect("the policy is dropped").expect_err("nothing is sent");
        });
    }
}
