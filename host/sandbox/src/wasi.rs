//! WASI 0.2 for components that are granted it, and their settings as `wasi:config/store`.
//!
//! [`crate::access`] decides which interfaces a component can import. Every function of them can be called, and every
//! resource is empty: there are no files, environment variables, arguments or sockets. Standard input is at its end.
//! Standard output and standard error are captured for the log, up to a limit. The interfaces that WASI itself calls
//! insecure return the same values in every request, which is enough for hash maps.

use crate::error::TooManyBytes;
use crate::host_state::HostState;
use crate::limits::Limits;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use wasmtime::component::Linker;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::{Deterministic, HostWallClock, ResourceTable, WasiCtx, WasiCtxView};
use wasmtime_wasi_config::WasiConfigVariables;

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

/// Adds WASI and the settings to a linker.
pub(crate) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi_config::add_to_linker(linker, HostState::settings)
}

/// Converts settings, once for all requests.
pub(crate) fn variables(settings: &BTreeMap<String, String>) -> Arc<WasiConfigVariables> {
    Arc::new(settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect())
}

/// WASI in one request, without the settings. Created by the first call to it.
pub(crate) struct Context {
    wasi: WasiCtx,
    table: ResourceTable,
    output: OutputBuffer,
}

/// A clock that does not advance.
struct FixedClock(Duration);

impl HostWallClock for FixedClock {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        self.0
    }
}

impl Context {
    /// `now` is the time since 1970 that the wall clock shows; `None` for the real time.
    pub(crate) fn new(limits: &Limits, now: Option<Duration>) -> Self {
        let output = OutputBuffer(Arc::new(Mutex::new(Captured {
            bytes: Vec::new(),
            max_captured: limits.max_captured_output_bytes,
            written: 0,
            max_written: limits.max_host_call_bytes,
        })));
        let mut wasi = WasiCtx::builder();
        // Everything that is not set here is empty or denied. One call returns at most 4096 random bytes.
        wasi.stdout(output.clone()).stderr(output.clone()).max_random_size(4096);
        wasi.insecure_random(Deterministic::new((0..=255).collect())).insecure_random_seed(0);
        if let Some(now) = now {
            wasi.wall_clock(FixedClock(now));
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

#[cfg(test)]
mod tests {
    use super::{Arc, Captured, Mutex, OutputBuffer};

    #[test]
    fn output_is_captured_up_to_one_limit_and_counted_up_to_another() {
        let captured = Captured { bytes: Vec::new(), max_captured: 3, written: 0, max_written: 8 };
        let output = OutputBuffer(Arc::new(Mutex::new(captured)));
        let write = |bytes: &[u8]| output.append(bytes.len(), bytes.iter().copied()).is_ok();
        assert!(write(b"ab") && write(b"cdefgh"), "as many bytes as may be written");
        assert_eq!(output.lock().bytes, b"abc");
        assert_eq!(output.lock().written, 8);
        assert!(!write(b"i") && !write(b"j"), "more bytes than may be written");
        assert_eq!(output.lock().bytes, b"abc");
    }
}
