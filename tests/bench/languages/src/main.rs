//! Checks the legal hold of one language, and measures it as the server runs it: behind the default policy, in a fresh
//! instance for each decision, with the limits of a configuration file.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use delete_learning::storage::{Database, Databases, MemoryStore};
use delete_learning::{
    Access, Cache, Caller, Credential, DEFAULT_POLICY, Decision, DeleteRequest, Learning, Limits, Policy, Sandbox,
    describe,
};
use serde::Deserialize;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Checks the component of a legal hold, and prints its row in the table of `guest/examples/README.md`.
#[derive(Parser)]
struct Arguments {
    /// The name in the table
    language: String,
    /// The component of the guard
    component: PathBuf,
    /// A configuration of the server, which has the limits of the sandbox
    #[arg(long)]
    config: Option<PathBuf>,
    /// The time of each measurement, in seconds
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
}

/// The part of a configuration that is used here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    sandbox: Limits,
}

const ID: &str = "user_memory_7";

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let config: Config = match &arguments.config {
        Some(file) => toml::from_str(&fs::read_to_string(file).with_context(|| file.display().to_string())?)?,
        None => Config::default(),
    };
    let bytes = delete_learning::read(&arguments.component, &config.sandbox)
        .with_context(|| arguments.component.display().to_string())?;
    let imports = describe(&bytes, &config.sandbox)?.imports;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;

    let before = processor_time();
    let (policy, _) = load(&bytes, &config.sandbox, None)?;
    let cold = processor_time().saturating_sub(before);
    runtime.block_on(check(&policy))?;
    let guarded = runtime.block_on(median_decision(&policy, arguments.seconds))?;
    let alone = Policy::load(DEFAULT_POLICY, &config.sandbox)?;
    let alone = runtime.block_on(median_decision(&alone, arguments.seconds))?;

    let directory = tempfile::tempdir()?;
    // The first one fills the cache and takes longest.
    let cached = (0..20).map(|_| Ok(load(&bytes, &config.sandbox, Some(Cache::open(directory.path())?))?.1));
    let cached = cached.collect::<Result<Vec<_>>>()?.into_iter().min().unwrap_or_default();
    println!(
        "| {} | {} | {:.2} s | {:.1} ms | {:.2} ms | {:.2} ms |",
        arguments.language,
        size(bytes.len()),
        cold.as_secs_f64(),
        milliseconds(cached),
        milliseconds(guarded),
        milliseconds(guarded.saturating_sub(alone)),
    );
    println!("imports: {}", imports.join(", "));
    Ok(())
}

/// The default policy behind the guard, and the time of loading the guard.
fn load(bytes: &[u8], limits: &Limits, cache: Option<Cache>) -> Result<(Policy, Duration)> {
    let sandbox = Sandbox::new(limits, cache)?;
    let mut access = Access::default();
    access.settings.insert("held_users".to_owned(), r#"["carol", "\u00e9"]"#.to_owned());
    access.settings.insert("held_sessions".to_owned(), r#"["s1"]"#.to_owned());
    let start = Instant::now();
    let guard = sandbox.load_guard("legal-hold", bytes, &access)?;
    let time = start.elapsed();
    Ok((sandbox.load_policy(DEFAULT_POLICY, &Access::default(), vec![guard])?, time))
}

/// Checks the answers to an owner, to others, and to the security key.
async fn check(policy: &Policy) -> Result<()> {
    const HELD: &str = r#"{"legal_hold": true}"#;
    const FREE: &str = r#"{"source": "test"}"#;
    for (owner, session, metadata, caller, expected) in [
        (Some("alice"), None, None, Some("alice"), "deleted-as-owner"),
        (Some("alice"), None, Some("null"), Some("alice"), "deleted-as-owner"),
        (Some("alice"), Some("s2"), Some(FREE), Some("alice"), "deleted-as-owner"),
        (Some("e\u{301}"), None, None, Some("e\u{301}"), "deleted-as-owner"),
        (Some("\u{1f980}\u{10ffff}"), None, None, Some("\u{1f980}\u{10ffff}"), "deleted-as-owner"),
        (None, None, None, None, "deleted-unconfined"),
        (Some("alice"), None, Some(HELD), Some("alice"), "deletion-denied"),
        (Some("alice"), None, Some(HELD), None, "deletion-denied"),
        (Some("alice"), None, Some("{"), None, "deletion-denied"),
        (Some("alice"), Some("s1"), Some(FREE), Some("alice"), "deletion-denied"),
        (Some("carol"), None, None, Some("carol"), "deletion-denied"),
        (Some("\u{e9}"), None, None, Some("\u{e9}"), "deletion-denied"),
        (None, Some("s1"), None, None, "deletion-denied"),
        (Some("alice"), None, Some(HELD), Some("bob"), "learning-owned-by-another"),
        (Some("\u{e9}"), None, Some(HELD), Some("e\u{301}"), "learning-owned-by-another"),
        (None, Some("s1"), Some(HELD), Some("alice"), "learning-unowned"),
    ] {
        let mut learning = Learning::owned_by(owner);
        learning.session_id = session.map(str::to_owned);
        learning.metadata = metadata.map(str::to_owned);
        let case = format!("owner {owner:?}, session {session:?}, metadata {metadata:?}, caller {caller:?}");
        let store = MemoryStore::default();
        store.insert(ID, learning);
        let decision = decide(policy, Arc::new(store), caller).await;
        ensure!(
            decision.error.is_none() && decision.rule() == expected,
            "{case}: expected {expected}, got {decision:?}"
        );
    }
    let decision = decide(policy, Arc::new(MemoryStore::default()), Some("alice")).await;
    ensure!(decision.rule() == "learning-absent", "absent: {decision:?}");
    Ok(())
}

/// Decides on the record for a user, or for the security key.
async fn decide(policy: &Policy, store: Arc<MemoryStore>, caller: Option<&str>) -> Decision {
    let database = Database { id: "main".to_owned(), table: "learnings".to_owned(), store };
    let request = DeleteRequest { learning_id: ID.to_owned(), db_id: None, table: None };
    let caller = Caller {
        credential: if caller.is_some() { Credential::Jwt } else { Credential::SecurityKey },
        subject: caller.map(str::to_owned),
        scopes: vec!["learnings:delete".to_owned()],
        scopes_optional: false,
        all_owners: false,
        admin_scope: "agent_os:admin".to_owned(),
    };
    let record = Databases(vec![database]).record(&request);
    policy.decide(request, Ok(caller), record).await
}

/// The median time in which an owner's record is deleted.
async fn median_decision(policy: &Policy, seconds: f64) -> Result<Duration> {
    let store = Arc::new(MemoryStore::default());
    let (start, mut times) = (Instant::now(), Vec::new());
    while start.elapsed().as_secs_f64() < seconds || times.len() < 10 {
        store.insert(ID, Learning::owned_by(Some("alice")));
        let before = Instant::now();
        let decision = decide(policy, Arc::clone(&store), Some("alice")).await;
        times.push(before.elapsed());
        ensure!(decision.answer.is_ok(), "{decision:?}");
    }
    Ok(median(times))
}

/// The processor time of this process, all threads together.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn size(bytes: usize) -> String {
    match bytes as f64 {
        bytes if bytes < 1e6 => format!("{:.0} kB", bytes / 1e3),
        bytes => format!("{:.1} MB", bytes / 1e6),
    }
}
