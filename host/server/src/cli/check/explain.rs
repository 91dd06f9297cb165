//! `--explain`: every call and its result in one case.

use super::results::CaseReport;
use super::text::{describe_answer, list};
use delete_learning::conformance::{Case, CaseResult, Group, call_name};
use delete_learning::{CapturedOutput, HostCall, Learning, Outcome, StorageError};
use std::io::{self, Write};

pub(super) fn print(out: &mut impl Write, case: &Case, report: &CaseReport, result: &CaseResult) -> io::Result<()> {
    writeln!(out, "case        {}\n            {}", case.name, case.why)?;
    let request = case.request();
    writeln!(
        out,
        "request     learning_id {:?}, db_id {:?}, table {:?}",
        request.learning_id, request.db_id, request.table
    )?;
    match case.caller() {
        Ok(caller) => {
            writeln!(
                out,
                "caller      {}, subject {:?}, scopes {:?}",
                caller.credential.as_str(),
                caller.subject,
                caller.scopes
            )?;
            writeln!(
                out,
                "            scopes_optional {}, all_owners {}, admin_scope {:?}",
                caller.scopes_optional, caller.all_owners, caller.admin_scope
            )?;
        }
        Err(error) => writeln!(out, "caller      error {:?}: {:?}", error.kind, error.message)?,
    }
    let mut label = "records";
    for (id, learning) in case.records() {
        writeln!(out, "{label:<11} {id:?}: {}", describe_record(learning))?;
        label = "";
    }
    if label == "records" {
        writeln!(out, "records     none")?;
    }
    let decision = &result.decision;
    print_calls(out, "policy", case, &decision.calls, decision.output.as_ref())?;
    for guard in &decision.guards {
        print_calls(out, &format!("guard {}", guard.name), case, &guard.calls, guard.output.as_ref())?;
    }
    writeln!(out, "\nanswer      {}", describe_answer(&report.result.answer))?;
    writeln!(out, "left        {}", list(&report.result.left))?;
    let expected = &report.expected;
    writeln!(out, "expected    {}, left: {}", describe_answer(&expected.answer), list(&expected.left))?;
    let group = match report.group {
        Group::Same => "same",
        Group::Stricter => "stricter",
        Group::Laxer => "laxer",
        Group::Violation => "violation",
    };
    let reason = report.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    writeln!(out, "group       {group}{reason}")
}

fn print_calls(
    out: &mut impl Write,
    name: &str,
    case: &Case,
    calls: &[HostCall],
    output: Option<&CapturedOutput>,
) -> io::Result<()> {
    writeln!(out, "\n{name}")?;
    let mut record = case.records().find(|(id, _)| *id == case.request().learning_id).map(|(_, learning)| learning);
    for call in calls {
        let result = describe_result(call, case, record);
        if let HostCall::Delete { result: Some(Ok(Outcome::Deleted)), .. } = call {
            record = None;
        }
        writeln!(out, "  {}  ->  {result}", call_name(call))?;
    }
    if calls.is_empty() {
        writeln!(out, "  no calls")?;
    }
    match output {
        Some(output) => writeln!(out, "  output: {}", output.text.trim_end()),
        None => Ok(()),
    }
}

fn describe_result(call: &HostCall, case: &Case, record: Option<&Learning>) -> String {
    let failed = |error: &StorageError| format!("error {}: {:?}", error.kind.as_str(), error.message);
    match call {
        HostCall::Current => case.caller().map_or("the error above", |_| "the caller above").to_owned(),
        HostCall::Locate(Ok(())) => "the database and the table".to_owned(),
        HostCall::Find(Ok(())) => record.map_or_else(|| "no record".to_owned(), describe_record),
        HostCall::Locate(Err(error)) | HostCall::Find(Err(error)) => failed(error),
        HostCall::Delete { result: Some(Ok(outcome)), .. } => outcome.as_str().to_owned(),
        HostCall::Delete { result: Some(Err(error)), .. } => failed(error),
        HostCall::Delete { result: None, .. } => "no result: the component was stopped".to_owned(),
    }
}

fn describe_record(learning: &Learning) -> String {
    let owner = learning.user_id.as_ref().map_or_else(|| "no owner".to_owned(), |owner| format!("owner {owner:?}"));
    let metadata = learning.metadata.as_ref().map(|text| format!(", metadata {text}")).unwrap_or_default();
    let session = learning.session_id.as_ref().map(|id| format!(", session {id:?}")).unwrap_or_default();
    let (kind, created_at, revision) = (&learning.learning_type, learning.created_at, &learning.revision);
    format!("{owner}, {kind}, created at {created_at}{session}{metadata}, revision {revision}")
}
