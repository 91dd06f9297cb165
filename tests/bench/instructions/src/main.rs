//! Counts the instructions of one decision with valgrind, and compares the count with the recorded one.
//!
//! The program runs itself under valgrind twice, with few decisions and with many, and uses the difference, which
//! excludes the start and the compilation.

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use delete_learning::storage::{Database, Databases, MemoryStore};
use delete_learning::{Caller, Credential, DEFAULT_POLICY, DeleteRequest, Learning, Limits, Policy};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::{env, fs};

/// Counts the instructions of one decision, and compares the count with the recorded one.
///
/// One decision resolves the record, runs the policy in a fresh instance and deletes the record, with storage and
/// identity in memory. Requires valgrind. Exits with 1 if the count is more than 5 % above the recorded one.
///
/// The count depends on the compiler, so one is recorded for each version of rustc. If none is recorded for this
/// version, the count is compared with the last recorded one with a tolerance of 15 %, and the line to record is
/// printed.
#[derive(Parser)]
struct Arguments {
    /// Record the count for this compiler
    #[arg(long)]
    record: bool,
    /// Decide this many times without counting: the program that runs under valgrind
    #[arg(long, hide = true, value_name = "COUNT")]
    decide: Option<u32>,
}

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/recorded.txt");
const FEW: u32 = 200;
const MANY: u32 = 2_200;

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(count) = arguments.decide {
        return decide(count).map(|()| ExitCode::SUCCESS);
    }
    let compiler = output_of("rustc", &["-V"])?;
    let count = (instructions(MANY)? - instructions(FEW)?) / u64::from(MANY - FEW);
    println!("one decision: {count} instructions ({compiler})");

    let recorded = fs::read_to_string(RECORDED).unwrap_or_default();
    if arguments.record {
        let others = recorded.lines().filter(|line| !line.ends_with(&compiler)).map(|line| format!("{line}\n"));
        fs::write(RECORDED, format!("{}{count} {compiler}\n", others.collect::<String>()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let parsed = |line: &str| {
        let (count, compiler) = line.split_once(' ')?;
        Some((count.parse::<u64>().ok()?, compiler.to_owned()))
    };
    let entries: Vec<(u64, String)> = recorded.lines().filter_map(parsed).collect();
    let own = entries.iter().find(|(_, recorded)| *recorded == compiler);
    let (before, by, percent) = match (own, entries.last()) {
        (Some((before, by)), _) => (before, by, 5),
        (None, Some((before, by))) => {
            println!("no count is recorded for this compiler; to record it, run with --record: {count} {compiler}");
            (before, by, 15)
        }
        (None, None) => bail!("{RECORDED} is empty; run with --record"),
    };
    let max = before * (100 + percent) / 100;
    println!("recorded: {before} ({by}); maximum, {percent} % more: {max}");
    Ok(if count > max { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Counts the instructions of this program with this many decisions, including the start.
fn instructions(decisions: u32) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .args(["--decide", &decisions.to_string()])
        // One compiler thread, because several wait for each other in busy loops.
        .env("RAYON_NUM_THREADS", "1")
        .output()
        .context("cannot run valgrind; on Debian, install the package `valgrind`")?;
    let report = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{report}");
    let line = report.lines().find_map(|line| line.split_once("Collected :")).context("valgrind reported no count")?;
    Ok(line.1.trim().parse()?)
}

fn decide(count: u32) -> Result<()> {
    // A small pool, because valgrind cannot reserve the address space of the default one.
    let limits = Limits::default().max_concurrent_instances(2);
    let policy = Policy::load(DEFAULT_POLICY, &limits)?;
    let store = Arc::new(MemoryStore::default());
    let databases = Databases(vec![Database {
        id: "main".to_owned(),
        table: "learnings".to_owned(),
        store: Arc::<MemoryStore>::clone(&store),
    }]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        for _ in 0..count {
            let id = "user_memory_00000007";
            store.insert(id, Learning::owned_by(Some("alice@example.com")));
            let caller = Ok(Caller {
                credential: Credential::Jwt,
                subject: Some("alice@example.com".to_owned()),
                scopes: vec!["learnings:delete".to_owned()],
                scopes_optional: false,
                all_owners: false,
                admin_scope: "agent_os:admin".to_owned(),
            });
            let request = DeleteRequest { learning_id: id.to_owned(), db_id: None, table: None };
            let record = databases.record(&request);
            let decision = policy.decide(request, caller, record).await;
            ensure!(decision.answer.is_ok(), "{decision:?}");
        }
        Ok(())
    })
}

fn output_of(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output().with_context(|| program.to_owned())?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
