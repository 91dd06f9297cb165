//! The subcommand `noisy-neighbor`.

#[path = "../../malicious_policies/measurement.rs"]
mod measurement;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../malicious_policies/record.rs"]
mod record;
#[path = "../../malicious_policies/text.rs"]
mod text;

use anyhow::{Context, Result};
use clap::Args;
use delete_learning::{Limits, Policy};
use measurement::Plan;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const COMPONENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../malicious_policies");

#[derive(Args)]
pub struct Arguments {
    /// Seconds that each comparison runs with malicious requests, and as long without
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Malicious requests a second
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,
    /// Malicious requests after which resident memory is measured first
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    first: u64,
    /// Malicious requests after which resident memory is measured again
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    last: u64,
}

/// Measures the default policy while the malicious policies of the tests run in the same process.
///
/// # Errors
/// A component cannot be read, or none can be loaded.
pub fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { seconds, rate, first, last } = *arguments;
    let components = loadable_components(Path::new(COMPONENTS))?;
    let components: Vec<&str> = components.iter().map(String::as_str).collect();
    let pairs = u64::try_from(Duration::from_secs(seconds).as_millis() / measurement::SLICE.as_millis())?;
    measurement::run(&Plan { pairs, rate, first, last, resident_bytes }, &components);
    Ok(())
}

/// Reads the components of a directory that can be loaded. The others are malicious because they must not load.
fn loadable_components(directory: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "wat"));
    files.sort();
    let mut components = Vec::new();
    for file in files {
        let component = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        if Policy::load(&text::bytes(&component), &Limits::default()).is_ok() {
            components.push(component);
        }
    }
    anyhow::ensure!(!components.is_empty(), "no component in {} can be loaded", directory.display());
    Ok(components)
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}
