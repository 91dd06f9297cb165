//! Erases values from the journal: those of one subject, or of one learning. Entries and checkpoints stay as they are.

use super::error::AuditError;
use super::event::{Entry, Values};
use super::journal::{self, JournalReader, Next};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file that is locked meanwhile, so that two programs do not restore what the other one erases.
const LOCK: &str = "forget.lock";

/// Whose values are erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// What identifies this subject: as a caller its subject and its address, as an owner itself and its learning ids.
    Subject(String),
    /// This learning id, and the owner of the record.
    Learning(String),
}

/// What was erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Entries with an erased value.
    pub entries: u64,
    /// Erased values.
    pub values: u64,
}

/// Erases values. A server can write to the log meanwhile.
///
/// # Errors
/// [`AuditError`] if a file cannot be read or written. What was erased until then stays erased.
pub fn forget(directory: &Path, selection: &Selection, progress: &mut dyn FnMut(u64)) -> Result<Forgotten, AuditError> {
    let path = directory.join(LOCK);
    let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(journal::FILE_MODE).open(&path);
    let lock = lock.map_err(|source| AuditError::io("open", &path, source))?;
    lock.lock().map_err(|source| AuditError::io("lock", &path, source))?;
    let mut files = BTreeMap::new();
    let mut forgotten = Forgotten::default();
    let mut reader = JournalReader::open(directory, 0)?;
    loop {
        let (index, offset, erased) = match reader.next_line()? {
            Next::Line(line) => {
                let offset = line.offset + line.entry.len() as u64 + 1;
                (line.index, offset, erase(line.parse_entry().ok().as_ref(), line.values, selection)?)
            }
            Next::Malformed { .. } => continue,
            Next::Incomplete { .. } | Next::Gap { .. } | Next::End => break,
        };
        if index % 4096 == 0 {
            progress(index);
        }
        let (Some((bytes, count)), Some(segment)) = (erased, reader.segment()) else { continue };
        write(&mut files, &segment.path, &bytes, offset)?;
        forgotten.entries += 1;
        forgotten.values += count;
    }
    for (path, file) in files {
        file.sync_data().map_err(|source| AuditError::io("sync", &path, source))?;
    }
    Ok(forgotten)
}

fn write(files: &mut BTreeMap<PathBuf, File>, path: &Path, bytes: &[u8], offset: u64) -> Result<(), AuditError> {
    let error = |source: io::Error| AuditError::io("write to", path, source);
    if !files.contains_key(path) {
        files.insert(path.to_owned(), OpenOptions::new().write(true).open(path).map_err(error)?);
    }
    files.get(path).map_or(Ok(()), |file| file.write_all_at(bytes, offset)).map_err(error)
}

/// The bytes that replace the values of an entry, with spaces at their end to keep their number, and how many values are
/// erased; `None` if none is.
fn erase(entry: Option<&Entry>, values: &[u8], selection: &Selection) -> Result<Option<(Vec<u8>, u64)>, AuditError> {
    let Ok(before) = serde_json::from_slice::<Values>(values) else {
        // An erasure was interrupted by a crash: the rest proves nothing.
        let erased = (values.len() >= 2).then(|| (pad(b"{}".to_vec(), values.len()), 1));
        return Ok(erased);
    };
    let has = |value: &Option<super::Salted>, text: &str| value.as_ref().is_some_and(|salted| salted.value == text);
    let mut after = before.clone();
    match selection {
        Selection::Subject(subject) => {
            let is_caller = has(&before.subject, subject);
            // Without a known owner, the record can be the caller's own.
            let owner_is_unknown = entry.is_none_or(|entry| entry.owner.is_none());
            if is_caller {
                (after.subject, after.client) = (None, None);
            }
            if has(&before.owner, subject) || (is_caller && owner_is_unknown) {
                (after.owner, after.learning_id) = (None, None);
            }
        }
        Selection::Learning(id) => {
            if has(&before.learning_id, id) {
                (after.owner, after.learning_id) = (None, None);
            }
        }
    }
    if after == before {
        return Ok(None);
    }
    let erased = before.iter().count() - after.iter().count();
    Ok(Some((pad(serde_json::to_vec(&after)?, values.len()), erased as u64)))
}

fn pad(mut bytes: Vec<u8>, length: usize) -> Vec<u8> {
    bytes.resize(length.max(bytes.len()), b' ');
    bytes
}
