//! The table: what is measured, what it is compared with, the goal and the result. The medians behind the results follow.

use std::fs;
use std::process::Command;

/// A row of the table.
pub struct Line {
    what: String,
    /// Empty if the result is no ratio.
    compared_with: String,
    goal: String,
    result: String,
    /// `None` if there is no goal.
    is_reached: Option<bool>,
    /// The medians that the result is computed from.
    medians: String,
}

impl Line {
    pub fn at_least(
        what: impl Into<String>,
        compared_with: &str,
        result: f64,
        goal: f64,
        unit: &str,
        medians: String,
    ) -> Self {
        let goal_text = format!("at least {}", number(goal, unit));
        Self::new(what, compared_with, goal_text, number(result, unit), Some(result >= goal), medians)
    }

    pub fn at_most(
        what: impl Into<String>,
        compared_with: &str,
        result: f64,
        goal: f64,
        unit: &str,
        medians: String,
    ) -> Self {
        let goal_text = format!("at most {}", number(goal, unit));
        Self::new(what, compared_with, goal_text, number(result, unit), Some(result <= goal), medians)
    }

    pub fn plain(what: impl Into<String>, compared_with: &str, result: String, medians: String) -> Self {
        Self::new(what, compared_with, String::new(), result, None, medians)
    }

    fn new(
        what: impl Into<String>,
        compared_with: &str,
        goal: String,
        result: String,
        is_reached: Option<bool>,
        medians: String,
    ) -> Self {
        Self { what: what.into(), compared_with: compared_with.to_owned(), goal, result, is_reached, medians }
    }
}

fn number(value: f64, unit: &str) -> String {
    match unit {
        "×" => format!("{} ×", short(value)),
        "%" => format!("{:.0} %", value * 100.0),
        "1/" => format!("1/{}", short(1.0 / value)),
        _ => format!("{} {unit}", short(value)),
    }
}

/// Formats three significant digits.
pub fn short(value: f64) -> String {
    match value.abs() {
        magnitude if magnitude >= 100.0 => format!("{value:.0}"),
        magnitude if magnitude >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The table in Markdown, and below it the medians.
pub fn table(lines: &[Line]) -> String {
    let mut table = "| what | compared with | goal | result | |\n|---|---|---|---|---|\n".to_owned();
    let mut medians = String::new();
    for line in lines {
        let Line { what, compared_with, goal, result, is_reached, .. } = line;
        let mark = match is_reached {
            Some(true) => "reached",
            Some(false) => "**not reached**",
            None => "",
        };
        table += &format!("| {what} | {compared_with} | {goal} | {result} | {mark} |\n");
        let compared_with = if compared_with.is_empty() { String::new() } else { format!(", {compared_with}") };
        medians += &format!("- {what}{compared_with}: {}\n", line.medians);
    }
    format!("{table}\nThe medians behind the results:\n\n{medians}")
}

pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[length / 2],
        length => f64::midpoint(sorted[length / 2 - 1], sorted[length / 2]),
    }
}

/// Describes the machine.
pub fn machine() -> String {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        line.split_once(':').map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let output_of = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output().map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&output).trim().to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory: f64 = field("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or_default();
    let model = field("/proc/cpuinfo", "model name");
    format!(
        "{}; {cores} cores of {model}, {:.0} GiB, Linux {}, {}",
        output_of("date", "+%F %H:%M"),
        memory / 1_048_576.0,
        output_of("uname", "-r"),
        output_of("rustc", "-V"),
    )
}
