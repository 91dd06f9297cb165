//! The host's side of one instance, of a policy or of a guard: it answers the calls of the component, applies the limits
//! on calls, and records every call.

use crate::contract::storage::Lookup;
use crate::contract::{
    Caller, IdentityError, Learning, Outcome, StorageError, StorageErrorKind, Target, identity, storage, types,
};
use crate::decision::ComponentReport;
use crate::error::{PolicyError, TooManyBytes, TooManyCalls};
use crate::guard::GuardInstance;
use crate::guard_rules::GuardRules;
use crate::limits::Limits;
use crate::resource_limits::ResourceLimits;
use crate::storage::{Condition, RecordStorage};
use crate::wasi::{self, CapturedOutput};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tracing::{Instrument, Span};
use wasmtime::ResourceLimiter;
use wasmtime_wasi::{WasiCtxView, WasiView};
use wasmtime_wasi_config::{WasiConfig, WasiConfigVariables};

/// A call of a policy or a guard to the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostCall {
    /// `identity.current`.
    Current,
    /// `storage.locate`, with the error if it failed.
    Locate(Result<(), StorageError>),
    /// `storage.find`, with the error if it failed.
    Find(Result<(), StorageError>),
    /// One of the deletes of `storage`.
    Delete {
        /// The condition of the delete.
        condition: Condition,
        /// The result; `None` if the component was stopped before storage returned one.
        result: Option<Result<Outcome, StorageError>>,
    },
}

/// What all instances of one sandbox share.
pub(crate) struct SharedConfig {
    pub(crate) limits: Limits,
    /// Ticks of the ticker thread so far.
    pub(crate) ticks: AtomicU64,
}

/// What conformance cases set instead of the real environment of a component.
#[derive(Default)]
pub(crate) struct Overrides {
    /// The settings of every component; `None` for the configured ones.
    pub(crate) settings: Option<Arc<WasiConfigVariables>>,
    /// The time since 1970 that the wall clock shows; `None` for the real time.
    pub(crate) now: Option<Duration>,
}

/// What serves the `storage` of an instance.
pub(crate) enum StorageLink {
    /// The record.
    Record(Arc<dyn RecordStorage>),
    /// A guard.
    Guard(Box<GuardInstance>),
}

// The calls to a guard are boxed, because their futures are large, and those of a policy without guards are not.
impl StorageLink {
    async fn locate(&mut self) -> wasmtime::Result<Result<Target, StorageError>> {
        match self {
            Self::Record(record) => Ok(record.locate().await),
            Self::Guard(guard) => Box::pin(guard.locate()).await,
        }
    }

    async fn find(&mut self) -> wasmtime::Result<Result<Option<Learning>, StorageError>> {
        match self {
            Self::Record(record) => Ok(record.find().await.map_err(read_error)),
            Self::Guard(guard) => Box::pin(guard.find()).await,
        }
    }

    async fn delete(&mut self, condition: Condition) -> wasmtime::Result<Result<Outcome, StorageError>> {
        match self {
            Self::Record(record) => Ok(record.delete(condition).await),
            Self::Guard(guard) => Box::pin(guard.delete(condition)).await,
        }
    }
}

/// The state of one instance.
pub(crate) struct HostState {
    caller: Arc<Result<Caller, IdentityError>>,
    storage: StorageLink,
    /// The rules that apply to the instance of a guard; `None` for a policy.
    guard_rules: Option<Box<GuardRules>>,
    settings: Arc<WasiConfigVariables>,
    /// The time since 1970 that the wall clock shows; `None` for the real time.
    now: Option<Duration>,
    config: Arc<SharedConfig>,
    /// The calls of the instance, in order.
    calls: Vec<HostCall>,
    calls_left: u32,
    host_call_bytes_left: usize,
    resources: ResourceLimits,
    /// Ticks during which the policy ran; ticks during host calls are not counted.
    ticks: u32,
    /// Whether a tick passed during a host call, so that the next tick is not counted.
    tick_exempt: bool,
    /// Calls to WASI so far. WASI cannot refuse a call, so this can exceed the limit.
    wasi_calls: u32,
    /// Created by the first call to WASI, settings excluded, which most policies never make.
    wasi: Option<Box<wasi::Context>>,
}

impl HostState {
    pub(crate) fn new(
        caller: Arc<Result<Caller, IdentityError>>,
        storage: StorageLink,
        settings: Arc<WasiConfigVariables>,
        now: Option<Duration>,
        config: Arc<SharedConfig>,
    ) -> Self {
        let limits = &config.limits;
        Self {
            caller,
            storage,
            guard_rules: None,
            settings,
            now,
            calls: Vec::new(),
            calls_left: limits.max_host_calls,
            host_call_bytes_left: limits.max_host_call_bytes,
            resources: ResourceLimits::new(limits),
            ticks: 0,
            tick_exempt: false,
            wasi_calls: 0,
            wasi: None,
            config,
        }
    }

    pub(crate) fn limiter(&mut self) -> &mut dyn ResourceLimiter {
        &mut self.resources
    }

    pub(crate) const fn resources(&mut self) -> &mut ResourceLimits {
        &mut self.resources
    }

    /// The rules of a guard, created when they are first needed: before its instance starts.
    pub(crate) fn guard_rules(&mut self) -> &mut GuardRules {
        self.guard_rules.get_or_insert_default()
    }

    /// The calls to the record itself: those of the last guard, or of the policy if there is none.
    pub(crate) fn record_calls(&self) -> &[HostCall] {
        let mut state = self;
        while let StorageLink::Guard(guard) = &state.storage {
            match guard.state() {
                Some(behind) => state = behind,
                None => return &[],
            }
        }
        &state.calls
    }

    /// What the guards behind this instance did, outermost first. Guards that did not run are left out.
    pub(crate) fn guard_reports(&mut self) -> Vec<ComponentReport> {
        let mut reports = Vec::new();
        let mut link = &mut self.storage;
        while let StorageLink::Guard(guard) = link {
            let Some((report, behind)) = guard.report() else { break };
            reports.push(report);
            link = &mut behind.storage;
        }
        reports
    }

    /// The settings of the component, for `wasi:config/store`. Counts a call to WASI.
    pub(crate) fn settings(&mut self) -> WasiConfig<'_> {
        self.count_wasi_call();
        WasiConfig::new(&self.settings)
    }

    /// Checks the limits that can be exceeded without stopping the instance at once.
    pub(crate) fn check_limits(&mut self) -> Result<(), PolicyError> {
        self.check_wasi_calls().map_err(|TooManyCalls| PolicyError::TooManyCalls)?;
        self.count_bytes(0).map_err(|TooManyBytes| PolicyError::TooManyBytes)
    }

    /// Takes the recorded calls.
    pub(crate) fn take_calls(&mut self) -> Vec<HostCall> {
        std::mem::take(&mut self.calls)
    }

    /// Ticks counted so far.
    pub(crate) const fn ticks(&self) -> u32 {
        self.ticks
    }

    /// Counts a tick and returns the total. A tick that passed during a host call is noticed only when the policy runs
    /// again, and is not counted.
    pub(crate) const fn count_tick(&mut self) -> u32 {
        if self.tick_exempt {
            self.tick_exempt = false;
        } else {
            self.ticks += 1;
        }
        self.ticks
    }

    /// Counts a call to `identity` or `storage`. Returns the tick at which it begins.
    fn begin_call(&mut self) -> Result<u64, TooManyCalls> {
        self.check_wasi_calls()?;
        self.calls_left = self.calls_left.checked_sub(1).ok_or(TooManyCalls)?;
        Ok(self.config.ticks.load(Ordering::Relaxed))
    }

    /// Ends a call that began at this tick. Ticks since then belong to the host.
    fn end_call(&mut self, begin: u64) {
        self.tick_exempt |= self.config.ticks.load(Ordering::Relaxed) != begin;
    }

    /// Checks `max_wasi_calls`.
    pub(crate) fn check_wasi_calls(&self) -> Result<(), TooManyCalls> {
        if self.wasi_calls > self.config.limits.max_wasi_calls { Err(TooManyCalls) } else { Ok(()) }
    }

    /// What the policy wrote to its standard output and standard error.
    pub(crate) fn captured_output(&self) -> Option<CapturedOutput> {
        self.wasi.as_ref().and_then(|wasi| wasi.captured_output())
    }

    /// Counts bytes that the policy passed to the host, in addition to what it wrote to its output.
    pub(crate) fn count_bytes(&mut self, bytes: usize) -> Result<(), TooManyBytes> {
        let written = self.wasi.as_ref().map_or(0, |wasi| wasi.bytes_written());
        let left = self.host_call_bytes_left.checked_sub(bytes).filter(|left| *left >= written);
        self.host_call_bytes_left = left.ok_or(TooManyBytes)?;
        Ok(())
    }

    async fn delete(&mut self, condition: Condition) -> wasmtime::Result<Result<Outcome, StorageError>> {
        let begin = self.begin_call()?;
        self.count_bytes(match &condition {
            Condition::Any => 0,
            Condition::OwnedBy(text) | Condition::Unchanged(text) => text.len(),
        })?;
        if let Some(rules) = &self.guard_rules {
            rules.check_delete(&condition)?;
        }
        // Recorded before it is executed: if the instance is stopped meanwhile, the outcome is unknown.
        self.calls.push(HostCall::Delete { condition: condition.clone(), result: None });
        let span = call_span(condition.function());
        let outcome = self.storage.delete(condition.clone()).instrument(span).await?;
        if let Some(HostCall::Delete { result, .. }) = self.calls.last_mut() {
            *result = Some(outcome.clone());
        }
        if let Some(rules) = &mut self.guard_rules {
            rules.record_delete(&condition, &outcome);
        }
        self.end_call(begin);
        Ok(outcome)
    }
}

impl HostState {
    /// Counts a call to WASI. The call itself cannot fail here: exceeding the limit stops the instance at the next tick,
    /// at its next call to `identity` or `storage`, or at its end. Time in WASI, waiting included, counts as the
    /// instance's.
    fn count_wasi_call(&mut self) {
        self.wasi_calls = self.wasi_calls.saturating_add(1);
    }
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.count_wasi_call();
        let new = || Box::new(wasi::Context::new(&self.config.limits, self.now));
        self.wasi.get_or_insert_with(new).view()
    }
}

impl types::Host for HostState {}

impl identity::Host for HostState {
    async fn current(&mut self) -> wasmtime::Result<Result<Caller, IdentityError>> {
        self.begin_call()?;
        self.calls.push(HostCall::Current);
        Ok(call_span("current").in_scope(|| Result::clone(&self.caller)))
    }
}

impl storage::Host for HostState {
    async fn locate(&mut self) -> wasmtime::Result<Result<Target, StorageError>> {
        let begin = self.begin_call()?;
        let target = self.storage.locate().instrument(call_span("locate")).await?;
        self.end_call(begin);
        if let Some(rules) = &mut self.guard_rules {
            rules.record_locate(&target);
        }
        self.calls.push(HostCall::Locate(without_value(&target)));
        Ok(target)
    }

    async fn find(&mut self) -> wasmtime::Result<Result<Lookup, StorageError>> {
        let begin = self.begin_call()?;
        let found = self.storage.find().instrument(call_span("find")).await?;
        self.end_call(begin);
        if let Some(rules) = &mut self.guard_rules {
            rules.record_find(&found);
        }
        self.calls.push(HostCall::Find(without_value(&found)));
        // The memory limit of the instance applies to what is copied into it.
        Ok(found.map(|learning| Lookup { learning }))
    }

    async fn delete(&mut self) -> wasmtime::Result<Result<Outcome, StorageError>> {
        HostState::delete(self, Condition::Any).await
    }

    async fn delete_if_owned_by(&mut self, user_id: String) -> wasmtime::Result<Result<Outcome, StorageError>> {
        HostState::delete(self, Condition::OwnedBy(user_id)).await
    }

    async fn delete_if_unchanged(&mut self, revision: String) -> wasmtime::Result<Result<Outcome, StorageError>> {
        HostState::delete(self, Condition::Unchanged(revision)).await
    }
}

/// The span of a call of a component to a function of the host. Of a policy with guards, the calls of a guard are in the span
/// of the call that it guards.
fn call_span(function: &'static str) -> Span {
    tracing::debug_span!("host call", function)
}

/// A read deletes nothing, so its outcome is never unknown and it is never denied.
fn read_error(error: StorageError) -> StorageError {
    match error.kind {
        StorageErrorKind::OutcomeUnknown | StorageErrorKind::Denied => {
            StorageError { kind: StorageErrorKind::Internal, ..error }
        }
        _ => error,
    }
}

fn without_value<T>(result: &Result<T, StorageError>) -> Result<(), StorageError> {
    result.as_ref().map(drop).map_err(Clone::clone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Credential, DeleteRequest, IdentityErrorKind};
    use crate::storage::Databases;

    #[test]
    fn tick_during_host_calls_is_not_counted() {
        let config = Arc::new(SharedConfig { limits: Limits::default(), ticks: AtomicU64::new(0) });
        let caller = IdentityError::new(IdentityErrorKind::Missing, Credential::None, "");
        let record =
            Databases(Vec::new()).record(&DeleteRequest { learning_id: String::new(), db_id: None, table: None });
        let (storage, settings) = (StorageLink::Record(record), Arc::default());
        let mut state = HostState::new(Arc::new(Err(caller)), storage, settings, None, Arc::clone(&config));
        // Calls during each of which so many ticks pass, and then one tick while the instance runs.
        let mut count = |calls: &[u64]| {
            for ticks in calls {
                let begin = state.begin_call().expect("few calls");
                config.ticks.fetch_add(*ticks, Ordering::Relaxed);
                state.end_call(begin);
            }
            (state.count_tick(), state.ticks())
        };
        assert_eq!([count(&[]), count(&[0]), count(&[])], [(1, 1), (2, 2), (3, 3)]);
        assert_eq!([count(&[2]), count(&[1, 0]), count(&[1, 1]), count(&[0, 1])], [(3, 3); 4]);
        assert_eq!([count(&[]), count(&[0, 0])], [(4, 4), (5, 5)]);
    }

    #[test]
    fn read_is_never_denied_and_its_outcome_never_unknown() {
        let kind = |kind| read_error(StorageError::new(kind, "")).kind;
        assert_eq!(kind(StorageErrorKind::Denied), StorageErrorKind::Internal);
        assert_eq!(kind(StorageErrorKind::OutcomeUnknown), StorageErrorKind::Internal);
        assert_eq!(kind(StorageErrorKind::Unavailable), StorageErrorKind::Unavailable);
    }
}
