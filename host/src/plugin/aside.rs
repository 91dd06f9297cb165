//! Where a policy goes on that takes long: a thread of its own with a low priority, so that what it computes is taken
//! from what nobody else needs.
//!
//! A policy that decides quickly never comes here. One that spins would otherwise have a whole processor, less the
//! moments between its ticks, until its time is up; and of several such there would be no processor left for others.
//! There are as many such threads as processors. Each weighs about a thirtieth of another thread (Linux: nice 15), so
//! that together they take about as little of the machine as long as others need it, and all of it otherwise.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{LazyLock, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};

/// All that is left to do of a request.
pub(super) type Rest<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A place for each processor, for all policies of this process.
static PLACES: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(thread::available_parallelism().map_or(1, std::num::NonZero::get)));

/// How a thread stands to the policy that it is polling.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It polls whatever comes.
    Common,
    /// It polls one that takes long, which is to be moved.
    Moving,
    /// It polls one that takes long, and for which there was no place.
    Refused,
    /// It is there for one that takes long.
    Aside,
}

thread_local! {
    static STANDING: Cell<Standing> = const { Cell::new(Standing::Common) };
}

/// Has the policy that is being polled moved aside as soon as it yields, where it is not there already; false where
/// there was no place for it in time.
pub(super) fn move_aside() -> bool {
    match STANDING.get() {
        Standing::Common => {
            STANDING.set(Standing::Moving);
            true
        }
        Standing::Moving | Standing::Aside => true,
        Standing::Refused => false,
    }
}

/// Time that the policy that is being polled has had of the processor since it was moved aside: none where it was not,
/// or where this system does not tell.
pub(super) fn processor_time() -> Option<Duration> {
    if STANDING.get() == Standing::Aside { thread_processor_time() } else { None }
}

/// Runs a request where this is called, and from when it takes long on a thread of its own; it waits for that for at
/// most `patience`.
pub(super) async fn run<T: Send + 'static>(mut rest: Rest<T>, patience: Duration) -> T {
    let begun = poll_fn(|context| {
        let polled = rest.as_mut().poll(context);
        // Whatever it was, it is not the next one's.
        match (polled, STANDING.replace(Standing::Common)) {
            (Poll::Ready(done), _) => Poll::Ready(Some(done)),
            (Poll::Pending, Standing::Moving) => Poll::Ready(None),
            (Poll::Pending, _) => Poll::Pending,
        }
    });
    if let Some(done) = begun.await {
        return done;
    }
    let Ok(Ok(place)) = tokio::time::timeout(patience, PLACES.acquire()).await else {
        return poll_fn(|context| {
            STANDING.set(Standing::Refused);
            let polled = rest.as_mut().poll(context);
            STANDING.set(Standing::Common);
            polled
        })
        .await;
    };
    let runtime = Handle::current();
    let (hand_over, handed_over) = mpsc::channel::<Rest<T>>();
    let (answer, mut answered) = oneshot::channel();
    let spawned = thread::Builder::new().name("policy-aside".to_owned()).spawn(move || {
        let _place = place;
        STANDING.set(Standing::Aside);
        lower_priority();
        if let Ok(rest) = handed_over.recv() {
            // Timers and connections stay those of the runtime; only what is computed is computed here.
            let _ = answer.send(runtime.block_on(rest));
        }
    });
    match spawned {
        Ok(_) => match hand_over.send(rest) {
            Ok(()) => match (&mut answered).await {
                Ok(done) => done,
                // The thread panicked. So does this task, as it would have without the thread.
                Err(error) => std::panic::resume_unwind(Box::new(error)),
            },
            Err(mpsc::SendError(rest)) => rest.await,
        },
        // Without a thread it goes on here.
        Err(error) => {
            tracing::warn!(%error, "no thread for a policy that takes long; it stays among the others");
            rest.await
        }
    }
}

#[cfg(target_os = "linux")]
fn lower_priority() {
    // Of this thread alone, on Linux; measured from that of the process. Nobody is refused to make it lower.
    let common = rustix::process::getpriority_process(None).unwrap_or(0);
    let _ = rustix::process::setpriority_process(None, common.saturating_add(15));
}

#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

#[cfg(target_os = "linux")]
fn thread_processor_time() -> Option<Duration> {
    Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime)).ok()
}

#[cfg(not(target_os = "linux"))]
fn thread_processor_time() -> Option<Duration> {
    None
}
