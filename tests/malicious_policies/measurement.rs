//! Measures requests to the default policy while malicious policies run in the same process, and the memory that stays
//! resident.
//!
//! The test `noisy_neighbor` runs it briefly. The benchmark program includes this file and runs it at length:
//! `cargo run --release --manifest-path tests/bench/Cargo.toml -- noisy-neighbor --help`.

use super::record::{decide, default_policy};
use super::text;
use delete_learning::{Access, DEFAULT_POLICY, Limits, Policy, Sandbox};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;

/// Requests to the default policy in flight at any time: enough to use two processors fully.
const REQUESTS_IN_FLIGHT: usize = 8;

/// The duration of one slice. Slices with and without malicious requests alternate. They are short, so that both meet the
/// same load from other processes.
pub const SLICE: Duration = Duration::from_millis(250);

/// What is measured.
pub struct Plan {
    /// How often each comparison measures a slice with malicious requests, and one without.
    pub pairs: u64,
    /// Malicious requests a second.
    pub rate: u64,
    /// The number of malicious requests after which resident memory is measured first.
    pub first: u64,
    /// The number of malicious requests after which resident memory is measured again.
    pub last: u64,
    /// Returns the resident memory of this process in bytes, or `None` if the system does not report it.
    pub resident_bytes: fn() -> Option<u64>,
}

/// Runs all measurements and prints their figures.
///
/// # Panics
/// If a request to the default policy fails, or resident memory grows by more than 64 MiB between `first` and `last`.
pub fn run(plan: &Plan, components: &[&str]) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        measure_throughput(plan, components).await;
        measure_memory(plan, components).await;
    });
}

fn load(components: &[&str], limits: &Limits) -> Arc<[Policy]> {
    components.iter().map(|text| Policy::load(&text::bytes(text), limits).expect("the policy loads")).collect()
}

/// Loads the default policy with this guard.
fn load_with_guard(text: &str, limits: &Limits) -> Arc<[Policy]> {
    let sandbox = Sandbox::new(limits, None).expect("a sandbox");
    let guard = sandbox.load_guard("malicious", &text::bytes(text), &Access::default()).expect("the guard loads");
    let policy = sandbox.load_policy(DEFAULT_POLICY, &Access::default(), vec![guard]);
    Arc::new([policy.expect("the policy loads")])
}

/// Sends requests to the default policy for this time, checks every answer, and returns their number.
async fn send_requests(time: Duration) -> u64 {
    let (end, answered) = (Instant::now() + time, Arc::new(AtomicU64::new(0)));
    let tasks = (0..REQUESTS_IN_FLIGHT).map(|_| {
        let answered = Arc::clone(&answered);
        tokio::spawn(async move {
            while Instant::now() < end {
                // A task for each request, as in the server, so that every request is scheduled anew.
                let (decision, _) = tokio::spawn(decide(default_policy(), "record", None)).await.expect("no panic");
                assert!(decision.answer.is_ok(), "{decision:?}");
                answered.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("every answer is right");
    }
    answered.load(Ordering::Relaxed)
}

/// Sends malicious requests one after another until stopped, and returns their number.
///
/// Cycles through the policies, starting after `offset` requests. Without a rate there are no pauses.
async fn send_malicious_requests(
    policies: Arc<[Policy]>,
    offset: u64,
    rate: Option<u64>,
    stop: Arc<AtomicBool>,
) -> u64 {
    let period = rate.map(|rate| Duration::from_secs(1) / u32::try_from(rate).expect("the rate fits into 32 bits"));
    let mut interval = period.map(tokio::time::interval);
    interval.iter_mut().for_each(|interval| interval.set_missed_tick_behavior(MissedTickBehavior::Skip));
    let mut sent = 0;
    let offset = usize::try_from(offset).expect("the offset fits into a usize");
    for policy in policies.iter().cycle().skip(offset) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        if let Some(interval) = &mut interval {
            interval.tick().await;
        }
        // One at a time: this fixes the rate of requests, not the number of policies that spin at once.
        decide(policy, "record", None).await;
        sent += 1;
    }
    sent
}

/// Returns the CPU time that this process has used in seconds, or `None` if the system has no `/proc`.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<f64>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    // Linux reports hundredths of a second.
    Some((user + system) / 100.0)
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

async fn measure_throughput(plan: &Plan, components: &[&str]) {
    let limits = Limits::default().max_concurrent_instances(4);
    let policies = load(components, &limits);
    send_requests(SLICE).await;

    let (start, cpu_before) = (Instant::now(), cpu_seconds());
    for policy in policies.iter() {
        decide(policy, "record", None).await;
    }
    let count = policies.len();
    println!("{count} malicious policies, one request each: {:.2} s", start.elapsed().as_secs_f64());
    if let (Some(before), Some(after)) = (cpu_before, cpu_seconds()) {
        let share = (after - before) / count as f64 * plan.rate as f64;
        println!(
            "  {:.1} ms of CPU time each; {} a second use {:.0} % of {} processors",
            (after - before) * 1000.0 / count as f64,
            plan.rate,
            share * 100.0 / processors() as f64,
            processors(),
        );
    }

    println!("with all malicious policies in turn:");
    compare(plan, &policies, Some(plan.rate)).await;

    // The worst case: one spinning policy for each processor, and the next one immediately after it.
    let spins = load(&[include_str!("spins_before_calls.wat")], &limits);
    println!("with spinning policies without pauses, as many as processors:");
    compare(plan, &spins, None).await;

    println!("with spinning guards without pauses, as many as processors:");
    compare(plan, &load_with_guard(include_str!("guards/spins.wat"), &limits), None).await;
}

/// Compares throughput with and without malicious requests.
///
/// Measures pairs of slices, in alternating order. With a rate, one client sends that many malicious requests a second;
/// without, as many clients as processors send them without pauses.
async fn compare(plan: &Plan, policies: &Arc<[Policy]>, rate: Option<u64>) {
    let (mut total_without, mut total_with, mut malicious, mut ratios) = (0, 0, 0, Vec::new());
    let clients = if rate.is_some() { 1 } else { processors() };
    let pairs = plan.pairs;
    for pair in 0..pairs {
        let mut without = 0;
        let mut with = 0;
        for is_malicious in [pair % 2 == 0, pair % 2 != 0] {
            let stop = Arc::new(AtomicBool::new(false));
            let client = |_| {
                let (policies, stop) = (Arc::clone(policies), Arc::clone(&stop));
                tokio::spawn(send_malicious_requests(policies, malicious, rate, stop))
            };
            let clients: Vec<_> = (0..if is_malicious { clients } else { 0 }).map(client).collect();
            let answered = send_requests(SLICE).await;
            stop.store(true, Ordering::Relaxed);
            for client in clients {
                malicious += client.await.expect("every malicious request is answered");
            }
            *(if is_malicious { &mut with } else { &mut without }) = answered;
        }
        (total_without, total_with) = (total_without + without, total_with + with);
        ratios.push(with as f64 * 100.0 / without as f64);
    }
    ratios.sort_by(f64::total_cmp);
    let rate = |answered: u64| answered as f64 / (pairs as f64 * SLICE.as_secs_f64());
    println!("  without malicious requests: {:.0} requests a second", rate(total_without));
    println!(
        "  with {:.1} malicious requests a second: {:.0} requests a second, {:.1} % of the throughput without",
        rate(malicious),
        rate(total_with),
        total_with as f64 * 100.0 / total_without as f64,
    );
    println!(
        "  over {pairs} pairs of slices: median {:.1} %, quartiles {:.1} % and {:.1} %",
        ratios[ratios.len() / 2],
        ratios[ratios.len() / 4],
        ratios[ratios.len() * 3 / 4],
    );
}

async fn measure_memory(plan: &Plan, components: &[&str]) {
    // A short CPU time limit; otherwise most of the run would be spinning.
    let limits = Limits::default().max_concurrent_instances(4).cpu_time_limit_ms(1);
    let policies = load(components, &limits);
    let (mut resident, start) = (Vec::new(), Instant::now());
    for (sent, policy) in (1..=plan.last).zip(policies.iter().cycle()) {
        decide(policy, "record", None).await;
        if (sent == plan.first || sent == plan.last)
            && let Some(bytes) = (plan.resident_bytes)()
        {
            let seconds = start.elapsed().as_secs();
            println!("resident after {sent} malicious requests: {:.1} MiB ({seconds} s)", bytes as f64 / 1_048_576.0);
            resident.push(bytes);
        }
    }
    if let [first, last] = resident[..] {
        assert!(last < first + 64 * 1024 * 1024, "memory grew from {first} to {last} bytes");
    }
}
