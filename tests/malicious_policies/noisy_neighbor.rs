//! Good requests beside hostile ones in one process: what the good ones lose, and what memory the hostile ones leave.
//!
//! The test is a short run. At length, with figures to read:
//!
//! ```console
//! $ NOISY_NEIGHBOR="30 10 1000 100000" cargo test --test all malicious_policies::noisy_neighbor::measurement -- --exact --nocapture
//! ```
//!
//! `NOISY_NEIGHBOR="SECONDS RATE FIRST LAST"` sets how long good requests run alone and as long beside hostile ones, how
//! many hostile ones there are a second, and after how many memory is looked at.

use super::record::{decide, good};
use super::{COMPONENTS, text};
use crate::support::server::resident_bytes;
use delete_learning::{Limits, Policy};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;

/// Good requests in flight at any time: enough to keep two processors busy.
const GOOD_AT_ONCE: usize = 8;

/// How long good requests run alone, then beside hostile ones, and so on: short, so that both meet the same of whatever
/// else the machine does.
const SLICE: Duration = Duration::from_millis(250);

/// What is measured, and for how long.
struct Plan {
    seconds: u64,
    rate: u64,
    first: u64,
    last: u64,
}

impl Plan {
    /// None where nobody asked for a measurement.
    fn from_environment() -> Option<Self> {
        let text = std::env::var("NOISY_NEIGHBOR").ok()?;
        let numbers: Vec<u64> = text.split(' ').map(|number| number.parse().expect("a number")).collect();
        let &[seconds, rate, first, last] = numbers.as_slice() else { panic!("four numbers: {text}") };
        Some(Self { seconds, rate, first, last })
    }
}

/// Every hostile component that can be loaded.
fn hostile(limits: &Limits) -> Arc<[Policy]> {
    let texts = COMPONENTS.iter().filter(|(_, verb, _)| *verb != "refused").map(|(_, _, text)| text);
    texts.map(|text| Policy::load(&text::bytes(text), limits).expect("it fits")).collect()
}

/// How many good requests are answered in this time; every answer is looked at.
async fn good_requests(time: Duration) -> u64 {
    let (end, answered) = (Instant::now() + time, Arc::new(AtomicU64::new(0)));
    let work = (0..GOOD_AT_ONCE).map(|_| {
        let answered = Arc::clone(&answered);
        tokio::spawn(async move {
            while Instant::now() < end {
                // A task of its own, as the server has it: every request waits for its turn on a processor.
                let (decision, _) = tokio::spawn(decide(good(), "hers", None)).await.expect("no panic");
                assert!(decision.answer.is_ok(), "{decision:?}");
                answered.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    for task in work.collect::<Vec<_>>() {
        task.await.expect("every good answer is right");
    }
    answered.load(Ordering::Relaxed)
}

/// Asks hostile policies in turn, from this one on, so many a second or without a pause, until told to stop; how many
/// were asked.
async fn steady_stream(policies: Arc<[Policy]>, from: u64, rate: Option<u64>, stop: Arc<AtomicBool>) -> u64 {
    let period = rate.map(|rate| Duration::from_secs(1) / u32::try_from(rate).expect("a sane rate"));
    let mut clock = period.map(tokio::time::interval);
    clock.iter_mut().for_each(|clock| clock.set_missed_tick_behavior(MissedTickBehavior::Skip));
    let mut asked = 0;
    let from = usize::try_from(from).expect("a sane number");
    for policy in policies.iter().cycle().skip(from) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        if let Some(clock) = &mut clock {
            clock.tick().await;
        }
        // One at a time: the rate is what is steady, not the number of those that spin.
        decide(policy, "hers", None).await;
        asked += 1;
    }
    asked
}

/// Processor time that this process has used, in seconds; none where the system does not say it as Linux does.
fn processor_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<f64>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    // In hundredths of a second, on every Linux.
    Some((user + system) / 100.0)
}

/// What hostile requests cost, and what good ones lose beside them.
async fn throughput(plan: &Plan) {
    let policies = hostile(&Limits { max_concurrent_instances: 4, ..Limits::default() });
    good_requests(SLICE).await;

    // What a hostile request costs alone: each kind once.
    let (begun, used) = (Instant::now(), processor_seconds());
    for policy in policies.iter() {
        decide(policy, "hers", None).await;
    }
    let kinds = policies.len();
    println!("{kinds} kinds of hostile requests, each once: {:.2} s", begun.elapsed().as_secs_f64());
    if let (Some(before), Some(after)) = (used, processor_seconds()) {
        let share = (after - before) / kinds as f64 * plan.rate as f64;
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        println!(
            "  {:.1} ms of a processor each; at {} a second that is {:.0} % of {processors} processors",
            (after - before) * 1000.0 / kinds as f64,
            plan.rate,
            share * 100.0 / processors as f64,
        );
    }

    println!("beside every kind in turn:");
    compare(plan, &policies, Some(plan.rate)).await;

    // The worst there is: one for each processor that spins, and then the next at once.
    let spins = include_str!("spins_before_calls.wat");
    let limits = Limits { max_concurrent_instances: 4, ..Limits::default() };
    let spinning: Arc<[Policy]> = Arc::new([Policy::load(&text::bytes(spins), &limits).expect("it fits")]);
    println!("beside spinning ones without a pause, as many as there are processors:");
    compare(plan, &spinning, None).await;
}

/// Good requests alone and beside these, slice by slice in turn, each time the other way round: so many hostile requests
/// a second, or as many at once as there are processors, without a pause.
async fn compare(plan: &Plan, policies: &Arc<[Policy]>, rate: Option<u64>) {
    let (mut alone, mut beside, mut asked, mut ratios) = (0, 0, 0, Vec::new());
    let streams = rate.map_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get), |_| 1);
    let pairs = plan.seconds * 4;
    for pair in 0..pairs {
        let mut without = 0;
        let mut with = 0;
        for is_beside in [pair % 2 == 0, pair % 2 != 0] {
            let stop = Arc::new(AtomicBool::new(false));
            let stream = |_| {
                let (policies, stop) = (Arc::clone(policies), Arc::clone(&stop));
                tokio::spawn(steady_stream(policies, asked, rate, stop))
            };
            let hostile: Vec<_> = (0..if is_beside { streams } else { 0 }).map(stream).collect();
            let answered = good_requests(SLICE).await;
            stop.store(true, Ordering::Relaxed);
            for stream in hostile {
                asked += stream.await.expect("every hostile request is answered");
            }
            *(if is_beside { &mut with } else { &mut without }) = answered;
        }
        (alone, beside) = (alone + without, beside + with);
        ratios.push(with as f64 * 100.0 / without as f64);
    }
    ratios.sort_by(f64::total_cmp);
    let rate = |answered: u64| answered as f64 / (pairs as f64 * SLICE.as_secs_f64());
    println!("  good requests alone: {:.0} a second", rate(alone));
    println!(
        "  beside {:.1} hostile ones a second: {:.0} a second, {:.1} % of alone",
        rate(asked),
        rate(beside),
        beside as f64 * 100.0 / alone as f64,
    );
    println!(
        "  of {pairs} pairs of slices the middle one: {:.1} % of alone; a quarter are below {:.1} %, a quarter above {:.1} %",
        ratios[ratios.len() / 2],
        ratios[ratios.len() / 4],
        ratios[ratios.len() * 3 / 4],
    );
}

/// What the process holds after some hostile requests and after many.
async fn memory(plan: &Plan) {
    // Less time for those that spin; otherwise most of the run would be spinning.
    let policies = hostile(&Limits { max_concurrent_instances: 4, cpu_time_limit_ms: 1, ..Limits::default() });
    let (mut held, begun) = (Vec::new(), Instant::now());
    for (asked, policy) in (1..=plan.last).zip(policies.iter().cycle()) {
        decide(policy, "hers", None).await;
        if (asked == plan.first || asked == plan.last)
            && let Some(bytes) = resident_bytes("self")
        {
            let seconds = begun.elapsed().as_secs();
            println!("resident after {asked} hostile requests: {:.1} MiB ({seconds} s)", bytes as f64 / 1_048_576.0);
            held.push(bytes);
        }
    }
    if let [first, last] = held[..] {
        assert!(last < first + 64 * 1024 * 1024, "memory grew from {first} to {last} bytes");
    }
}

/// The body of the test beside it, which runs it shortened in a process of its own; and of whoever asks for it at length.
#[test]
fn measurement() {
    let Some(plan) = Plan::from_environment() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        throughput(&plan).await;
        memory(&plan).await;
    });
}

#[test]
fn good_requests_go_on_beside_hostile_ones_and_memory_does_not_grow() {
    // A process of its own: what it holds is not what other tests hold.
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["malicious_policies::noisy_neighbor::measurement", "--exact", "--nocapture"])
        .env("NOISY_NEIGHBOR", "2 10 200 1000")
        .output()
        .expect("it runs");
    let shown = String::from_utf8_lossy(&output.stdout);
    println!("{shown}");
    assert!(output.status.success() && shown.contains("% of alone"), "{}", String::from_utf8_lossy(&output.stderr));
}
