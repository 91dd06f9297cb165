//! What one instance of a policy can reach: the caller and the record of its request, within limits; and the record of
//! what it did.

use super::verdict::{Call, Performed};
use super::wasi::{self, Output, Wasi};
use crate::contract::storage::Lookup;
use crate::contract::{
    Caller, IdentityError, Outcome, StorageError, StorageErrorKind, Target, identity, storage, types,
};
use crate::identity::Identity;
use crate::limits::Limits;
use crate::storage::{Condition, Storage};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wasmtime::ResourceLimiter;

/// What every request of a policy has in common.
pub(super) struct Terms {
    pub(super) limits: Limits,
    pub(super) wasi: Wasi,
    /// How often the ticker has ticked.
    pub(super) ticks: AtomicU64,
}

/// The host's side of one request.
pub(super) struct State {
    identity: Arc<dyn Identity>,
    storage: Arc<dyn Storage>,
    calls_left: u32,
    /// Bytes that the policy may still pass to the host.
    host_bytes_left: usize,
    terms: Arc<Terms>,
    /// Ticks in which the policy ran, without those that passed while the host worked for it.
    ticks: u32,
    /// Whether a tick has passed while the host worked, which the policy is not to be charged with.
    excused: bool,
    growth: Growth,
    /// Calls to WASI so far; it cannot refuse one, so that this may be more than the limit.
    wasi_calls: u32,
    /// None until the policy calls it; most never do.
    wasi: Option<Box<wasi::Context>>,
    /// What the policy asked of storage, in order; the last one without an answer where it was cut off.
    pub(super) calls: Vec<Call>,
}

/// The policy called its host more often than it may; found again in the error by its type.
#[derive(Debug, thiserror::Error)]
#[error("the policy called its host more often than it may")]
pub(super) struct TooManyCalls;

/// The policy passed more to its host than it may; found again in the error by its type.
#[derive(Debug, thiserror::Error)]
#[error("the policy passed more to its host than it may")]
pub(super) struct TooManyBytes;

impl State {
    pub(super) fn new(identity: Arc<dyn Identity>, storage: Arc<dyn Storage>, terms: Arc<Terms>) -> Self {
        let limits = &terms.limits;
        Self {
            identity,
            storage,
            calls_left: limits.policy_host_calls,
            host_bytes_left: limits.policy_host_bytes,
            ticks: 0,
            excused: false,
            growth: Growth {
                bytes_left: limits.policy_memory_bytes,
                elements_left: limits.policy_table_elements,
                parts: limits.policy_parts,
                refused_at_start: false,
                is_starting: true,
            },
            wasi_calls: 0,
            wasi: None,
            calls: Vec::new(),
            terms,
        }
    }

    pub(super) fn limiter(&mut self) -> &mut dyn ResourceLimiter {
        &mut self.growth
    }

    /// Ticks counted so far.
    pub(super) fn ticks(&self) -> u32 {
        self.ticks
    }

    /// Counts a tick against the policy, and says how many there are. One that passed while the host worked is seen only
    /// when the policy goes on, and is not counted.
    pub(super) fn tick(&mut self) -> u32 {
        if !std::mem::take(&mut self.excused) {
            self.ticks += 1;
        }
        self.ticks
    }

    /// Counts a call of the policy to its host, and says at which tick it began.
    fn enter(&mut self) -> Result<u64, TooManyCalls> {
        self.check_calls()?;
        self.calls_left = self.calls_left.checked_sub(1).ok_or(TooManyCalls)?;
        Ok(self.terms.ticks.load(Ordering::Relaxed))
    }

    /// Ends a call that began at this tick: what passed meanwhile is the host's.
    fn leave(&mut self, begun: u64) {
        self.excused |= self.terms.ticks.load(Ordering::Relaxed) != begun;
    }

    /// Counts a call of the policy to WASI. It is not refused here, where nothing can be: one call too many stops the
    /// policy at the next tick, at its next call to identity or storage, or at its end. Time spent in WASI, waiting too,
    /// is the policy's own.
    pub(super) fn enter_wasi(&mut self) -> &mut wasi::Context {
        self.wasi_calls = self.wasi_calls.saturating_add(1);
        self.wasi.get_or_insert_with(|| Box::new(wasi::Context::new(&self.terms)))
    }

    /// Whether the policy has kept to the number of calls to WASI.
    pub(super) fn check_calls(&self) -> Result<(), TooManyCalls> {
        if self.wasi_calls > self.terms.limits.policy_wasi_calls { Err(TooManyCalls) } else { Ok(()) }
    }

    /// What the policy has written, if anything.
    pub(super) fn output(&self) -> Option<Output> {
        self.wasi.as_ref().and_then(|wasi| wasi.output())
    }

    /// Counts what the policy has passed to its host, beside what it has written.
    pub(super) fn receive(&mut self, bytes: usize) -> Result<(), TooManyBytes> {
        let written = self.wasi.as_ref().map_or(0, |wasi| wasi.passed());
        let left = self.host_bytes_left.checked_sub(bytes).filter(|left| *left >= written);
        self.host_bytes_left = left.ok_or(TooManyBytes)?;
        Ok(())
    }

    /// Notes that the policy has its memories and tables, so that from now on growing fails inside it.
    pub(super) fn has_instance(&mut self) {
        self.growth.is_starting = false;
    }

    /// Whether the policy could not start because it would have been larger than it may be.
    pub(super) fn is_outsized(&self) -> bool {
        self.growth.is_starting && self.growth.refused_at_start
    }

    async fn delete(&mut self, condition: Condition) -> wasmtime::Result<Result<Outcome, StorageError>> {
        let begun = self.enter()?;
        self.receive(match &condition {
            Condition::Any => 0,
            Condition::OwnedBy(text) | Condition::Unchanged(text) => text.len(),
        })?;
        // Noted before it is tried: a policy that is stopped meanwhile leaves a delete whose end is not known.
        self.calls.push(Call { performed: Performed::Delete(condition.clone()), answer: None });
        let answer = self.storage.delete(condition).await;
        if let Some(call) = self.calls.last_mut() {
            call.answer = Some(answer.clone());
        }
        self.leave(begun);
        Ok(answer)
    }

    /// Notes a question to storage that it could not answer; one that it answered needs no note.
    fn note_failure(&mut self, performed: Performed, error: &StorageError) {
        self.calls.push(Call { performed, answer: Some(Err(error.clone())) });
    }
}

impl types::Host for State {}

impl identity::Host for State {
    async fn current(&mut self) -> wasmtime::Result<Result<Caller, IdentityError>> {
        let begun = self.enter()?;
        let answer = self.identity.current().await;
        self.leave(begun);
        Ok(answer)
    }
}

impl storage::Host for State {
    async fn locate(&mut self) -> wasmtime::Result<Result<Target, StorageError>> {
        let begun = self.enter()?;
        let answer = self.storage.locate().await;
        self.leave(begun);
        if let Err(error) = &answer {
            self.note_failure(Performed::Locate, error);
        }
        Ok(answer)
    }

    async fn find(&mut self) -> wasmtime::Result<Result<Lookup, StorageError>> {
        let begun = self.enter()?;
        let found = self.storage.find().await;
        self.leave(begun);
        let answer = match found {
            // What the answer takes in the policy's memory counts as growth there, and is refused there.
            Ok(learning) => Ok(Lookup { learning }),
            // Reading deletes nothing, so its outcome cannot be unknown.
            Err(error) if error.kind == StorageErrorKind::OutcomeUnknown => {
                Err(StorageError { kind: StorageErrorKind::Internal, ..error })
            }
            Err(error) => Err(error),
        };
        if let Err(error) = &answer {
            self.note_failure(Performed::Find, error);
        }
        Ok(answer)
    }

    async fn delete(&mut self) -> wasmtime::Result<Result<Outcome, StorageError>> {
        State::delete(self, Condition::Any).await
    }

    async fn delete_if_owned_by(&mut self, user_id: String) -> wasmtime::Result<Result<Outcome, StorageError>> {
        State::delete(self, Condition::OwnedBy(user_id)).await
    }

    async fn delete_if_unchanged(&mut self, revision: String) -> wasmtime::Result<Result<Outcome, StorageError>> {
        State::delete(self, Condition::Unchanged(revision)).await
    }
}

/// What an instance may still grow by, all its memories together and all its tables together.
struct Growth {
    bytes_left: usize,
    elements_left: usize,
    parts: u32,
    /// Whether the instance is being made, and whether it was refused anything meanwhile.
    is_starting: bool,
    refused_at_start: bool,
}

/// Takes what growing from `current` to `desired` costs; false where there is not as much, or where its own type lets
/// it grow no further (it would not grow, and the cost would be lost).
fn take(left: &mut usize, current: usize, desired: usize, maximum: Option<usize>) -> bool {
    let rest = left.checked_sub(desired.saturating_sub(current));
    let rest = rest.filter(|_| maximum.is_none_or(|maximum| desired <= maximum));
    *left = rest.unwrap_or(*left);
    rest.is_some()
}

impl ResourceLimiter for Growth {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let is_granted = take(&mut self.bytes_left, current, desired, maximum);
        self.refused_at_start |= self.is_starting && !is_granted;
        Ok(is_granted)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let is_granted = take(&mut self.elements_left, current, desired, maximum);
        self.refused_at_start |= self.is_starting && !is_granted;
        Ok(is_granted)
    }

    fn instances(&self) -> usize {
        self.parts as usize
    }

    fn tables(&self) -> usize {
        self.parts as usize
    }

    fn memories(&self) -> usize {
        self.parts as usize
    }
}
