//! Erases values from the journal: those of one subject, or of one learning. Entries and checkpoints stay as they are.

use super::Salted;
use super::error::AuditError;
use super::event::{Entry, Values};
use super::journal::{self, JournalReader, Next};
use std::collections::{BTreeMap, HashSet};
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
    let requests = requests_on_records_of(directory, selection, progress)?;
    let mut files = BTreeMap::new();
    let mut forgotten = Forgotten::default();
    let mut reader = JournalReader::open(directory, 0)?;
    loop {
        let (index, offset, erased) = match reader.next_line()? {
            Next::Line(line) => {
                let offset = line.offset + line.entry.len() as u64 + 1;
                (line.index, offset, erase(line.parse_entry().ok().as_ref(), line.values, selection, &requests)?)
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

/// The requests that deleted a record of the subject. An intent does not know the owner if the caller is not confined; the
/// decision of the same request does.
fn requests_on_records_of(
    directory: &Path,
    selection: &Selection,
    progress: &mut dyn FnMut(u64),
) -> Result<HashSet<String>, AuditError> {
    let mut requests = HashSet::new();
    let Selection::Subject(subject) = selection else { return Ok(requests) };
    let mut reader = JournalReader::open(directory, 0)?;
    loop {
        let line = match reader.next_line()? {
            Next::Line(line) => line,
            Next::Malformed { .. } => continue,
            Next::Incomplete { .. } | Next::Gap { .. } | Next::End => return Ok(requests),
        };
        if line.index % 4096 == 0 {
            progress(line.index);
        }
        if serde_json::from_slice::<Values>(line.values).is_ok_and(|values| has(&values.owner, subject))
            && let Ok(Entry { request_id: Some(request_id), .. }) = line.parse_entry()
        {
            requests.insert(request_id);
        }
    }
}

/// Whether a value is this text.
fn has(value: &Option<Salted>, text: &str) -> bool {
    value.as_ref().is_some_and(|salted| salted.value == text)
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
fn erase(
    entry: Option<&Entry>,
    values: &[u8],
    selection: &Selection,
    requests: &HashSet<String>,
) -> Result<Option<(Vec<u8>, u64)>, AuditError> {
    let Ok(before) = serde_json::from_slice::<Values>(values) else {
        // An erasure was interrupted by a crash: the rest proves nothing.
        let erased = (values.len() >= 2).then(|| (pad(b"{}".to_vec(), values.len()), 1));
        return Ok(erased);
    };
    let mut after = before.clone();
    match selection {
        Selection::Subject(subject) => {
            let is_caller = has(&before.subject, subject);
            // Without a known owner, the record can be the caller's own.
            let owner_is_unknown = entry.is_none_or(|entry| entry.owner.is_none());
            if is_caller {
                (after.subject, after.client) = (None, None);
            }
            let request_id = entry.and_then(|entry| entry.request_id.as_ref());
            let is_record_of_subject = request_id.is_some_and(|request_id| requests.contains(request_id));
            if is_record_of_subject || has(&before.owner, subject) || (is_caller && owner_is_unknown) {
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

#[cfg(test)]
mod tests {
    use super::{Selection, erase};
    use crate::audit::Salted;
    use crate::audit::event::{Entry, Kind, Values};
    use std::collections::HashSet;

    fn learning() -> Selection {
        Selection::Learning("note".to_owned())
    }

    #[test]
    fn rest_of_an_interrupted_erasure_is_erased() {
        let erase = |values: &[u8]| erase(None, values, &learning(), &HashSet::new()).expect("no error");
        assert_eq!(erase(b"{\"owner\":{"), Some((b"{}        ".to_vec(), 1)));
        assert_eq!(erase(b"xx"), Some((b"{}".to_vec(), 1)));
        assert_eq!(erase(b"x"), None, "nothing can be erased in less than two bytes");
    }

    #[test]
    fn only_values_of_the_selection_are_erased_and_the_length_stays() {
        let salted = |text: &str| Some(Salted { salt: "00".repeat(16), value: text.to_owned() });
        let values =
            Values { learning_id: salted("note"), owner: salted("alice"), subject: salted("bob"), ..Values::default() };
        let text = serde_json::to_vec(&values).expect("JSON");
        let entry = Entry::new(Kind::Decision);
        let erase = |selection: &Selection| erase(Some(&entry), &text, selection, &HashSet::new()).expect("no error");
        let (erased, count) = erase(&learning()).expect("something is erased");
        let after: Values = serde_json::from_slice(&erased).expect("values");
        assert_eq!((after.learning_id, after.owner), (None, None));
        assert_eq!((after.subject, erased.len(), count), (values.subject.clone(), text.len(), 2));
        assert_eq!(erase(&Selection::Learning("other".to_owned())), None);
    }

    #[test]
    fn owner_is_erased_with_the_caller_only_if_nobody_knows_the_owner() {
        let salted = |text: &str| Some(Salted { salt: "00".repeat(16), value: text.to_owned() });
        let values = Values { learning_id: salted("note"), subject: salted("alice"), ..Values::default() };
        let text = serde_json::to_vec(&values).expect("JSON");
        let unknown = Entry::new(Kind::Decision);
        let known = Entry { owner: Some("digest".to_owned()), ..Entry::new(Kind::Decision) };
        for (entry, subject, learning_id_stays, count) in
            [(&unknown, "alice", false, 2), (&known, "alice", true, 1), (&unknown, "bob", true, 0)]
        {
            let selection = Selection::Subject(subject.to_owned());
            let erased = erase(Some(entry), &text, &selection, &HashSet::new()).expect("no error");
            let (after, erased) = erased
                .map_or((values.clone(), 0), |(bytes, count)| (serde_json::from_slice(&bytes).expect("values"), count));
            assert_eq!((after.learning_id.is_some(), erased), (learning_id_stays, count), "{subject}");
        }
    }
}
