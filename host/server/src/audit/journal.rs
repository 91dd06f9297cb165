//! The journal: the entries of the log with their values, in the order of the tree, in files of limited size.
//!
//! A file is named after the index of its first entry. Each line is an entry, a tab, and its values. Lines are only
//! appended; erasing values overwrites them in place with spaces. Zeros can follow the last line.

use super::error::AuditError;
use super::event::{Entry, Values};
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// The directory of the journal within that of the log.
pub(super) const DIRECTORY: &str = "journal";

/// The end of the name of a file of the journal.
const EXTENSION: &str = "log";

/// Only the server's account can read the journal, because it contains addresses and names.
pub(super) const FILE_MODE: u32 = 0o600;

/// The zeros that are added to a file at once.
const ALLOCATED_BYTES: u64 = 1 << 20;

/// The bytes that are read at once.
const BUFFER_BYTES: usize = 1 << 17;

/// A file of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The index of its first entry.
    pub first: u64,
    /// The file.
    pub path: PathBuf,
}

impl Segment {
    fn new(directory: &Path, first: u64) -> Self {
        Self { first, path: directory.join(DIRECTORY).join(format!("{first:020}.{EXTENSION}")) }
    }
}

/// Lists the files of the journal in order.
///
/// # Errors
/// [`AuditError::Io`] if the directory cannot be read.
pub fn segments(directory: &Path) -> Result<Vec<Segment>, AuditError> {
    let journal = directory.join(DIRECTORY);
    let error = |source| AuditError::io("list", &journal, source);
    let mut found = Vec::new();
    for entry in fs::read_dir(&journal).map_err(error)? {
        let path = entry.map_err(error)?.path();
        let is_log = path.extension().is_some_and(|extension| extension == EXTENSION);
        let first = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if let Some(first) = first.filter(|_| is_log) {
            found.push(Segment { first, path });
        }
    }
    found.sort_unstable_by_key(|segment| segment.first);
    Ok(found)
}

/// A line of the journal.
#[derive(Debug)]
pub struct JournalLine<'a> {
    /// The index of its entry in the tree.
    pub index: u64,
    /// The offset of its first byte in its file.
    pub offset: u64,
    /// The bytes of the entry.
    pub entry: &'a [u8],
    /// The bytes of the values.
    pub values: &'a [u8],
}

impl JournalLine<'_> {
    /// Parses the entry.
    ///
    /// # Errors
    /// The error of the parser.
    pub fn parse_entry(&self) -> serde_json::Result<Entry> {
        serde_json::from_slice(self.entry)
    }

    /// Parses the values.
    ///
    /// # Errors
    /// The error of the parser.
    pub fn parse_values(&self) -> serde_json::Result<Values> {
        serde_json::from_slice(self.values)
    }
}

/// What a reader of the journal finds next.
#[derive(Debug)]
pub enum Next<'a> {
    /// A line.
    Line(JournalLine<'a>),
    /// A line without a tab.
    Malformed {
        /// The index that its entry would have.
        index: u64,
        /// The offset of its first byte in its file.
        offset: u64,
    },
    /// Bytes without a line feed at the end of a file: a line that is being written, or a torn one.
    Incomplete {
        /// The index that its entry would have.
        index: u64,
        /// The offset of the first of these bytes in its file.
        offset: u64,
    },
    /// A file does not begin with the entry after the last one of the file before it.
    Gap {
        /// The index of the first entry that is missing or repeated.
        index: u64,
        /// The first entry of the next file.
        next: u64,
    },
    /// The end.
    End,
}

/// Where a line of the journal begins.
#[derive(Clone, Debug)]
pub(super) struct Position {
    pub(super) segment: Segment,
    index: u64,
    pub(super) offset: u64,
}

/// Reads the journal line by line.
pub struct JournalReader {
    /// The files that are not read yet, in reverse order.
    rest: Vec<Segment>,
    current: Option<(Segment, BufReader<File>)>,
    index: u64,
    offset: u64,
    line: Vec<u8>,
}

impl JournalReader {
    /// Opens the journal at an entry, or at its first one if it begins later. If it ends before that entry, the reader is
    /// at its end.
    ///
    /// # Errors
    /// [`AuditError::Io`] if a file cannot be read.
    pub fn open(directory: &Path, index: u64) -> Result<Self, AuditError> {
        let mut rest = segments(directory)?;
        let start = rest.iter().rposition(|segment| segment.first <= index).unwrap_or(0);
        rest.drain(..start);
        rest.reverse();
        let first = rest.last().map_or(0, |segment| segment.first);
        let mut reader = Self { rest, current: None, index: first, offset: 0, line: Vec::new() };
        while reader.index < index {
            if !matches!(reader.next_line()?, Next::Line(_)) {
                break;
            }
        }
        Ok(reader)
    }

    /// Opens the journal where a line begins.
    pub(super) fn open_at(directory: &Path, position: &Position) -> Result<Self, AuditError> {
        let Position { segment, index, offset } = position.clone();
        let mut rest = segments(directory)?;
        rest.retain(|other| other.first > segment.first);
        rest.reverse();
        let error = |source| AuditError::io("open", &segment.path, source);
        let mut file = File::open(&segment.path).map_err(error)?;
        file.seek(SeekFrom::Start(offset)).map_err(error)?;
        let current = Some((segment, BufReader::with_capacity(BUFFER_BYTES, file)));
        Ok(Self { rest, current, index, offset, line: Vec::new() })
    }

    /// Where the next line begins, or the last file ends; `None` before the first line.
    pub(super) fn position(&self) -> Option<Position> {
        let (segment, _) = self.current.as_ref()?;
        Some(Position { segment: segment.clone(), index: self.index, offset: self.offset })
    }

    /// The index of the next entry.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// The file that was read last.
    #[must_use]
    pub fn segment(&self) -> Option<Segment> {
        self.current.as_ref().map(|(segment, _)| segment.clone())
    }

    /// Whether no file follows the one that was read last.
    #[must_use]
    pub const fn is_in_last_file(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads the next line.
    ///
    /// # Errors
    /// [`AuditError::Io`] if a file cannot be read.
    pub fn next_line(&mut self) -> Result<Next<'_>, AuditError> {
        loop {
            if let Some((segment, file)) = &mut self.current {
                self.line.clear();
                let read = file.read_until(b'\n', &mut self.line);
                let read = read.map_err(|source| AuditError::io("read", &segment.path, source))?;
                if read > 0 && self.line.first() != Some(&0) {
                    break;
                }
            }
            let Some(segment) = self.rest.last() else { return Ok(Next::End) };
            if segment.first != self.index {
                let next = segment.first;
                return Ok(Next::Gap { index: self.index.min(next), next });
            }
            let file = File::open(&segment.path).map_err(|source| AuditError::io("open", &segment.path, source))?;
            self.current = self.rest.pop().map(|segment| (segment, BufReader::with_capacity(BUFFER_BYTES, file)));
            self.offset = 0;
        }
        let (index, offset) = (self.index, self.offset);
        let Some(line) = self.line.strip_suffix(b"\n") else { return Ok(Next::Incomplete { index, offset }) };
        self.index += 1;
        self.offset += self.line.len() as u64;
        let mut parts = line.splitn(2, |byte| *byte == b'\t');
        Ok(match (parts.next(), parts.next()) {
            (Some(entry), Some(values)) => Next::Line(JournalLine { index, offset, entry, values }),
            _ => Next::Malformed { index, offset },
        })
    }
}

/// The end of the journal, which grows.
///
/// The file is longer than the journal: it has zeros at its end, so that most appends change only bytes that the file has
/// already, which makes them several times faster to write to disk.
pub(super) struct Journal {
    directory: PathBuf,
    segment: Segment,
    file: Arc<File>,
    created: SystemTime,
    /// The index of the next entry.
    next: u64,
    /// The bytes of the file that are part of the journal.
    length: u64,
    /// The bytes of the file, with the zeros at its end.
    allocated: u64,
    /// The bytes from which the file is followed by a new one.
    max_bytes: u64,
    /// Whether bytes follow that are neither part of the journal nor zeros, because a write failed.
    must_truncate: bool,
    /// Groups of lines that are not on disk yet for certain, with the offsets of their ends.
    unsynced: VecDeque<(u64, Vec<u8>)>,
    progress: Arc<SyncProgress>,
}

/// How far the file was written to disk. Another thread waits for that, so that writing does not.
#[derive(Debug, Default)]
pub(super) struct SyncProgress {
    synced: AtomicU64,
    has_failed: AtomicBool,
}

/// The file as it is to be written to disk.
pub(super) struct SyncRequest {
    file: Arc<File>,
    path: PathBuf,
    length: u64,
    progress: Arc<SyncProgress>,
}

impl SyncRequest {
    /// Writes the file to disk.
    pub(super) fn execute(&self) -> Result<(), AuditError> {
        let error = |source| AuditError::io("sync", &self.path, source);
        // What an earlier sync could not write is not written by this one.
        if self.progress.has_failed.load(Ordering::Acquire) {
            return Err(error(io::Error::other("an earlier sync failed")));
        }
        let synced = self.file.sync_data();
        if synced.is_err() {
            self.progress.has_failed.store(true, Ordering::Release);
        } else {
            self.progress.synced.fetch_max(self.length, Ordering::AcqRel);
        }
        synced.map_err(error)
    }
}

impl Journal {
    /// Opens the journal at its end, and creates it if it does not exist. `next` is the number of its entries, and `length`
    /// the number of bytes of its last file that are part of it.
    pub(super) fn open(
        directory: &Path,
        segment: Option<(Segment, u64)>,
        next: u64,
        max_bytes: u64,
    ) -> Result<Self, AuditError> {
        let (segment, length) = segment.unwrap_or_else(|| (Segment::new(directory, 0), 0));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE);
        let error = |source| AuditError::io("open", &segment.path, source);
        let file = options.open(&segment.path).map_err(error)?;
        file.set_len(length).and_then(|()| file.sync_all()).map_err(error)?;
        sync_directory(&directory.join(DIRECTORY))?;
        // Some file systems do not store when a file was created; then its age counts from this start.
        let created = file.metadata().and_then(|metadata| metadata.created()).unwrap_or_else(|_| SystemTime::now());
        Ok(Self {
            directory: directory.to_owned(),
            segment,
            file: Arc::new(file),
            created,
            next,
            length,
            allocated: length,
            max_bytes,
            must_truncate: false,
            unsynced: VecDeque::new(),
            progress: Arc::default(),
        })
    }

    /// The index of the next entry.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// The bytes of the current file.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// The age of the current file by the clock of the machine. A clock that was set back makes it zero.
    pub(super) fn age(&self) -> Duration {
        SystemTime::now().duration_since(self.created).unwrap_or_default()
    }

    /// Whether everything is on disk.
    pub(super) fn is_synced(&mut self) -> bool {
        self.forget_synced();
        self.unsynced.is_empty()
    }

    /// Appends lines. If that fails, none of them is part of the journal.
    pub(super) fn append(&mut self, lines: &[u8], count: u64) -> Result<(), AuditError> {
        self.check_path()?;
        self.truncate()?;
        self.repeat_unsynced()?;
        self.allocate(self.length + lines.len() as u64);
        if let Err(error) = self.write(self.length, lines) {
            self.must_truncate = true;
            let _ = self.truncate();
            return Err(error);
        }
        self.length += lines.len() as u64;
        self.allocated = self.allocated.max(self.length);
        self.next += count;
        self.unsynced.push_back((self.length, lines.to_vec()));
        Ok(())
    }

    /// What is to be written to disk.
    pub(super) fn sync_request(&mut self) -> Result<SyncRequest, AuditError> {
        self.repeat_unsynced()?;
        let (file, path, progress) = (Arc::clone(&self.file), self.segment.path.clone(), Arc::clone(&self.progress));
        Ok(SyncRequest { file, path, length: self.length, progress })
    }

    /// Writes lines again whose sync failed: the operating system can report a failed write once, and forget it.
    fn repeat_unsynced(&mut self) -> Result<(), AuditError> {
        self.forget_synced();
        if self.progress.has_failed.load(Ordering::Acquire) {
            for (end, lines) in &self.unsynced {
                self.write(end - lines.len() as u64, lines)?;
            }
            self.progress.has_failed.store(false, Ordering::Release);
        }
        Ok(())
    }

    fn forget_synced(&mut self) {
        let synced = self.progress.synced.load(Ordering::Acquire);
        while self.unsynced.front().is_some_and(|(end, _)| *end <= synced) {
            self.unsynced.pop_front();
        }
    }

    /// Adds zeros to the file if it is shorter than `needed`. If there is no space, the file grows with each append.
    fn allocate(&mut self, needed: u64) {
        if needed <= self.allocated {
            return;
        }
        let allocated = (needed + ALLOCATED_BYTES).min(self.max_bytes.max(needed));
        let zeros = vec![0; usize::try_from(allocated - self.length).unwrap_or_default()];
        if self.write(self.length, &zeros).is_ok() {
            self.allocated = allocated;
        } else {
            self.must_truncate = true;
            let _ = self.truncate();
        }
    }

    /// Removes what follows the journal in its file.
    fn truncate(&mut self) -> Result<(), AuditError> {
        if self.must_truncate {
            let truncated = self.file.set_len(self.length);
            truncated.map_err(|source| AuditError::io("truncate", &self.segment.path, source))?;
            (self.must_truncate, self.allocated) = (false, self.length);
        }
        Ok(())
    }

    /// Removes the zeros at the end of the file, which must be on disk.
    pub(super) fn finish(&mut self) -> Result<(), AuditError> {
        self.must_truncate |= self.allocated > self.length;
        self.truncate()
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), AuditError> {
        self.file.write_all_at(bytes, offset).map_err(|source| AuditError::io("write to", &self.segment.path, source))
    }

    /// Checks that the path leads to the open file. Otherwise what is written would be lost with the file.
    fn check_path(&mut self) -> Result<(), AuditError> {
        let error = |source| AuditError::io("find", &self.segment.path, source);
        let (found, open) = (fs::metadata(&self.segment.path).map_err(error)?, self.file.metadata().map_err(error)?);
        if (found.dev(), found.ino()) == (open.dev(), open.ino()) {
            return Ok(());
        }
        self.reopen()
    }

    /// Opens the file that the path leads to, if it has the end of the open one: for example, a copy of the directory that
    /// was put in its place.
    fn reopen(&mut self) -> Result<(), AuditError> {
        const COMPARED_BYTES: u64 = 1 << 20;
        let error = |source| AuditError::io("open", &self.segment.path, source);
        let file = OpenOptions::new().read(true).write(true).open(&self.segment.path).map_err(error)?;
        let compared = self.length.min(COMPARED_BYTES);
        let read = |mut file: &File| {
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(self.length - compared))?;
            file.take(compared).read_to_end(&mut bytes)?;
            io::Result::Ok(bytes)
        };
        if read(&file).map_err(error)? != read(&self.file).map_err(error)? {
            return Err(AuditError::Replaced { path: self.segment.path.clone() });
        }
        file.set_len(self.length).and_then(|()| file.sync_all()).map_err(error)?;
        (self.file, self.allocated) = (Arc::new(file), self.length);
        Ok(())
    }

    /// Begins a new file with this line. Everything must be on disk. If that fails, the current file stays.
    pub(super) fn rotate(&mut self, line: &[u8]) -> Result<(), AuditError> {
        self.check_path()?;
        self.finish()?;
        let segment = Segment::new(&self.directory, self.next);
        let create = || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(true).mode(FILE_MODE);
            let mut file = options.open(&segment.path)?;
            file.write_all(line)?;
            file.sync_all()?;
            io::Result::Ok(file)
        };
        let created = create().map_err(|source| AuditError::io("create", &segment.path, source));
        match created.and_then(|file| sync_directory(&self.directory.join(DIRECTORY)).map(|()| file)) {
            Ok(file) => {
                self.file = Arc::new(file);
                self.segment = segment;
                self.created = SystemTime::now();
                self.length = line.len() as u64;
                self.allocated = self.length;
                self.next += 1;
                self.unsynced.clear();
                self.progress = Arc::default();
                Ok(())
            }
            Err(error) => {
                let _ = fs::remove_file(&segment.path);
                Err(error)
            }
        }
    }
}

/// Writes the names in a directory to disk.
pub(super) fn sync_directory(directory: &Path) -> Result<(), AuditError> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|source| AuditError::io("sync", directory, source))
}
