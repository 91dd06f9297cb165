//! Appends lines to the journal, and knows which intents are open.

use super::error::AuditError;
use super::event::{Entry, Kind, Line, Values};
use super::journal::{Journal, SyncRequest};
use super::start::OpenIntent;
use std::collections::HashMap;

/// The end of the journal with its open intents.
pub(super) struct Appender {
    journal: Journal,
    max_segment_bytes: u64,
    /// The open intents by their requests, and the indexes of their entries.
    open: HashMap<String, u64>,
    /// The lines that are being appended. Kept, because memory of this size takes time to allocate.
    buffer: Vec<u8>,
}

impl Appender {
    pub(super) fn new(journal: Journal, max_segment_bytes: u64, open_intents: &[OpenIntent]) -> Self {
        let open = open_intents.iter().map(|intent| (intent.request_id.clone(), intent.index)).collect();
        Self { journal, max_segment_bytes, open, buffer: Vec::new() }
    }

    /// The number of entries, which is the index of the next one.
    pub(super) const fn next(&self) -> u64 {
        self.journal.next()
    }

    pub(super) const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Whether the file is to be followed by a new one because of its size.
    pub(super) const fn is_full(&self) -> bool {
        self.journal.length() >= self.max_segment_bytes
    }

    /// Appends lines with one write. Returns the index of the first one. If that fails, none of them is in the journal.
    pub(super) fn append<'a>(&mut self, lines: impl Iterator<Item = &'a Line> + Clone) -> Result<u64, AuditError> {
        self.buffer.clear();
        let mut count = 0;
        for line in lines.clone() {
            self.buffer.extend_from_slice(&line.text);
            count += 1;
        }
        let first = self.next();
        self.journal.append(&self.buffer, count)?;
        for (index, line) in (first..).zip(lines) {
            let Some(request_id) = &line.request_id else { continue };
            if line.kind == Kind::Intent {
                self.open.insert(request_id.clone(), index);
            } else {
                self.open.remove(request_id);
            }
        }
        Ok(first)
    }

    /// Appends entries without values.
    pub(super) fn append_entries(&mut self, entries: &[Entry]) -> Result<u64, AuditError> {
        let lines = entries.iter().map(|entry| Line::new(entry, &Values::default())).collect::<Result<Vec<_>, _>>()?;
        self.append(lines.iter())
    }

    /// What is to be written to disk.
    pub(super) fn sync_request(&mut self) -> Result<SyncRequest, AuditError> {
        self.journal.sync_request()
    }

    /// Begins a new file. Waits for the disk. If that fails, the current file stays.
    pub(super) fn rotate(&mut self) -> Result<(), AuditError> {
        let oldest_open_intent = self.open.values().min().copied();
        let line = Line::new(&Entry { oldest_open_intent, ..Entry::new(Kind::Rotated) }, &Values::default())?;
        self.journal.sync_request()?.execute()?;
        self.journal.rotate(&line.text)
    }

    /// Removes the zeros at the end of the file, which must be on disk.
    pub(super) fn finish(&mut self) -> Result<(), AuditError> {
        self.journal.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Appender, Entry, Journal, Kind, Line, Values};
    use crate::audit::journal::{DIRECTORY, JournalReader, Next};
    use std::fs;

    fn line(kind: Kind, request: &str) -> Line {
        let entry = Entry { request_id: Some(request.to_owned()), ..Entry::new(kind) };
        Line::new(&entry, &Values::default()).expect("a line")
    }

    #[test]
    fn new_file_begins_with_the_oldest_open_intent() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir(directory.path().join(DIRECTORY)).expect("a directory");
        let journal = Journal::open(directory.path(), None, 0, 1_000_000).expect("a journal");
        let lines = [
            line(Kind::Intent, "a"),
            line(Kind::Intent, "b"),
            line(Kind::Intent, "c"),
            line(Kind::Decision, "a"),
            line(Kind::Interrupted, "c"),
        ];
        let bytes: usize = lines.iter().map(|line| line.text.len()).sum();
        let mut appender = Appender::new(journal, bytes as u64, &[]);
        assert_eq!(appender.append(lines.iter().take(2)).expect("appended"), 0);
        assert!(!appender.is_full());
        assert_eq!(appender.append(lines.iter().skip(2)).expect("appended"), 2);
        assert!(appender.is_full() && appender.next() == 5);
        appender.rotate().expect("a new file");
        assert!(!appender.is_full() && appender.next() == 6);
        appender.append([line(Kind::Decision, "b")].iter()).expect("appended");
        appender.rotate().expect("a new file");
        let oldest = |index| {
            let mut reader = JournalReader::open(directory.path(), index).expect("a reader");
            let Ok(Next::Line(line)) = reader.next_line() else { panic!("a line") };
            let entry = line.parse_entry().expect("an entry");
            assert_eq!(entry.event, Kind::Rotated);
            entry.oldest_open_intent
        };
        assert_eq!((oldest(5), oldest(7)), (Some(1), None));
        appender.append_entries(&[Entry::new(Kind::Stopped)]).expect("appended");
        appender.finish().expect("the zeros are removed");
        let length = fs::metadata(
            JournalReader::open(directory.path(), 7)
                .map(|mut reader| {
                    let _ = reader.next_line().expect("a line");
                    reader.segment().expect("the file").path
                })
                .expect("a reader"),
        );
        assert_eq!(length.expect("the file").len(), appender.journal().length());
    }
}
