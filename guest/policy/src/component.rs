//! The policy as a component: connects the contract's imports and its export to [`delete_learning`].

#![expect(unsafe_code, reason = "`export!` expands to the exported function, which receives raw pointers")]

use crate::bump_allocator::BumpAllocator;
use crate::contract::{self, Guest, identity, storage};
use crate::{
    Caller, DeleteRequest, IdentityError, Learning, Outcome, PolicyHost, Rejection, StorageError, Target,
    delete_learning,
};
use core::pin::pin;
use core::task::{Context, Poll, Waker};

/// The component's export.
struct Component;

contract::export!(Component with_types_in contract::bindings);

impl Guest for Component {
    fn delete_learning(request: DeleteRequest) -> Result<(), Rejection> {
        poll_once(delete_learning(&request, &ComponentHost))
    }
}

/// The component's imports. Every call completes before it returns, so every future is ready when it is first polled.
struct ComponentHost;

impl PolicyHost for ComponentHost {
    async fn caller(&self) -> Result<Caller, IdentityError> {
        identity::current()
    }

    async fn locate(&self) -> Result<Target, StorageError> {
        storage::locate()
    }

    async fn find(&self) -> Result<Option<Learning>, StorageError> {
        storage::find().map(|lookup| lookup.learning)
    }

    async fn delete(&self) -> Result<Outcome, StorageError> {
        storage::delete()
    }

    async fn delete_if_owned_by(&self, user_id: &str) -> Result<Outcome, StorageError> {
        storage::delete_if_owned_by(user_id)
    }

    async fn delete_if_unchanged(&self, revision: &str) -> Result<Outcome, StorageError> {
        storage::delete_if_unchanged(revision)
    }
}

/// Polls a future that never waits, and returns its output. Traps if the future is pending.
fn poll_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => core::arch::wasm32::unreachable(),
    }
}

#[global_allocator]
static ALLOCATOR: BumpAllocator = BumpAllocator::new();

/// Traps on a panic. The host answers 500 and logs the trap.
#[panic_handler]
fn trap(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
