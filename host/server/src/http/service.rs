//! Handles one request, from its route to its response.

use super::client_address::TrustedProxies;
use super::config::HttpConfig;
use super::connection::RequestState;
use super::cors::{CorsConfig, CorsHeaders};
use super::delete_request::ParsedRequest;
use super::health::PolicyStatus;
use super::monitor::{Monitor, Probe};
use super::request_body::RequestBody;
use super::request_context::{DeleteSummary, RequestContext, RequestSpans};
use super::request_id::RequestIds;
use super::response::{self, Body};
use super::route::Route;
use super::{misplaced_token, openapi, request_head};
use crate::audit::{self, AuditLog, AuditedRecord, CallerSummary};
use crate::auth::Authenticator;
use crate::telemetry::metrics::{REQUEST_FAILED_RULE, RequestMetrics};
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
use tracing::field::Empty;
use tracing::{Instrument, Span};

/// Handles requests.
pub struct Service {
    authenticator: Authenticator,
    databases: Databases,
    policy: Arc<dyn Decide>,
    max_learning_id_bytes: usize,
    trusted_proxies: TrustedProxies,
    cors: CorsConfig,
    request_ids: RequestIds,
    audit_log: Option<Arc<AuditLog>>,
    monitor: Monitor,
    requests: Arc<RequestMetrics>,
    /// The decisions in progress, also those whose client has disconnected.
    decisions: TaskTracker,
}

/// The parts of a service.
pub struct ServiceParts {
    /// Authenticates callers.
    pub authenticator: Authenticator,
    /// The tables of learnings.
    pub databases: Databases,
    /// What decides.
    pub policy: Arc<dyn Decide>,
    /// What `/health` reports of the policy.
    pub policy_status: Option<Box<dyn Fn() -> PolicyStatus + Send + Sync>>,
    /// How long `/health` and `/readyz` wait for each database.
    pub health_timeout: Duration,
    /// With an audit log, a record is deleted only after the intent is in it.
    pub audit_log: Option<Arc<AuditLog>>,
    /// Counts requests.
    pub requests: Arc<RequestMetrics>,
}

/// What a request is answered with.
enum Action {
    Delete(Box<ReceivedDelete>),
    Probe(Probe),
    Respond(Response<Body>),
}

/// What a delete needs of its request.
struct ReceivedDelete {
    parsed: ParsedRequest,
    /// The values of all `Authorization` headers.
    authorization: Vec<HeaderValue>,
    /// Where the request has a token instead, if it has none of these headers.
    misplaced_token: Option<String>,
    spans: RequestSpans,
}

impl Service {
    /// Creates a service from its parts.
    #[must_use]
    pub fn new(parts: ServiceParts, config: &HttpConfig) -> Self {
        let ServiceParts { authenticator, databases, policy, policy_status, health_timeout, audit_log, requests } =
            parts;
        let monitor = Monitor::new(databases.clone(), health_timeout, policy_status, audit_log.clone());
        Self {
            authenticator,
            databases,
            policy,
            max_learning_id_bytes: config.max_learning_id_bytes,
            trusted_proxies: config.trusted_proxies.clone(),
            cors: config.cors.clone(),
            request_ids: RequestIds::new(),
            audit_log,
            monitor,
            requests,
            decisions: TaskTracker::new(),
        }
    }

    /// Waits until no decision is in progress. Requests must no longer be handled.
    pub(super) async fn drain(&self) {
        self.decisions.close();
        self.decisions.wait().await;
    }

    /// Responds to monitors.
    pub(super) const fn monitor(&self) -> &Monitor {
        &self.monitor
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
        let (context, action, cors, body) = {
            // Dropped here, before anything is waited for: the map of many short headers is large.
            let (head, body) = request.into_parts();
            let context = self.context(&head, peer);
            let cors = self.cors.evaluate(&head.headers);
            let action = if request_state.has_fragment() {
                Action::Respond(response::bad_request("Invalid request target"))
            } else {
                self.route(&head, &cors, &context)
            };
            (Arc::new(context), action, cors, RequestBody::new(body, &head.headers))
        };
        let mut response = match action {
            Action::Delete(request) => Arc::clone(&self).delete_learning(&context, *request).await,
            Action::Probe(probe) => {
                let response = self.monitor.probe(probe).await;
                context.log_other(response.status(), true);
                response
            }
            Action::Respond(response) => {
                context.log_other(response.status(), false);
                response
            }
        };
        response::set_request_id(&mut response, context.id.as_str());
        cors.set(&mut response);
        let is_reusable = body.discard(&request_state).await;
        // Before the server stops: the client opens another connection, and finds no server that has just closed this one.
        if !is_reusable || request_state.has_fragment() || self.monitor.is_stopping() {
            response::set_connection_close(&mut response);
        }
        response
    }

    /// What is known of a request with this head that was received from `peer`.
    pub(super) fn context(&self, head: &Parts, peer: IpAddr) -> RequestContext {
        let id = self.request_ids.next(self.trusted_proxies.contain(peer).then_some(&head.headers));
        let client = self.trusted_proxies.client_address(peer, &head.headers);
        RequestContext::new(head, id, client, Instant::now())
    }

    /// Determines what a request is answered with.
    fn route(&self, head: &Parts, cors: &CorsHeaders, context: &RequestContext) -> Action {
        if let Err(detail) = request_head::validate(head) {
            return Action::Respond(response::bad_request(detail));
        }
        if let Some(response) = cors.preflight(&head.method, &head.headers) {
            return Action::Respond(response);
        }
        Action::Respond(match (Route::from_path(head.uri.path()), &head.method) {
            (Route::Learning(id), &Method::DELETE) => {
                let authorization: Vec<_> = head.headers.get_all(AUTHORIZATION).iter().cloned().collect();
                let misplaced_token = match authorization.as_slice() {
                    [] => misplaced_token::find(&head.headers, head.uri.query()),
                    _ => None,
                };
                return Action::Delete(Box::new(ReceivedDelete {
                    parsed: ParsedRequest::parse(id, head.uri.query(), self.max_learning_id_bytes),
                    authorization,
                    misplaced_token,
                    spans: context.spans(head),
                }));
            }
            (Route::Health, &Method::GET | &Method::HEAD) => return Action::Probe(Probe::Health),
            (Route::Live, &Method::GET | &Method::HEAD) => return Action::Probe(Probe::Live),
            (Route::Ready, &Method::GET | &Method::HEAD) => return Action::Probe(Probe::Ready),
            (Route::OpenApi, &Method::GET | &Method::HEAD) => openapi::respond(),
            (Route::Learning(_), _) => response::method_not_allowed("DELETE"),
            (Route::Health | Route::Live | Route::Ready | Route::OpenApi, _) => {
                response::method_not_allowed("GET, HEAD")
            }
            (Route::NotFound, _) => response::not_found(),
        })
    }

    async fn delete_learning(
        self: Arc<Self>,
        context: &Arc<RequestContext>,
        request: ReceivedDelete,
    ) -> Response<Body> {
        let ReceivedDelete { parsed, authorization, misplaced_token, spans } = request;
        let caller = spans.run(self.authenticate(&authorization, context.client)).await;
        let caller = caller.map_err(|error| match misplaced_token {
            Some(place) => {
                IdentityError { message: format!("{}; the token in {place} is not read", error.message), ..error }
            }
            None => error,
        });
        let has_token = caller.as_ref().is_err_and(|error| error.kind != IdentityErrorKind::Missing);
        let record = parsed.record(&self.databases);
        // A task of its own: a client that disconnects stops neither a delete nor its audit event.
        // Boxed before it is wrapped three times, because it is large.
        let decision = Box::pin(Arc::clone(&self).decide(Arc::clone(context), parsed, caller, record));
        let task = self.decisions.spawn(spans.run(decision));
        let mut response = match task.await {
            Ok(Decision { answer: Ok(()), .. }) => response::no_content(),
            Ok(Decision { answer: Err(rejection), .. }) => {
                let status = StatusCode::from_u16(rejection.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                response::error(status, &rejection.detail, rejection.code.as_str())
            }
            Err(error) => {
                let duration = context.received.elapsed();
                self.requests.record_failure(duration);
                spans.in_scope(|| {
                    tracing::error!(%error, "request task failed; the outcome of the delete is unknown");
                    let summary = DeleteSummary { learning_id: None, outcome: "failed", rule: REQUEST_FAILED_RULE };
                    context.log_delete(500, summary, duration);
                });
                response::error(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error", "INTERNAL_SERVER_ERROR")
            }
        };
        if response.status() == StatusCode::UNAUTHORIZED {
            response::set_challenge(&mut response, has_token);
        }
        response
    }

    async fn authenticate(&self, authorization: &[HeaderValue], client: IpAddr) -> Result<Caller, IdentityError> {
        let span = tracing::debug_span!("authentication", credential = Empty, error.type = Empty);
        let authorization = authorization.iter().map(HeaderValue::as_bytes);
        let caller = self.authenticator.authenticate(authorization, client).instrument(span.clone()).await;
        match &caller {
            Ok(caller) => drop(span.record("credential", caller.credential.as_str())),
            Err(error) => {
                span.record("credential", error.credential.as_str()).record("error.type", error.kind.as_str());
                self.requests.record_authentication_error(error);
            }
        }
        caller
    }

    /// Decides, executes, audits and logs. It is called in the spans of the request.
    async fn decide(
        self: Arc<Self>,
        context: Arc<RequestContext>,
        parsed: ParsedRequest,
        caller: Result<Caller, IdentityError>,
        record: Arc<dyn RecordStorage>,
    ) -> Decision {
        let caller_summary = CallerSummary::new(&caller);
        let request = parsed.request.clone();
        let start = Instant::now();
        let span = tracing::debug_span!("decision", rule = Empty, record = Empty, error.type = Empty);
        let (decision, audited) = match &self.audit_log {
            None => (self.policy.decide(request, caller, record).instrument(span.clone()).await, None),
            Some(log) => {
                let audited = audit::Request {
                    id: context.id.unique(),
                    client: context.client,
                    caller: caller_summary.clone(),
                    target: if parsed.error().is_none() { self.databases.target(&request) } else { None },
                    learning_id: parsed.learning_id().map(str::to_owned),
                };
                let policy = self.policy.current().unwrap_or_else(|| Arc::clone(&self.policy));
                let record = Arc::new(AuditedRecord::new(log, audited, &policy, record));
                let audited = Arc::clone(&record) as Arc<dyn RecordStorage>;
                (policy.decide(request, caller, audited).instrument(span.clone()).await, Some(record))
            }
        };
        let decision_time = start.elapsed();
        span.record("rule", decision.rule()).record("record", decision.record.as_str());
        if let Some(error) = &decision.error {
            span.record("error.type", error.kind());
        }
        drop(span);
        let decision = match audited {
            None => decision,
            Some(record) => {
                // Boxed, so that the future of a request without an audit log does not grow by it.
                Box::pin(record.write_decision(decision).instrument(tracing::debug_span!("audit log"))).await
            }
        };
        let duration = context.received.elapsed();
        self.requests.record_decision(&decision, decision_time, duration);
        audit::Event {
            request_id: context.id.as_str(),
            client: context.client,
            caller: &caller_summary,
            learning_id: parsed.learning_id(),
            db_id: parsed.request.db_id.as_deref(),
            table: parsed.request.table.as_deref(),
            decision: &decision,
            duration,
        }
        .write();
        log(&context, parsed.learning_id(), &decision, duration);
        decision
    }
}

/// Logs a request, and the causes of a failure, which the response does not contain.
fn log(context: &RequestContext, learning_id: Option<&str>, decision: &Decision, duration: Duration) {
    let (status, outcome) = match &decision.answer {
        Ok(()) => (204, "deleted"),
        Err(rejection) if rejection.status >= 500 => (rejection.status, "failed"),
        Err(rejection) => (rejection.status, "refused"),
    };
    let span = Span::current();
    // The conventions require an integer, and an unsigned one becomes text.
    span.record("http.response.status_code", i64::from(status));
    context.log_delete(status, DeleteSummary { learning_id, outcome, rule: decision.rule() }, duration);
    if status >= 500 {
        span.record("otel.status_code", "ERROR").record("error.type", status.to_string());
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
