//! The table that the demonstration prints.

use super::cases::{Case, Expected};
use super::client::Answer;
use std::io::{self, Write};

/// A request, its answer and its rule.
pub(super) struct Row {
    pub(super) case: &'static Case,
    pub(super) answer: Answer,
    pub(super) rule: String,
    pub(super) is_expected: bool,
}

/// Writes one line a request, and where the answer is not the documented one, what is documented.
pub(super) fn write(out: &mut impl Write, rows: &[Row]) -> io::Result<()> {
    let width = |text: &dyn Fn(&Row) -> usize| rows.iter().map(text).max().unwrap_or_default();
    let targets = width(&|row| row.case.target.len());
    let callers = width(&|row| row.case.caller.name().len());
    let rules = width(&|row| row.rule.len());
    writeln!(out, "{:<callers$}  {:<targets$}  {:<rules$}  ANSWER", "CALLER", "DELETE", "RULE THAT DECIDED")?;
    for row in rows {
        let (caller, target, rule) = (row.case.caller.name(), row.case.target, &row.rule);
        let body = String::from_utf8_lossy(&row.answer.body);
        writeln!(out, "{caller:<callers$}  {target:<targets$}  {rule:<rules$}  {} {body}", row.answer.status)?;
        if !row.is_expected {
            match row.case.expected {
                Expected::Deleted => writeln!(out, "  WRONG: documented is 204 without a body")?,
                Expected::Error(status, detail, code) => {
                    writeln!(out, "  WRONG: documented is {status} with {detail:?} and {code}")?;
                }
            }
        }
    }
    Ok(())
}
