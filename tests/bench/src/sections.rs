//! The sections of the benchmark.

use crate::chart::{Panel, Series};
use crate::load::{self, Run, Workload};
use crate::report::{Line, median, short};
use crate::rows::{self, Order};
use crate::server::{Database, Kind, Programs, Running};
use crate::{bare, build, decision, token};
use anyhow::{Result, anyhow, ensure};
use delete_learning::{DEFAULT_POLICY, Description, Limits, describe};
use delete_learning_server::audit::SigningKey;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::ScopedJoinHandle;
use std::time::Duration;
use tempfile::TempDir;

/// WAL sizes in pages from which SQLite by default and the server checkpoint.
const DEFAULT_WAL_PAGES: u32 = 1000;
const SERVER_WAL_PAGES: u32 = 8192;

/// The bare loop in transactions of 64 with a WAL as long as the server's.
const LONG_WAL: &str = "by 64, long log";

/// Configurations of guards.
const LEGAL_HOLD: &str = concat!(
    "[[guards]]\nname = \"legal-hold\"\ncomponent = \"",
    env!("CARGO_MANIFEST_DIR"),
    "/../../guest/examples/legal-hold/component/legal-hold.wasm\"\n",
);
const BOTH_GUARDS: &str = concat!(
    "[[guards]]\nname = \"legal-hold\"\ncomponent = \"",
    env!("CARGO_MANIFEST_DIR"),
    "/../../guest/examples/legal-hold/component/legal-hold.wasm\"\n",
    "[[guards]]\nname = \"retention\"\ncomponent = \"",
    env!("CARGO_MANIFEST_DIR"),
    "/../../guest/examples/retention/component/retention.wasm\"\n",
    "grants = [\"wasi:clocks/wall-clock@0.2.12\"]\nsettings.default_minimum_age_days = 1\n",
);

/// The configuration of an audit log, whose key is beside it.
const AUDIT_LOG: &str = "[audit]\ndirectory = \"audit\"\nsigning_key_file = \"audit.key\"\n";

/// Numbers of connections to PostgreSQL, and the lines of the configuration with them.
const POSTGRES_CONNECTIONS: [(usize, &str); 4] = [
    (2, "schema = \"ai\"\ncreate = true\n[postgres]\nmax_connections = 2\n"),
    (4, "schema = \"ai\"\ncreate = true\n[postgres]\nmax_connections = 4\n"),
    (8, "schema = \"ai\"\ncreate = true\n[postgres]\nmax_connections = 8\n"),
    (16, "schema = \"ai\"\ncreate = true\n[postgres]\nmax_connections = 16\n"),
];

/// Servers that share one PostgreSQL at most.
const MAX_SERVERS: usize = 4;

/// Longer than any run that is limited by its number of requests.
const NO_TIME_LIMIT: Duration = Duration::from_secs(600);

/// The state that all sections share.
pub struct Bench {
    folder: PathBuf,
    is_quick: bool,
    postgres: String,
    tokens: Vec<String>,
    programs: Programs,
}

/// Prints a message to standard error.
fn print_progress(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "  {text}");
}

/// The size and the imports of the component.
pub fn component() -> Result<Vec<Line>> {
    let Description { imports, .. } = describe(DEFAULT_POLICY, &Limits::default())?;
    let details = format!("{} bytes; imports {}", DEFAULT_POLICY.len(), imports.join(", "));
    Ok(vec![Line::at_most("size of the component", "", DEFAULT_POLICY.len() as f64 / 1024.0, 32.0, "KiB", details)])
}

impl Bench {
    pub fn new(folder: PathBuf, is_quick: bool, postgres: String, programs: Programs) -> Self {
        Self { folder, is_quick, postgres, tokens: token::all(), programs }
    }

    fn rounds(&self) -> usize {
        if self.is_quick { 3 } else { 7 }
    }

    /// Returns a database with this many records, which must not be changed. Creates it on first use.
    fn template(&self, count: u64) -> Result<PathBuf> {
        let file = self.folder.join(format!("{count}.db"));
        if !file.is_file() {
            print_progress(&format!("making {count} records"));
            rows::make(&file, count)?;
        }
        Ok(file)
    }

    fn folder(&self) -> Result<TempDir> {
        Ok(TempDir::new_in(&self.folder)?)
    }

    fn workload(&self, running: &Running, order: Order, first: u64, max_requests: u64) -> Workload<'_> {
        let (address, tokens, query) = (running.address, &self.tokens[..], "");
        Workload { address, connections: 64, tokens, query, order, first, max_requests, time: NO_TIME_LIMIT }
    }

    /// One decision, compared with its parts and with other engines.
    pub fn decision(&self, folder: &Path) -> Result<Vec<Line>> {
        print_progress("decisions");
        let (rounds, seconds) = if self.is_quick { (3, 0.5) } else { (7, 1.5) };
        let medians = decision::measure(folder, rounds, seconds)?;
        let of = |name: &str| medians.get(name).copied().unwrap_or(f64::NAN) / 1000.0;
        let both = |a: &str, b: &str| format!("{a} {} µs, {b} {} µs", short(of(a)), short(of(b)));
        let ratio = |a: &str, b: &str| of(a) / of(b);
        let fresh = "fresh instance";
        let (alone, built) = ("instantiation alone", "Cedar, request and entities built");
        let (reused, cedar) = ("reused instance", "Cedar, is_authorized alone");
        let all: Vec<String> = decision::NAMES.iter().map(|name| format!("{name} {}", short(of(name)))).collect();
        Ok(vec![
            Line::at_most(
                "one decision in a fresh instance",
                "instantiating the component",
                ratio(fresh, alone),
                3.0,
                "×",
                both(fresh, alone),
            ),
            Line::at_most(
                "one decision in a fresh instance",
                "Cedar, with its entities built",
                ratio(fresh, built),
                1.0,
                "×",
                both(fresh, built),
            ),
            Line::at_most(
                "one decision in a reused instance (the server reuses none)",
                "Cedar, entities not built",
                ratio(reused, cedar),
                0.8,
                "×",
                both(reused, cedar),
            ),
            Line::plain(
                "one decision of 64 that wait for storage at the same time",
                "one decision alone",
                format!("{} ×", short(ratio("fresh instance, 64 at a time", fresh))),
                both("fresh instance, 64 at a time", fresh),
            ),
            Line::plain("one decision, each way", "", "µs, below".to_owned(), all.join("; ")),
        ])
    }

    /// The duration of the README's commands and of a release build on a fresh clone.
    pub fn build(&self) -> Result<Vec<Line>> {
        build::measure(&self.folder, print_progress)
    }

    /// The time from process start to the first 204.
    pub fn start(&self) -> Result<Vec<Line>> {
        print_progress("from process start to the first 204");
        let count = 10_000;
        let (template, order, folder) = (self.template(count)?, Order::stored(count), self.folder()?);
        let mut times: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for _ in 0..self.rounds() {
            for (name, kind) in [("host", Kind::Host), ("Agno", Kind::Agno)] {
                let file = folder.path().join("start.db");
                rows::copy(&template, &file)?;
                let token = &self.tokens[rows::owner(order.number(0))];
                times.entry(name).or_default().push(self.programs.time_to_first(
                    kind,
                    folder.path(),
                    &file,
                    token,
                    order,
                )?);
                for end in ["", "-wal", "-shm"] {
                    let _ = fs::remove_file(folder.path().join(format!("start.db{end}")));
                }
            }
        }
        let (ours, agnos) = (median(&times["host"]), median(&times["Agno"]));
        let details = format!("host {} ms, Agno {} ms", short(ours), short(agnos));
        Ok(vec![
            Line::at_most("process start to the first 204", "", ours, 150.0, "ms", details.clone()),
            Line::at_most("process start to the first 204", "Agno", ours / agnos, 1.0 / 30.0, "1/", details),
        ])
    }

    /// SQLite: the server compared with Agno, the natively compiled policy, and bare loops.
    ///
    /// Runs twice, in storage order and scattered, because the disk writes of a delete differ greatly.
    pub fn sqlite(&self) -> Result<Vec<Line>> {
        let mut lines = self.sqlite_in("in storage order", Order::stored)?;
        lines.extend(self.sqlite_in("scattered", Order::scattered)?);
        Ok(lines)
    }

    /// SQLite: the server without a guard, with one and with two, and with an audit log, in the same program.
    pub fn guards(&self) -> Result<Vec<Line>> {
        let mut lines = self.guards_in("in storage order", Order::stored)?;
        lines.extend(self.guards_in("scattered", Order::scattered)?);
        Ok(lines)
    }

    fn guards_in(&self, how: &str, order: fn(u64) -> Order) -> Result<Vec<Line>> {
        print_progress(&format!("deletes a second on SQLite with guards, 64 connections, records {how}"));
        let (count, each) = if self.is_quick { (200_000, 15_000) } else { (1_000_000, 80_000) };
        let (template, order) = (self.template(count)?, order(count));
        let contestants = [
            ("no guard", ""),
            ("legal-hold", LEGAL_HOLD),
            ("legal-hold and retention", BOTH_GUARDS),
            ("audit log", AUDIT_LOG),
        ];
        let mut servers = Vec::new();
        for (name, extra_config) in contestants {
            let folder = self.folder()?;
            let file = folder.path().join("main.db");
            rows::copy(&template, &file)?;
            if extra_config == AUDIT_LOG {
                let (key, _) = SigningKey::generate("bench.example.com")?;
                fs::write(folder.path().join("audit.key"), key)?;
            }
            let database = Database { extra_config, ..Database::file("main", &file) };
            let running = self.programs.start(Kind::Component, folder.path(), &[database])?;
            servers.push((name, running, file, folder));
        }
        let (mut deleted, mut rates) = (0, BTreeMap::<&str, Vec<f64>>::new());
        let mut latencies: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        let mut processor_times: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for round in 0..=self.rounds() {
            // The first round is a warm-up.
            let requests = if round == 0 { 2_000 } else { each };
            for &(name, ref running, ..) in &servers {
                let before = running.processor_time()?;
                let run = load::run_closed_loop(&self.workload(running, order, deleted, requests))?;
                if round > 0 {
                    rates.entry(name).or_default().push(run.per_second());
                    latencies.entry(name).or_default().push(run.percentile(99.0));
                    let time = (running.processor_time()? - before) / run.deleted as f64;
                    processor_times.entry(name).or_default().push(time * 1e6);
                }
            }
            deleted += requests;
        }
        for (name, _, file, _) in &servers {
            let left = rows::count(file)?;
            ensure!(left + deleted == count, "{name}: {deleted} answers of 204, and {left} of {count} left");
        }
        let rate = |name: &str| median(&rates[name]);
        let details = |name: &str| {
            let figures = |name: &str| {
                let (p99, time) = (short(median(&latencies[name])), short(median(&processor_times[name])));
                format!("{} /s, p99 {p99} ms, {time} µs of processor time each", short(rate(name)))
            };
            format!("with {}; without {}", figures(name), figures("no guard"))
        };
        Ok(vec![
            Line::at_least(
                format!("deletes per second, SQLite, {how}, guard legal-hold"),
                "no guard",
                rate("legal-hold") / rate("no guard"),
                0.7,
                "%",
                details("legal-hold"),
            ),
            Line::plain(
                format!("deletes per second, SQLite, {how}, guards legal-hold and retention"),
                "no guard",
                format!("{:.0} %", rate("legal-hold and retention") / rate("no guard") * 100.0),
                details("legal-hold and retention"),
            ),
            Line::at_least(
                format!("deletes per second, SQLite, {how}, audit log"),
                "no audit log",
                rate("audit log") / rate("no guard"),
                0.9,
                "%",
                details("audit log"),
            ),
        ])
    }

    fn sqlite_in(&self, how: &str, order: fn(u64) -> Order) -> Result<Vec<Line>> {
        print_progress(&format!("deletes a second on SQLite, 64 connections, records {how}"));
        // Requests of each contestant in each round. Each contestant has its own copy of the database.
        let (count, each, few) = if self.is_quick { (200_000, 25_000, 2_000) } else { (1_000_000, 100_000, 10_000) };
        let agno_time = Duration::from_secs(if self.is_quick { 4 } else { 8 });
        let (template, order, folder) = (self.template(count)?, order(count), self.folder()?);
        let mut files = BTreeMap::new();
        for name in ["host", "component", "native", "agno", "by one", "by 64", LONG_WAL] {
            let file = folder.path().join(format!("{name}.db"));
            rows::copy(&template, &file)?;
            files.insert(name, file);
        }
        let start = |kind, name| self.programs.start(kind, folder.path(), &[Database::file("main", &files[name])]);
        let host = start(Kind::Host, "host")?;
        let component = start(Kind::Component, "component")?;
        let native = start(Kind::Native, "native")?;
        let agno = start(Kind::Agno, "agno")?;
        let journal = rows::journal_mode(&files["agno"])?;

        let mut deleted: BTreeMap<&str, u64> = BTreeMap::new();
        let mut rates: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        let mut latencies: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
        let mut resident: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for round in 0..=self.rounds() {
            for (name, running) in [("host", &host), ("component", &component), ("native", &native), ("agno", &agno)] {
                let first = deleted.get(name).copied().unwrap_or_default();
                let (requests, time) = if name == "agno" { (each, agno_time) } else { (each, NO_TIME_LIMIT) };
                // The first round is a warm-up.
                let (requests, time) = if round == 0 { (2_000, Duration::from_secs(2)) } else { (requests, time) };
                let run = load::run_closed_loop(&Workload { time, ..self.workload(running, order, first, requests) })?;
                *deleted.entry(name).or_default() += run.deleted;
                if round > 0 {
                    rates.entry(name).or_default().push(run.per_second());
                    for (share, label) in [(50.0, "p50"), (99.0, "p99"), (99.9, "p99.9")] {
                        latencies.entry((name, label)).or_default().push(run.percentile(share));
                    }
                    resident.entry(name).or_default().push(running.resident()?);
                }
            }
            if round > 0 {
                for (name, batch_size, requests, wal_pages) in [
                    ("by one", 1, few, DEFAULT_WAL_PAGES),
                    ("by 64", 64, each, DEFAULT_WAL_PAGES),
                    (LONG_WAL, 64, each, SERVER_WAL_PAGES),
                ] {
                    let first = deleted.get(name).copied().unwrap_or_default();
                    let rate = bare::sqlite(&files[name], order, first..first + requests, batch_size, wal_pages)?;
                    *deleted.entry(name).or_default() += requests;
                    rates.entry(name).or_default().push(rate);
                }
            }
        }
        for (name, file) in &files {
            let left = rows::count(file)?;
            ensure!(
                left + deleted[name] == count,
                "{name}: {} answers of 204, and {left} of {count} left",
                deleted[name]
            );
        }

        let rate = |name: &str| median(&rates[name]);
        let latency = |name: &'static str, label: &'static str| median(&latencies[&(name, label)]);
        let memory = |name: &str| median(&resident[name]);
        let rate_of = |name: &str, shown: &str| format!("{shown} {}/s", short(rate(name)));
        let latencies_of = |name: &'static str, shown: &str| {
            let [middle, high, highest] = ["p50", "p99", "p99.9"].map(|label| short(latency(name, label)));
            format!("{shown} p50 {middle} ms, p99 {high} ms, p99.9 {highest} ms")
        };
        Ok(vec![
            Line::at_least(
                format!("deletes per second, SQLite, {how}"),
                "Agno",
                rate("host") / rate("agno"),
                100.0,
                "×",
                format!(
                    "{}, {} (its journal mode is {journal}, synchronous FULL)",
                    rate_of("host", "host"),
                    rate_of("agno", "Agno")
                ),
            ),
            Line::at_most(
                format!("p99 latency, SQLite, {how}"),
                "Agno",
                latency("host", "p99") / latency("agno", "p99"),
                1.0 / 50.0,
                "1/",
                format!("{}; {}", latencies_of("host", "host"), latencies_of("agno", "Agno")),
            ),
            Line::at_least(
                format!("deletes per second, SQLite, {how}, with the component"),
                "with the policy compiled natively",
                rate("component") / rate("native"),
                0.9,
                "%",
                format!("{}, {}", rate_of("component", "component"), rate_of("native", "native")),
            ),
            Line::at_least(
                format!("deletes per second, SQLite, {how}"),
                "a bare loop, 64 in one transaction",
                rate("host") / rate("by 64"),
                0.6,
                "%",
                format!(
                    "{}, {}, {}, {}",
                    rate_of("host", "host"),
                    rate_of("by 64", "loop by 64"),
                    rate_of(LONG_WAL, "loop by 64 with a log as long as the host's"),
                    rate_of("by one", "loop by one")
                ),
            ),
            Line::at_most(
                format!("resident memory, SQLite, {how}"),
                "Agno",
                memory("host") / memory("agno"),
                1.0 / 5.0,
                "1/",
                format!("host {} MiB, Agno {} MiB resident", short(memory("host")), short(memory("agno"))),
            ),
        ])
    }

    /// PostgreSQL: the server compared with a bare pool.
    pub fn postgres(&self) -> Result<Vec<Line>> {
        print_progress("deletes a second on PostgreSQL, 64 connections to the host, 2 to 16 from it");
        const NAME: &str = "delete_learning_bench";
        let (count, each) = if self.is_quick { (200_000, 5_000) } else { (1_200_000, 14_000) };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let execute = |url: &str, sql: &[&str]| {
            runtime.block_on(async {
                let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
                let connection = tokio::spawn(connection);
                for sql in sql {
                    client.batch_execute(sql).await?;
                }
                let synchronous: String = client.query_one("SHOW synchronous_commit", &[]).await?.get(0);
                let fsync: String = client.query_one("SHOW fsync", &[]).await?.get(0);
                drop(client);
                connection.await??;
                anyhow::Ok(format!("synchronous_commit {synchronous}, fsync {fsync}"))
            })
        };
        let drop_database = format!("DROP DATABASE IF EXISTS {NAME} WITH (FORCE)");
        let durability = execute(&self.postgres, &[&drop_database, &format!("CREATE DATABASE {NAME}")])?;
        let url = format!("{}/{NAME}", self.postgres.trim_end_matches('/'));
        let start = |extra_config| {
            let database = Database { id: "main".to_owned(), url: url.clone(), extra_config };
            let folder = self.folder()?;
            anyhow::Ok((self.programs.start(Kind::Host, folder.path(), &[database])?, folder))
        };
        let hosts = POSTGRES_CONNECTIONS.map(|(_, extra_config)| start(extra_config));
        let hosts = hosts.into_iter().collect::<Result<Vec<_>>>()?;
        execute(&url, &[&rows::postgres_insert(count), "VACUUM ANALYZE", "CHECKPOINT"])?;

        let pool = |size| {
            let mut config = deadpool_postgres::Config::new();
            config.url = Some(url.clone());
            config.pool = Some(deadpool_postgres::PoolConfig::new(size));
            config.create_pool(Some(deadpool_postgres::Runtime::Tokio1), tokio_postgres::NoTls)
        };
        let pools = POSTGRES_CONNECTIONS.map(|(size, _)| pool(size));
        let pools = pools.into_iter().collect::<Result<Vec<_>, _>>()?;
        let (order, mut place) = (Order::stored(count), 0);
        // The last one is with one connection to the host.
        let mut contests: Vec<_> = hosts.iter().zip(&pools).map(|both| (both, 64)).collect();
        contests.extend(hosts.iter().zip(&pools).last().map(|both| (both, 1)));
        let mut rates: Vec<[Vec<f64>; 2]> = contests.iter().map(|_| Default::default()).collect();
        let more_hosts = (1..MAX_SERVERS).map(|_| start(POSTGRES_CONNECTIONS[0].1)).collect::<Result<Vec<_>>>()?;
        let servers: Vec<&Running> = hosts.iter().take(1).chain(&more_hosts).map(|(server, _)| server).collect();
        let mut rates_of_servers = BTreeMap::<usize, Vec<f64>>::new();
        for round in 0..=self.rounds() {
            for ((((host, _), pool), clients), rates) in contests.iter().zip(&mut rates) {
                let requests = if round == 0 || *clients == 1 { 1_000 } else { each };
                let workload = Workload { connections: *clients, ..self.workload(host, order, place, requests) };
                let run = load::run_closed_loop(&workload)?;
                place += requests;
                let bare = bare::postgres(&runtime, pool, order, place..place + requests, *clients)?;
                place += requests;
                if round > 0 {
                    rates[0].push(run.per_second());
                    rates[1].push(bare);
                }
            }
        }
        for round in 0..=self.rounds() {
            for servers in [&servers[..1], &servers[..2], &servers] {
                let requests = if round == 0 { 1_000 } else { each };
                let rate = self.run_on_servers(servers, order, place, requests)?;
                place += requests;
                if round > 0 {
                    rates_of_servers.entry(servers.len()).or_default().push(rate);
                }
            }
        }
        let left: i64 = runtime.block_on(async {
            anyhow::Ok(pools[0].get().await?.query_one("SELECT count(*) FROM ai.agno_learnings", &[]).await?.get(0))
        })?;
        ensure!(left as u64 + place == count, "{place} were deleted, and {left} of {count} are left");
        drop((pools, hosts, more_hosts));
        execute(&self.postgres, &[&drop_database])?;
        let mut lines = Vec::new();
        for (index, rates) in rates.iter().enumerate() {
            let [ours, bare] = [0, 1].map(|contestant| median(&rates[contestant]));
            let details = format!("host {}/s, pool {}/s; {durability}", short(ours), short(bare));
            let (what, goal) = match POSTGRES_CONNECTIONS.get(index) {
                Some((size, _)) => (format!("64 requests at a time over {size} connections"), 1.5),
                None => ("one request at a time".to_owned(), 0.9),
            };
            let what = format!("deletes per second, PostgreSQL, {what}");
            lines.push(Line::at_least(what, "a bare pool of single statements", ours / bare, goal, "%", details));
        }
        let one = median(&rates_of_servers[&1]);
        for (servers, rates) in rates_of_servers.iter().filter(|(servers, _)| **servers > 1) {
            let rate = median(rates);
            lines.push(Line::plain(
                format!("deletes per second, PostgreSQL, 64 requests at a time on {servers} servers"),
                "one server",
                format!("{:.0} %", rate / one * 100.0),
                format!("{servers} servers {}/s, one {}/s, 2 connections each", short(rate), short(one)),
            ));
        }
        Ok(lines)
    }

    /// Sends 64 requests at a time, an equal part to each server. Returns the deletes per second of all together.
    fn run_on_servers(&self, servers: &[&Running], order: Order, first: u64, requests: u64) -> Result<f64> {
        let each = requests / servers.len() as u64;
        let runs: Vec<Run> = std::thread::scope(|scope| {
            let start = |(index, server): (usize, &&Running)| {
                let workload = self.workload(server, order, first + index as u64 * each, each);
                let workload = Workload { connections: workload.connections / servers.len(), ..workload };
                scope.spawn(move || load::run_closed_loop(&workload))
            };
            let threads: Vec<_> = servers.iter().enumerate().map(start).collect();
            let join = |thread: ScopedJoinHandle<'_, Result<Run>>| {
                thread.join().map_err(|_| anyhow!("a load generator panicked"))?
            };
            threads.into_iter().map(join).collect::<Result<_>>()
        })?;
        let seconds = runs.iter().map(|run| run.seconds).fold(0.0, f64::max);
        Ok(runs.iter().map(|run| run.deleted as f64).sum::<f64>() / seconds)
    }

    /// Latency at a fixed rate.
    pub fn rate(&self) -> Result<Vec<Line>> {
        print_progress("latency at a fixed rate");
        let count = if self.is_quick { 200_000 } else { 1_000_000 };
        let seconds = if self.is_quick { 3.0 } else { 10.0 };
        let (template, order, folder) = (self.template(count)?, Order::stored(count), self.folder()?);
        let mut lines = Vec::new();
        for (name, kind, rates) in
            [("host", Kind::Host, &[100.0, 1_000.0, 5_000.0, 10_000.0][..]), ("Agno", Kind::Agno, &[100.0])]
        {
            let file = folder.path().join(format!("{name}.db"));
            rows::copy(&template, &file)?;
            let running = self.programs.start(kind, folder.path(), &[Database::file("main", &file)])?;
            let mut first = load::run_closed_loop(&self.workload(&running, order, 0, 200))?.deleted;
            for per_second in rates {
                let time = Duration::from_secs_f64(seconds);
                let workload = Workload { time, ..self.workload(&running, order, first, count - first) };
                let run = load::run_at_rate(&workload, *per_second)?;
                first += run.deleted;
                let [middle, high, highest] = [50.0, 99.0, 99.9].map(|share| short(run.percentile(share)));
                lines.push(Line::plain(
                    format!("latency at {per_second} deletes per second, {name}"),
                    "",
                    format!("p50 {middle} ms, p99 {high} ms, p99.9 {highest} ms"),
                    format!("{} deletes, {:.0} a second, from when each was due", run.deleted, run.per_second()),
                ));
            }
        }
        Ok(lines)
    }

    /// Throughput and latency by number of connections.
    pub fn connections(&self) -> Result<Vec<Panel>> {
        print_progress("1 to 256 connections");
        let (count, each) = if self.is_quick { (200_000, 5_000) } else { (1_000_000, 20_000) };
        let (template, order, folder) = (self.template(count)?, Order::stored(count), self.folder()?);
        let mut throughput = Vec::new();
        let mut latency = Vec::new();
        for (name, kind, color, lighter) in [("host", Kind::Host, "#0a6", "#7cb"), ("Agno", Kind::Agno, "#c40", "#e96")]
        {
            let file = folder.path().join(format!("{name}.db"));
            rows::copy(&template, &file)?;
            let running = self.programs.start(kind, folder.path(), &[Database::file("main", &file)])?;
            let mut first = load::run_closed_loop(&self.workload(&running, order, 0, 200))?.deleted;
            let mut series = [const { Vec::new() }; 3];
            for connections in [1, 4, 16, 64, 256] {
                let mut runs: [Vec<f64>; 3] = Default::default();
                for _ in 0..3 {
                    let time = Duration::from_secs(3);
                    let workload = Workload { connections, time, ..self.workload(&running, order, first, each) };
                    let run = load::run_closed_loop(&workload)?;
                    first += run.deleted;
                    for (figures, figure) in runs.iter_mut().zip(figures(&run)) {
                        figures.push(figure);
                    }
                }
                print_progress(&format!("{name}, {connections} connections: {:.0} a second", median(&runs[0])));
                for (points, figures) in series.iter_mut().zip(&runs) {
                    points.push((connections as f64, median(figures)));
                }
            }
            let [rate, middle, high] = series;
            throughput.push(Series { name, color, points: rate });
            let (p50, p99) = if kind == Kind::Host { ("host p50", "host p99") } else { ("Agno p50", "Agno p99") };
            latency.push(Series { name: p50, color: lighter, points: middle });
            latency.push(Series { name: p99, color, points: high });
        }
        Ok(vec![
            Panel { title: "Deletes a second, SQLite", x_label: "connections", series: throughput },
            Panel { title: "Latency, ms", x_label: "connections", series: latency },
        ])
    }

    /// Throughput and latency by number of records: one server with a database of each size, and the same number of
    /// deletes in each by turns. Deleted records are inserted again after each run, so that the sizes stay the same.
    pub fn rows(&self) -> Result<(Vec<Line>, Vec<Panel>)> {
        print_progress("10 thousand to 10 million records");
        let sizes: &[u64] =
            if self.is_quick { &[10_000, 100_000, 1_000_000] } else { &[10_000, 100_000, 1_000_000, 10_000_000] };
        const EACH: u64 = 5_000;
        type OrderOf = fn(u64) -> Order;
        let orders: [(&str, OrderOf); 2] = [("in storage order", Order::stored), ("scattered", Order::scattered)];
        let folder = self.folder()?;
        let mut databases = Vec::new();
        for size in sizes {
            let file = folder.path().join(format!("{size}.db"));
            rows::copy(&self.template(*size)?, &file)?;
            databases.push(Database::file(&size.to_string(), &file));
        }
        let host = self.programs.start(Kind::Host, folder.path(), &databases)?;
        let mut figures_of: BTreeMap<(&str, u64), [Vec<f64>; 3]> = BTreeMap::new();
        for round in 0..=self.rounds() {
            for (how, order) in orders {
                for size in sizes {
                    let (order, query) = (order(*size), format!("?db_id={size}"));
                    // Different records in each round, if there are enough.
                    let first = round as u64 * EACH % *size;
                    let workload = Workload { query: &query, ..self.workload(&host, order, first, EACH) };
                    let run = load::run_closed_loop(&workload)?;
                    ensure!(run.deleted == EACH, "{} of {EACH} were deleted", run.deleted);
                    rows::restore(&folder.path().join(format!("{size}.db")), order, first..first + EACH)?;
                    if round > 0 {
                        for (all, one) in figures_of.entry((how, *size)).or_default().iter_mut().zip(figures(&run)) {
                            all.push(one);
                        }
                    }
                }
            }
        }
        for size in sizes {
            let left = rows::count(&folder.path().join(format!("{size}.db")))?;
            ensure!(left == *size, "of {size} records that were put back each time, {left} are there");
        }
        let points = |how: &'static str, index: usize| {
            let of = figures_of.iter().filter(move |((order, _), _)| *order == how);
            of.map(|((_, size), figures)| (*size as f64, median(&figures[index]))).collect::<Vec<_>>()
        };
        let mut lines = Vec::new();
        for (how, _) in orders {
            let rates = points(how, 0);
            let (Some((few, first)), Some((many, last))) = (rates.first(), rates.last()) else { continue };
            let details: Vec<String> =
                rates.iter().map(|(size, rate)| format!("{size} records {}/s", short(*rate))).collect();
            let what = format!("deletes per second, SQLite, {how}, {many} records");
            lines.push(Line::at_least(what, &format!("{few} records"), last / first, 0.8, "%", details.join(", ")));
        }
        let [(stored, _), (scattered, _)] = orders;
        let panels = vec![
            Panel {
                title: "Deletes a second, SQLite, 64 connections",
                x_label: "records in the table",
                series: vec![
                    Series { name: "as stored", color: "#0a6", points: points(stored, 0) },
                    Series { name: "scattered", color: "#06c", points: points(scattered, 0) },
                ],
            },
            Panel {
                title: "Latency p99, ms, 64 connections",
                x_label: "records in the table",
                series: vec![
                    Series { name: "as stored", color: "#0a6", points: points(stored, 2) },
                    Series { name: "scattered", color: "#06c", points: points(scattered, 2) },
                ],
            },
        ];
        Ok((lines, panels))
    }
}

fn figures(run: &Run) -> [f64; 3] {
    [run.per_second(), run.percentile(50.0), run.percentile(99.0)]
}
