//! The load generator: deletes over HTTP/1.1, each of its own record, and how long each took.
//!
//! Our own, for three reasons: every id must be sent once and its answer be counted; percentiles must be exact; and at a
//! fixed rate a request's time counts from when it was due, not from when a connection was free (no coordinated
//! omission). One thread for all connections, because it shares the machine with what it measures.

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

/// What is asked for: these places of the order, one after the other.
#[derive(Clone)]
pub struct Wanted<'a> {
    pub address: SocketAddr,
    pub connections: usize,
    pub tokens: &'a [String],
    /// Appended to every path.
    pub query: &'a str,
    pub order: Order,
    /// The first place.
    pub first: u64,
    /// How many at most.
    pub most: u64,
    /// For how long at most.
    pub time: Duration,
}

/// What came of it.
pub struct Run {
    /// Records that a 204 was sent for. Every answer was 204, or the run would have failed.
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

    pub fn a_second(&self) -> f64 {
        self.deleted as f64 / self.seconds
    }

    /// The latency that this share of the requests did not exceed, in milliseconds.
    pub fn percentile(&self, share: f64) -> f64 {
        let rank = (self.latencies.len() as f64 * share / 100.0).ceil() as usize;
        self.latencies.get(rank.saturating_sub(1)).map_or(f64::NAN, |nanoseconds| *nanoseconds as f64 / 1e6)
    }
}

/// Every connection sends its next request when it has the answer to the last: as many a second as there can be.
pub fn as_fast_as_it_goes(wanted: &Wanted<'_>) -> Result<Run> {
    let next = Rc::new(Cell::new(0));
    let next_place = move |wanted: &Wanted<'_>| {
        let number = next.get();
        next.set(number + 1);
        (number < wanted.most).then_some(wanted.first + number)
    };
    on_one_thread(async {
        let mut connections = connect(wanted).await?;
        let (begun, next_place) = (Instant::now(), &next_place);
        let work = connections.iter_mut().map(|connection| async move {
            let mut latencies = Vec::with_capacity(usize::try_from(wanted.most)?.min(1 << 20));
            while begun.elapsed() < wanted.time
                && let Some(place) = next_place(wanted)
            {
                let sent = Instant::now();
                connection.delete(wanted, place).await?;
                latencies.push(elapsed(sent));
            }
            anyhow::Ok(latencies)
        });
        Ok(Run::new(begun, together(work).await?))
    })
}

/// Requests are due at a fixed rate whatever becomes of those before; a request's time counts from when it was due.
pub fn at_a_rate(wanted: &Wanted<'_>, a_second: f64) -> Result<Run> {
    let (due, queue) = mpsc::unbounded_channel();
    on_one_thread(async {
        let mut connections = connect(wanted).await?;
        let begun = Instant::now();
        let count = wanted.most.min((wanted.time.as_secs_f64() * a_second) as u64);
        let first = wanted.first;
        // A thread of its own sleeps to the microsecond, which the runtime's timer does not.
        let clock = thread::spawn(move || {
            for number in 0..count {
                let at = begun + Duration::from_secs_f64(number as f64 / a_second);
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
                connection.delete(wanted, place).await?;
                latencies.push(elapsed(at));
            }
        });
        let run = Run::new(begun, together(work).await?);
        ensure!(clock.join().is_ok(), "the clock's thread panicked");
        Ok(run)
    })
}

/// One delete on a connection of its own; false where the server does not accept yet.
pub fn one(address: SocketAddr, token: &str, place: u64, order: Order) -> Result<bool> {
    let tokens = [token.to_owned()];
    let (connections, query, time) = (1, "", Duration::from_secs(60));
    let wanted = Wanted { address, connections, tokens: &tokens, query, order, first: place, most: 1, time };
    on_one_thread(async {
        let Ok(mut connection) = Connection::open(address).await else { return Ok(false) };
        connection.delete(&wanted, place).await.map(|()| true)
    })
}

fn on_one_thread<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, work)
}

async fn connect(wanted: &Wanted<'_>) -> Result<Vec<Connection>> {
    let mut connections = Vec::new();
    for _ in 0..wanted.connections {
        connections.push(Connection::open(wanted.address).await?);
    }
    Ok(connections)
}

/// Runs all of these at once, to the end of the last.
async fn together<T>(work: impl Iterator<Item = impl Future<Output = Result<T>>>) -> Result<Vec<T>> {
    // Each is polled only when its own socket woke it.
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

    /// Deletes the record at this place of the order, as its owner.
    async fn delete(&mut self, wanted: &Wanted<'_>, place: u64) -> Result<()> {
        let number = wanted.order.number(place);
        let token = &wanted.tokens[rows::owner(number) % wanted.tokens.len()];
        self.request.clear();
        write!(self.request, "DELETE /learnings/{}{} HTTP/1.1\r\n", rows::id(number), wanted.query)?;
        write!(self.request, "host: {}\r\nauthorization: Bearer {token}\r\n\r\n", wanted.address)?;
        self.stream.write_all(self.request.as_bytes()).await?;
        let status = self.answer().await.context("no answer")?;
        let body = || String::from_utf8_lossy(&self.answer).into_owned();
        ensure!(status == 204, "{} was not deleted: {}", rows::id(number), body());
        Ok(())
    }

    /// Reads one answer whole and returns its status.
    async fn answer(&mut self) -> Result<u16> {
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
