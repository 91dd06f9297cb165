//! Handles one request, from its route to its response.

use super::client_address::TrustedProxies;
use super::config::HttpConfig;
use super::connection::RequestState;
use super::cors::{CorsConfig, CorsHeaders};
use super::delete_request::ParsedRequest;
use super::health::PolicyStatus;
use super::request_body::RequestBody;
use super::request_id::RequestIds;
use super::response::{self, Body};
use super::route::Route;
use super::{health, misplaced_token, openapi, request_head};
use crate::audit::{self, AuditLog, AuditedRecord, CallerSummary};
use crate::auth::Authenticator;
use delete_learning::storage::Databases;
use delete_learning::{Caller, Decide, Decision, IdentityError, IdentityErrorKind, RecordStorage};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// Handles requests.
pub struct Service {
    authenticator: Authenticator,
    databases: Databases,
    policy: Arc<dyn Decide>,
    policy_status: Option<Box<dyn Fn() -> PolicyStatus + Send + Sync>>,
    max_learning_id_bytes: usize,
    trusted_proxies: TrustedProxies,
    cors: CorsConfig,
    health_timeout: Duration,
    request_ids: RequestIds,
    audit_log: Option<Arc<AuditLog>>,
    /// The decisions in progress, also those whose client has disconnected.
    decisions: TaskTracker,
}

/// What a request is answered with.
enum Action {
    Delete(Box<ReceivedDelete>),
    CheckHealth,
    Respond(Response<Body>),
}

/// What a delete needs of its request.
struct ReceivedDelete {
    received: Instant,
    parsed: ParsedRequest,
    /// The values of all `Authorization` headers.
    authorization: Vec<HeaderValue>,
    /// Where the request has a token instead, if it has none of these headers.
    misplaced_token: Option<String>,
    client: IpAddr,
}

impl Service {
    /// Creates a service from its parts. `policy_status` is what `/health` reports of the policy, and `health_timeout` how
    /// long it waits for each database. With an audit log, a record is deleted only after the intent is in it.
    #[must_use]
    pub fn new(
        authenticator: Authenticator,
        databases: Databases,
        policy: Arc<dyn Decide>,
        policy_status: Option<Box<dyn Fn() -> PolicyStatus + Send + Sync>>,
        config: &HttpConfig,
        health_timeout: Duration,
        audit_log: Option<Arc<AuditLog>>,
    ) -> Self {
        Self {
            authenticator,
            databases,
            policy,
            policy_status,
            max_learning_id_bytes: config.max_learning_id_bytes,
            trusted_proxies: config.trusted_proxies.clone(),
            cors: config.cors.clone(),
            health_timeout,
            request_ids: RequestIds::new(),
            audit_log,
            decisions: TaskTracker::new(),
        }
    }

    /// Waits until no decision is in progress. Requests must no longer be handled.
    pub(super) async fn drain(&self) {
        self.decisions.close();
        self.decisions.wait().await;
    }

    /// Closes the audit log. Decisions must no longer be made.
    pub(super) async fn close_audit_log(&self) {
        if let Some(log) = &self.audit_log {
            log.close().await;
        }
    }

    /// Handles a request that was received from `peer`. A body has no meaning.
    pub(super) async fn handle(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
        peer: IpAddr,
        request_state: RequestState,
    ) -> Response<Body> {
        let (action, cors, body) = {
            // Dropped here, before anything is waited for: the map of many short headers is large.
            let (head, body) = request.into_parts();
            let cors = self.cors.evaluate(&head.headers);
            let action = if request_state.has_fragment() {
                Action::Respond(response::bad_request("Invalid request target"))
            } else {
                self.route(&head, &cors, peer)
            };
            (action, cors, RequestBody::new(body, &head.headers))
        };
        let mut response = match action {
            Action::Delete(request) => Arc::clone(&self).delete_learning(*request).await,
            Action::CheckHealth => {
                let policy = self.policy_status.as_ref().map(|status| status());
                health::respond(&self.databases, self.health_timeout, policy).await
            }
            Action::Respond(response) => response,
        };
        cors.set(&mut response);
        let is_reusable = body.discard(&request_state).await;
        if !is_reusable || request_state.has_fragment() {
            response::set_connection_close(&mut response);
        }
        response
    }

    /// Determines what a request is answered with.
    fn route(&self, head: &Parts, cors: &CorsHeaders, peer: IpAddr) -> Action {
        if let Err(detail) = request_head::validate(head) {
            return Action::Respond(response::bad_request(detail));
        }
        if let Some(response) = cors.preflight(&head.method, &head.headers) {
            return Action::Respond(response);
        }
        Action::Respond(match (Route::from_path(head.uri.path()), &head.method) {
            (Route::Learning(id), &Method::DELETE) => {
                let received = Instant::now();
                let authorization: Vec<_> = head.headers.get_all(AUTHORIZATION).iter().cloned().collect();
                let misplaced_token = match authorization.as_slice() {
                    [] => misplaced_token::find(&head.headers, head.uri.query()),
                    _ => None,
                };
                return Action::Delete(Box::new(ReceivedDelete {
                    received,
                    parsed: ParsedRequest::parse(id, head.uri.query(), self.max_learning_id_bytes),
                    authorization,
                    misplaced_token,
                    client: self.trusted_proxies.client_address(peer, &head.headers),
                }));
            }
            (Route::Health, &Method::GET | &Method::HEAD) => return Action::CheckHealth,
            (Route::OpenApi, &Method::GET | &Method::HEAD) => openapi::respond(),
            (Route::Learning(_), _) => response::method_not_allowed("DELETE"),
            (Route::Health | Route::OpenApi, _) => response::method_not_allowed("GET, HEAD"),
            (Route::NotFound, _) => response::not_found(),
        })
    }

    async fn delete_learning(self: Arc<Self>, request: ReceivedDelete) -> Response<Body> {
        let ReceivedDelete { received, parsed, authorization, misplaced_token, client } = request;
        let request_id = self.request_ids.next();
        // At the highest level, so that every log line of the request has its id, whatever the log level is.
        let span = tracing::error_span!("request", request_id);
        let authorization = authorization.iter().map(HeaderValue::as_bytes);
        let caller = self.authenticator.authenticate(authorization, client).instrument(span.clone()).await;
        let caller = caller.map_err(|error| match misplaced_token {
            Some(place) => {
                IdentityError { message: format!("{}; the token in {place} is not read", error.message), ..error }
            }
            None => error,
        });
        let has_token = caller.as_ref().is_err_and(|error| error.kind != IdentityErrorKind::Missing);
        let record = parsed.record(&self.databases);
        // A task of its own: a client that disconnects stops neither a delete nor its audit event.
        let decision = Arc::clone(&self).decide(request_id.clone(), parsed, client, caller, record, received);
        let task = self.decisions.spawn(decision.instrument(span.clone()));
        let mut response = match task.await {
            Ok(Decision { answer: Ok(()), .. }) => response::no_content(),
            Ok(Decision { answer: Err(rejection), .. }) => {
                let status = StatusCode::from_u16(rejection.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                response::error(status, &rejection.detail, rejection.code.as_str())
            }
            Err(error) => {
                span.in_scope(|| tracing::error!(%error, "request task failed; the outcome of the delete is unknown"));
                response::error(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error", "INTERNAL_SERVER_ERROR")
            }
        };
        if response.status() == StatusCode::UNAUTHORIZED {
            response::set_challenge(&mut response, has_token);
        }
        response::set_request_id(&mut response, &request_id);
        response
    }

    /// Decides, executes, audits and logs.
    async fn decide(
        self: Arc<Self>,
        request_id: String,
        parsed: ParsedRequest,
        client: IpAddr,
        caller: Result<Caller, IdentityError>,
        record: Arc<dyn RecordStorage>,
        received: Instant,
    ) -> Decision {
        let caller_summary = CallerSummary::new(&caller);
        let request = parsed.request.clone();
        let decision = match &self.audit_log {
            None => self.policy.decide(request, caller, record).await,
            Some(log) => {
                let audited = audit::Request {
                    id: request_id.clone(),
                    client,
                    caller: caller_summary.clone(),
                    target: if parsed.error().is_none() { self.databases.target(&request) } else { None },
                    learning_id: parsed.learning_id().map(str::to_owned),
                };
                let policy = self.policy.current().unwrap_or_else(|| Arc::clone(&self.policy));
                let record = Arc::new(AuditedRecord::new(log, audited, &policy, record));
                let decision = policy.decide(request, caller, Arc::clone(&record) as Arc<dyn RecordStorage>).await;
                // Boxed, so that the future of a request without an audit log does not grow by it.
                Box::pin(record.write_decision(decision)).await
            }
        };
        let duration = received.elapsed();
        audit::Event {
            request_id: &request_id,
            client,
            caller: &caller_summary,
            learning_id: parsed.learning_id(),
            db_id: parsed.request.db_id.as_deref(),
            table: parsed.request.table.as_deref(),
            decision: &decision,
            duration,
        }
        .write();
        log(client, parsed.learning_id(), &decision, duration);
        decision
    }
}

/// Logs a request, and the causes of a failure, which the response does not contain.
fn log(client: IpAddr, learning_id: Option<&str>, decision: &Decision, duration: Duration) {
    let (status, outcome) = match &decision.answer {
        Ok(()) => (204, "deleted"),
        Err(rejection) if rejection.status >= 500 => (rejection.status, "failed"),
        Err(rejection) => (rejection.status, "refused"),
    };
    let duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    tracing::info!(target: "request", %client, learning_id, status, outcome, rule = decision.rule(), duration_us);
    if status >= 500 {
        for error in decision.storage_errors() {
            tracing::error!(kind = error.kind.as_str(), cause = error.message, "storage failed");
        }
    }
    if let Some(output) = &decision.output {
        tracing::info!(target: "policy", output = output.text, dropped_bytes = output.dropped_bytes);
    }
    for guard in &decision.guards {
        if let Some(output) = &guard.output {
            tracing::info!(target: "policy", guard = guard.name, output = output.text, dropped_bytes = output.dropped_bytes);
        }
    }
    if let Some(error) = &decision.error {
        tracing::error!(%error, record = decision.record.as_str(), "policy failed");
    }
}
