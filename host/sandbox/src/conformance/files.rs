//! Case files: those that are compiled in, and those of a policy's author.

use super::case::Case;
use super::validate::validate;
use serde::Deserialize;
use serde_json::Value;

/// Why a case file is invalid.
#[derive(Debug, thiserror::Error)]
#[error("{}{reason}", case.as_ref().map(|case| format!("case {case:?}: ")).unwrap_or_default())]
pub struct CaseError {
    /// The name of the case, or its position if it has no name; `None` if the file as a whole is invalid.
    pub case: Option<String>,
    /// The reason.
    pub reason: String,
}

impl CaseError {
    fn of_file(reason: impl ToString) -> Self {
        Self { case: None, reason: reason.to_string() }
    }
}

/// A file of cases. Each case is parsed on its own, so that an error names it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[expect(dead_code, reason = "for readers of the file")]
    about: String,
    cases: Vec<Value>,
}

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        /// The name and the text of each file that is compiled in, sorted by name, for embedders in other languages.
        // A test compares the list with the directory.
        pub const CASE_FILES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../cases/", $name, ".json")))),+];
    };
}

files!(
    "confinement",
    "identity-errors",
    "ids-and-owners",
    "missing-subject",
    "outcomes",
    "scopes",
    "storage-errors",
    "target",
);

/// Returns every case that is compiled in, in the order of the files.
///
/// # Errors
/// A case file that does not have the format. A test prevents this.
pub fn cases() -> Result<Vec<Case>, CaseError> {
    let mut cases = Vec::new();
    for (_, text) in CASE_FILES {
        cases.extend(parse(text)?);
    }
    Ok(cases)
}

/// Parses a case file.
///
/// # Errors
/// [`CaseError`] if the file or one of its cases does not have the format.
pub fn parse(text: &str) -> Result<Vec<Case>, CaseError> {
    let file: File = serde_json::from_str(text).map_err(CaseError::of_file)?;
    if file.cases.is_empty() {
        return Err(CaseError::of_file("it has no cases"));
    }
    file.cases.into_iter().enumerate().map(|(index, value)| parse_case(index, value)).collect()
}

fn parse_case(index: usize, value: Value) -> Result<Case, CaseError> {
    let name = value.get("name").and_then(Value::as_str).map_or_else(|| format!("#{}", index + 1), str::to_owned);
    let error = |reason: String| CaseError { case: Some(name.clone()), reason };
    let mut case: Case = serde_path_to_error::deserialize(value).map_err(|source| {
        let path = source.path().to_string();
        if path == "." { error(source.into_inner().to_string()) } else { error(format!("{path}: {}", source.inner())) }
    })?;
    validate(&case).map_err(error)?;
    case.expect.left.sort_unstable();
    Ok(case)
}

#[cfg(test)]
mod tests {
    use super::{CASE_FILES, cases, parse};
    use serde_json::{Value, json};
    use std::collections::BTreeSet;

    #[test]
    fn every_case_file_is_compiled_in_and_names_are_unique() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/cases");
        let files = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let compiled: BTreeSet<String> = CASE_FILES.iter().map(|(name, _)| format!("{name}.json")).collect();
        assert_eq!(files.collect::<BTreeSet<_>>(), compiled);
        let cases = cases().unwrap();
        let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names.len(), cases.len());
        // The hosts in other languages compare the calls, and support neither time, settings nor columns.
        for case in &cases {
            assert!(case.expect.calls.is_some(), "{}", case.name);
            assert!(case.now.is_none() && case.settings.is_none(), "{}", case.name);
        }
    }

    fn valid() -> Value {
        json!({
            "name": "a-case", "why": "A reason.",
            "request": { "learning-id": "a", "db-id": null, "table": null },
            "identity": { "error": { "kind": "missing", "credential": "jwt", "message": "" } },
            "storage": {
                "records": { "a": "alice", "b": null, "c": { "owner": "carol", "metadata": "{}", "created-at": 5 } },
                "faults": { "*": { "error": { "kind": "internal", "message": "" } }, "delete": { "outcome": "absent" } },
            },
            "now": 5, "settings": { "region": "eu" },
            "expect": { "answer": "deleted", "left": ["b", "a"] },
        })
    }

    #[test]
    fn parse_reads_records_time_and_settings() {
        let text = json!({ "about": "x", "cases": [valid()] }).to_string();
        let cases = parse(&text).unwrap();
        let records: Vec<(&str, Option<&str>, Option<&str>, i64)> = (cases[0].records())
            .map(|(id, learning)| (id, learning.user_id.as_deref(), learning.metadata.as_deref(), learning.created_at))
            .collect();
        assert_eq!(records, [("a", Some("alice"), None, 0), ("b", None, None, 0), ("c", Some("carol"), Some("{}"), 5)]);
        assert_eq!((cases[0].now, &*cases[0].expect.left), (Some(5), &["a".to_owned(), "b".to_owned()][..]));
    }

    #[test]
    fn parse_of_invalid_case_names_case_and_key() {
        for (pointer, value, reason) in [
            ("/name", json!("A case"), "name: "),
            ("/why", json!(""), "why: "),
            ("/request/learning-id", json!(1), "request.learning-id: invalid type"),
            ("/identity", json!({ "user": {} }), "unknown variant `user`"),
            ("/storage/records/a", json!(1), "storage.records.a: invalid type: integer `1`, expected an owner, null"),
            ("/storage/records/a", json!({ "colour": 1 }), "storage.records.a.colour: unknown field"),
            ("/storage/records/a", json!({ "metadata": "{" }), "storage.records.a.metadata: "),
            ("/storage/faults", json!({ "destroy": { "outcome": "absent" } }), "storage.faults.destroy: "),
            ("/storage/faults", json!({ "find": { "outcome": "absent" } }), "storage.faults.find: "),
            ("/expect/answer", json!("gone"), "expect.answer: must be \"deleted\""),
            ("/expect/answer", json!({ "status": 403 }), "expect.answer: must be \"deleted\""),
            (
                "/expect/answer",
                json!({ "status": 403, "code": "not-found", "detail": "x", "rule": "y" }),
                "expect.answer: the status of not-found is 404",
            ),
            ("/now", json!(-1), "now: "),
            ("/settings", json!({ "days": 3 }), "settings.days: "),
        ] {
            let mut case = valid();
            *case.pointer_mut(pointer).unwrap() = value;
            let error = parse(&json!({ "about": "x", "cases": [case] }).to_string()).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(reason) && error.case.is_some(), "{pointer}: {text}");
        }
        for (text, reason) in [("{", "EOF"), (r#"{ "about": "x", "cases": [] }"#, "no cases"), ("{}", "about")] {
            let error = parse(text).unwrap_err();
            assert!(error.case.is_none() && error.reason.contains(reason), "{text}: {error}");
        }
    }
}
