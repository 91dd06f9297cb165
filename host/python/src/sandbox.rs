//! Loads policies and guards.

use crate::host_value::{CallerValue, IdentityErrorValue, RequestValue};
use crate::run::Run;
use delete_learning::{Access, Cache, DEFAULT_POLICY, Limits};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::{self, Handle, Runtime};

/// A policy that computes on an event loop yields after a twenty-fifth of `cpu_time_limit_ms`, and leaves it after two of
/// these. With a higher limit than this one, it runs on a thread of [`Threads`] from the start.
const MAX_CPU_TIME_LIMIT_ON_EVENT_LOOP_MS: u64 = 125;

/// The threads of a sandbox: timers, and policies that must not run on an event loop.
pub(crate) struct Threads(Option<Runtime>, Handle);

impl Threads {
    fn start() -> PyResult<Self> {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .thread_name("policy-timer")
            .build()
            .map_err(|error| PyOSError::new_err(format!("cannot start the threads of the sandbox: {error}")))?;
        let handle = runtime.handle().clone();
        Ok(Self(Some(runtime), handle))
    }

    pub(crate) const fn handle(&self) -> &Handle {
        &self.1
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Without waiting: the thread that drops the last policy can be an event loop.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Loads a policy and its guards.
#[pyclass(frozen, module = "delete_learning._native")]
pub(crate) struct Sandbox {
    sandbox: delete_learning::Sandbox,
    threads: Arc<Threads>,
}

#[pymethods]
impl Sandbox {
    #[new]
    fn new(limits: &str, cache_directory: Option<PathBuf>) -> PyResult<Self> {
        let limits = parse_limits(limits).map_err(PyValueError::new_err)?;
        let cache = cache_directory.map(|directory| Cache::open(&directory)).transpose().map_err(value_error)?;
        let sandbox = delete_learning::Sandbox::new(&limits, cache).map_err(value_error)?;
        Ok(Self { sandbox, threads: Arc::new(Threads::start()?) })
    }

    /// Reads the file of a component.
    fn read(&self, py: Python<'_>, file: PathBuf) -> PyResult<Vec<u8>> {
        py.detach(|| delete_learning::read(&file, self.sandbox.limits())).map_err(value_error)
    }

    /// Loads a guard.
    fn load_guard(
        &self,
        py: Python<'_>,
        name: &str,
        component: &[u8],
        settings: BTreeMap<String, String>,
        grants: BTreeSet<String>,
    ) -> PyResult<Guard> {
        let access = Access { grants, settings };
        py.detach(|| on_own_threads(|| self.sandbox.load_guard(name, component, &access)))?
            .map(Guard)
            .map_err(value_error)
    }

    /// Loads a policy; the default one without a component.
    fn load_policy(
        &self,
        py: Python<'_>,
        component: Option<&[u8]>,
        settings: BTreeMap<String, String>,
        grants: BTreeSet<String>,
        guards: Vec<PyRef<'_, Guard>>,
    ) -> PyResult<Policy> {
        let access = Access { grants, settings };
        let guards = guards.iter().map(|guard| guard.0.clone()).collect();
        let component = component.unwrap_or(DEFAULT_POLICY);
        let policy = py
            .detach(|| on_own_threads(|| self.sandbox.load_policy(component, &access, guards)))?
            .map_err(value_error)?;
        Ok(Policy {
            policy: Arc::new(policy),
            threads: Arc::clone(&self.threads),
            limits: self.sandbox.limits().clone(),
        })
    }
}

/// A guard that is loaded.
#[pyclass(frozen, module = "delete_learning._native")]
pub(crate) struct Guard(delete_learning::Guard);

/// A policy that is loaded, with its guards.
#[pyclass(frozen, module = "delete_learning._native")]
pub(crate) struct Policy {
    policy: Arc<delete_learning::Policy>,
    threads: Arc<Threads>,
    limits: Limits,
}

#[pymethods]
impl Policy {
    /// Begins a decision. `wake` is called from any thread when `Run.poll` can continue; without it, use `Run.next`.
    #[pyo3(signature = (request, caller, error, wake=None))]
    fn start(
        &self,
        request: RequestValue,
        caller: Option<CallerValue>,
        error: Option<IdentityErrorValue>,
        wake: Option<Py<PyAny>>,
    ) -> PyResult<Run> {
        let caller = match (caller, error) {
            (Some(caller), None) => Ok(caller.try_into()?),
            (None, Some(error)) => Err(error.try_into()?),
            _ => return Err(PyValueError::new_err("either a caller or an error is needed")),
        };
        let on_thread = wake.is_some() && self.limits.cpu_time_limit_ms > MAX_CPU_TIME_LIMIT_ON_EVENT_LOOP_MS;
        Ok(Run::start(&self.policy, &self.threads, request.into(), caller, wake, on_thread))
    }

    /// The SHA-256 of the policy, and the name and the SHA-256 of each guard, outermost first.
    #[getter]
    fn digests(&self) -> (String, Vec<(String, String)>) {
        let digests = self.policy.digests();
        let guards = digests.guards.iter().map(|(name, digest)| (name.clone(), digest.to_string()));
        (digests.policy.to_string(), guards.collect())
    }
}

/// Parses and validates limits.
pub(crate) fn parse_limits(json: &str) -> Result<Limits, String> {
    let limits: Limits = serde_json::from_str(json).map_err(|error| error.to_string())?;
    limits.validate().map_err(|error| format!("{} {error}", error.key))?;
    Ok(limits)
}

/// Compiles on new threads. Those of rayon's global pool, which wasmtime would use, do not exist in a process that was
/// forked after a first compilation, and it would wait for them forever.
fn on_own_threads<T: Send>(load: impl FnOnce() -> T + Send) -> PyResult<T> {
    let threads = rayon::ThreadPoolBuilder::new().thread_name(|_| "policy-compiler".to_owned()).build();
    let threads = threads.map_err(|error| PyOSError::new_err(format!("cannot start threads to compile: {error}")))?;
    Ok(threads.install(load))
}

fn value_error(error: impl Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}
