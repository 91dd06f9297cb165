//! The contract's imports as a host, and what every component needs: an allocator and a panic handler.

use crate::bump_allocator::BumpAllocator;
use crate::contract::imports::learnings::plugin::{identity, storage};
use crate::contract::imports::wasi::{clocks::wall_clock, config::store};
use crate::{Caller, Environment, IdentityError, Learning, Outcome, PolicyHost, SettingError, StorageError, Target};
use alloc::string::String;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

/// The component's imports. Every call completes before it returns, so every future is ready when it is first polled.
#[derive(Debug)]
pub struct ComponentHost;

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

impl Environment for ComponentHost {
    fn setting(&self, name: &str) -> Result<Option<String>, SettingError> {
        store::get(name).map_err(|error| match error {
            store::Error::Upstream(message) | store::Error::Io(message) => SettingError { message },
        })
    }

    fn now(&self) -> i64 {
        i64::try_from(wall_clock::now().seconds).unwrap_or(i64::MAX)
    }
}

/// Polls a future that never waits, and returns its output. Traps if the future is pending.
pub fn poll_once<T>(future: impl Future<Output = T>) -> T {
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
