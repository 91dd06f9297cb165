//! WASI for policies whose language needs it: everything is there to be called, and nothing is behind it.
//!
//! There are no files, no environment, no arguments and no sockets; standard input is at its end; what is written to
//! standard output and standard error is kept for the log, up to a limit. The time and random bytes are given only
//! where the operator allows them; a policy that asks otherwise is stopped. (A clock that stands still would let it
//! decide by a time that is not; and WASI forbids random bytes that can be foretold.) The numbers that WASI itself calls
//! insecure are the same in every request then, which is all that hash maps need.

use super::state::{State, Terms, TooManyBytes};
use bytes::Bytes;
use serde::Deserialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::bindings::{clocks, random};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::p2::{DynPollable, OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::{Deterministic, ResourceTable, WasiCtx, WasiCtxView, WasiView};

/// What a policy gets of WASI. The keys of `[wasi]` in the configuration. By default nothing: a policy that imports it
/// is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wasi {
    /// Whether a policy may import WASI 0.2 (`wasi:cli`, `clocks`, `filesystem`, `io`, `random`, `sockets`). It finds
    /// it empty.
    pub enabled: bool,
    /// Whether it may ask for the time and wait. Otherwise asking stops it: 500.
    pub clocks: bool,
    /// Whether it may ask for random bytes. Otherwise asking stops it: 500.
    pub random: bool,
}

/// The policy asked for what the operator does not allow; found again in the error by its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// The time, or to wait.
    #[error("it asked for the time, which only `clocks = true` under `[wasi]` allows")]
    Clocks,
    /// Random bytes.
    #[error("it asked for random bytes, which only `random = true` under `[wasi]` allows")]
    Random,
}

/// What a policy wrote to its standard output and standard error in one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The beginning, as text: U+FFFD for what is not UTF-8, and as `\u{1b}` what does not print, but for line feeds
    /// and tabs.
    pub text: String,
    /// Bytes after it, which are not kept.
    pub left_out: usize,
}

/// Whether an import of this name is one that WASI can answer.
pub(super) fn is_wasi(import: &str) -> bool {
    const PACKAGES: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];
    let package = import.strip_prefix("wasi:").and_then(|rest| rest.split_once('/'));
    package.is_some_and(|(package, rest)| PACKAGES.contains(&package) && rest.contains("@0.2."))
}

/// Gives a policy what this grants.
pub(super) fn link(linker: &mut Linker<State>, granted: Wasi) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    if !granted.clocks {
        clocks::wall_clock::add_to_linker::<_, Refusing>(linker, |_| Refusing)?;
        clocks::monotonic_clock::add_to_linker::<_, Refusing>(linker, |_| Refusing)?;
    }
    if !granted.random {
        random::random::add_to_linker::<_, Refusing>(linker, |_| Refusing)?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

/// WASI in one request. Made when the policy first calls it.
pub(super) struct Context {
    wasi: WasiCtx,
    table: ResourceTable,
    written: Written,
}

impl Context {
    pub(super) fn new(terms: &Terms) -> Self {
        let limits = &terms.limits;
        let written = Written(Arc::new(Mutex::new(Kept {
            bytes: Vec::new(),
            most: limits.policy_output_bytes,
            passed: 0,
            most_passed: limits.policy_host_bytes,
        })));
        let mut wasi = WasiCtx::builder();
        // Whatever is not said here is empty or denied. A call for random bytes gets a page of them at most.
        wasi.stdout(written.clone()).stderr(written.clone()).max_random_size(4096);
        if !terms.wasi.random {
            wasi.insecure_random(Deterministic::new((0..=255).collect())).insecure_random_seed(0);
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.policy_table_elements);
        Self { wasi: wasi.build(), table, written }
    }

    /// Bytes that the policy has written so far, kept or not.
    pub(super) fn passed(&self) -> usize {
        self.written.lock().passed
    }

    /// What the policy has written, if anything.
    pub(super) fn output(&self) -> Option<Output> {
        let kept = self.written.lock();
        (kept.passed > 0).then(|| Output { text: printable(&kept.bytes), left_out: kept.passed - kept.bytes.len() })
    }
}

impl WasiView for State {
    /// Called once for each call of the policy to WASI.
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let Context { wasi, table, .. } = self.enter_wasi();
        WasiCtxView { ctx: wasi, table }
    }
}

/// The bytes as text in which nothing acts on whoever reads it.
fn printable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for character in String::from_utf8_lossy(bytes).chars() {
        match character {
            '\n' | '\t' | '"' | '\'' | '\\' => text.push(character),
            // More than itself where it does not print: control characters, and those that turn a line's direction.
            _ if character.escape_debug().len() > 1 => text.extend(character.escape_unicode()),
            _ => text.push(character),
        }
    }
    text
}

/// Where both outputs of a policy go.
#[derive(Clone)]
struct Written(Arc<Mutex<Kept>>);

struct Kept {
    bytes: Vec<u8>,
    /// As many are kept.
    most: usize,
    /// As many were written.
    passed: usize,
    /// As many may be written.
    most_passed: usize,
}

impl Written {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nothing that could panic leaves it in between.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts these bytes, and keeps what there is room for.
    fn take(&self, length: usize, bytes: impl Iterator<Item = u8>) -> StreamResult<()> {
        let mut kept = self.lock();
        kept.passed = kept.passed.saturating_add(length);
        if kept.passed > kept.most_passed {
            return Err(StreamError::Trap(TooManyBytes.into()));
        }
        let room = kept.most.saturating_sub(kept.bytes.len());
        kept.bytes.extend(bytes.take(room.min(length)));
        Ok(())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Written {
    async fn ready(&mut self) {}
}

impl OutputStream for Written {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(bytes.len(), bytes.into_iter())
    }

    fn write_zeroes(&mut self, length: usize) -> StreamResult<()> {
        self.take(length, std::iter::repeat(0))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    /// As much as is usual; more is not refused, but counted as everything is.
    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(4096)
    }
}

impl IsTerminal for Written {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Written {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    /// Of WASI 0.3, which no policy gets: a stream that takes nothing.
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(MemoryOutputPipe::new(0))
    }
}

/// Answers no call: each stops the policy.
struct Refusing;

impl HasData for Refusing {
    type Data<'a> = Self;
}

impl clocks::wall_clock::Host for Refusing {
    fn now(&mut self) -> wasmtime::Result<clocks::wall_clock::Datetime> {
        Err(NotAllowed::Clocks.into())
    }

    fn resolution(&mut self) -> wasmtime::Result<clocks::wall_clock::Datetime> {
        Err(NotAllowed::Clocks.into())
    }
}

impl clocks::monotonic_clock::Host for Refusing {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Err(NotAllowed::Clocks.into())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Err(NotAllowed::Clocks.into())
    }

    fn subscribe_instant(&mut self, _: u64) -> wasmtime::Result<Resource<DynPollable>> {
        Err(NotAllowed::Clocks.into())
    }

    fn subscribe_duration(&mut self, _: u64) -> wasmtime::Result<Resource<DynPollable>> {
        Err(NotAllowed::Clocks.into())
    }
}

impl random::random::Host for Refusing {
    fn get_random_bytes(&mut self, _: u64) -> wasmtime::Result<Vec<u8>> {
        Err(NotAllowed::Random.into())
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        Err(NotAllowed::Random.into())
    }
}
