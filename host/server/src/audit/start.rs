//! Opens the log at a start: takes the lock, repairs the end of the journal, finds open intents, and compares the journal
//! with the latest checkpoint.

use super::config::AuditConfig;
use super::error::AuditError;
use super::event::{Entry, Kind, Values};
use super::journal::{self, Journal, JournalReader, Next, Segment};
use super::publisher::{self, Publisher};
use super::tree::sha256;
use crate::hex::hex;
use delete_learning::Target;
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// The file that the server locks, so that no second one writes.
const LOCK: &str = "lock";

/// A log that was opened.
pub(super) struct Started {
    pub(super) lock: File,
    pub(super) journal: Journal,
    pub(super) publisher: Publisher,
    pub(super) open_intents: Vec<OpenIntent>,
    /// The entries to begin with.
    pub(super) lines: Vec<Entry>,
}

/// An intent whose decision is not in the log.
#[derive(Clone, Debug)]
pub struct OpenIntent {
    /// The index of its entry.
    pub index: u64,
    /// The id of its request.
    pub request_id: String,
    pub(super) entry: Entry,
    pub(super) values: Values,
}

impl OpenIntent {
    /// The database and the table of its record.
    #[must_use]
    pub fn target(&self) -> Option<Target> {
        let (database, table) = (self.entry.database.clone()?, self.entry.table.clone()?);
        Some(Target { database, table })
    }

    /// The learning id, unless it was erased.
    #[must_use]
    pub fn learning_id(&self) -> Option<&str> {
        self.values.learning_id.as_ref().map(|salted| salted.value.as_str())
    }
}

/// The end of the journal as it was found.
struct End {
    segment: Option<(Segment, u64)>,
    next: u64,
    open: BTreeMap<String, OpenIntent>,
    removed: Option<Removed>,
}

/// Bytes after the last line.
struct Removed {
    bytes: u64,
    sha256: String,
}

pub(super) fn open(config: &AuditConfig) -> Result<Started, AuditError> {
    let directory = &config.directory;
    let journal_directory = directory.join(journal::DIRECTORY);
    // Others can read the tiles if the directory is made accessible to them, and never the journal.
    let create = DirBuilder::new().recursive(true).mode(0o700).create(&journal_directory);
    create.map_err(|source| AuditError::io("create", &journal_directory, source))?;
    let lock = lock(directory)?;
    let checkpoint = publisher::read_checkpoint(config)?;
    let signed_size = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size);
    let end = read_end(directory, signed_size)?;
    if end.next < signed_size {
        let problem = "is missing, although the latest checkpoint contains it";
        return Err(AuditError::Damaged { directory: directory.clone(), index: end.next, problem });
    }
    let is_new = end.next == 0;
    let journal = Journal::open(directory, end.segment, end.next, config.max_segment_bytes)?;
    let publisher = Publisher::open(config, checkpoint.as_ref())?;
    let mut lines = Vec::new();
    if let Some(removed) = end.removed {
        tracing::warn!(bytes = removed.bytes, "an incomplete line was removed from the end of the audit log");
        lines.push(Entry { bytes: Some(removed.bytes), sha256: Some(removed.sha256), ..Entry::new(Kind::Repaired) });
    }
    lines.push(Entry {
        public_key: Some(config.signing_key.public_key().to_string()),
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        ..Entry::new(Kind::Started)
    });
    if is_new {
        tracing::info!(directory = %directory.display(), "began a new audit log");
    }
    let open_intents = end.open.into_values().collect();
    Ok(Started { lock, journal, publisher, open_intents, lines })
}

fn lock(directory: &Path) -> Result<File, AuditError> {
    let path = directory.join(LOCK);
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(journal::FILE_MODE).open(&path);
    let file = file.map_err(|source| AuditError::io("open", &path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(AuditError::InUse { directory: directory.to_owned() }),
        Err(TryLockError::Error(source)) => Err(AuditError::io("lock", &path, source)),
    }
}

/// Reads the last file of the journal, and those before it from the oldest open intent on.
fn read_end(directory: &Path, signed_size: u64) -> Result<End, AuditError> {
    let segments = journal::segments(directory)?;
    let mut start = segments.len().saturating_sub(1);
    loop {
        let Some(segment) = segments.get(start) else {
            return Ok(End { segment: None, next: 0, open: BTreeMap::new(), removed: None });
        };
        let (end, oldest_open_intent) = read_from(directory, segment.first, signed_size)?;
        // A file without its first line does not tell which intents were open when it began.
        let oldest = match oldest_open_intent {
            Some(oldest) => oldest.unwrap_or(segment.first),
            None => segment.first.saturating_sub(1),
        };
        if oldest >= segment.first || start == 0 {
            return Ok(end);
        }
        start = segments.iter().rposition(|segment| segment.first <= oldest).unwrap_or(0);
    }
}

/// Reads the journal from the first entry of a file on. Returns its end, and what its first entry states as the oldest open
/// intent; `None` if it has no such entry.
fn read_from(directory: &Path, first: u64, signed_size: u64) -> Result<(End, Option<Option<u64>>), AuditError> {
    let mut reader = JournalReader::open(directory, first)?;
    let mut open = BTreeMap::new();
    let mut oldest_open_intent = None;
    let damaged = |index, problem| AuditError::Damaged { directory: directory.to_owned(), index, problem };
    let removed_from = loop {
        let (index, offset) = match reader.next_line()? {
            Next::Line(line) => match line.parse_entry() {
                Ok(entry) => {
                    if line.index == first && matches!(entry.event, Kind::Rotated | Kind::Started | Kind::Repaired) {
                        oldest_open_intent = Some(entry.oldest_open_intent);
                    }
                    note_intent(&mut open, line.index, entry, || line.parse_values().unwrap_or_default());
                    continue;
                }
                Err(_) => (line.index, line.offset),
            },
            Next::Incomplete { index, offset } | Next::Malformed { index, offset } => (index, offset),
            Next::Gap { index, .. } => return Err(damaged(index, "is missing or repeated")),
            Next::End => break None,
        };
        // Only what was not on disk for certain can be torn: lines after the latest checkpoint, in the last file.
        if index < signed_size || !reader.is_in_last_file() {
            return Err(damaged(index, "is malformed"));
        }
        break Some((index, offset));
    };
    let next = removed_from.map_or(reader.index(), |(index, _)| index);
    let Some(position) = reader.position() else {
        return Ok((End { segment: None, next, open, removed: None }, oldest_open_intent));
    };
    let length = removed_from.map_or(position.offset, |(_, offset)| offset);
    let removed = describe_rest(&position.segment.path, length)?;
    let segment = Some((position.segment, length));
    Ok((End { segment, next, open, removed }, oldest_open_intent))
}

/// Adds an intent, or removes the one that an entry closes.
fn note_intent(open: &mut BTreeMap<String, OpenIntent>, index: u64, entry: Entry, values: impl FnOnce() -> Values) {
    let Some(request_id) = entry.request_id.clone() else { return };
    match entry.event {
        Kind::Intent => {
            open.insert(request_id.clone(), OpenIntent { index, request_id, entry, values: values() });
        }
        Kind::Decision | Kind::Interrupted => drop(open.remove(&request_id)),
        _ => {}
    }
}

/// The number of bytes of a file from this offset on, without the zeros at its end, and their digest; `None` if there are
/// only zeros.
fn describe_rest(path: &Path, offset: u64) -> Result<Option<Removed>, AuditError> {
    let read = || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        io::Result::Ok(bytes)
    };
    let mut bytes = read().map_err(|source| AuditError::io("read", path, source))?;
    bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
    let is_empty = bytes.is_empty();
    Ok((!is_empty).then(|| Removed { bytes: bytes.len() as u64, sha256: hex(&sha256(&[&bytes])) }))
}

#[cfg(test)]
mod tests {
    use super::{AuditError, journal, read_end, read_from};
    use crate::audit::appender::Appender;
    use crate::audit::event::{Entry, Kind};
    use crate::audit::journal::{DIRECTORY, Journal};
    use std::fs;
    use tempfile::TempDir;

    /// A log of two files: an intent in the first one, and in the second one that it was begun, and a start.
    fn two_files() -> TempDir {
        let directory = TempDir::new().expect("a directory");
        fs::create_dir(directory.path().join(DIRECTORY)).expect("a directory");
        let journal = Journal::open(directory.path(), None, 0, 1_000_000).expect("a journal");
        let mut appender = Appender::new(journal, 1_000_000, &[]);
        let intent = Entry { request_id: Some("a".to_owned()), ..Entry::new(Kind::Intent) };
        appender.append_entries(&[Entry::new(Kind::Started), intent]).expect("appended");
        appender.rotate().expect("a new file");
        appender.append_entries(&[Entry::new(Kind::Started)]).expect("appended");
        appender.finish().expect("the zeros are removed");
        directory
    }

    #[test]
    fn intent_of_an_earlier_file_is_open_until_its_decision() {
        let directory = two_files();
        let end = read_end(directory.path(), 0).expect("the journal");
        assert_eq!((end.next, end.open.len(), end.removed.is_none()), (4, 1, true));
    }

    /// All of it was on disk when the next file was begun, so it is not torn, whatever the checkpoint contains.
    #[test]
    fn malformed_line_in_an_earlier_file_is_damage() {
        let directory = two_files();
        let first = journal::segments(directory.path()).expect("files").swap_remove(0).path;
        let text = fs::read_to_string(&first).expect("the file");
        fs::write(&first, text.replacen("\n{", "\n[", 1)).expect("the file is changed");
        let result = read_from(directory.path(), 0, 0);
        assert!(matches!(result, Err(AuditError::Damaged { index: 1, .. })), "{:?}", result.err());
    }
}
