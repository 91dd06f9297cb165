//! Runs a guard: a component between a policy and the storage, in an instance of its own.

use crate::contract::guard::{Exports, Guard as GuardBindings, GuardPre, exported};
use crate::contract::{Caller, IdentityError, Learning, Outcome, StorageError, Target};
use crate::decision::{ComponentReport, classify_failure};
use crate::description::GUARD_EXPORT;
use crate::digest::Digest;
use crate::error::{PolicyError, TooManyBytes};
use crate::guard_rules::{Export, GuardRules, GuardViolation};
use crate::host_state::{HostState, Overrides, StorageLink};
use crate::sandbox::Sandbox;
use crate::storage::Condition;
use std::sync::Arc;
use wasmtime::Store;
use wasmtime::component::InstancePre;
use wasmtime::component::types::ComponentItem;
use wasmtime::error::Context as _;
use wasmtime_wasi_config::WasiConfigVariables;

/// A guard that is loaded and ready to run.
///
/// Cloning is cheap and refers to the same guard.
#[derive(Clone)]
pub struct Guard(pub(crate) Arc<LoadedGuard>);

pub(crate) struct LoadedGuard {
    pub(crate) name: String,
    pub(crate) digest: Digest,
    pub(crate) component: GuardPre<HostState>,
    pub(crate) settings: Arc<WasiConfigVariables>,
}

impl Guard {
    /// The name of the guard in audit events and errors.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The digest of its component.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.0.digest
    }
}

/// Checks the types of the functions that a guard exports. The generated code checks them only when it instantiates the
/// component.
pub(crate) fn check_exports(instance: &InstancePre<HostState>) -> wasmtime::Result<()> {
    let (component, types) = (instance.component(), instance.instance_type());
    let Some(storage) = component.get_export_index(None, GUARD_EXPORT) else {
        wasmtime::bail!("it does not export `{GUARD_EXPORT}`");
    };
    macro_rules! check {
        ($name:literal, $parameters:ty, $value:ty) => {
            match component.get_export(Some(&storage), $name) {
                Some((ComponentItem::ComponentFunc(function), _)) => function
                    .typecheck::<$parameters, (Result<$value, exported::StorageError>,)>(&types)
                    .context(concat!("the function `", $name, "` of its storage has another type"))?,
                _ => wasmtime::bail!(concat!("its storage has no function `", $name, "`")),
            }
        };
    }
    check!("locate", (), exported::Target);
    check!("find", (), exported::Lookup);
    check!("delete", (), exported::Outcome);
    check!("delete-if-owned-by", (&str,), exported::Outcome);
    check!("delete-if-unchanged", (&str,), exported::Outcome);
    Ok(())
}

/// A guard failed. It stops the policy.
#[derive(Debug, thiserror::Error)]
#[error("the guard {name:?} failed")]
pub(crate) struct GuardFailed {
    pub(crate) name: String,
    pub(crate) error: PolicyError,
}

/// A guard in one request. Its component is instantiated by the first call.
pub(crate) struct GuardInstance {
    guard: Guard,
    sandbox: Sandbox,
    run: Run,
}

enum Run {
    NotStarted(Option<Box<HostState>>),
    Started(Box<Store<HostState>>, Option<GuardBindings>),
}

impl GuardInstance {
    /// Puts a guard in front of `storage`.
    pub(crate) fn new(
        guard: &Guard,
        sandbox: &Sandbox,
        caller: Arc<Result<Caller, IdentityError>>,
        storage: StorageLink,
        overrides: &Overrides,
    ) -> Self {
        let settings = overrides.settings.as_ref().unwrap_or(&guard.0.settings);
        let state = HostState::new(caller, storage, Arc::clone(settings), overrides.now, Arc::clone(&sandbox.config));
        let run = Run::NotStarted(Some(Box::new(state)));
        Self { guard: guard.clone(), sandbox: sandbox.clone(), run }
    }

    pub(crate) async fn locate(&mut self) -> wasmtime::Result<Result<Target, StorageError>> {
        let answer = self.call(Export::Locate, async |guard, store| guard.call_locate(store).await).await?;
        let answer = answer.map(Into::into).map_err(Into::into);
        self.check(&answer, |rules| rules.check_locate(&answer))?;
        Ok(answer)
    }

    pub(crate) async fn find(&mut self) -> wasmtime::Result<Result<Option<Learning>, StorageError>> {
        let limits = &self.sandbox.config.limits;
        let (usual, whole_memory) = (limits.max_host_call_bytes, limits.max_memory_bytes);
        let find = async |guard: &Exports, store: &mut Store<HostState>| {
            // A record can be larger than what the guard can pass in other calls. The result must be the record that the
            // storage passed to it, so no limit on it is needed beyond the memory that contains it.
            store.set_hostcall_fuel(whole_memory.max(usual));
            let found = guard.call_find(&mut *store).await;
            store.set_hostcall_fuel(usual);
            found
        };
        let answer = self.call(Export::Find, find).await?;
        let answer = answer.map(|lookup| lookup.learning.map(Into::into)).map_err(Into::into);
        self.check(&answer, |rules| rules.check_find(&answer))?;
        Ok(answer)
    }

    pub(crate) async fn delete(&mut self, condition: Condition) -> wasmtime::Result<Result<Outcome, StorageError>> {
        let export = Export::Delete(condition.clone());
        let answer = self
            .call(export, async |guard, store| match &condition {
                Condition::Any => guard.call_delete(store).await,
                Condition::OwnedBy(user) => guard.call_delete_if_owned_by(store, user).await,
                Condition::Unchanged(revision) => guard.call_delete_if_unchanged(store, revision).await,
            })
            .await?;
        let answer = answer.map(Into::into).map_err(Into::into);
        self.check(&answer, |rules| rules.check_outcome(&condition, &answer))?;
        Ok(answer)
    }

    /// Calls an exported function within the limits of the instance.
    async fn call<T>(
        &mut self,
        export: Export,
        function: impl AsyncFnOnce(&Exports, &mut Store<HostState>) -> wasmtime::Result<T>,
    ) -> wasmtime::Result<T> {
        if let Run::NotStarted(state) = &mut self.run
            && let Some(state) = state.take()
        {
            let store = self.sandbox.new_store(*state);
            self.run = Run::Started(Box::new(store), None);
        }
        let Run::Started(store, instance) = &mut self.run else { return Err(Stopped.into()) };
        store.data_mut().guard_rules().begin(export);
        self.sandbox.deadline.start_call(store);
        let result = async {
            let instance = match instance {
                Some(instance) => instance,
                None => {
                    let new = self.guard.0.component.instantiate_async(&mut **store).await?;
                    store.data_mut().resources().set_started();
                    instance.insert(new)
                }
            };
            function(instance.learnings_plugin_storage(), store).await
        }
        .await;
        let Err(error) = result else { return result };
        Err(match error.downcast::<GuardFailed>() {
            // A guard behind this one failed, and is the one to name.
            Ok(behind) => behind.into(),
            Err(error) => {
                let error = classify_failure(error, store.data_mut());
                self.failed(error)
            }
        })
    }

    /// Checks the answer of the guard, and the limits that can be exceeded without being noticed before.
    fn check<T>(
        &mut self,
        answer: &Result<T, StorageError>,
        check: impl FnOnce(&mut GuardRules) -> Result<(), GuardViolation>,
    ) -> wasmtime::Result<()> {
        let Run::Started(store, _) = &mut self.run else { return Err(Stopped.into()) };
        let state = store.data_mut();
        let message_bytes = answer.as_ref().err().map_or(0, |error| error.message.len());
        let result = state.count_bytes(message_bytes).map_err(|TooManyBytes| PolicyError::TooManyBytes);
        let result = result.and_then(|()| state.check_limits()).and_then(|()| {
            check(state.guard_rules()).map_err(|GuardViolation(reason)| PolicyError::GuardViolation { reason })
        });
        result.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: PolicyError) -> wasmtime::Error {
        GuardFailed { name: self.guard.name().to_owned(), error }.into()
    }

    /// The state of the instance, if it was created.
    pub(crate) fn state(&self) -> Option<&HostState> {
        match &self.run {
            Run::NotStarted(state) => state.as_deref(),
            Run::Started(store, _) => Some(store.data()),
        }
    }

    /// What the guard did, if it ran, and the state of its instance.
    pub(crate) fn report(&mut self) -> Option<(ComponentReport, &mut HostState)> {
        let Run::Started(store, _) = &mut self.run else { return None };
        let state = store.data_mut();
        let report = ComponentReport {
            name: self.guard.name().to_owned(),
            calls: state.take_calls(),
            has_denied: state.guard_rules().has_denied(),
            output: state.captured_output(),
        };
        Some((report, state))
    }
}

/// A guard was called again after it failed, which cannot happen because its failure stops the policy.
#[derive(Debug, thiserror::Error)]
#[error("the guard was stopped before")]
struct Stopped;
