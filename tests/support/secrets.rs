//! No secret of a test occurs in what a server puts out. Every [`TestServer`](super::server::TestServer) is checked: its
//! responses, its log and the files in its directory. The secrets are those that contain [`MARKER`], the keys of its
//! configuration, and the tokens that it was sent.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A part of the secrets that tests share.
pub const MARKER: &str = "MARKER7d1f";

/// The shortest text that is looked for: a shorter one can occur by chance.
const MIN_BYTES: usize = 10;

/// The secrets of one server.
pub struct Secrets {
    texts: Mutex<BTreeSet<String>>,
    /// The files that are there from the beginning: the configuration, and what it names.
    inputs: BTreeSet<PathBuf>,
}

impl Secrets {
    /// The secrets of a server whose files are in this directory.
    pub fn new(directory: &Path, texts: impl IntoIterator<Item = String>) -> Self {
        let secrets = Self { texts: Mutex::default(), inputs: BTreeSet::new() };
        secrets.add(MARKER);
        texts.into_iter().for_each(|text| secrets.add(&text));
        Self { inputs: files(directory).into_iter().collect(), ..secrets }
    }

    /// Adds a secret.
    pub fn add(&self, text: &str) {
        if text.len() >= MIN_BYTES {
            self.texts.lock().unwrap_or_else(PoisonError::into_inner).insert(text.to_owned());
        }
    }

    /// Adds the token of an `Authorization` header.
    pub fn add_authorization(&self, header: &str) {
        self.add(header.split_once(' ').map_or(header, |(_, token)| token).trim());
    }

    /// Asserts that a text has none of them.
    pub fn assert_absent(&self, place: &str, text: &str) {
        if let Some(secret) = self.find(text.as_bytes()) {
            panic!("{place} contains the secret {secret:?}: {text}");
        }
    }

    /// Asserts that no file has one of them that the server wrote.
    pub fn assert_absent_in_files(&self, directory: &Path) {
        for path in files(directory).into_iter().filter(|path| !self.inputs.contains(path)) {
            let found = self.find_in_file(&path);
            assert!(found.is_none(), "{} contains the secret {found:?}", path.display());
        }
    }

    fn find_in_file(&self, path: &Path) -> Option<String> {
        // A file can have been removed meanwhile, or be a socket.
        fs::read(path).ok().and_then(|bytes| self.find(&bytes))
    }

    fn find(&self, bytes: &[u8]) -> Option<String> {
        let texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(bytes);
        texts.iter().find(|secret| text.contains(secret.as_str())).cloned()
    }
}

/// The files of a directory and of those in it, without SQLite's: a process that reads and closes such a file loses its locks on
/// it.
fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let entries = entries.flatten().map(|entry| (entry.path(), entry.file_type().is_ok_and(|kind| kind.is_file())));
    let all = entries.flat_map(|(path, is_file)| if is_file { vec![path] } else { files(&path) });
    let is_of_sqlite = |path: &Path| path.extension().is_some_and(|name| name.as_encoded_bytes().starts_with(b"db"));
    all.filter(|path| !is_of_sqlite(path)).collect()
}
