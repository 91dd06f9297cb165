//! `delete-learning serve --check`: validates a configuration and prints it.

use super::CommandResult;
use super::serve::read_config;
use delete_learning_server::app;
use delete_learning_server::config::{EffectiveKey, EffectiveSection, Origin};
use serde::Serialize;
use serde_json::Value;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// How the configuration is printed.
#[derive(Clone, Copy, Default, clap::ValueEnum)]
pub(super) enum CheckConfigFormat {
    /// TOML, with the origin of each value in a comment
    #[default]
    Toml,
    /// A JSON array with an object for each key: its path, its value and its origins
    Json,
}

/// Prints the configuration, then checks what a start would use of it.
pub(super) fn check_config(path: Option<&Path>, format: CheckConfigFormat) -> CommandResult {
    let config = read_config(path)?;
    let mut out = io::BufWriter::new(io::stdout());
    match format {
        CheckConfigFormat::Toml => print_toml(&mut out, &config.effective)?,
        CheckConfigFormat::Json => print_json(&mut out, &config.effective)?,
    }
    out.flush()?;
    for warning in &config.warnings {
        writeln!(io::stderr(), "delete-learning: warning: {warning}")?;
    }
    app::check(&config)?;
    writeln!(io::stderr(), "delete-learning: the configuration is valid; databases and jwks_url were not contacted")?;
    Ok(ExitCode::SUCCESS)
}

/// The column at which the origins begin, where the values are shorter.
const ORIGIN_COLUMN: usize = 48;

/// Prints the sections as TOML. A section or a key that is not set is a comment.
fn print_toml(out: &mut impl Write, sections: &[EffectiveSection]) -> io::Result<()> {
    for (index, section) in sections.iter().enumerate() {
        let (open, close) = if section.is_repeated { ("[[", "]]") } else { ("[", "]") };
        let (prefix, note) = if section.is_set { ("", "") } else { ("# ", "  # not set") };
        let blank = if index == 0 { "" } else { "\n" };
        writeln!(out, "{blank}{prefix}{open}{}{close}{note}", section.name)?;
        for key in &section.keys {
            let line = match &key.value {
                Some(value) => format!("{prefix}{} = {}", key.name, toml(value)),
                None => format!("# {} =", key.name),
            };
            writeln!(out, "{line:ORIGIN_COLUMN$} # {}", origins(key).join(", "))?;
        }
    }
    Ok(())
}

fn origins(key: &EffectiveKey) -> Vec<String> {
    if key.origins.is_empty() {
        vec!["not set".to_owned()]
    } else {
        key.origins.iter().map(Origin::to_string).collect()
    }
}

/// The value as TOML on one line. TOML has JSON's texts, numbers and arrays.
fn toml(value: &Value) -> String {
    match value {
        Value::Array(values) => format!("[{}]", values.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => {
            let members =
                members.iter().map(|(name, value)| format!("{} = {}", Value::from(name.as_str()), toml(value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
        value => value.to_string(),
    }
}

fn print_json(out: &mut impl Write, sections: &[EffectiveSection]) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        key: &'a str,
        value: Option<&'a Value>,
        origins: Vec<String>,
    }
    let keys = sections.iter().flat_map(|section| &section.keys);
    let lines: Vec<Line<'_>> =
        keys.map(|key| Line { key: &key.path, value: key.value.as_ref(), origins: origins(key) }).collect();
    serde_json::to_writer_pretty(&mut *out, &lines)?;
    writeln!(out)
}
