//! The journal: the entries of the log with their values, in the order of the tree, in files of limited size.
//!
//! A file is named after the index of its first entry. Each line is an entry, a tab, and its values. Lines are only
//! appended; erasing values overwrites them in place with spaces. Zeros can follow the last line.

use super::error::AuditError;
use super::event::{Entry, Values};
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
    /// The end of the journal that is not on disk yet for certain.
    unsynced: Vec<u8>,
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
            unsynced: Vec::new(),
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
        self.unsynced.extend_from_slice(lines);
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
            self.write(self.length - self.unsynced.len() as u64, &self.unsynced)?;
            self.progress.has_failed.store(false, Ordering::Release);
        }
        Ok(())
    }

    fn forget_synced(&mut self) {
        let synced = self.progress.synced.load(Ordering::Acquire);
        let rest = usize::try_from(self.length.saturating_sub(synced)).unwrap_or(usize::MAX);
        self.unsynced.drain(..self.unsynced.len().saturating_sub(rest));
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

#[cfg(test)]
mod tests {
    use super::{AuditError, DIRECTORY, Journal, JournalReader, Next};
    use std::fs;
    use std::os::unix::fs::FileExt;
    use std::sync::atomic::Ordering;
    use std::time::Duration;
    use tempfile::TempDir;

    const MAX_BYTES: u64 = 1_000_000;

    fn open() -> (TempDir, Journal) {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir(directory.path().join(DIRECTORY)).expect("a directory");
        let journal = Journal::open(directory.path(), None, 0, MAX_BYTES).expect("a journal");
        (directory, journal)
    }

    /// The indexes and the entries of all lines from this one on.
    fn read(mut reader: JournalReader) -> Vec<(u64, String)> {
        let mut lines = Vec::new();
        loop {
            match reader.next_line().expect("it can be read") {
                Next::Line(line) => lines.push((line.index, String::from_utf8_lossy(line.entry).into_owned())),
                Next::End => return lines,
                Next::Malformed { .. } | Next::Incomplete { .. } | Next::Gap { .. } => panic!("a defect: {lines:?}"),
            }
        }
    }

    #[test]
    fn zeros_behind_the_journal_are_no_part_of_it() {
        let (directory, mut journal) = open();
        journal.append(b"a\t{}\n", 1).expect("appended");
        journal.append(b"b\t{}\nc\t{}\n", 2).expect("appended");
        assert_eq!((journal.next(), journal.length()), (3, 15));
        let path = journal.segment.path.clone();
        let bytes = fs::read(&path).expect("the file");
        assert!(bytes.len() > 15 && bytes.len() as u64 <= MAX_BYTES && bytes.iter().skip(15).all(|byte| *byte == 0));
        let lines = ["a", "b", "c"].map(str::to_owned);
        let expected: Vec<(u64, String)> = (0..).zip(lines).collect();
        assert_eq!(read(JournalReader::open(directory.path(), 0).expect("a reader")), expected);
        journal.finish().expect("the zeros are removed");
        assert_eq!(fs::read(&path).expect("the file"), b"a\t{}\nb\t{}\nc\t{}\n");
        std::thread::sleep(Duration::from_millis(30));
        assert!(journal.age() >= Duration::from_millis(20));
        // What is appended afterwards follows the journal.
        journal.append(b"d\t{}\n", 1).expect("appended");
        assert_eq!(read(JournalReader::open(directory.path(), 2).expect("a reader")).len(), 2);
    }

    #[test]
    fn file_never_grows_beyond_its_limit_unless_its_lines_do() {
        let (_directory, mut journal) = open();
        let line = |bytes: usize| [vec![b'x'; bytes - 4], b"\t{}\n".to_vec()].concat();
        let length = |journal: &Journal| fs::metadata(&journal.segment.path).expect("the file").len();
        journal.append(&line(999_000), 1).expect("appended");
        assert_eq!(length(&journal), MAX_BYTES);
        journal.append(&line(1_000), 1).expect("appended");
        assert_eq!((length(&journal), journal.length()), (MAX_BYTES, MAX_BYTES));
        journal.append(&line(1_000), 1).expect("appended");
        assert_eq!((length(&journal), journal.length()), (MAX_BYTES + 1_000, MAX_BYTES + 1_000));
    }

    #[test]
    fn zeros_are_added_in_pieces_of_one_size() {
        let (directory, _) = open();
        let mut journal = Journal::open(directory.path(), None, 0, 100_000_000).expect("a journal");
        journal.append(b"a\t{}\n", 1).expect("appended");
        let length = || fs::metadata(&journal.segment.path).expect("the file").len();
        assert_eq!(length(), 5 + super::ALLOCATED_BYTES);
    }

    #[test]
    fn reader_continues_in_the_next_file() {
        let (directory, mut journal) = open();
        journal.append(b"a\t{}\nb\t{}\n", 2).expect("appended");
        journal.rotate(b"r\t{}\n").expect("a new file");
        journal.append(b"c\t{}\n", 1).expect("appended");
        assert_eq!((journal.next(), journal.length()), (4, 10));
        let all: Vec<(u64, String)> = (0..).zip(["a", "b", "r", "c"].map(str::to_owned)).collect();
        for index in 0..=4 {
            let reader = JournalReader::open(directory.path(), index).expect("a reader");
            assert_eq!((reader.index(), reader.position().is_none()), (index, [0, 2].contains(&index)), "{index}");
            assert_eq!(read(reader), all[usize::try_from(index).expect("small")..], "{index}");
        }
        let mut reader = JournalReader::open(directory.path(), 0).expect("a reader");
        assert!(!reader.is_in_last_file());
        for index in 0..4 {
            assert!(matches!(reader.next_line(), Ok(Next::Line(line)) if line.index == index));
            assert_eq!(reader.is_in_last_file(), index >= 2, "{index}");
            let position = reader.position().expect("a position");
            let rest = read(JournalReader::open_at(directory.path(), &position).expect("a reader"));
            assert_eq!(rest, all[usize::try_from(index + 1).expect("small")..], "{index}");
        }
    }

    #[test]
    fn file_that_was_replaced_by_another_is_not_continued() {
        let (_directory, mut journal) = open();
        journal.append(b"first\t{}\n", 1).expect("appended");
        let path = journal.segment.path.clone();
        let other = path.with_extension("other");
        let replace = |bytes: &[u8]| {
            fs::write(&other, bytes).and_then(|()| fs::rename(&other, &path)).expect("replaced");
        };
        replace(b"first\t{}\n and the rest of a copy");
        journal.append(b"second\t{}\n", 1).expect("a copy is continued");
        assert!(fs::read(&path).expect("the file").starts_with(b"first\t{}\nsecond\t{}\n"));
        for bytes in [&b"First\t{}\nsecond\t{}\n"[..], b"first\t{}\nsecond\t{}!", b""] {
            replace(bytes);
            let appended = journal.append(b"third\t{}\n", 1);
            assert!(matches!(appended, Err(AuditError::Replaced { .. })), "{appended:?}");
        }
        assert_eq!(journal.next(), 2);
    }

    #[test]
    fn lines_whose_sync_failed_are_written_again() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir(directory.path().join(DIRECTORY)).expect("a directory");
        let mut journal = Journal::open(directory.path(), None, 0, 1_000_000).expect("a journal");
        journal.append(b"on disk\n", 1).expect("appended");
        journal.sync_request().and_then(|request| request.execute()).expect("synced");
        for line in [&b"first\n"[..], b"second\n"] {
            journal.append(line, 1).expect("appended");
        }
        // The operating system reports that it could not write the file, and forgets what it could not write.
        journal.progress.has_failed.store(true, Ordering::Release);
        let file = fs::OpenOptions::new().write(true).open(&journal.segment.path).expect("the file");
        file.write_all_at(&[0; 21], 0).expect("overwritten");
        journal.sync_request().and_then(|request| request.execute()).expect("synced");
        let bytes = fs::read(&journal.segment.path).expect("the file");
        assert_eq!(&bytes[..21], b"\0\0\0\0\0\0\0\0first\nsecond\n", "what was on disk is not written again");
    }
}
