//! Components to check, assembled from text. A policy is the default policy behind a guard.

use delete_learning::DEFAULT_POLICY;

pub const FINDS_THEN_DELETES: &str = include_str!("fixtures/finds_then_deletes.wat");
pub const LEAKS_EXISTENCE: &str = include_str!("fixtures/leaks_existence.wat");
pub const DELETES_RECORDS_OF_OTHERS: &str = include_str!("fixtures/deletes_records_of_others.wat");
pub const DELETES_IN_OFFICE_HOURS: &str = include_str!("fixtures/deletes_in_office_hours.wat");
pub const RETAINS_HELD_RECORDS: &str = include_str!("fixtures/retains_held_records.wat");
pub const DENIES_WITHOUT_READING: &str = include_str!("fixtures/denies_without_reading.wat");

/// A guard with these deletes.
pub fn guard(deletes: &str) -> Vec<u8> {
    assemble(&guard_text(deletes))
}

/// The default policy behind a guard with these deletes, as one component.
pub fn policy(deletes: &str) -> Vec<u8> {
    let default_policy = wasmprinter::print_bytes(DEFAULT_POLICY).expect("the default policy is valid");
    // Its first line is `(component`, perhaps with a name.
    let (_, default_policy) = default_policy.split_once('\n').expect("more than one line");
    let default_policy = format!("(component $default-policy\n{default_policy}");
    let clock_argument =
        if reads_clock(deletes) { r#"(with "wasi:clocks/wall-clock@0.2.0" (instance $clock))"# } else { "" };
    let parts = [
        ("imports", imports(deletes)),
        ("guard", guard_text(deletes)),
        ("default-policy", default_policy),
        ("clock-argument", clock_argument.to_owned()),
    ];
    assemble(&fill(include_str!("fixtures/policy.wat"), &parts))
}

fn guard_text(deletes: &str) -> String {
    let clock = |part: &str| if reads_clock(deletes) { part.to_owned() } else { String::new() };
    let parts = [
        ("imports", imports(deletes)),
        ("clock-function", clock(r#"(core func $now (canon lower (func $clock "now") (memory $m)))"#)),
        ("clock-export", clock(r#"(export "now" (func $now))"#)),
        ("core-clock-import", clock(r#"(import "host" "now" (func $now (param i32)))"#)),
        ("deletes", deletes.to_owned()),
    ];
    fill(include_str!("fixtures/guard.wat"), &parts)
}

fn imports(deletes: &str) -> String {
    let clock = if reads_clock(deletes) { include_str!("fixtures/clock.wat") } else { "" };
    format!("{}{clock}", include_str!("fixtures/imports.wat"))
}

fn reads_clock(deletes: &str) -> bool {
    deletes.contains("(call $now")
}

/// Replaces each line that consists of the name of a part in braces.
fn fill(text: &str, parts: &[(&str, String)]) -> String {
    let fill_line = |line: &str| {
        let part = parts.iter().find(|(name, _)| line.trim() == format!("{{{name}}}"));
        part.map_or_else(|| format!("{line}\n"), |(_, part)| format!("{part}\n"))
    };
    text.lines().map(fill_line).collect()
}

fn assemble(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}
