//! Loads the policy and its guards again while the server runs.
//!
//! A thread of its own loads them beside the running ones, in the same sandbox, and runs a few conformance cases on them.
//! Only then does it put them in force. If anything fails, the running ones stay.

use super::current_policy::CurrentPolicy;
use super::error::{ReloadError, StartError};
use super::policy::{self, Components};
use super::smoke;
use crate::audit::describe_guards;
use crate::config::{Config, ConfigError, OtherSections, PolicyConfig, ReloadTrigger};
use delete_learning::{Digest, Digests, Policy, Sandbox};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// The time between two reads of the components that are watched.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Reloads the policy and its guards until it is dropped: on request, and when the file of a component changes if the
/// configuration says `reload = "watch"`.
pub struct Reloader {
    current: Arc<CurrentPolicy>,
    requests: SyncSender<Request>,
}

/// A request to reload. It is dropped at the end of the reload, which its sender notices.
type Request = oneshot::Sender<()>;

impl Reloader {
    /// Starts the thread. `read_config` reads the configuration again.
    pub(super) fn start(
        loaded: LoadedPolicy,
        read_config: impl Fn() -> Result<Config, ConfigError> + Send + 'static,
    ) -> Result<Self, StartError> {
        let current = Arc::clone(&loaded.current);
        // A runtime of its own, so that a shutdown of the server's does not interrupt the conformance cases.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(StartError::ReloadThread)?;
        // One request is remembered during a reload, however many there are.
        let (requests, receiver) = sync_channel(1);
        let worker = Worker { loaded, read_config: Box::new(read_config), runtime };
        let spawned = thread::Builder::new().name("policy-reload".to_owned()).spawn(move || worker.run(&receiver));
        spawned.map_err(StartError::ReloadThread)?;
        Ok(Self { current, requests })
    }

    /// Requests a reload of the configuration's `[policy]` and `[[guards]]`. Requests during a reload are served by one
    /// reload after it. The future completes at the end of the reload, whether or not it succeeded; at once if an earlier
    /// request waits for the same reload.
    pub fn request(&self) -> impl Future<Output = ()> + use<> {
        let (request, end) = oneshot::channel();
        // If the channel is full, a request is remembered already.
        let _ = self.requests.try_send(request);
        async move {
            let _ = end.await;
        }
    }

    /// The digests of the policy and the guards in force.
    #[must_use]
    pub fn digests(&self) -> Digests {
        self.current.get().digests().clone()
    }
}

/// A policy that was loaded, and what it was loaded from.
pub(super) struct LoadedPolicy {
    pub(super) current: Arc<CurrentPolicy>,
    pub(super) sandbox: Sandbox,
    /// The last configuration that was valid, whether or not it could be loaded.
    config: PolicyConfig,
    other_sections: OtherSections,
    /// The components when they were last read.
    digests: Vec<Result<Digest, String>>,
}

impl LoadedPolicy {
    /// Loads the configured policy and its guards.
    pub(super) fn load(config: &Config) -> Result<Self, StartError> {
        let sandbox = policy::open_sandbox(config)?;
        let components = Components::read(&sandbox, &config.policy);
        let current = Arc::new(CurrentPolicy::new(policy::load(&sandbox, &config.policy, &components)?));
        Ok(Self {
            current,
            sandbox,
            config: config.policy.clone(),
            other_sections: config.other_sections.clone(),
            digests: components.digests(),
        })
    }
}

struct Worker {
    loaded: LoadedPolicy,
    read_config: Box<dyn Fn() -> Result<Config, ConfigError> + Send>,
    runtime: Runtime,
}

impl Worker {
    fn run(mut self, requests: &Receiver<Request>) {
        loop {
            let request = match self.loaded.config.reload {
                ReloadTrigger::Signal => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
                ReloadTrigger::Watch => requests.recv_timeout(POLL_INTERVAL),
            };
            match request {
                Ok(request) => {
                    self.reload();
                    drop(request);
                }
                Err(RecvTimeoutError::Timeout) => self.poll(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Reads the configuration again, and loads what it names.
    fn reload(&mut self) {
        let start = Instant::now();
        let result = match (self.read_config)() {
            Ok(config) => {
                let changed = self.loaded.other_sections.differences(&config.other_sections);
                if !changed.is_empty() {
                    let sections = changed.into_iter().collect::<Vec<_>>().join(", ");
                    tracing::warn!(
                        sections,
                        "a reload uses [policy] and [[guards]] only; restart to use other changes"
                    );
                }
                self.loaded.config = config.policy;
                let components = Components::read(&self.loaded.sandbox, &self.loaded.config);
                self.loaded.digests = components.digests();
                self.load(&components)
            }
            Err(error) => Err(error.into()),
        };
        self.finish("signal", start, result);
    }

    /// Loads the components if a file has changed.
    fn poll(&mut self) {
        let start = Instant::now();
        let components = Components::read(&self.loaded.sandbox, &self.loaded.config);
        let digests = components.digests();
        if digests != self.loaded.digests {
            self.loaded.digests = digests;
            let result = self.load(&components);
            self.finish("watch", start, result);
        }
    }

    fn load(&self, components: &Components) -> Result<Policy, ReloadError> {
        // A compiler that panics ends neither this thread nor the server.
        let load = AssertUnwindSafe(|| {
            let policy = policy::load(&self.loaded.sandbox, &self.loaded.config, components)?;
            self.runtime.block_on(smoke::check(&policy))?;
            Ok(policy)
        });
        catch_unwind(load).unwrap_or(Err(ReloadError::Panicked))
    }

    /// Puts a policy in force, or reports why it cannot be.
    fn finish(&self, trigger: &str, start: Instant, result: Result<Policy, ReloadError>) {
        let current = &self.loaded.current;
        match result {
            Ok(policy) => {
                let new = policy.digests().clone();
                let previous = current.replace(policy).digests().clone();
                tracing::info!(
                    trigger,
                    policy_sha256 = %new.policy,
                    guards_sha256 = describe_guards(&new.guards),
                    previous_policy_sha256 = %previous.policy,
                    previous_guards_sha256 = describe_guards(&previous.guards),
                    duration_ms = milliseconds(start),
                    "reloaded the policy"
                );
            }
            Err(error) => {
                current.set_reload_failed();
                let duration_ms = milliseconds(start);
                tracing::error!(trigger, %error, duration_ms, "cannot reload the policy; the running one stays");
            }
        }
    }
}

fn milliseconds(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}
