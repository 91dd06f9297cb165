//! The path and the query of a request, as the server reads them, against a slow and obvious reading of the same bytes.

#![no_main]
#![allow(dead_code, unreachable_pub, reason = "the host's module is included whole, with its tests")]

use libfuzzer_sys::fuzz_target;

/// What the host's module finds under these names in the host.
mod contract {
    pub use delete_learning::Request;
}
mod storage {
    pub use delete_learning::storage::Named;
}

#[path = "../../../host/src/http/target.rs"]
mod target;

use target::{Parameters, Route};

/// Bytes that an id may have here: few, so that both sides of the limit are met.
const MOST: usize = 16;

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// Percent-decoding, byte by byte. What is no `%` and two digits stays as it is.
fn decoded(text: &str) -> Vec<u8> {
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

/// The values of a parameter in a query, in order.
fn values(query: &str, parameter: &str) -> Vec<String> {
    let text = |part: &str| String::from_utf8_lossy(&decoded(&part.replace('+', " "))).into_owned();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.filter(|(name, _)| text(name) == parameter).map(|(_, value)| text(value)).collect()
}

/// As a client encodes an id: every byte that could mean something else.
fn encoded(id: &str) -> String {
    id.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fuzz_target!(|bytes: &[u8]| {
    // As the server gets them: what is no URI never comes so far.
    let Ok(uri) = hyper::Uri::try_from(bytes) else { return };
    let (path, query) = (uri.path(), uri.query());
    let id = match path.split('/').collect::<Vec<_>>().as_slice() {
        ["", "learnings", id] if !id.is_empty() => *id,
        _ => {
            assert!(!matches!(Route::of(path), Route::Learning(_)), "{path}");
            return;
        }
    };
    assert_eq!(Route::of(path), Route::Learning(id));

    let parameters = Parameters::read(id, query, MOST);
    let bytes = decoded(id);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let is_valid = std::str::from_utf8(&bytes).is_ok() && bytes.len() <= MOST;
    let query = query.unwrap_or_default();
    let (db_ids, tables) = (values(query, "db_id"), values(query, "table"));

    let named = parameters.named();
    assert_eq!(named.learning_id, is_valid.then_some(text.as_str()));
    assert_eq!((named.db_id, named.table), (db_ids.first().map(String::as_str), tables.first().map(String::as_str)));
    assert_eq!(named.repeated, db_ids.len() > 1 || tables.len() > 1);
    let request = parameters.request();
    assert_eq!((request.learning_id.as_str(), request.db_id.as_deref()), (text.as_str(), named.db_id));
    assert_eq!(request.table.as_deref(), named.table);

    // Whatever can be an id can be asked for, and nothing else is asked for then.
    let path = format!("/learnings/{}", encoded(&text));
    if !text.is_empty() {
        let uri = hyper::Uri::try_from(path.as_str()).expect("every encoded id makes a URI");
        let Route::Learning(id) = Route::of(uri.path()) else { panic!("{path} is no learning") };
        assert_eq!(Parameters::read(id, None, usize::MAX).named().learning_id, Some(text.as_str()));
    }
});
