//! The thread that writes the tree: tiles of entries that are on disk, signed checkpoints, and the command that publishes
//! them. Requests do not wait for it.

use super::config::AuditConfig;
use super::error::AuditError;
use super::journal::{JournalReader, Next, Position};
use super::note::Checkpoint;
use super::tiles::{self, CHECKPOINT, Level, TileWriter};
use super::tree::{TILE_WIDTH, Tree, leaf_hash};
use std::collections::VecDeque;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

/// The time that the command which publishes a checkpoint gets.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(30);

/// The file with the size of the tree whose tiles are on disk for certain.
const ON_DISK: &str = "tiles-on-disk";

/// When tiles are synced after they were written. By then the operating system has usually written them by itself, so that
/// the syncs which requests wait for do not wait for these.
const SYNC_DELAY: Duration = Duration::from_mins(1);

/// Tiles that are not on disk for certain. After a power failure, they are written again from the journal.
struct Batch {
    /// The size of the tree with them.
    size: u64,
    written: Instant,
    files: Vec<PathBuf>,
}

/// The tree as its files have it.
#[derive(Clone)]
struct State {
    tree: Tree,
    /// The entries of the last bundle, as the bundle has them.
    bundle: Vec<u8>,
    /// Where the journal continues; `None` if it is to be found.
    position: Option<Position>,
}

/// Writes the tree.
pub(super) struct Publisher {
    config: AuditConfig,
    state: State,
    /// The size of the latest checkpoint.
    signed: Option<u64>,
    /// The checkpoint that the command has not taken yet.
    unpublished: Option<String>,
    unsynced: VecDeque<Batch>,
    /// The size up to which nothing is left to do.
    done: Arc<AtomicU64>,
}

/// Reads the latest checkpoint; `None` if there is none.
pub(super) fn read_checkpoint(config: &AuditConfig) -> Result<Option<Checkpoint>, AuditError> {
    let path = config.directory.join(CHECKPOINT);
    let note = match fs::read_to_string(&path) {
        Ok(note) => note,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(AuditError::io("read", &path, source)),
    };
    let checkpoint = Checkpoint::open(&note, &config.public_keys());
    checkpoint.map(Some).map_err(|source| AuditError::Note { path, source })
}

impl Publisher {
    /// Opens the tree of the latest checkpoint. Tiles that are not on disk for certain are written again from the journal, all
    /// of them if others are missing.
    pub(super) fn open(config: &AuditConfig, checkpoint: Option<&Checkpoint>) -> Result<Self, AuditError> {
        let empty = State { tree: Tree::default(), bundle: Vec::new(), position: None };
        let mut publisher = Self {
            config: config.clone(),
            state: empty.clone(),
            signed: None,
            unpublished: None,
            unsynced: VecDeque::new(),
            done: Arc::default(),
        };
        let Some(checkpoint) = checkpoint else { return Ok(publisher) };
        let on_disk = fs::read_to_string(config.directory.join(ON_DISK)).ok();
        let on_disk = on_disk.and_then(|size| size.trim().parse().ok()).filter(|size| *size <= checkpoint.size);
        let stored = on_disk.and_then(|size| tiles::read_tree(&config.directory, size));
        let stored = stored.map(|(tree, bundle)| State { tree, bundle, position: None });
        // Compared before anything is written, so that the tiles of a log that was changed stay as they are.
        let leads_to_root = |state: &State| {
            let grown = state.clone().grow(&config.directory, checkpoint.size, |_, _, _, _| Ok(()))?;
            Ok::<_, AuditError>(grown.tree.root() == checkpoint.root)
        };
        publisher.state = match stored {
            Some(stored) if leads_to_root(&stored)? => stored,
            _ if leads_to_root(&empty)? => empty,
            _ => {
                let problem = "or one before it does not match the checkpoint";
                let index = checkpoint.size.saturating_sub(1);
                return Err(AuditError::Damaged { directory: config.directory.clone(), index, problem });
            }
        };
        publisher.advance(checkpoint.size)?;
        publisher.signed = Some(checkpoint.size);
        publisher.done.store(checkpoint.size, Ordering::Relaxed);
        Ok(publisher)
    }

    /// The size up to which checkpoints are written and published.
    pub(super) fn done(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.done)
    }

    /// Writes checkpoints of the sizes that are requested, until the queue is closed. A size that cannot be written is
    /// covered by the next one.
    pub(super) fn run(mut self, sizes: &Receiver<u64>) {
        while let Ok(mut size) = sizes.recv() {
            size = sizes.try_iter().last().unwrap_or(size);
            if let Err(error) = self.publish(size) {
                tracing::error!(%error, size, "cannot write a checkpoint of the audit log");
            }
            self.sync_tiles(SYNC_DELAY);
        }
        self.sync_tiles(Duration::ZERO);
    }

    /// Waits until the tiles are on disk that were written before this time.
    fn sync_tiles(&mut self, delay: Duration) {
        let mut size = None;
        while let Some(batch) = self.unsynced.front().filter(|batch| batch.written.elapsed() >= delay) {
            if let Err(error) = tiles::sync(&self.config.directory, &batch.files) {
                tracing::error!(%error, "cannot sync tiles of the audit log");
                return;
            }
            size = Some(batch.size);
            self.unsynced.pop_front();
        }
        let Some(size) = size else { return };
        let written = tiles::replace_synced(&self.config.directory.join(ON_DISK), format!("{size}\n").as_bytes());
        if let Err(error) = written {
            tracing::error!(%error, "cannot write which tiles of the audit log are on disk");
        }
    }

    fn publish(&mut self, size: u64) -> Result<(), AuditError> {
        if self.signed.is_none_or(|signed| signed < size) {
            self.advance(size)?;
            let origin = self.config.signing_key.public_key().name().to_owned();
            let checkpoint = Checkpoint { origin, size, root: self.state.tree.root() };
            let note = checkpoint.sign(&self.config.signing_key);
            tiles::replace_synced(&self.config.directory.join(CHECKPOINT), note.as_bytes())?;
            self.signed = Some(size);
            self.unpublished = Some(note);
        }
        if let Some(note) = &self.unpublished
            && let [program, arguments @ ..] = self.config.publish_command.as_slice()
            && let Err(error) = run_command(program, arguments, note)
        {
            tracing::error!(program, error, size, "the command that publishes checkpoints failed");
            return Ok(());
        }
        self.unpublished = None;
        self.done.store(size, Ordering::Relaxed);
        Ok(())
    }

    /// Writes the tiles of the entries before `size`, which must be in the journal.
    fn advance(&mut self, size: u64) -> Result<(), AuditError> {
        let mut writer = TileWriter::new(&self.config.directory);
        // A copy, so that the state stays that of the files if one cannot be written.
        let write = |level, index, width, bytes: &[u8]| writer.write(level, index, width, bytes);
        self.state = self.state.clone().grow(&self.config.directory, size, write)?;
        self.unsynced.push_back(Batch { size, written: Instant::now(), files: writer.into_written() });
        Ok(())
    }
}

impl State {
    /// Adds the entries before `size` from the journal. Calls `write` with the level, the index, the width and the bytes of each
    /// tile that changed.
    fn grow(
        mut self,
        directory: &Path,
        size: u64,
        mut write: impl FnMut(Level, u64, usize, &[u8]) -> Result<(), AuditError>,
    ) -> Result<Self, AuditError> {
        let mut reader = match &self.position {
            Some(position) => JournalReader::open_at(directory, position)?,
            None => JournalReader::open(directory, self.tree.size())?,
        };
        while self.tree.size() < size {
            let index = self.tree.size();
            let damaged = |problem| AuditError::Damaged { directory: directory.to_owned(), index, problem };
            let entry = match reader.next_line()? {
                Next::Line(line) if line.index == index => line.entry,
                Next::Line(_) | Next::Gap { .. } | Next::End => return Err(damaged("is missing")),
                Next::Malformed { .. } | Next::Incomplete { .. } => return Err(damaged("is malformed")),
            };
            tiles::push_entry(&mut self.bundle, entry);
            self.tree.push(leaf_hash(entry), |level, index, hashes| {
                write(Level::Hashes(level), index, TILE_WIDTH, hashes.as_flattened())
            })?;
            if self.tree.size().is_multiple_of(TILE_WIDTH as u64) {
                write(Level::Entries, index >> 8, TILE_WIDTH, &self.bundle)?;
                self.bundle.clear();
            }
        }
        for (level, hashes) in (0..).zip(self.tree.edge()) {
            if !hashes.is_empty() {
                let index = size >> (8 * (level + 1));
                write(Level::Hashes(level), index, hashes.len(), hashes.as_flattened())?;
            }
        }
        if !self.bundle.is_empty() {
            let width = tiles::width_at(size, Level::Entries, size >> 8);
            write(Level::Entries, size >> 8, width, &self.bundle)?;
        }
        self.position = reader.position();
        Ok(self)
    }
}

/// Runs a command with this text on its standard input, without the environment of the server, which can contain secrets.
fn run_command(program: &str, arguments: &[String], input: &str) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    if let Some(mut stdin) = child.stdin.take() {
        // A checkpoint fits into the buffer of a pipe. A command that does not read it fails or not, as it likes.
        let _ = stdin.write_all(input.as_bytes());
    }
    wait(&mut child, PUBLISH_TIMEOUT).map_err(|error| error.to_string())?
}

/// Waits for the end of a process, and kills it after the timeout.
fn wait(child: &mut Child, timeout: Duration) -> io::Result<Result<(), String>> {
    let end = Instant::now() + timeout;
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(Ok(())),
            Some(status) => return Ok(Err(status.to_string())),
            None if Instant::now() >= end => {
                child.kill()?;
                child.wait()?;
                return Ok(Err(format!("it did not end within {timeout:?}")));
            }
            None => thread::sleep(Duration::from_millis(20)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::wait;
    use std::process::Command;
    use std::time::Duration;

    #[test]
    fn command_succeeds_if_its_exit_status_says_so() {
        let run = |program| {
            let mut child = Command::new(program).spawn().expect("it starts");
            wait(&mut child, Duration::from_secs(60)).expect("it ends")
        };
        assert_eq!(run("true"), Ok(()));
        assert!(run("false").is_err_and(|error| error.contains('1')));
    }

    #[test]
    fn command_that_does_not_end_is_killed() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("it starts");
        let ended = wait(&mut child, Duration::from_millis(50)).expect("it is killed");
        assert_eq!(ended, Err("it did not end within 50ms".to_owned()));
        assert!(child.try_wait().expect("a status").is_some());
    }
}
