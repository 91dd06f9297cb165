//! The OpenAPI document: it is served, and it describes what the server does.

use crate::support::server::Setup;
use crate::support::token::{admin, user};
use delete_learning::ErrorCode;
use serde_json::{Value, json};

fn document() -> Value {
    let response = Setup::jwt().start().request("GET", "/openapi.json", &[]);
    assert_eq!((response.status, response.header("content-type")), (200, Some("application/json")));
    serde_json::from_str(&response.body).expect("JSON")
}

#[test]
fn openapi_document_is_served_without_credentials() {
    let server = Setup::jwt().start();
    let get = server.request("GET", "/openapi.json", &[]);
    let head = server.request("HEAD", "/openapi.json", &[]);
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), Some(get.body.len().to_string().as_str()));
    for method in ["DELETE", "POST", "PUT", "PATCH", "OPTIONS"] {
        let response = server.request(method, "/openapi.json", &[]);
        response.assert_error(405, "Method Not Allowed", "METHOD_NOT_ALLOWED");
        assert_eq!(response.header("allow"), Some("GET, HEAD"));
    }
}

#[test]
fn openapi_document_has_the_crate_version() {
    let document = document();
    assert_eq!(
        (&document["openapi"], &document["info"]["version"]),
        (&json!("3.1.0"), &json!(env!("CARGO_PKG_VERSION")))
    );
}

#[test]
fn openapi_operation_matches_agnos_documentation() {
    let document = document();
    let operation = &document["paths"]["/learnings/{learning_id}"]["delete"];
    assert_eq!(operation["operationId"], "delete_learning");
    assert_eq!(operation["security"], json!([{ "HTTPBearer": [] }]));
    assert_eq!(document["components"]["securitySchemes"]["HTTPBearer"]["scheme"], "bearer");
    let parameters = operation["parameters"].as_array().expect("a list");
    let found: Vec<_> =
        parameters.iter().map(|parameter| (&parameter["name"], &parameter["in"], &parameter["required"])).collect();
    let (yes, no) = (json!(true), json!(false));
    assert_eq!(
        found,
        [
            (&json!("learning_id"), &json!("path"), &yes),
            (&json!("db_id"), &json!("query"), &no),
            (&json!("table"), &json!("query"), &no)
        ]
    );
    for status in ["204", "401", "403", "404", "500"] {
        assert!(operation["responses"][status].is_object(), "{status}");
    }
}

#[test]
fn openapi_document_describes_every_error_code() {
    let document = document();
    let responses = &document["paths"]["/learnings/{learning_id}"]["delete"]["responses"];
    for code in [
        ErrorCode::BadRequest,
        ErrorCode::Unauthenticated,
        ErrorCode::Forbidden,
        ErrorCode::NotFound,
        ErrorCode::Conflict,
        ErrorCode::TooManyRequests,
        ErrorCode::InternalServerError,
        ErrorCode::NotImplemented,
        ErrorCode::ServiceUnavailable,
    ] {
        let schema = &responses[code.status().to_string()]["content"]["application/json"]["schema"]["$ref"];
        let pointer = schema.as_str().and_then(|path| path.strip_prefix('#')).expect("a reference within the document");
        let schema = document.pointer(pointer).expect("the schema exists");
        assert_eq!(schema["properties"]["error_code"]["const"], code.as_str());
        assert_eq!(schema["required"], json!(["detail", "error_code"]));
    }
}

#[test]
fn response_headers_match_the_openapi_document() {
    let document = document();
    let documented = &document["paths"]["/learnings/{learning_id}"]["delete"]["responses"];
    let server = Setup { settings: "sqlite.busy_timeout_ms = 100".to_owned(), ..Setup::jwt() }.start();
    let lock = server.database("main").connect();
    lock.execute_batch("BEGIN IMMEDIATE").expect("the write lock is free");
    let delete = |token: Option<String>| server.delete("/learnings/decision_1", token.as_deref());
    let mut responses = vec![delete(None), delete(Some("bad".to_owned())), delete(Some(user("alice")))];
    lock.execute_batch("COMMIT").expect("the lock can be released");
    responses.extend([delete(Some(admin())), delete(Some(admin()))]);
    let statuses: Vec<u16> = responses.iter().map(|response| response.status).collect();
    assert_eq!(statuses, [401, 401, 503, 204, 404]);
    for response in responses {
        let described = documented[response.status.to_string()]["headers"].as_object().expect("headers");
        for name in ["WWW-Authenticate", "Retry-After", "X-Request-Id"] {
            let is_sent = response.header(&name.to_ascii_lowercase()).is_some();
            assert_eq!(described.contains_key(name), is_sent, "{name} of {response:?}");
        }
    }
}
