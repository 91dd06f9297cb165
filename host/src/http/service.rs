//! The way of one request, top to bottom.

use super::answer::{self, Body};
use super::target::{Parameters, Route};
use super::{StartError, health, openapi};
use crate::audit;
use crate::config::Config;
use crate::contract::IdentityErrorKind;
use crate::identity::Authenticator;
use crate::plugin::{Decide, Decision, Plugin};
use crate::storage::{Databases, Named};
use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Response, StatusCode};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::RwLock;

/// What answers requests: credentials, databases and a policy, put together.
pub struct Service {
    authenticator: Authenticator,
    databases: Databases,
    policy: Arc<dyn Decide>,
    learning_id_bytes: usize,
    health_patience: Duration,
    request_ids: RequestIds,
    /// Held for reading by every deletion that goes on, also when its client has gone away.
    deleting: Arc<RwLock<()>>,
}

impl Service {
    /// Opens what the configuration names.
    ///
    /// # Errors
    /// Where it names something that cannot be used.
    pub async fn from_config(config: Config) -> Result<Self, StartError> {
        let cache = config.open_cache()?;
        let plugin = Plugin::load_with(&config.policy.component, &config.limits, config.wasi, cache.as_ref())
            .map_err(|source| StartError::Policy { policy: config.policy.name.clone(), source })?;
        Self::with_policy(config, Arc::new(plugin)).await
    }

    /// Opens what the configuration names, but for the policy, of which this takes the place.
    ///
    /// # Errors
    /// Where it names something that cannot be used.
    pub async fn with_policy(config: Config, policy: Arc<dyn Decide>) -> Result<Self, StartError> {
        let databases = config.open_databases().await?;
        let service_accounts = config.open_accounts()?;
        Ok(Self {
            authenticator: Authenticator { service_accounts, ..config.authenticator },
            databases,
            policy,
            learning_id_bytes: config.limits.learning_id_bytes,
            health_patience: config.limits.database_busy(),
            request_ids: RequestIds::new(),
            deleting: Arc::default(),
        })
    }

    /// Waits until no deletion goes on. Take no more requests before.
    pub(super) async fn finish(&self) {
        drop(self.deleting.write().await);
    }

    /// Answers a request. Its body has no meaning and is not read.
    pub(super) async fn answer(self: Arc<Self>, request: hyper::Request<Incoming>, client: IpAddr) -> Response<Body> {
        let (head, _) = request.into_parts();
        match (Route::of(head.uri.path()), &head.method) {
            (Route::Learning(id), &Method::DELETE) => {
                let arrived = Instant::now();
                let parameters = Parameters::read(id, head.uri.query(), self.learning_id_bytes);
                self.delete_learning(parameters, &head.headers, client, arrived).await
            }
            (Route::Health, &Method::GET | &Method::HEAD) => {
                health::answer(&self.databases, self.health_patience).await
            }
            (Route::OpenApi, &Method::GET | &Method::HEAD) => openapi::answer(),
            (Route::Learning(_), _) => answer::no_such_method("DELETE"),
            (Route::Health | Route::OpenApi, _) => answer::no_such_method("GET, HEAD"),
            (Route::Nothing, _) => answer::no_such_path(),
        }
    }

    async fn delete_learning(
        self: Arc<Self>,
        parameters: Parameters,
        headers: &HeaderMap,
        client: IpAddr,
        arrived: Instant,
    ) -> Response<Body> {
        let request_id = self.request_ids.next();
        let caller = self.authenticator.authenticate(headers, client).await;
        let token_presented = caller.as_ref().is_err_and(|error| error.kind != IdentityErrorKind::Missing);

        let task = {
            let (request_id, service) = (request_id.clone(), Arc::clone(&self));
            let going_on = Arc::clone(&self.deleting).read_owned().await;
            // A task of its own: a client that goes away does not stop a deletion half-way, nor its audit record.
            tokio::spawn(async move {
                let storage = service.databases.record(&parameters.named());
                let decision = service.policy.decide(parameters.request(), Arc::new(caller.clone()), storage).await;
                let duration = arrived.elapsed();
                let named = parameters.named();
                let record = audit::Record {
                    request_id: &request_id,
                    caller: &caller,
                    named: &named,
                    decision: &decision,
                    duration,
                };
                record.write();
                log(&request_id, &named, &decision, duration);
                drop(going_on);
                decision
            })
        };
        let mut response = match task.await {
            Ok(Decision { answer: Ok(()), .. }) => answer::deleted(),
            Ok(Decision { answer: Err(rejection), .. }) => {
                let status = StatusCode::from_u16(rejection.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                answer::error(status, &rejection.detail, rejection.code.as_str())
            }
            Err(error) => {
                tracing::error!(request_id, %error, "the task of a request failed; what became of the record is unknown");
                answer::error(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error", "INTERNAL_SERVER_ERROR")
            }
        };
        if response.status() == StatusCode::UNAUTHORIZED {
            answer::challenge(&mut response, token_presented);
        }
        answer::identify(&mut response, &request_id);
        response
    }
}

/// The log line of a request, and the causes of a failure, which callers are not told.
fn log(request_id: &str, named: &Named<'_>, decision: &Decision, duration: Duration) {
    let (status, outcome) = match &decision.answer {
        Ok(()) => (204, "deleted"),
        Err(rejection) if rejection.status >= 500 => (rejection.status, "failed"),
        Err(rejection) => (rejection.status, "refused"),
    };
    let duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let (rule, learning_id) = (decision.rule(), named.learning_id);
    tracing::info!(target: "request", request_id, learning_id, status, outcome, rule, duration_us);
    for call in &decision.calls {
        if let Some(Err(error)) = &call.answer
            && status >= 500
        {
            tracing::error!(request_id, kind = ?error.kind, cause = error.message, "storage failed");
        }
    }
    if let Some(output) = &decision.output {
        // As a quoted value, as everything that others chose.
        tracing::info!(target: "policy", request_id, output = output.text, left_out = output.left_out);
    }
    if let Some(fault) = &decision.fault {
        tracing::error!(request_id, %fault, record = ?decision.fate, "the policy did what it may not");
    }
}

/// Names for requests, different for every one of this process and, by chance, from those of others.
struct RequestIds {
    process: u64,
    last: AtomicU64,
}

impl RequestIds {
    fn new() -> Self {
        // From the system's random bytes. They need not be secret, and a generator for secrets takes longer to set up than
        // all else of a start.
        Self { process: RandomState::new().hash_one(0), last: AtomicU64::new(0) }
    }

    fn next(&self) -> String {
        format!("{:016x}-{}", self.process, self.last.fetch_add(1, Ordering::Relaxed) + 1)
    }
}
