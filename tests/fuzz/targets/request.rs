//! Compares the server's parser of paths and queries with a slow, simple parser of the same bytes.

#![no_main]
#![allow(dead_code, unreachable_pub, reason = "the modules of the server are included with their tests")]

use libfuzzer_sys::fuzz_target;

#[path = "../../../host/server/src/http/delete_request.rs"]
mod delete_request;
#[path = "../../../host/server/src/http/route.rs"]
mod route;

use delete_learning::StorageErrorKind;
use delete_request::ParsedRequest;
use route::Route;

/// The maximum size of an id. It is small, so that the input exceeds it often.
const MAX_ID_BYTES: usize = 16;

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// Percent-decodes text byte by byte. A `%` without two hexadecimal digits stays unchanged.
fn percent_decode(text: &str) -> Vec<u8> {
    let (bytes, mut decoded, mut at) = (text.as_bytes(), Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        let digits = (bytes.get(at + 1).copied().and_then(hex), bytes.get(at + 2).copied().and_then(hex));
        if let (b'%', (Some(high), Some(low))) = (*byte, digits) {
            decoded.push(high * 16 + low);
            at += 3;
        } else {
            decoded.push(*byte);
            at += 1;
        }
    }
    decoded
}

/// Returns the values of a parameter in a query, in order.
fn values(query: &str, parameter: &str) -> Vec<String> {
    let text = |part: &str| String::from_utf8_lossy(&percent_decode(&part.replace('+', " "))).into_owned();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.filter(|(name, _)| text(name) == parameter).map(|(_, value)| text(value)).collect()
}

/// Percent-encodes every byte of an id that is not alphanumeric.
fn percent_encode(id: &str) -> String {
    id.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fuzz_target!(|bytes: &[u8]| {
    // hyper rejects other bytes before the server gets them.
    let Ok(uri) = hyper::Uri::try_from(bytes) else { return };
    let (path, query) = (uri.path(), uri.query());
    let id = match path.split('/').collect::<Vec<_>>().as_slice() {
        ["", "learnings", id] if !id.is_empty() => *id,
        _ => {
            assert!(!matches!(Route::from_path(path), Route::Learning(_)), "{path}");
            return;
        }
    };
    assert_eq!(Route::from_path(path), Route::Learning(id));

    let parsed = ParsedRequest::parse(id, query, MAX_ID_BYTES);
    let bytes = percent_decode(id);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let is_valid = std::str::from_utf8(&bytes).is_ok() && bytes.len() <= MAX_ID_BYTES;
    let query = query.unwrap_or_default();
    let (db_ids, tables) = (values(query, "db_id"), values(query, "table"));

    assert_eq!(parsed.learning_id(), is_valid.then_some(text.as_str()));
    let error = match (db_ids.len() > 1 || tables.len() > 1, is_valid) {
        (true, _) => Some(StorageErrorKind::RepeatedParameter),
        (false, false) => Some(StorageErrorKind::InvalidLearningId),
        (false, true) => None,
    };
    assert_eq!(parsed.error().map(|error| error.kind), error);
    let request = &parsed.request;
    assert_eq!(request.learning_id, text);
    assert_eq!((request.db_id.as_ref(), request.table.as_ref()), (db_ids.first(), tables.first()));

    // Every id can be requested, and the request names no other id.
    let path = format!("/learnings/{}", percent_encode(&text));
    if !text.is_empty() {
        let uri = hyper::Uri::try_from(path.as_str()).expect("every encoded id is part of a valid URI");
        let Route::Learning(id) = Route::from_path(uri.path()) else { panic!("{path} is not the path of a learning") };
        assert_eq!(ParsedRequest::parse(id, None, usize::MAX).learning_id(), Some(text.as_str()));
    }
});
