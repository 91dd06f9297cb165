//! The report as text for people.

use super::report::Report;
use super::results::{CaseReport, MAX_VIOLATIONS, Origin};
use super::subject::ComponentReport;
use delete_learning::conformance::{Answer, Group};
use std::io::{self, Write};

/// Cases that are listed of each group.
const MAX_LISTED: usize = 10;

pub(super) fn print(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let counts = &report.counts;
    if counts.violations > 0 {
        let skipped = if report.given_up {
            format!("; the remaining cases were skipped after {MAX_VIOLATIONS} violations")
        } else {
            String::new()
        };
        let number = counts.violations;
        writeln!(out, "VIOLATION   of the contract or a limit in {}{skipped}\n", plural(number, "case"))?;
    }
    for component in &report.components {
        print_component(out, component)?;
    }
    if let Some(access) = &report.access {
        writeln!(out, "access      {access}")?;
    }
    if !report.fits {
        return Ok(());
    }
    writeln!(
        out,
        "compared    with the default policy: {}, {} with other records",
        plural(counts.cases, "case"),
        counts.variants
    )?;
    let notes = if counts.notes > 0 { format!(" ({} with notes, below)", counts.notes) } else { String::new() };
    writeln!(out, "same        {}{notes}", counts.same)?;
    writeln!(out, "stricter    {}", describe(counts.stricter, "retains records that the default policy deletes"))?;
    writeln!(out, "laxer       {}", describe(counts.laxer, laxness(report)))?;
    if counts.own_cases > 0 {
        writeln!(out, "own cases   {} of {} passed", counts.own_passed, counts.own_cases)?;
    }
    print_list(out, "violation", report.results.iter().filter(|result| result.group == Group::Violation))?;
    let failed = |result: &&CaseReport| result.origin == Origin::Own && !result.passed;
    print_list(out, "failed", report.results.iter().filter(failed))?;
    print_list(out, "laxer", report.group(Group::Laxer))?;
    print_list(out, "stricter", report.group(Group::Stricter))?;
    print_notes(out, report.group(Group::Same).filter(|result| !result.passed))
}

fn print_component(out: &mut impl Write, component: &ComponentReport) -> io::Result<()> {
    let name = component.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    writeln!(out, "component   {}{name}", component.file)?;
    writeln!(out, "world       {}", component.world.unwrap_or("none: it exports neither a policy nor a guard"))?;
    writeln!(out, "size        {} bytes", component.bytes)?;
    if let Some(sha256) = &component.sha256 {
        writeln!(out, "sha256      {sha256}")?;
    }
    let mut label = "imports";
    for import in &component.imports {
        let grant = match (component.grants_needed.contains(import), component.granted.contains(import)) {
            (false, _) => "",
            (true, true) => "  (granted)",
            (true, false) => "  (needs a grant)",
        };
        writeln!(out, "{label:<11} {import}{grant}")?;
        label = "";
    }
    if let Some(reason) = &component.reason {
        writeln!(out, "contract    cannot be loaded: {reason}")?;
    } else if let Some(compile_ms) = component.compile_ms {
        writeln!(out, "contract    fits learnings:plugin@0.1.0, compiled in {compile_ms} ms")?;
    }
    Ok(())
}

fn print_list<'a>(out: &mut impl Write, label: &str, results: impl Iterator<Item = &'a CaseReport>) -> io::Result<()> {
    let results: Vec<&CaseReport> = results.collect();
    for result in results.iter().take(MAX_LISTED) {
        writeln!(out, "\n{label:<11} {}\n            {}", result.case, result.why)?;
        if let (Some(reason), false) = (&result.reason, result.group == Group::Violation) {
            writeln!(out, "  reason    {reason}")?;
        }
        let expected = &result.expected;
        writeln!(out, "  expected  {}, left: {}", describe_answer(&expected.answer), list(&expected.left))?;
        if let (Some(calls), true) = (&expected.calls, result.origin == Origin::Own) {
            writeln!(out, "            calls: {}", calls.join(", "))?;
        }
        let got = &result.result;
        writeln!(out, "  got       {}, left: {}", describe_answer(&got.answer), list(&got.left))?;
        writeln!(out, "            calls: {}", got.calls.join(", "))?;
    }
    print_more(out, results.len())
}

/// Prints the cases of each note together.
fn print_notes<'a>(out: &mut impl Write, results: impl Iterator<Item = &'a CaseReport>) -> io::Result<()> {
    let mut notes: Vec<(&str, Vec<&str>)> = Vec::new();
    for result in results {
        let reason = result.reason.as_deref().unwrap_or_default();
        match notes.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, cases)) => cases.push(&result.case),
            None => notes.push((reason, vec![&result.case])),
        }
    }
    for (reason, cases) in notes.iter().take(MAX_LISTED) {
        writeln!(out, "\nnote        {reason}")?;
        for case in cases.iter().take(MAX_LISTED) {
            writeln!(out, "  case      {case}")?;
        }
        print_more(out, cases.len())?;
    }
    print_more(out, notes.len())
}

fn print_more(out: &mut impl Write, number: usize) -> io::Result<()> {
    match number.checked_sub(MAX_LISTED) {
        Some(more) if more > 0 => writeln!(out, "            and {more} more; --format json lists all"),
        Some(_) | None => Ok(()),
    }
}

/// An answer in one line.
pub(super) fn describe_answer(answer: &Answer) -> String {
    match answer {
        Answer::Word(word) => word.clone(),
        Answer::Rejection(rejection) => {
            format!("{} {:?} (rule {})", rejection.status, rejection.detail, rejection.rule)
        }
    }
}

/// The names, or `none`.
pub(super) fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn describe(number: usize, description: &str) -> String {
    if number == 0 { "0".to_owned() } else { format!("{number}: it {description}") }
}

/// What a laxer component does.
fn laxness(report: &Report) -> &'static str {
    let deletes = |result: &&CaseReport| matches!(result.result.answer, Answer::Word(_));
    let number = report.group(Group::Laxer).filter(deletes).count();
    if number == 0 {
        "distinguishes records that the default policy answers alike"
    } else if number == report.counts.laxer {
        "deletes records that the default policy retains"
    } else {
        "deletes records that the default policy retains, and distinguishes records that it answers alike"
    }
}

fn plural(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::{plural, print, print_more};
    use crate::cli::check::report::{Counts, Report};
    use crate::cli::check::results::{CaseReport, Origin};
    use crate::cli::check::subject::ComponentReport;
    use delete_learning::conformance::{Answer, Expectation, Group, Observation};

    fn result(case: &str, origin: Origin, group: Group, passed: bool, reason: Option<&str>) -> CaseReport {
        CaseReport {
            case: case.to_owned(),
            origin,
            group,
            passed,
            reason: reason.map(str::to_owned),
            expected: Expectation { calls: Some(vec!["x".to_owned()]), answer: Answer::deleted(), left: Vec::new() },
            result: Observation {
                calls: vec!["y".to_owned(), "z".to_owned()],
                answer: Answer::Word("trapped".to_owned()),
                left: vec!["a".to_owned(), "b".to_owned()],
            },
            why: "The reason of the case.".to_owned(),
        }
    }

    fn component(name: Option<&str>) -> ComponentReport {
        ComponentReport {
            name: name.map(str::to_owned),
            file: "policy.wasm".to_owned(),
            world: Some("policy"),
            bytes: 7,
            sha256: Some("abcd".to_owned()),
            imports: ["storage", "clock", "random"].map(str::to_owned).to_vec(),
            exports: Vec::new(),
            grants_needed: vec!["clock".to_owned(), "random".to_owned()],
            granted: vec!["clock".to_owned()],
            reason: None,
            compile_ms: Some(3),
        }
    }

    fn text(results: Vec<CaseReport>, given_up: bool) -> String {
        let (components, counts) = (vec![component(None)], Counts::new(&results, false));
        let report = Report { components, access: None, fits: true, counts, given_up, results };
        let mut text = Vec::new();
        print(&mut text, &report).expect("it is printed");
        String::from_utf8(text).expect("text")
    }

    const COMPONENT: &str = "component   policy.wasm\n\
                             world       policy\n\
                             size        7 bytes\n\
                             sha256      abcd\n\
                             imports     storage\n            \
                             clock  (granted)\n            \
                             random  (needs a grant)\n\
                             contract    fits learnings:plugin@0.1.0, compiled in 3 ms\n";

    #[test]
    fn report_without_a_difference_has_nothing_but_the_numbers() {
        let same = || result("case", Origin::Conformance, Group::Same, true, None);
        let numbers = "compared    with the default policy: 2 cases, 0 with other records\n\
                       same        2\n\
                       stricter    0\n\
                       laxer       0\n";
        assert_eq!(text(vec![same(), same()], false), format!("{COMPONENT}{numbers}"));
    }

    #[test]
    fn report_lists_what_violates_fails_is_laxer_stricter_or_has_a_note() {
        let text = text(
            vec![
                result("violation", Origin::Conformance, Group::Violation, false, Some("trapped")),
                result("own", Origin::Own, Group::Same, false, Some("it differs")),
                result("own-passed", Origin::Own, Group::Laxer, true, None),
                result("laxer", Origin::Variant, Group::Laxer, false, Some("it deletes")),
                result("stricter", Origin::Conformance, Group::Stricter, false, Some("it retains")),
                result("note-1", Origin::Conformance, Group::Same, false, Some("the note")),
                result("note-2", Origin::Conformance, Group::Same, false, Some("the note")),
                result("same", Origin::Conformance, Group::Same, true, None),
            ],
            true,
        );
        let skipped =
            "VIOLATION   of the contract or a limit in 1 case; the remaining cases were skipped after 5 violations\n\n";
        let numbers = "compared    with the default policy: 5 cases, 1 with other records\n\
                       same        3 (2 with notes, below)\n\
                       stricter    1: it retains records that the default policy deletes\n\
                       laxer       1: it deletes records that the default policy retains\n\
                       own cases   1 of 2 passed\n";
        let case = |label: &str, name: &str, reason: &str, calls: &str| {
            format!(
                "\n{label:<11} {name}\n            The reason of the case.\n{reason}  expected  deleted, left: none\n{calls}  \
                 got       trapped, left: a, b\n            calls: y, z\n"
            )
        };
        let lists = [
            case("violation", "violation", "", ""),
            case("failed", "own", "  reason    it differs\n", "            calls: x\n"),
            case("laxer", "laxer", "  reason    it deletes\n", ""),
            case("stricter", "stricter", "  reason    it retains\n", ""),
            "\nnote        the note\n  case      note-1\n  case      note-2\n".to_owned(),
        ];
        assert_eq!(text, format!("{skipped}{COMPONENT}{numbers}{}", lists.concat()));
    }

    #[test]
    fn what_laxer_components_do_depends_on_their_answers() {
        let laxer = |answer: Answer| {
            let mut result = result("laxer", Origin::Conformance, Group::Laxer, false, None);
            result.result.answer = answer;
            result
        };
        let rejection = delete_learning::conformance::cases()
            .expect("cases")
            .into_iter()
            .find_map(|case| matches!(case.expect.answer, Answer::Rejection(_)).then_some(case.expect.answer))
            .expect("a rejection");
        let (deletes, distinguishes) = (laxer(Answer::deleted()), laxer(rejection.clone()));
        assert!(text(vec![distinguishes], false).contains("laxer       1: it distinguishes records that"));
        assert!(
            text(vec![deletes, laxer(rejection)], false)
                .contains("laxer       2: it deletes records that the default policy retains, and")
        );
    }

    #[test]
    fn component_that_cannot_be_loaded_is_printed_with_its_reason_alone() {
        let component = ComponentReport {
            reason: Some("it has no export".to_owned()),
            world: None,
            imports: Vec::new(),
            ..component(Some("held"))
        };
        let counts = Counts::default();
        let access = Some("of config.toml".to_owned());
        let report =
            Report { components: vec![component], access, fits: false, counts, given_up: false, results: vec![] };
        let mut text = Vec::new();
        print(&mut text, &report).expect("it is printed");
        let expected = "component   policy.wasm (held)\n\
                        world       none: it exports neither a policy nor a guard\n\
                        size        7 bytes\n\
                        sha256      abcd\n\
                        contract    cannot be loaded: it has no export\n\
                        access      of config.toml\n";
        assert_eq!(String::from_utf8(text).expect("text"), expected);
    }

    #[test]
    fn more_than_ten_are_counted() {
        let more = |number| {
            let mut text = Vec::new();
            print_more(&mut text, number).expect("it is printed");
            String::from_utf8(text).expect("text")
        };
        assert_eq!([0, 9, 10].map(more), ["", "", ""]);
        assert_eq!(more(12), "            and 2 more; --format json lists all\n");
        assert_eq!([0, 1, 2].map(|number| plural(number, "case")), ["0 cases", "1 case", "2 cases"]);
    }
}
