//! The recorded counts: a line for each count and compiler.

use anyhow::{Context, Result};
use std::fs;
use std::process::Command;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/recorded.txt");

/// What was counted before, and what is counted now.
pub struct Recorded {
    compiler: String,
    /// The counts of before: name, count, compiler. The last of a compiler is the newest.
    before: Vec<(String, u64, String)>,
    now: Vec<(String, u64)>,
}

impl Recorded {
    pub fn read() -> Result<Self> {
        let output = Command::new("rustc").arg("-V").output().context("rustc")?;
        let compiler = String::from_utf8(output.stdout)?.trim().to_owned();
        let parsed = |line: &str| {
            let (name, rest) = line.split_once(' ')?;
            let (count, compiler) = rest.split_once(' ')?;
            Some((name.to_owned(), count.parse().ok()?, compiler.to_owned()))
        };
        let before = fs::read_to_string(FILE).unwrap_or_default().lines().filter_map(parsed).collect();
        Ok(Self { compiler, before, now: Vec::new() })
    }

    /// Prints a count beside the recorded one. Returns whether it is at most 5 % above it, or 15 % if that is of another
    /// compiler.
    pub fn compare(&mut self, name: String, count: u64) -> bool {
        let of_name = || self.before.iter().rev().filter(|(other, ..)| *other == name);
        let own = of_name().find(|(.., compiler)| *compiler == self.compiler);
        let is_ok = match own.or_else(|| of_name().next()) {
            None => {
                println!("{name}: {count}; none is recorded");
                true
            }
            Some((_, before, compiler)) => {
                let percent = if own.is_some() { 5 } else { 15 };
                let max = before * (100 + percent) / 100;
                println!("{name}: {count}; recorded {before} ({compiler}), at most {max}");
                count <= max
            }
        };
        self.now.push((name, count));
        is_ok
    }

    /// Records the counts for this compiler.
    pub fn write(self) -> Result<()> {
        let others = self.before.iter().filter(|(.., compiler)| *compiler != self.compiler);
        let mut lines: String = others.map(|(name, count, compiler)| format!("{name} {count} {compiler}\n")).collect();
        lines.extend(self.now.iter().map(|(name, count)| format!("{name} {count} {}\n", self.compiler)));
        Ok(fs::write(FILE, lines)?)
    }
}
