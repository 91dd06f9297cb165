//! WASI 0.2 for policies whose language runtime needs it: every function can be called, and every resource is empty.
//!
//! There are no files, environment variables, arguments or sockets. Standard input is at its end. Standard output and
//! standard error are captured for the log, up to a limit. Clocks and random bytes work only if the operator grants them;
//! otherwise a call stops the policy: a stopped clock would make it decide by a wrong time, and WASI forbids predictable
//! random bytes. The interfaces that WASI itself calls insecure return the same values in every request, which is enough
//! for hash maps.

use crate::error::{TooManyBytes, WasiNotGranted};
use crate::limits::Limits;
use bytes::Bytes;
use serde::Deserialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::bindings::{clocks, random};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::p2::{DynPollable, OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::{Deterministic, ResourceTable, WasiCtx, WasiCtxView, WasiView};

/// What a policy gets of WASI. The keys of `[wasi]` in a server configuration. The default is nothing: a policy that
/// imports WASI is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wasi {
    /// Whether a policy can import WASI 0.2 (`wasi:cli`, `clocks`, `filesystem`, `io`, `random`, `sockets`).
    pub enabled: bool,
    /// Whether it can call clocks and timers. Otherwise a call is answered 500.
    pub clocks: bool,
    /// Whether it can call the random number generator. Otherwise a call is answered 500.
    pub random: bool,
}

/// What a policy wrote to its standard output and standard error in one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturedOutput {
    /// The first bytes, up to `max_captured_output_bytes`, as text: U+FFFD for invalid UTF-8, escapes such as `\u{1b}` for
    /// characters that do not print, except line feeds and tabs.
    pub text: String,
    /// The number of further bytes, which were dropped.
    pub dropped_bytes: usize,
}

/// Whether an import of this name belongs to WASI 0.2.
pub(crate) fn is_wasi(import: &str) -> bool {
    const PACKAGES: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];
    let package = import.strip_prefix("wasi:").and_then(|rest| rest.split_once('/'));
    package.is_some_and(|(package, rest)| PACKAGES.contains(&package) && rest.contains("@0.2."))
}

/// Adds WASI to a linker, as far as it is granted.
pub(crate) fn link<T: WasiView + 'static>(linker: &mut Linker<T>, wasi: Wasi) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    if !wasi.clocks {
        clocks::wall_clock::add_to_linker::<_, NotGranted>(linker, |_| NotGranted)?;
        clocks::monotonic_clock::add_to_linker::<_, NotGranted>(linker, |_| NotGranted)?;
    }
    if !wasi.random {
        random::random::add_to_linker::<_, NotGranted>(linker, |_| NotGranted)?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

/// WASI in one request. Created by the first call to it.
pub(crate) struct Context {
    wasi: WasiCtx,
    table: ResourceTable,
    output: OutputBuffer,
}

impl Context {
    pub(crate) fn new(limits: &Limits, granted: Wasi) -> Self {
        let output = OutputBuffer(Arc::new(Mutex::new(Captured {
            bytes: Vec::new(),
            max_captured: limits.max_captured_output_bytes,
            written: 0,
            max_written: limits.max_host_call_bytes,
        })));
        let mut wasi = WasiCtx::builder();
        // Everything that is not set here is empty or denied. One call returns at most 4096 random bytes.
        wasi.stdout(output.clone()).stderr(output.clone()).max_random_size(4096);
        if !granted.random {
            wasi.insecure_random(Deterministic::new((0..=255).collect())).insecure_random_seed(0);
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.max_table_elements);
        Self { wasi: wasi.build(), table, output }
    }

    pub(crate) fn view(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }

    /// Bytes that the policy has written so far, captured or dropped.
    pub(crate) fn bytes_written(&self) -> usize {
        self.output.lock().written
    }

    /// What the policy has written.
    pub(crate) fn captured_output(&self) -> Option<CapturedOutput> {
        let captured = self.output.lock();
        (captured.written > 0).then(|| CapturedOutput {
            text: escape(&captured.bytes),
            dropped_bytes: captured.written - captured.bytes.len(),
        })
    }
}

/// Converts bytes to text that is safe to print to a terminal.
fn escape(bytes: &[u8]) -> String {
    let mut text = String::new();
    for character in String::from_utf8_lossy(bytes).chars() {
        match character {
            '\n' | '\t' | '"' | '\'' | '\\' => text.push(character),
            // Control characters and characters that change the direction of text have a longer debug form.
            _ if character.escape_debug().len() > 1 => text.extend(character.escape_unicode()),
            _ => text.push(character),
        }
    }
    text
}

/// Receives the standard output and the standard error of a policy.
#[derive(Clone)]
struct OutputBuffer(Arc<Mutex<Captured>>);

struct Captured {
    bytes: Vec<u8>,
    max_captured: usize,
    /// Bytes written so far, captured or dropped.
    written: usize,
    max_written: usize,
}

impl OutputBuffer {
    fn lock(&self) -> MutexGuard<'_, Captured> {
        // No panic can leave the value inconsistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts bytes and captures as many as the limit allows.
    fn append(&self, length: usize, bytes: impl Iterator<Item = u8>) -> StreamResult<()> {
        let mut captured = self.lock();
        captured.written = captured.written.saturating_add(length);
        if captured.written > captured.max_written {
            return Err(StreamError::Trap(TooManyBytes.into()));
        }
        let left = captured.max_captured.saturating_sub(captured.bytes.len());
        captured.bytes.extend(bytes.take(left.min(length)));
        Ok(())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for OutputBuffer {
    async fn ready(&mut self) {}
}

impl OutputStream for OutputBuffer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.append(bytes.len(), bytes.into_iter())
    }

    fn write_zeroes(&mut self, length: usize) -> StreamResult<()> {
        self.append(length, std::iter::repeat(0))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    /// The usual chunk size. A larger write is accepted and counted.
    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(4096)
    }
}

impl IsTerminal for OutputBuffer {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for OutputBuffer {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    /// WASI 0.3 is not offered to policies.
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(MemoryOutputPipe::new(0))
    }
}

/// Implements interfaces that are not granted: every call stops the policy.
struct NotGranted;

impl HasData for NotGranted {
    type Data<'a> = Self;
}

impl clocks::wall_clock::Host for NotGranted {
    fn now(&mut self) -> wasmtime::Result<clocks::wall_clock::Datetime> {
        Err(WasiNotGranted::Clocks.into())
    }

    fn resolution(&mut self) -> wasmtime::Result<clocks::wall_clock::Datetime> {
        Err(WasiNotGranted::Clocks.into())
    }
}

impl clocks::monotonic_clock::Host for NotGranted {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Err(WasiNotGranted::Clocks.into())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Err(WasiNotGranted::Clocks.into())
    }

    fn subscribe_instant(&mut self, _: u64) -> wasmtime::Result<Resource<DynPollable>> {
        Err(WasiNotGranted::Clocks.into())
    }

    fn subscribe_duration(&mut self, _: u64) -> wasmtime::Result<Resource<DynPollable>> {
        Err(WasiNotGranted::Clocks.into())
    }
}

impl random::random::Host for NotGranted {
    fn get_random_bytes(&mut self, _: u64) -> wasmtime::Result<Vec<u8>> {
        Err(WasiNotGranted::Random.into())
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        Err(WasiNotGranted::Random.into())
    }
}
