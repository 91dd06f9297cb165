//! One command that measures the host beside what it is compared with, and prints one table.
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "figures to be read")]

mod bare;
mod build;
mod contract;
mod decision;
mod load;
mod native;
#[path = "../../support/native_policy.rs"]
mod native_policy;
mod noisy_neighbor;
mod picture;
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

/// Measures the host beside what it is compared with: the real Agno, bare databases, other policy engines.
///
/// Everything runs on this machine and over loopback. Contestants take turns, so that what else the machine does meets
/// all of them; figures are ratios of medians. The table goes to standard output, as Markdown, and to the folder of
/// results with a picture; what goes on goes to standard error. The release build of the host and a Python environment
/// with Agno are made first where they are missing. A full run takes about three quarters of an hour and 12 GB of disk;
/// --quick takes a few minutes, its figures are rough, and it leaves out the section `build` unless that is asked for.
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
    /// Measure this alone; may be given more than once
    #[arg(long, value_name = "SECTION")]
    only: Vec<Section>,
    /// A PostgreSQL in which a database may be made, for the section `postgres`
    #[arg(long, value_name = "URL", default_value = "postgres://postgres@127.0.0.1:5432")]
    postgres: String,
    /// The host's program, built already, to measure in place of the one that is built here
    #[arg(long, value_name = "FILE")]
    host: Option<PathBuf>,
    /// Where results go
    #[arg(long, value_name = "FOLDER", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/results"))]
    results: PathBuf,
    /// Where databases are made: on the disk to be measured
    #[arg(long, value_name = "FOLDER", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target/databases"))]
    databases: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// This program as a server: for the comparison of component and native policy
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

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// Deletes a second and latency on SQLite, beside Agno, the policy compiled natively, and bare loops; memory
    Sqlite,
    /// Deletes a second on PostgreSQL, beside a bare pool
    Postgres,
    /// One decision, beside instantiating alone, Cedar and Rego
    Decision,
    /// Throughput and latency over the number of records
    Rows,
    /// Throughput and latency over the number of connections
    Connections,
    /// Latency at a fixed rate
    Rate,
    /// From process start to the first 204
    Start,
    /// The component's bytes and imports
    Component,
    /// The README's two commands and a release build, from nothing
    Build,
}

impl Section {
    /// Whether it takes no server.
    fn is_alone(self) -> bool {
        matches!(self, Self::Decision | Self::Component | Self::Build)
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match &arguments.command {
        Some(Command::Serve { native, config }) => return server::serve(config, *native),
        Some(Command::NoisyNeighbor(arguments)) => return noisy_neighbor::run(arguments),
        None => {}
    }
    let is_wanted = |section| arguments.only.is_empty() || arguments.only.contains(&section);
    fs::create_dir_all(&arguments.results)?;
    fs::create_dir_all(&arguments.databases)?;
    let databases = arguments.databases.canonicalize()?;

    let takes_servers = arguments.only.is_empty() || arguments.only.iter().any(|section| !section.is_alone());
    if takes_servers {
        server::prepare_agno()?;
    }
    let host = match &arguments.host {
        Some(file) => file.canonicalize().with_context(|| file.display().to_string())?,
        None if takes_servers => server::prepare_host()?,
        None => PathBuf::new(),
    };
    let bench = Bench::new(databases, arguments.quick, arguments.postgres.clone(), Programs::new(host));
    let mut lines: Vec<Line> = Vec::new();
    let mut panels = Vec::new();
    if is_wanted(Section::Component) {
        lines.extend(sections::component()?);
    }
    if is_wanted(Section::Decision) {
        lines.extend(bench.decision(&arguments.results.join("criterion"))?);
    }
    if is_wanted(Section::Start) {
        lines.extend(bench.start()?);
    }
    if is_wanted(Section::Sqlite) {
        lines.extend(bench.sqlite()?);
    }
    if is_wanted(Section::Postgres) {
        lines.extend(bench.postgres()?);
    }
    if is_wanted(Section::Rate) {
        lines.extend(bench.rate()?);
    }
    if is_wanted(Section::Connections) {
        panels.extend(bench.connections()?);
    }
    if is_wanted(Section::Rows) {
        let (more, over_rows) = bench.rows()?;
        lines.extend(more);
        panels.extend(over_rows);
    }
    if arguments.only.contains(&Section::Build) || (arguments.only.is_empty() && !arguments.quick) {
        lines.extend(bench.build()?);
    }
    let text = format!("{}\n\n{}", report::machine(), report::table(&lines));
    println!("{text}");
    fs::write(arguments.results.join("table.md"), &text).context("the results cannot be written")?;
    if !panels.is_empty() {
        let file = arguments.results.join("picture.svg");
        fs::write(&file, picture::draw(&panels))?;
        println!("{}", file.display());
    }
    Ok(())
}
