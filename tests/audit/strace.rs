//! System calls of a running server, observed or made to fail.

use super::text;
use crate::support::server::TestServer;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

/// `strace` on all threads of a server. It ends with the server.
pub struct Strace(Child);

impl Strace {
    /// Returns when it sees all threads. It writes one line for each call to `file`.
    pub fn attach(server: &TestServer, file: &Path, arguments: &[&str]) -> Self {
        let is_root = fs::metadata("/proc/self").expect("a process").uid() == 0;
        let mut strace = Command::new(if is_root { "strace" } else { "sudo" });
        if !is_root {
            strace.args(["-n", "strace"]);
        }
        let id = server.process_id().to_string();
        let strace = strace.args(["-qq", "-f", "-y", "-o", text(file), "-p", &id]).args(arguments);
        let mut strace = strace.spawn().expect("strace runs");
        let end = Instant::now() + Duration::from_secs(20);
        let is_traced = |thread: fs::DirEntry| {
            let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
            !status.contains("TracerPid:\t0\n")
        };
        let threads = || fs::read_dir(format!("/proc/{id}/task")).expect("threads").map(|thread| thread.expect("one"));
        while !threads().all(is_traced) {
            assert_eq!(strace.try_wait().expect("a state"), None, "strace cannot attach");
            assert!(Instant::now() < end, "strace does not attach");
            thread::sleep(Duration::from_millis(20));
        }
        Self(strace)
    }

    /// Ends it, and leaves the server as it is.
    pub fn detach(mut self) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-s", "INT", &id]).status().expect("kill runs").success());
        self.0.wait().expect("it ends");
    }

    /// Waits until it ends with the server.
    pub fn wait(mut self) {
        self.0.wait().expect("it ends");
    }
}
