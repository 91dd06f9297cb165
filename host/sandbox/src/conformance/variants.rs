//! Variants of a case: the same request and caller with other records, which show what a policy does with records that the
//! cases do not have, and which records it tells apart.

use super::case::{Case, DEFAULT_NOW, Identity};
use super::record::Record;
use crate::contract::Learning;

/// A variant of a case.
#[derive(Clone, Debug)]
pub struct Variant {
    /// The case. Its name is that of the original case, a colon, and the name of the record.
    pub case: Case,
    /// Whether the answer must not depend on the record, compared with the other variants that the default policy answers
    /// alike. False for a variant of the time, which is no secret.
    pub is_comparable: bool,
}

/// Sunday, 2026-01-04, 03:00 UTC: outside office hours.
const NIGHT: u64 = 1_767_495_600;

/// Returns the variants of each combination of request and caller that the cases have, grouped by this combination. Cases
/// with faults, and those without a caller, have no variants.
#[must_use]
pub fn variants(cases: &[Case]) -> Vec<Vec<Variant>> {
    let mut originals: Vec<&Case> = Vec::new();
    for case in cases {
        let has_variants = matches!(case.identity, Identity::Caller(_)) && case.storage.faults.is_empty();
        let is_known = |known: &&Case| {
            (&known.request, &known.identity, known.now, &known.settings)
                == (&case.request, &case.identity, case.now, &case.settings)
        };
        if has_variants && !originals.iter().any(is_known) {
            originals.push(case);
        }
    }
    originals.into_iter().map(variants_of).collect()
}

fn variants_of(case: &Case) -> Vec<Variant> {
    let subject = match &case.identity {
        Identity::Caller(caller) => caller.subject.as_deref().filter(|subject| !subject.is_empty()),
        Identity::Error(_) => None,
    };
    let another = if subject == Some("somebody-else") { "nobody-else" } else { "somebody-else" };
    let mut variants = vec![variant(case, "absent", "The record does not exist.", None)];
    let owners =
        [("others", "Another user owns the record", Some(another)), ("unowned", "The record has no owner", None)];
    let own = subject.map(|subject| ("own", "The caller owns the record", Some(subject)));
    for (name, why, owner) in owners.into_iter().chain(own) {
        let plain = Learning::owned_by(owner);
        let metadata = Some(r#"{"legal_hold": true}"#.to_owned());
        let held = Learning { metadata, ..plain.clone() };
        let now = case.now.unwrap_or(DEFAULT_NOW);
        let new = Learning {
            learning_type: "decision_log".to_owned(),
            session_id: Some("session-1".to_owned()),
            created_at: i64::try_from(now).unwrap_or(i64::MAX).saturating_sub(60),
            ..plain.clone()
        };
        for (suffix, what, record) in [
            ("", "", &plain),
            ("-held", r#", and its metadata is {"legal_hold": true}"#, &held),
            ("-new", ", and it was created a minute ago, in a session", &new),
        ] {
            variants.push(variant(case, &format!("{name}{suffix}"), &format!("{why}{what}."), Some(record.clone())));
        }
        if case.now.is_none() {
            let why = format!("{why}, and it is Sunday, 03:00 UTC.");
            let mut at_night = variant(case, &format!("{name}-at-night"), &why, Some(plain));
            at_night.case.now = Some(NIGHT);
            at_night.is_comparable = false;
            variants.push(at_night);
        }
    }
    variants
}

/// The case with this record alone.
fn variant(original: &Case, name: &str, why: &str, record: Option<Learning>) -> Variant {
    let mut case = original.clone();
    case.name = format!("{}:{name}", original.name);
    case.why = why.to_owned();
    let id = original.request.learning_id.clone();
    case.storage.records = record.map(|learning| (id, Record(learning))).into_iter().collect();
    Variant { case, is_comparable: true }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::parse;

    /// The variants of a case with this caller, by name.
    fn variants_for(subject: &str) -> Vec<(String, Option<Learning>)> {
        let file = serde_json::json!({
            "about": "One case.",
            "cases": [{
                "name": "case",
                "why": "It has variants.",
                "request": { "learning-id": "1", "db-id": null, "table": null },
                "identity": { "caller": {
                    "credential": "jwt", "subject": subject, "scopes": [], "scopes-optional": false, "all-owners": false,
                    "admin-scope": "agent_os:admin",
                } },
                "storage": { "records": {} },
                "expect": { "answer": "deleted", "left": [] },
            }],
        });
        let cases = parse(&file.to_string()).expect("a valid file");
        let of_case = variants(&cases).pop().expect("the variants of the case");
        let record = |case: &Case| case.records().next().map(|(_, learning)| learning.clone());
        of_case.iter().map(|Variant { case, .. }| (case.name.clone(), record(case))).collect()
    }

    #[test]
    fn record_of_another_user_is_never_the_callers() {
        for subject in ["alice", "somebody-else"] {
            for (name, record) in variants_for(subject) {
                let owner = record.and_then(|learning| learning.user_id);
                assert_eq!(owner.as_deref() == Some(subject), name.starts_with("case:own"), "{subject}: {name}");
                assert_eq!(owner.is_some(), name.contains(":o"), "{subject}: {name}");
            }
        }
    }

    #[test]
    fn new_record_is_a_decision_of_a_session_a_minute_ago() {
        let old = Learning::owned_by(None);
        for (name, record) in variants_for("alice") {
            let Some(learning) = record else { continue };
            let (kind, session) = (learning.learning_type.as_str(), learning.session_id.is_some());
            let age = i64::try_from(DEFAULT_NOW).expect("a small number") - learning.created_at;
            if name.ends_with("-new") {
                assert_eq!((kind, session, age), ("decision_log", true, 60), "{name}");
            } else {
                assert_eq!(
                    (kind, session, learning.created_at),
                    (&*old.learning_type, false, old.created_at),
                    "{name}"
                );
            }
        }
    }
}
