//! The load generator: deletes over HTTP/1.1, each of a different record, and the latency of each.
//!
//! The benchmark has its own for three reasons: every id must be sent once and every answer counted; percentiles must
//! be exact; and at a fixed rate a latency counts from the time at which the request was due (no coordinated omission).
//! One thread serves all connections, because the generator shares the machine with the server.

use crate::rows::{self, Order};
use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::cell::Cell;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};
use tokio::task::LocalSet;

/// The requests of a run: consecutive positions of an order.
#[derive(Clone)]
pub struct Workload<'a> {
    pub address: SocketAddr,
    pub connections: usize,
    pub tokens: &'a [String],
    /// Appended to every path.
    pub query: &'a str,
    pub order: Order,
    /// The first position.
    pub first: u64,
    /// The maximum number of requests.
    pub max_requests: u64,
    /// The maximum duration.
    pub time: Duration,
}

/// The result of a run.
pub struct Run {
    /// The number of answers with status 204. Any other answer fails the run.
    pub deleted: u64,
    pub seconds: f64,
    /// Sorted, in nanoseconds.
    latencies: Vec<u64>,
}

impl Run {
    fn new(begun: Instant, latencies: Vec<Vec<u64>>) -> Self {
        let seconds = begun.elapsed().as_secs_f64();
        let mut latencies = latencies.concat();
        latencies.sort_unstable();
        Self { deleted: latencies.len() as u64, seconds, latencies }
    }

    pub fn per_second(&self) -> f64 {
        self.deleted as f64 / self.seconds
    }

    /// The latency in milliseconds that this percentage of the requests did not exceed.
    pub fn percentile(&self, share: f64) -> f64 {
        let rank = (self.latencies.len() as f64 * share / 100.0).ceil() as usize;
        self.latencies.get(rank.saturating_sub(1)).map_or(f64::NAN, |nanoseconds| *nanoseconds as f64 / 1e6)
    }
}

/// Sends the next request of each connection after the answer to the previous one.
pub fn run_closed_loop(workload: &Workload<'_>) -> Result<Run> {
    let next = Rc::new(Cell::new(0));
    let next_place = move |workload: &Workload<'_>| {
        let number = next.get();
        next.set(number + 1);
        (number < workload.max_requests).then_some(workload.first + number)
    };
    run_on_one_thread(async {
        let mut connections = connect(workload).await?;
        let (begun, next_place) = (Instant::now(), &next_place);
        let work = connections.iter_mut().map(|connection| async move {
            let mut latencies = Vec::with_capacity(usize::try_from(workload.max_requests)?.min(1 << 20));
            while begun.elapsed() < workload.time
                && let Some(place) = next_place(workload)
            {
                let sent = Instant::now();
                connection.delete(workload, place).await?;
                latencies.push(elapsed(sent));
            }
            anyhow::Ok(latencies)
        });
        Ok(Run::new(begun, join_all(work).await?))
    })
}

/// Sends requests at a fixed rate. A latency counts from the time at which the request was due.
pub fn run_at_rate(workload: &Workload<'_>, per_second: f64) -> Result<Run> {
    let (due, queue) = mpsc::unbounded_channel();
    run_on_one_thread(async {
        let mut connections = connect(workload).await?;
        let begun = Instant::now();
        let count = workload.max_requests.min((workload.time.as_secs_f64() * per_second) as u64);
        let first = workload.first;
        // A separate thread sleeps with microsecond precision, which the runtime's timer does not have.
        let clock = thread::spawn(move || {
            for number in 0..count {
                let at = begun + Duration::from_secs_f64(number as f64 / per_second);
                thread::sleep(at.saturating_duration_since(Instant::now()));
                if due.send((first + number, at)).is_err() {
                    return;
                }
            }
        });
        let queue = &Mutex::new(queue);
        let work = connections.iter_mut().map(|connection| async move {
            let mut latencies = Vec::new();
            loop {
                let next = queue.lock().await.recv().await;
                let Some((place, at)) = next else { return anyhow::Ok(latencies) };
                connection.delete(workload, place).await?;
                latencies.push(elapsed(at));
            }
        });
        let run = Run::new(begun, join_all(work).await?);
        ensure!(clock.join().is_ok(), "the clock's thread panicked");
        Ok(run)
    })
}

/// Sends one delete on a new connection. Returns false if the server does not accept connections yet.
pub fn delete_one(address: SocketAddr, token: &str, place: u64, order: Order) -> Result<bool> {
    let tokens = [token.to_owned()];
    let (connections, query, time) = (1, "", Duration::from_secs(60));
    let workload =
        Workload { address, connections, tokens: &tokens, query, order, first: place, max_requests: 1, time };
    run_on_one_thread(async {
        let Ok(mut connection) = Connection::open(address).await else { return Ok(false) };
        connection.delete(&workload, place).await.map(|()| true)
    })
}

fn run_on_one_thread<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, work)
}

async fn connect(workload: &Workload<'_>) -> Result<Vec<Connection>> {
    let mut connections = Vec::new();
    for _ in 0..workload.connections {
        connections.push(Connection::open(workload.address).await?);
    }
    Ok(connections)
}

/// Runs all futures concurrently.
async fn join_all<T>(work: impl Iterator<Item = impl Future<Output = Result<T>>>) -> Result<Vec<T>> {
    // Polls a future only when its own socket wakes it.
    let mut running: FuturesUnordered<_> = work.collect();
    let mut results = Vec::new();
    while let Some(result) = running.next().await {
        results.push(result?);
    }
    Ok(results)
}

fn elapsed(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

struct Connection {
    stream: TcpStream,
    request: String,
    answer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, request: String::new(), answer: Vec::with_capacity(4096) })
    }

    /// Deletes the record at this position of the order, as its owner.
    async fn delete(&mut self, workload: &Workload<'_>, place: u64) -> Result<()> {
        let number = workload.order.number(place);
        let token = &workload.tokens[rows::owner(number) % workload.tokens.len()];
        self.request.clear();
        write!(self.request, "DELETE /learnings/{}{} HTTP/1.1\r\n", rows::id(number), workload.query)?;
        write!(self.request, "host: {}\r\nauthorization: Bearer {token}\r\n\r\n", workload.address)?;
        self.stream.write_all(self.request.as_bytes()).await?;
        let status = self.read_status().await.context("no answer")?;
        let body = || String::from_utf8_lossy(&self.answer).into_owned();
        ensure!(status == 204, "{} was not deleted: {}", rows::id(number), body());
        Ok(())
    }

    /// Reads a complete response and returns its status.
    async fn read_status(&mut self) -> Result<u16> {
        self.answer.clear();
        loop {
            ensure!(self.stream.read_buf(&mut self.answer).await? > 0, "the connection was closed");
            let mut headers = [httparse::EMPTY_HEADER; 32];
            let mut response = httparse::Response::new(&mut headers);
            let httparse::Status::Complete(head) = response.parse(&self.answer)? else { continue };
            let status = response.code.unwrap_or_default();
            let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
            let body: usize = match length {
                Some(length) => std::str::from_utf8(length.value)?.parse()?,
                None => 0,
            };
            while self.answer.len() < head + body {
                ensure!(self.stream.read_buf(&mut self.answer).await? > 0, "the connection was closed");
            }
            return Ok(status);
        }
    }
}
