//! A small disk that can be filled.

use super::optional::print_skipped;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A small tmpfs. Unmounted when it is dropped.
pub struct Disk(TempDir);

impl Disk {
    /// Mounts a tmpfs. Without permission to mount, prints one line with what is skipped.
    ///
    /// # Panics
    /// If it cannot be mounted and `CI` is set.
    pub fn mount(kibibytes: usize, skipped: &str) -> Option<Self> {
        let directory = TempDir::new().expect("a temporary directory");
        let options = format!("size={kibibytes}k");
        if run_as_root(&["mount", "-t", "tmpfs", "-o", &options, "none", text(directory.path())]) {
            return Some(Self(directory));
        }
        assert!(std::env::var_os("CI").is_none(), "cannot mount a tmpfs, and CI skips nothing");
        print_skipped(&format!("skipped, because this account cannot mount a tmpfs: {skipped}"));
        None
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills it to its last byte.
    pub fn fill(&self) {
        use std::io::Write as _;
        let mut filler = fs::File::create(self.0.path().join("filler")).expect("a file");
        for size in [4096, 1] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
    }

    pub fn free(&self) {
        fs::remove_file(self.0.path().join("filler")).expect("the filler exists");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run_as_root(&["umount", "-l", text(self.0.path())]);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path of a temporary directory is UTF-8")
}

/// Runs a command, with `sudo` if it fails and that needs no password. Returns whether it succeeded.
pub fn run_as_root(command: &[&str]) -> bool {
    let succeeds = |arguments: &[&str]| {
        let status = Command::new(arguments[0]).args(&arguments[1..]).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    succeeds(command) || succeeds(&[&["sudo", "-n"], command].concat())
}
