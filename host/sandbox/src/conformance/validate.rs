//! The rules of a case that its types do not express.

use super::case::{Answer, Case, EVERY_FUNCTION, InjectedResult};

/// Checks a case. The error begins with the key that is wrong.
pub(super) fn validate(case: &Case) -> Result<(), String> {
    let is_name_byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if case.name.is_empty() || !case.name.bytes().all(is_name_byte) {
        return Err("name: must have characters of a-z, 0-9 and '-' only".to_owned());
    }
    if case.why.is_empty() {
        return Err("why: must not be empty".to_owned());
    }
    for (id, learning) in case.records() {
        let metadata = learning.metadata.as_deref().map(|text| ("metadata", text));
        for (column, text) in metadata.into_iter().chain([("content", learning.content.as_str())]) {
            if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
                return Err(format!("storage.records.{id}.{column}: must be JSON text: {error}"));
            }
        }
    }
    for (function, fault) in &case.storage.faults {
        match (function.as_str(), fault) {
            (EVERY_FUNCTION | "locate" | "find", InjectedResult::Outcome(_)) => {
                return Err(format!("storage.faults.{function}: only a delete has an outcome; give an error"));
            }
            (EVERY_FUNCTION | "locate" | "find" | "delete" | "delete-if-owned-by" | "delete-if-unchanged", _) => {}
            _ => return Err(format!("storage.faults.{function}: is neither a function of storage nor \"*\"")),
        }
    }
    match &case.expect.answer {
        Answer::Word(word) if word != "deleted" => {
            Err("expect.answer: must be \"deleted\", or an object with status, code, detail and rule".to_owned())
        }
        Answer::Rejection(rejection) if rejection.status != rejection.code.status() => {
            let code = rejection.code.as_str().to_ascii_lowercase().replace('_', "-");
            Err(format!("expect.answer: the status of {code} is {}", rejection.code.status()))
        }
        Answer::Word(_) | Answer::Rejection(_) => Ok(()),
    }
}
