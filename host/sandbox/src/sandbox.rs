//! One engine with its limits, for a policy and its guards, and for those that replace them.

use crate::access::Access;
use crate::cache::Cache;
use crate::contract::guard::{Guard as GuardBindings, GuardPre};
use crate::contract::{PolicyInstance, PolicyPre};
use crate::deadline::Deadline;
use crate::description::{World, describe};
use crate::digest::Digest;
use crate::engine::engine;
use crate::error::LoadError;
use crate::guard::{Guard, LoadedGuard, check_exports};
use crate::host_state::{HostState, SharedConfig};
use crate::limits::Limits;
use crate::policy::Policy;
use crate::wasi;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::Semaphore;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime::{Engine, Store};

/// Loads policies and guards, which share its engine, its limits and its permits.
///
/// Cloning is cheap and refers to the same sandbox.
#[derive(Clone)]
pub struct Sandbox {
    pub(crate) engine: Engine,
    pub(crate) config: Arc<SharedConfig>,
    pub(crate) deadline: Deadline,
    /// One permit for each policy that can run at once, so that the pool, which has room for each policy and its guards,
    /// is never exhausted.
    pub(crate) permits: Arc<Semaphore>,
    /// The permit of conformance cases, so that a policy can be checked while requests occupy all others.
    pub(crate) check_permit: Arc<Semaphore>,
    cache: Option<Cache>,
}

impl Sandbox {
    /// Creates a sandbox. With a cache, a component that was compiled before is not compiled again.
    ///
    /// # Errors
    /// [`LoadError::Limit`] if a limit is too small; [`LoadError::Engine`] or [`LoadError::Thread`] if the sandbox cannot
    /// be set up on this machine.
    pub fn new(limits: &Limits, cache: Option<Cache>) -> Result<Self, LoadError> {
        limits.validate()?;
        let engine = engine(limits)?;
        let config = Arc::new(SharedConfig { limits: limits.clone(), ticks: AtomicU64::new(0) });
        let deadline = Deadline::start(&engine, &config).map_err(LoadError::Thread)?;
        let (permits, check_permit) = (Arc::new(Semaphore::new(limits.max_permits())), Arc::new(Semaphore::new(1)));
        Ok(Self { engine, config, deadline, permits, check_permit, cache })
    }

    /// The limits of this sandbox.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// The number of policies that run now. At most `max_concurrent_instances` do; conformance cases do not count.
    #[must_use]
    pub fn instances_in_use(&self) -> usize {
        self.config.limits.max_permits().saturating_sub(self.permits.available_permits())
    }

    /// Loads a policy, with the guards between it and the storage, outermost first. Compiles the component on the calling
    /// thread.
    ///
    /// # Errors
    /// [`LoadError`] if the bytes are not a component, exceed a limit, import what they are not granted, or do not
    /// implement the world `policy`; if there are more guards than `max_guards`.
    pub fn load_policy(&self, component: &[u8], access: &Access, guards: Vec<Guard>) -> Result<Policy, LoadError> {
        self.check_guards(&guards)?;
        let instance = self.load(component, access, World::Policy, |linker| {
            PolicyInstance::add_to_linker::<_, HasSelf<_>>(linker, |state: &mut HostState| state)
        })?;
        let component_pre = PolicyPre::new(instance).map_err(|error| incompatible(World::Policy, error))?;
        Ok(Policy::new(self.clone(), component_pre, Digest::of(component), wasi::variables(&access.settings), guards))
    }

    /// Loads a guard. `name` is its name in audit events and errors.
    ///
    /// # Errors
    /// See [`load_policy`](Self::load_policy), with the world `guard`.
    pub fn load_guard(&self, name: &str, component: &[u8], access: &Access) -> Result<Guard, LoadError> {
        let instance = self.load(component, access, World::Guard, |linker| {
            GuardBindings::add_to_linker::<_, HasSelf<_>>(linker, |state: &mut HostState| state)
        })?;
        check_exports(&instance).map_err(|error| incompatible(World::Guard, error))?;
        let component_pre = GuardPre::new(instance).map_err(|error| incompatible(World::Guard, error))?;
        Ok(Guard(Arc::new(LoadedGuard {
            name: name.to_owned(),
            digest: Digest::of(component),
            component: component_pre,
            settings: wasi::variables(&access.settings),
        })))
    }

    /// Checks `max_guards`.
    pub(crate) fn check_guards(&self, guards: &[Guard]) -> Result<(), LoadError> {
        let max = self.config.limits.max_guards;
        if guards.len() > usize::try_from(max).unwrap_or(usize::MAX) {
            return Err(LoadError::TooManyGuards { guards: guards.len(), max });
        }
        let is_foreign = |guard: &&Guard| !Engine::same(&self.engine, guard.0.component.engine());
        match guards.iter().find(is_foreign) {
            Some(guard) => Err(LoadError::GuardOfOtherSandbox(guard.name().to_owned())),
            None => Ok(()),
        }
    }

    /// Creates the store of an instance, with its limits.
    pub(crate) fn new_store(&self, state: HostState) -> Store<HostState> {
        let mut store = Store::new(&self.engine, state);
        store.limiter(HostState::limiter);
        // For one call; `HostState` counts all calls of a request together.
        store.set_hostcall_fuel(self.config.limits.max_host_call_bytes);
        store.set_max_component_handles(self.config.limits.max_table_elements);
        store
    }

    /// Examines, compiles and links a component.
    fn load(
        &self,
        bytes: &[u8],
        access: &Access,
        world: World,
        add_contract: impl FnOnce(&mut Linker<HostState>) -> wasmtime::Result<()>,
    ) -> Result<InstancePre<HostState>, LoadError> {
        let limits = &self.config.limits;
        let description = describe(bytes, limits)?;
        match description.world() {
            Some(other) if other != world => return Err(LoadError::WrongWorld { expected: world, found: other }),
            Some(_) | None => {}
        }
        let imports_more = access.check(&description)?;
        if description.core_instances > limits.max_core_instances {
            let (instances, max) = (description.core_instances, limits.max_core_instances);
            return Err(LoadError::TooManyCoreInstances { instances, max });
        }
        let component = self.compile(bytes)?;
        let mut linker = Linker::new(&self.engine);
        add_contract(&mut linker).map_err(LoadError::Engine)?;
        if imports_more {
            wasi::link(&mut linker).map_err(LoadError::Engine)?;
        }
        linker.instantiate_pre(&component).map_err(|error| incompatible(world, error))
    }

    fn compile(&self, bytes: &[u8]) -> Result<Component, LoadError> {
        // `from_binary` accepts the binary format alone, never text.
        let compile = || Component::from_binary(&self.engine, bytes);
        let component = match &self.cache {
            Some(cache) => cache.get_or_compile(&self.engine, bytes, compile),
            None => compile(),
        };
        // The pool refuses a component that exceeds its limits. An engine without a pool accepts it, if it is valid.
        component.map_err(|error| match Component::from_binary(&Engine::default(), bytes) {
            Ok(_) => LoadError::ExceedsLimits(error),
            Err(error) => LoadError::Invalid(error),
        })
    }
}

fn incompatible(world: World, source: wasmtime::Error) -> LoadError {
    LoadError::IncompatibleWorld { world, source }
}

#[cfg(test)]
mod tests {
    use super::{Access, Limits, LoadError, Sandbox, describe};
    use crate::{DEFAULT_POLICY, Decide};

    #[test]
    fn policy_may_have_as_many_core_instances_as_the_limit() {
        let instances = describe(DEFAULT_POLICY, &Limits::default()).expect("a description").core_instances;
        assert!(instances > 1);
        let load = |max| {
            let sandbox = Sandbox::new(&Limits::default().max_core_instances(max), None).expect("a sandbox");
            assert_eq!(sandbox.limits().max_core_instances, max);
            sandbox.load_policy(DEFAULT_POLICY, &Access::default(), Vec::new())
        };
        let policy = load(instances).expect("it loads");
        assert_eq!(Decide::digests(&policy), Some(policy.digests()));
        for max in [1, instances - 1] {
            assert!(matches!(load(max).err(), Some(LoadError::TooManyCoreInstances { .. })), "{max}");
        }
    }
}
