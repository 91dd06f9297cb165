//! What is measured, section by section.

use crate::load::{self, Run, Wanted};
use crate::picture::{Panel, Series};
use crate::report::{Line, median, short};
use crate::rows::{self, Order};
use crate::server::{Database, Kind, Programs, Running};
use crate::{bare, build, decision, token};
use anyhow::{Result, ensure};
use delete_learning::{DEFAULT_POLICY, Description, Limits, describe};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Pages from which SQLite by itself carries its log over, and the host.
const SQLITES_LOG: u32 = 1000;
const HOSTS_LOG: u32 = 8192;

/// The bare loop by 64 with the longer one.
const LONG_LOG: &str = "by 64, long log";

/// Longer than any run that is bounded by its count.
const EVER: Duration = Duration::from_secs(600);

/// What all sections share.
pub struct Bench {
    folder: PathBuf,
    is_quick: bool,
    postgres: String,
    tokens: Vec<String>,
    programs: Programs,
}

/// A message on what goes on.
fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "  {text}");
}

/// The component alone: what it weighs, and what it can reach.
pub fn component() -> Result<Vec<Line>> {
    let Description { imports, .. } = describe(DEFAULT_POLICY, &Limits::default())?;
    let behind = format!("{} bytes; imports {}", DEFAULT_POLICY.len(), imports.join(", "));
    Ok(vec![Line::at_most("the component", DEFAULT_POLICY.len() as f64 / 1024.0, 32.0, "KiB", behind)])
}

impl Bench {
    pub fn new(folder: PathBuf, is_quick: bool, postgres: String, programs: Programs) -> Self {
        Self { folder, is_quick, postgres, tokens: token::all(), programs }
    }

    fn rounds(&self) -> usize {
        if self.is_quick { 3 } else { 7 }
    }

    /// A database of this many records that nobody changes; made the first time that it is asked for.
    fn template(&self, count: u64) -> Result<PathBuf> {
        let file = self.folder.join(format!("{count}.db"));
        if !file.is_file() {
            say(&format!("making {count} records"));
            rows::make(&file, count)?;
        }
        Ok(file)
    }

    fn folder(&self) -> Result<TempDir> {
        Ok(TempDir::new_in(&self.folder)?)
    }

    fn wanted(&self, running: &Running, order: Order, first: u64, most: u64) -> Wanted<'_> {
        let (address, tokens, query) = (running.address, &self.tokens[..], "");
        Wanted { address, connections: 64, tokens, query, order, first, most, time: EVER }
    }

    /// One decision beside what it is made of and beside other engines.
    pub fn decision(&self, folder: &Path) -> Result<Vec<Line>> {
        say("decisions");
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
                "one decision in a fresh instance, to instantiating the same component alone",
                ratio(fresh, alone),
                3.0,
                "×",
                both(fresh, alone),
            ),
            Line::at_most(
                "one decision in a fresh instance, to Cedar building request and entities and deciding",
                ratio(fresh, built),
                1.0,
                "×",
                both(fresh, built),
            ),
            Line::at_most(
                "one decision in a reused instance (measured only; the host makes a fresh one), to Cedar deciding alone",
                ratio(reused, cedar),
                0.8,
                "×",
                both(reused, cedar),
            ),
            Line::plain("one decision, each way", "µs".to_owned(), all.join("; ")),
        ])
    }

    /// How long the README's commands and a release build take, from nothing.
    pub fn build(&self) -> Result<Vec<Line>> {
        build::measure(&self.folder, say)
    }

    /// From process start to the first 204.
    pub fn start(&self) -> Result<Vec<Line>> {
        say("from process start to the first 204");
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
        let behind = format!("host {} ms, Agno {} ms", short(ours), short(agnos));
        Ok(vec![
            Line::at_most("from process start to the first 204", ours, 150.0, "ms", behind.clone()),
            Line::at_most("the same, to Agno's", ours / agnos, 1.0 / 30.0, "1/", behind),
        ])
    }

    /// SQLite: the host beside Agno, beside the policy compiled natively, beside bare loops.
    ///
    /// Twice: the records in the order in which they were stored, and scattered. What a delete costs the disk differs by
    /// far, and what shares of it are the host's.
    pub fn sqlite(&self) -> Result<Vec<Line>> {
        let mut lines = self.sqlite_in("in the order of storing", Order::stored)?;
        lines.extend(self.sqlite_in("scattered", Order::scattered)?);
        Ok(lines)
    }

    fn sqlite_in(&self, how: &str, order: fn(u64) -> Order) -> Result<Vec<Line>> {
        say(&format!("deletes a second on SQLite, 64 connections, records {how}"));
        // Of each contestant in each round; every one deletes other records of its own copy.
        let (count, each, few) = if self.is_quick { (200_000, 25_000, 2_000) } else { (1_000_000, 100_000, 10_000) };
        let agnos_time = Duration::from_secs(if self.is_quick { 4 } else { 8 });
        let (template, order, folder) = (self.template(count)?, order(count), self.folder()?);
        let mut files = BTreeMap::new();
        for name in ["host", "component", "native", "agno", "by one", "by 64", LONG_LOG] {
            let file = folder.path().join(format!("{name}.db"));
            rows::copy(&template, &file)?;
            files.insert(name, file);
        }
        let start = |kind, name| self.programs.start(kind, folder.path(), &[Database::file("main", &files[name])]);
        let host = start(Kind::Host, "host")?;
        let component = start(Kind::Component, "component")?;
        let native = start(Kind::Native, "native")?;
        let agno = start(Kind::Agno, "agno")?;
        let journal = rows::journal(&files["agno"])?;

        let mut deleted: BTreeMap<&str, u64> = BTreeMap::new();
        let mut rates: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        let mut tails: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
        let mut held: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for round in 0..=self.rounds() {
            for (name, running) in [("host", &host), ("component", &component), ("native", &native), ("agno", &agno)] {
                let first = deleted.get(name).copied().unwrap_or_default();
                let (most, time) = if name == "agno" { (each, agnos_time) } else { (each, EVER) };
                // The first round is for warming up.
                let (most, time) = if round == 0 { (2_000, Duration::from_secs(2)) } else { (most, time) };
                let run = load::as_fast_as_it_goes(&Wanted { time, ..self.wanted(running, order, first, most) })?;
                *deleted.entry(name).or_default() += run.deleted;
                if round > 0 {
                    rates.entry(name).or_default().push(run.a_second());
                    for (share, label) in [(50.0, "p50"), (99.0, "p99"), (99.9, "p99.9")] {
                        tails.entry((name, label)).or_default().push(run.percentile(share));
                    }
                    held.entry(name).or_default().push(running.resident()?);
                }
            }
            if round > 0 {
                for (name, together, most, log_pages) in
                    [("by one", 1, few, SQLITES_LOG), ("by 64", 64, each, SQLITES_LOG), (LONG_LOG, 64, each, HOSTS_LOG)]
                {
                    let first = deleted.get(name).copied().unwrap_or_default();
                    let rate = bare::sqlite(&files[name], order, first..first + most, together, log_pages)?;
                    *deleted.entry(name).or_default() += most;
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
        let tail = |name: &'static str, label: &'static str| median(&tails[&(name, label)]);
        let memory = |name: &str| median(&held[name]);
        let rate_of = |name: &str, shown: &str| format!("{shown} {}/s", short(rate(name)));
        let tails_of = |name: &'static str, shown: &str| {
            let [middle, high, highest] = ["p50", "p99", "p99.9"].map(|label| short(tail(name, label)));
            format!("{shown} p50 {middle} ms, p99 {high} ms, p99.9 {highest} ms")
        };
        Ok(vec![
            Line::at_least(
                format!("durable deletes a second over HTTP, SQLite, 64 connections, to Agno's; records {how}"),
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
                format!("p99 of the same run, to Agno's; records {how}"),
                tail("host", "p99") / tail("agno", "p99"),
                1.0 / 50.0,
                "1/",
                format!("{}; {}", tails_of("host", "host"), tails_of("agno", "Agno")),
            ),
            Line::at_least(
                format!("the component, to the policy compiled natively in the same server; records {how}"),
                rate("component") / rate("native"),
                0.9,
                "%",
                format!("{}, {}", rate_of("component", "component"), rate_of("native", "native")),
            ),
            Line::at_least(
                format!("deletes a second, SQLite, to a bare loop in transactions of 64; records {how}"),
                rate("host") / rate("by 64"),
                0.6,
                "%",
                format!(
                    "{}, {}, {}, {}",
                    rate_of("host", "host"),
                    rate_of("by 64", "loop by 64"),
                    rate_of(LONG_LOG, "loop by 64 with a log as long as the host's"),
                    rate_of("by one", "loop by one")
                ),
            ),
            Line::at_most(
                format!("memory under that load, to Agno's; records {how}"),
                memory("host") / memory("agno"),
                1.0 / 5.0,
                "1/",
                format!("host {} MiB, Agno {} MiB resident", short(memory("host")), short(memory("agno"))),
            ),
        ])
    }

    /// PostgreSQL: the host beside a bare pool.
    pub fn postgres(&self) -> Result<Vec<Line>> {
        say("deletes a second on PostgreSQL, 64 connections to the host, 16 from it");
        const NAME: &str = "delete_learning_bench";
        let (count, each) = if self.is_quick { (60_000, 5_000) } else { (400_000, 20_000) };
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
        let drop_it = format!("DROP DATABASE IF EXISTS {NAME} WITH (FORCE)");
        let durability = execute(&self.postgres, &[&drop_it, &format!("CREATE DATABASE {NAME}")])?;
        let url = format!("{}/{NAME}", self.postgres.trim_end_matches('/'));
        let folder = self.folder()?;
        let database = Database { id: "main".to_owned(), url: url.clone(), more: "schema = \"ai\"\n" };
        let host = self.programs.start(Kind::Host, folder.path(), &[database])?;
        execute(&url, &[&rows::postgres_insert(count), "VACUUM ANALYZE", "CHECKPOINT"])?;

        let mut config = deadpool_postgres::Config::new();
        config.url = Some(url);
        config.pool = Some(deadpool_postgres::PoolConfig::new(16));
        let pool = config.create_pool(Some(deadpool_postgres::Runtime::Tokio1), tokio_postgres::NoTls)?;
        let (order, mut place) = (Order::stored(count), 0);
        let mut rates: [Vec<f64>; 2] = Default::default();
        for round in 0..=self.rounds() {
            let most = if round == 0 { 2_000 } else { each };
            let run = load::as_fast_as_it_goes(&self.wanted(&host, order, place, most))?;
            place += most;
            let bare = bare::postgres(&runtime, &pool, order, place..place + most, 64)?;
            place += most;
            if round > 0 {
                rates[0].push(run.a_second());
                rates[1].push(bare);
            }
        }
        let left: i64 = runtime.block_on(async {
            anyhow::Ok(pool.get().await?.query_one("SELECT count(*) FROM ai.agno_learnings", &[]).await?.get(0))
        })?;
        ensure!(left as u64 + place == count, "{place} were deleted, and {left} of {count} are left");
        drop((pool, host));
        execute(&self.postgres, &[&drop_it])?;
        let [ours, bare] = rates.map(|rates| median(&rates));
        let behind = format!("host {}/s, pool {}/s; {durability}", short(ours), short(bare));
        Ok(vec![Line::at_least(
            "deletes a second, PostgreSQL, to a bare pool of the same statement and as many connections",
            ours / bare,
            0.8,
            "%",
            behind,
        )])
    }

    /// Latency at a fixed rate.
    pub fn rate(&self) -> Result<Vec<Line>> {
        say("latency at a fixed rate");
        let count = if self.is_quick { 200_000 } else { 1_000_000 };
        let seconds = if self.is_quick { 3.0 } else { 10.0 };
        let (template, order, folder) = (self.template(count)?, Order::stored(count), self.folder()?);
        let mut lines = Vec::new();
        for (name, kind, a_seconds) in
            [("host", Kind::Host, &[100.0, 1_000.0, 5_000.0, 10_000.0][..]), ("Agno", Kind::Agno, &[100.0])]
        {
            let file = folder.path().join(format!("{name}.db"));
            rows::copy(&template, &file)?;
            let running = self.programs.start(kind, folder.path(), &[Database::file("main", &file)])?;
            let mut first = load::as_fast_as_it_goes(&self.wanted(&running, order, 0, 200))?.deleted;
            for a_second in a_seconds {
                let time = Duration::from_secs_f64(seconds);
                let wanted = Wanted { time, ..self.wanted(&running, order, first, count - first) };
                let run = load::at_a_rate(&wanted, *a_second)?;
                first += run.deleted;
                let [middle, high, highest] = [50.0, 99.0, 99.9].map(|share| short(run.percentile(share)));
                lines.push(Line::plain(
                    format!("latency at {a_second} deletes a second, {name}"),
                    format!("p50 {middle} ms, p99 {high} ms, p99.9 {highest} ms"),
                    format!("{} deletes, {:.0} a second, from when each was due", run.deleted, run.a_second()),
                ));
            }
        }
        Ok(lines)
    }

    /// Throughput and latency over the number of connections.
    pub fn connections(&self) -> Result<Vec<Panel>> {
        say("1 to 256 connections");
        let (count, each) = if self.is_quick { (200_000, 5_000) } else { (1_000_000, 20_000) };
        let (template, order, folder) = (self.template(count)?, Order::stored(count), self.folder()?);
        let mut throughput = Vec::new();
        let mut latency = Vec::new();
        for (name, kind, colour, paler) in [("host", Kind::Host, "#0a6", "#7cb"), ("Agno", Kind::Agno, "#c40", "#e96")]
        {
            let file = folder.path().join(format!("{name}.db"));
            rows::copy(&template, &file)?;
            let running = self.programs.start(kind, folder.path(), &[Database::file("main", &file)])?;
            let mut first = load::as_fast_as_it_goes(&self.wanted(&running, order, 0, 200))?.deleted;
            let mut series = [const { Vec::new() }; 3];
            for connections in [1, 4, 16, 64, 256] {
                let mut runs: [Vec<f64>; 3] = Default::default();
                for _ in 0..3 {
                    let time = Duration::from_secs(3);
                    let wanted = Wanted { connections, time, ..self.wanted(&running, order, first, each) };
                    let run = load::as_fast_as_it_goes(&wanted)?;
                    first += run.deleted;
                    for (figures, figure) in runs.iter_mut().zip(figures(&run)) {
                        figures.push(figure);
                    }
                }
                say(&format!("{name}, {connections} connections: {:.0} a second", median(&runs[0])));
                for (points, figures) in series.iter_mut().zip(&runs) {
                    points.push((connections as f64, median(figures)));
                }
            }
            let [rate, middle, high] = series;
            throughput.push(Series { name, colour, points: rate });
            let (p50, p99) = if kind == Kind::Host { ("host p50", "host p99") } else { ("Agno p50", "Agno p99") };
            latency.push(Series { name: p50, colour: paler, points: middle });
            latency.push(Series { name: p99, colour, points: high });
        }
        Ok(vec![
            Panel { title: "Deletes a second, SQLite", across: "connections", series: throughput },
            Panel { title: "Latency, ms", across: "connections", series: latency },
        ])
    }

    /// Throughput and latency over the number of records: one server with databases of all sizes, asked in turn for as
    /// many deletes of each; what was deleted is put back between, so that each size stays what it is.
    pub fn rows(&self) -> Result<(Vec<Line>, Vec<Panel>)> {
        say("10 thousand to 10 million records");
        let sizes: &[u64] =
            if self.is_quick { &[10_000, 100_000, 1_000_000] } else { &[10_000, 100_000, 1_000_000, 10_000_000] };
        const EACH: u64 = 5_000;
        type OrderOf = fn(u64) -> Order;
        let orders: [(&str, OrderOf); 2] =
            [("in the order of storing", Order::stored), ("scattered", Order::scattered)];
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
                    // Each time others, where there are enough.
                    let first = round as u64 * EACH % *size;
                    let wanted = Wanted { query: &query, ..self.wanted(&host, order, first, EACH) };
                    let run = load::as_fast_as_it_goes(&wanted)?;
                    ensure!(run.deleted == EACH, "{} of {EACH} were deleted", run.deleted);
                    rows::put_back(&folder.path().join(format!("{size}.db")), order, first..first + EACH)?;
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
            let behind: Vec<String> =
                rates.iter().map(|(size, rate)| format!("{size} records {}/s", short(*rate))).collect();
            let what = format!("deletes a second at {many} records, to {few}; records {how}");
            lines.push(Line::at_least(what, last / first, 0.8, "%", behind.join(", ")));
        }
        let [(stored, _), (scattered, _)] = orders;
        let panels = vec![
            Panel {
                title: "Deletes a second, SQLite, 64 connections",
                across: "records in the table",
                series: vec![
                    Series { name: "as stored", colour: "#0a6", points: points(stored, 0) },
                    Series { name: "scattered", colour: "#06c", points: points(scattered, 0) },
                ],
            },
            Panel {
                title: "Latency p99, ms, 64 connections",
                across: "records in the table",
                series: vec![
                    Series { name: "as stored", colour: "#0a6", points: points(stored, 2) },
                    Series { name: "scattered", colour: "#06c", points: points(scattered, 2) },
                ],
            },
        ];
        Ok((lines, panels))
    }
}

fn figures(run: &Run) -> [f64; 3] {
    [run.a_second(), run.percentile(50.0), run.percentile(99.0)]
}
