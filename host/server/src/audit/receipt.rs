//! Receipts: the entry of one decision, chosen values of it, and the proof that the log contains it (C2SP `tlog-proof`).

use super::error::AuditError;
use super::event::{Entry, Kind, Salted, Values};
use super::journal::{JournalReader, Next};
use super::note::{Checkpoint, NoteError, PublicKey};
use super::tiles::{CHECKPOINT, TileReader};
use super::tree::{Hash, inclusion_proof, leaf_hash, root_from_proof};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// The first line of a proof.
const PROOF: &str = "c2sp.org/tlog-proof@v1";

/// The value of `format` in a receipt.
const FORMAT: &str = "delete-learning-receipt@v1";

/// Maximum number of ids that an error lists.
const MAX_LISTED_IDS: usize = 8;

/// A receipt, as its file has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    format: String,
    /// The entry, byte for byte.
    entry: String,
    /// Values of the entry with their salts.
    disclosed: Values,
    /// The proof that the log contains the entry.
    proof: String,
}

/// The values that a receipt discloses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disclosure {
    /// The client address.
    pub client: bool,
    /// The learning id.
    pub learning_id: bool,
    /// The owner of the deleted record.
    pub owner: bool,
    /// The subject of the caller.
    pub subject: bool,
}

/// A receipt that was verified.
#[derive(Clone, Debug)]
pub struct VerifiedReceipt {
    /// The entry.
    pub entry: Entry,
    /// Its disclosed values.
    pub disclosed: Values,
    /// Its index in the log.
    pub index: u64,
    /// The checkpoint that contains it.
    pub checkpoint: Checkpoint,
}

/// Why there is no receipt, or why it does not verify.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// A file of the log cannot be read.
    #[error(transparent)]
    Log(#[from] AuditError),
    /// No entry is of this request.
    #[error(
        "the log has no decision on the request {0}; the id of a request is in the header `x-request-id` of its answer"
    )]
    UnknownRequest(String),
    /// Several requests have this id of a proxy; some of their ids in the log.
    #[error("several requests have this id; name one of them: {0}")]
    SeveralRequests(String),
    /// The intent of the request is open.
    #[error("the intent of the request {0} is open: it is in progress, or a start of the server closes it")]
    Open(String),
    /// The entry is not in a checkpoint yet.
    #[error(
        "entry {index} is not in a checkpoint yet; the latest has {size} entries, and the server writes the next within checkpoint_interval_seconds"
    )]
    NotSigned {
        /// The index of the entry.
        index: u64,
        /// The size of the latest checkpoint.
        size: u64,
    },
    /// The latest checkpoint cannot be used.
    #[error("the checkpoint cannot be used: {0}")]
    Checkpoint(#[from] NoteError),
    /// The text is no receipt.
    #[error("it is not a receipt: {0}")]
    Malformed(String),
    /// A disclosed value is not the one that the entry has the digest of.
    #[error("the disclosed {0} is not the value that the entry has the digest of")]
    WrongValue(&'static str),
    /// The proof does not lead from the entry to the root of the checkpoint.
    #[error("the log does not contain the entry: the proof does not lead to the root of the checkpoint")]
    WrongProof,
}

impl Receipt {
    /// Makes the receipt of a request from the log, whose latest checkpoint one of these keys signed.
    ///
    /// # Errors
    /// [`ReceiptError`] if the log has no decision on it, or no checkpoint contains it yet.
    pub fn create(
        directory: &Path,
        keys: &[PublicKey],
        request_id: &str,
        disclosure: Disclosure,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self, ReceiptError> {
        let file = directory.join(CHECKPOINT);
        let note = fs::read_to_string(&file).map_err(|source| AuditError::io("read", &file, source))?;
        let checkpoint = Checkpoint::open(&note, keys)?;
        let (index, entry, values) = find(directory, request_id, progress)?;
        if index >= checkpoint.size {
            return Err(ReceiptError::NotSigned { index, size: checkpoint.size });
        }
        let proof = inclusion_proof(&mut TileReader { directory, size: checkpoint.size }, index, checkpoint.size)?;
        // The receipt is refused here if the log was changed, and not by the one who gets it.
        if root_from_proof(leaf_hash(entry.as_bytes()), index, checkpoint.size, &proof) != Some(checkpoint.root) {
            return Err(ReceiptError::WrongProof);
        }
        let mut text = format!("{PROOF}\nindex {index}\n");
        for hash in proof {
            let _ = writeln!(text, "{}", BASE64.encode(hash));
        }
        text.push('\n');
        text.push_str(&note);
        let disclosed = Values {
            client: values.client.filter(|_| disclosure.client),
            learning_id: values.learning_id.filter(|_| disclosure.learning_id),
            owner: values.owner.filter(|_| disclosure.owner),
            subject: values.subject.filter(|_| disclosure.subject),
        };
        Ok(Self { format: FORMAT.to_owned(), entry, disclosed, proof: text })
    }

    /// Parses the text of a receipt.
    ///
    /// # Errors
    /// [`ReceiptError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, ReceiptError> {
        let receipt: Self = serde_json::from_str(text).map_err(|error| ReceiptError::Malformed(error.to_string()))?;
        if receipt.format == FORMAT {
            Ok(receipt)
        } else {
            Err(ReceiptError::Malformed("it has another format".to_owned()))
        }
    }

    /// The text of the receipt.
    ///
    /// # Errors
    /// [`AuditError::Json`].
    pub fn to_text(&self) -> Result<String, AuditError> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Verifies the receipt with nothing but a public key of the log.
    ///
    /// # Errors
    /// [`ReceiptError`] if anything in it was changed, or another key signed the checkpoint.
    pub fn verify(&self, keys: &[PublicKey]) -> Result<VerifiedReceipt, ReceiptError> {
        let malformed = |problem: &str| ReceiptError::Malformed(problem.to_owned());
        let entry: Entry = serde_json::from_str(&self.entry).map_err(|_| malformed("its entry is malformed"))?;
        if let Some(name) = self.disclosed.mismatch(&entry) {
            return Err(ReceiptError::WrongValue(name));
        }
        let (index, proof, note) = parse_proof(&self.proof).ok_or_else(|| malformed("its proof is malformed"))?;
        let checkpoint = Checkpoint::open(note, keys)?;
        if root_from_proof(leaf_hash(self.entry.as_bytes()), index, checkpoint.size, &proof) != Some(checkpoint.root) {
            return Err(ReceiptError::WrongProof);
        }
        Ok(VerifiedReceipt { entry, disclosed: self.disclosed.clone(), index, checkpoint })
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len().max(1)).any(|window| window == text.as_bytes())
}

/// Finds the last decision on a request, whose id can be that of a proxy alone (`REQUEST_ID` or `REQUEST_ID/…`). Returns its
/// index, its bytes and its values.
fn find(
    directory: &Path,
    request_id: &str,
    progress: &mut dyn FnMut(u64),
) -> Result<(u64, String, Values), ReceiptError> {
    let mut reader = JournalReader::open(directory, 0)?;
    let (mut found, mut is_open, mut ids) = (None, false, BTreeSet::new());
    let is_wanted = |id: &str| id.strip_prefix(request_id).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    loop {
        let line = match reader.next_line()? {
            Next::Line(line) => line,
            Next::Malformed { .. } => continue,
            Next::Incomplete { .. } | Next::Gap { .. } | Next::End => break,
        };
        if line.index.is_multiple_of(4096) {
            progress(line.index);
        }
        // Parsing every entry takes most of the time.
        if !contains(line.entry, request_id) {
            continue;
        }
        let Ok(entry) = line.parse_entry() else { continue };
        let Some(id) = entry.request_id.as_deref().filter(|id| is_wanted(id)) else { continue };
        if ids.len() <= MAX_LISTED_IDS {
            ids.insert(id.to_owned());
        }
        is_open = entry.event == Kind::Intent;
        if !is_open {
            let values = line.parse_values().unwrap_or_default();
            found = Some((line.index, String::from_utf8_lossy(line.entry).into_owned(), values));
        }
    }
    match found {
        Some(_) if ids.len() > 1 => Err(ReceiptError::SeveralRequests(Vec::from_iter(ids).join(", "))),
        Some(found) => Ok(found),
        None if is_open => Err(ReceiptError::Open(request_id.to_owned())),
        None => Err(ReceiptError::UnknownRequest(request_id.to_owned())),
    }
}

/// Splits a proof into the index, the hashes and the checkpoint.
fn parse_proof(text: &str) -> Option<(u64, Vec<Hash>, &str)> {
    let (head, note) = text.split_once("\n\n")?;
    let mut lines = head.split('\n');
    if lines.next()? != PROOF {
        return None;
    }
    let index = lines.next()?.strip_prefix("index ")?;
    let hash = |line: &str| BASE64.decode(line).ok()?.try_into().ok();
    Some((index.parse().ok()?, lines.map(hash).collect::<Option<_>>()?, note))
}

impl Values {
    /// The name and the value of each that is present.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Salted)> {
        [
            ("client", &self.client),
            ("learning_id", &self.learning_id),
            ("owner", &self.owner),
            ("subject", &self.subject),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::{ReceiptError, find};
    use crate::audit::event::{Entry, Kind, Line, Values};
    use std::fs;

    #[test]
    fn request_whose_intent_is_open_has_no_decision_yet() {
        let directory = tempfile::tempdir().expect("a directory");
        let line = |event, request: &str| {
            let entry = Entry { request_id: Some(request.to_owned()), ..Entry::new(event) };
            Line::new(&entry, &Values::default()).expect("a line").text
        };
        let journal = [line(Kind::Intent, "open"), line(Kind::Intent, "done"), line(Kind::Decision, "done")].concat();
        fs::create_dir(directory.path().join("journal")).expect("a directory");
        fs::write(directory.path().join("journal/00000000000000000000.log"), journal).expect("a journal");
        let find = |request| find(directory.path(), request, &mut |_| ()).map(|(index, ..)| index);
        assert!(matches!(find("done"), Ok(2)));
        assert!(matches!(find("open"), Err(ReceiptError::Open(_))));
        assert!(matches!(find("unknown"), Err(ReceiptError::UnknownRequest(_))));
        assert!(matches!(find("ope"), Err(ReceiptError::UnknownRequest(_))), "a part of an id");
    }
}
