//! The endpoint `DELETE /learnings/{learning_id}`, as an axum handler.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use axum::routing::delete;
use axum::{Json, Router};
use delete_learning::storage::{Databases, RecordStorage, UnresolvedRecord};
use delete_learning::{
    Caller, Credential, Decision, DeleteRequest, IdentityError, IdentityErrorKind, Policy, Rejection, StorageError,
    StorageErrorKind,
};
use std::sync::Arc;

struct Platform {
    policy: Policy,
    databases: Databases,
}

/// The routes of the platform.
pub(crate) fn router(policy: Policy, databases: Databases) -> Router {
    Router::new()
        .route("/learnings/{learning_id}", delete(delete_learning))
        .with_state(Arc::new(Platform { policy, databases }))
}

async fn delete_learning(
    State(platform): State<Arc<Platform>>,
    path: Result<Path<String>, PathRejection>,
    Query(parameters): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    let caller = authenticate(&headers);
    let (request, record) = resolve(path, &parameters, &platform.databases);
    // A task of its own: if the client disconnects, the handler is dropped, but the deletion ends and is audited.
    let decision = tokio::spawn(async move { platform.policy.decide(request, caller, record).await }).await;
    match decision {
        Ok(decision) => {
            audit(&decision);
            respond(decision.answer)
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The platform's authentication. Replace it by yours: a middleware that verified a token or a session.
fn authenticate(headers: &HeaderMap) -> Result<Caller, IdentityError> {
    let error = |kind, message| Err(IdentityError::new(kind, Credential::Jwt, message));
    let Some(header) = headers.get(AUTHORIZATION) else {
        return error(IdentityErrorKind::Missing, "no Authorization header");
    };
    let (subject, scope) = match header.to_str() {
        Ok("Bearer alice-token") => ("alice", "learnings:delete"),
        Ok("Bearer reader-token") => ("alice", "learnings:read"),
        Ok(text) if text.starts_with("Bearer ") => return error(IdentityErrorKind::Invalid, "unknown token"),
        _ => return error(IdentityErrorKind::Malformed, "not a Bearer token"),
    };
    Ok(Caller {
        credential: Credential::Jwt,
        subject: Some(subject.to_owned()),
        scopes: vec![scope.to_owned()],
        scopes_optional: false,
        all_owners: false,
        admin_scope: "agent_os:admin".to_owned(),
    })
}

/// The record that the request names. If it does not name one, every function of the record returns the reason, so that
/// the policy still decides first whether the caller is authenticated.
fn resolve(
    path: Result<Path<String>, PathRejection>,
    parameters: &[(String, String)],
    databases: &Databases,
) -> (DeleteRequest, Arc<dyn RecordStorage>) {
    let values =
        |name| -> Vec<&String> { parameters.iter().filter(|(key, _)| key == name).map(|(_, value)| value).collect() };
    let (db_ids, tables) = (values("db_id"), values("table"));
    let is_utf8 = path.is_ok();
    let request = DeleteRequest {
        learning_id: path.map(|Path(id)| id).unwrap_or_default(),
        db_id: db_ids.first().map(|id| (*id).clone()),
        table: tables.first().map(|table| (*table).clone()),
    };
    let unresolved = |kind| Arc::new(UnresolvedRecord(StorageError::new(kind, "")));
    let record = if !is_utf8 {
        unresolved(StorageErrorKind::InvalidLearningId)
    } else if db_ids.len() > 1 || tables.len() > 1 {
        unresolved(StorageErrorKind::RepeatedParameter)
    } else {
        return (request.clone(), databases.record(&request));
    };
    (request, record)
}

/// The platform's audit log.
fn audit(decision: &Decision) {
    let (rule, record) = (decision.rule(), decision.record.as_str());
    match &decision.error {
        Some(error) => println!("rule={rule} record={record} error={error}"),
        None => println!("rule={rule} record={record}"),
    }
}

fn respond(answer: Result<(), Rejection>) -> Response {
    let Err(Rejection { status, code, detail, .. }) = answer else {
        return StatusCode::NO_CONTENT.into_response();
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::json!({ "detail": detail, "error_code": code.as_str() });
    let mut response = (status, Json(body)).into_response();
    let header = match status {
        StatusCode::UNAUTHORIZED => Some((WWW_AUTHENTICATE, "Bearer")),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Some((RETRY_AFTER, "1")),
        _ => None,
    };
    if let Some((name, value)) = header {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
