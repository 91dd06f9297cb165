//! Measures the server and the policy, compares them with other implementations, and prints one table.
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "figures for display")]

mod bare;
mod build;
mod chart;
mod contract;
mod decision;
mod load;
mod native;
#[path = "../../support/native_policy.rs"]
mod native_policy;
mod noisy_neighbor;
mod report;
mod rows;
mod sections;
mod server;
mod token;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};
use report::Line;
use sections::Bench;
use server::Programs;
use std::fs;
use std::path::PathBuf;

/// Compares the server and the policy with the real Agno, bare databases and other policy engines.
///
/// Everything runs on this machine over loopback. The contestants take turns, so that other load affects all of them;
/// figures are ratios of medians. The table goes to standard output as Markdown, and to the directory of results
/// together with a chart. Progress goes to standard error. The release binary and a Python environment with Agno are
/// built first if they are missing. A full run takes about 45 minutes and 12 GB of disk. --quick takes a few minutes
/// and is less precise; it skips the section `build` unless --only selects it.
#[derive(Parser)]
#[command(
    version,
    after_help = "Examples:
  cargo run --release --manifest-path tests/bench/Cargo.toml -- --quick
  cargo run --release --manifest-path tests/bench/Cargo.toml -- --only decision --only sqlite
  cargo run --release --manifest-path tests/bench/Cargo.toml -- noisy-neighbor --seconds 30 --rate 10"
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Smaller databases and fewer, shorter rounds
    #[arg(long)]
    quick: bool,
    /// Measure only this section; can be repeated
    #[arg(long, value_name = "SECTION")]
    only: Vec<Section>,
    /// A PostgreSQL server in which a database can be created, for the section `postgres`
    #[arg(long, value_name = "URL", default_value = "postgres://postgres@127.0.0.1:5432")]
    postgres: String,
    /// A release binary to measure instead of building one
    #[arg(long, value_name = "FILE")]
    host: Option<PathBuf>,
    /// The directory for results
    #[arg(long, value_name = "DIRECTORY", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/results"))]
    results: PathBuf,
    /// The directory for databases, on the disk to measure
    #[arg(long, value_name = "DIRECTORY", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target/databases"))]
    databases: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Run as a server, to compare the component with the native policy
    #[command(hide = true)]
    Serve {
        #[arg(long)]
        native: bool,
        #[arg(long)]
        config: PathBuf,
    },
    /// Measures the default policy while malicious policies run in the same process, and the memory that stays resident
    ///
    /// Requests to the default policy run alternately with and without malicious requests. The figures go to standard
    /// output.
    NoisyNeighbor(noisy_neighbor::Arguments),
}

/// A section of the benchmark.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// Deletes per second, latency and memory on SQLite, compared with Agno, the native policy and bare loops
    Sqlite,
    /// Deletes per second on PostgreSQL, compared with a bare pool
    Postgres,
    /// Deletes per second on SQLite with guards and with an audit log, compared with none
    Guards,
    /// One decision, compared with instantiation alone, Cedar and Rego
    Decision,
    /// Throughput and latency by number of records
    Rows,
    /// Throughput and latency by number of connections
    Connections,
    /// Latency at a fixed rate
    Rate,
    /// The time from process start to the first 204
    Start,
    /// The size and the imports of the component
    Component,
    /// The README's two commands and a release build on a fresh clone
    Build,
}

impl Section {
    /// Whether the section needs neither the release binary nor Agno.
    fn needs_no_server(self) -> bool {
        matches!(self, Self::Decision | Self::Component | Self::Build | Self::Guards)
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match &arguments.command {
        Some(Command::Serve { native, config }) => return server::serve(config, *native),
        Some(Command::NoisyNeighbor(arguments)) => return noisy_neighbor::run(arguments),
        None => {}
    }
    let is_selected = |section| arguments.only.is_empty() || arguments.only.contains(&section);
    fs::create_dir_all(&arguments.results)?;
    fs::create_dir_all(&arguments.databases)?;
    let databases = arguments.databases.canonicalize()?;

    let needs_servers = arguments.only.is_empty() || arguments.only.iter().any(|section| !section.needs_no_server());
    if needs_servers {
        server::prepare_agno()?;
    }
    let host = match &arguments.host {
        Some(file) => file.canonicalize().with_context(|| file.display().to_string())?,
        None if needs_servers => server::prepare_host()?,
        None => PathBuf::new(),
    };
    let bench = Bench::new(databases, arguments.quick, arguments.postgres.clone(), Programs::new(host));
    let mut lines: Vec<Line> = Vec::new();
    let mut panels = Vec::new();
    if is_selected(Section::Component) {
        lines.extend(sections::component()?);
    }
    if is_selected(Section::Decision) {
        lines.extend(bench.decision(&arguments.results.join("criterion"))?);
    }
    if is_selected(Section::Start) {
        lines.extend(bench.start()?);
    }
    if is_selected(Section::Sqlite) {
        lines.extend(bench.sqlite()?);
    }
    if is_selected(Section::Postgres) {
        lines.extend(bench.postgres()?);
    }
    if is_selected(Section::Guards) {
        lines.extend(bench.guards()?);
    }
    if is_selected(Section::Rate) {
        lines.extend(bench.rate()?);
    }
    if is_selected(Section::Connections) {
        panels.extend(bench.connections()?);
    }
    if is_selected(Section::Rows) {
        let (more, over_rows) = bench.rows()?;
        lines.extend(more);
        panels.extend(over_rows);
    }
    if arguments.only.contains(&Section::Build) || (arguments.only.is_empty() && !arguments.quick) {
        lines.extend(bench.build()?);
    }
    let text = format!("{}\n\n{}", report::machine(), report::table(&lines));
    println!("{text}");
    fs::write(arguments.results.join("table.md"), &text).context("cannot write the results")?;
    if !panels.is_empty() {
        let file = arguments.results.join("picture.svg");
        fs::write(&file, chart::draw(&panels))?;
        println!("{}", file.display());
    }
    Ok(())
}
