//! The endpoint's description: that it is served, and that it says what the server does.

use crate::support::server::Setup;
use crate::support::token::{admin, user};
use delete_learning::ErrorCode;
use serde_json::{Value, json};

fn document() -> Value {
    let answer = Setup::jwt().start().request("GET", "/openapi.json", &[]);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    serde_json::from_str(&answer.body).expect("JSON")
}

#[test]
fn it_is_served_to_whoever_asks() {
    let host = Setup::jwt().start();
    let get = host.request("GET", "/openapi.json", &[]);
    let head = host.request("HEAD", "/openapi.json", &[]);
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), Some(get.body.len().to_string().as_str()));
    for method in ["DELETE", "POST", "PUT", "PATCH", "OPTIONS"] {
        let answer = host.request(method, "/openapi.json", &[]);
        answer.is_error(405, "Method Not Allowed", "METHOD_NOT_ALLOWED");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    }
}

#[test]
fn it_is_of_this_version() {
    let document = document();
    assert_eq!(
        (&document["openapi"], &document["info"]["version"]),
        (&json!("3.1.0"), &json!(env!("CARGO_PKG_VERSION")))
    );
}

#[test]
fn the_operation_is_the_one_that_agno_documents() {
    let document = document();
    let operation = &document["paths"]["/learnings/{learning_id}"]["delete"];
    assert_eq!(operation["operationId"], "delete_learning");
    assert_eq!(operation["security"], json!([{ "HTTPBearer": [] }]));
    assert_eq!(document["components"]["securitySchemes"]["HTTPBearer"]["scheme"], "bearer");
    let parameters = operation["parameters"].as_array().expect("a list");
    let named: Vec<_> = parameters.iter().map(|one| (&one["name"], &one["in"], &one["required"])).collect();
    let (yes, no) = (json!(true), json!(false));
    assert_eq!(
        named,
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
fn every_error_of_the_contract_is_described_with_its_code() {
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
        let pointer = schema.as_str().and_then(|path| path.strip_prefix('#')).expect("a schema of the document");
        let schema = document.pointer(pointer).expect("the schema is there");
        assert_eq!(schema["properties"]["error_code"]["const"], code.as_str());
        assert_eq!(schema["required"], json!(["detail", "error_code"]));
    }
}

#[test]
fn the_headers_of_an_answer_are_those_that_are_described() {
    let document = document();
    let responses = &document["paths"]["/learnings/{learning_id}"]["delete"]["responses"];
    let host = Setup { settings: "sqlite.busy_timeout_ms = 100".to_owned(), ..Setup::jwt() }.start();
    let lock = host.database("main").connect();
    lock.execute_batch("BEGIN IMMEDIATE").expect("the write lock is free");
    let ask = |token: Option<String>| host.delete("/learnings/decision_1", token.as_deref());
    let mut answers = vec![ask(None), ask(Some("bad".to_owned())), ask(Some(user("alice")))];
    lock.execute_batch("COMMIT").expect("the lock can be given back");
    answers.extend([ask(Some(admin())), ask(Some(admin()))]);
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [401, 401, 503, 204, 404]);
    for answer in answers {
        let described = responses[answer.status.to_string()]["headers"].as_object().expect("headers");
        for name in ["WWW-Authenticate", "Retry-After", "X-Request-Id"] {
            let is_sent = answer.header(&name.to_ascii_lowercase()).is_some();
            assert_eq!(described.contains_key(name), is_sent, "{name} of {answer:?}");
        }
    }
}
