//! The table: the goal and the figure of each measurement, the medians that it is computed from, and the machine.

use std::fs;
use std::process::Command;

/// A row of the table.
pub struct Line {
    pub what: String,
    pub goal: String,
    pub figure: String,
    /// `None` if there is no goal.
    pub is_reached: Option<bool>,
    pub details: String,
}

impl Line {
    pub fn at_least(what: impl Into<String>, figure: f64, goal: f64, unit: &str, details: String) -> Self {
        Self::new(what, format!("at least {}", number(goal, unit)), number(figure, unit), Some(figure >= goal), details)
    }

    pub fn at_most(what: impl Into<String>, figure: f64, goal: f64, unit: &str, details: String) -> Self {
        Self::new(what, format!("at most {}", number(goal, unit)), number(figure, unit), Some(figure <= goal), details)
    }

    pub fn plain(what: impl Into<String>, figure: String, details: String) -> Self {
        Self::new(what, "–".to_owned(), figure, None, details)
    }

    fn new(what: impl Into<String>, goal: String, figure: String, is_reached: Option<bool>, details: String) -> Self {
        Self { what: what.into(), goal, figure, is_reached, details }
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

/// The table in Markdown.
pub fn table(lines: &[Line]) -> String {
    let mut text = "| what | goal | figure | | medians behind it |\n|---|---|---|---|---|\n".to_owned();
    for Line { what, goal, figure, is_reached, details } in lines {
        let result = match is_reached {
            Some(true) => "reached",
            Some(false) => "**not reached**",
            None => "",
        };
        text += &format!("| {what} | {goal} | {figure} | {result} | {details} |\n");
    }
    text
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
