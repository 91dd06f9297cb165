//! A key set in a file that is read again, so that keys are rotated without a restart.

use super::{Current, MAX_BYTES};
use crate::auth::jwt::algorithm::Algorithm;
use crate::auth::jwt::error::JwksError;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// The time between two reads. The contents are compared, because the size and the modification time of a file can stay
/// the same when it is replaced.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Reads the file and starts a thread that reads it again until the returned value is dropped.
pub(super) fn watch(path: &Path, algorithm: Algorithm) -> Result<Arc<Current>, JwksError> {
    let (current, document) = load(path, algorithm)?;
    let path = path.to_owned();
    let weak = Arc::downgrade(&current);
    let mut watcher = Watcher { path, last: Ok(document) };
    let run = move || {
        loop {
            thread::sleep(POLL_INTERVAL);
            let Some(current) = weak.upgrade() else { return };
            watcher.poll(&current);
        }
    };
    thread::Builder::new().name("jwks-watch".to_owned()).spawn(run).map_err(JwksError::Thread)?;
    Ok(current)
}

/// Reads the file. Returns the keys and the contents.
pub(super) fn load(path: &Path, algorithm: Algorithm) -> Result<(Arc<Current>, Vec<u8>), JwksError> {
    let document = read(path).map_err(|source| JwksError::Read { path: path.to_owned(), source })?;
    let current = Arc::new(Current::new(path.display().to_string(), algorithm));
    current.replace(&document)?;
    Ok((current, document))
}

struct Watcher {
    path: PathBuf,
    /// The last contents of the file, or why it could not be read.
    last: Result<Vec<u8>, io::ErrorKind>,
}

impl Watcher {
    /// Reads the file, and uses its contents if they differ from the last ones.
    fn poll(&mut self, current: &Current) {
        let document = read(&self.path);
        match (&document, &self.last) {
            (Ok(document), Ok(last)) if document == last => return,
            (Err(error), Err(last)) if error.kind() == *last => return,
            (Ok(document), _) => current.reload(document),
            (Err(error), _) => {
                tracing::error!(origin = current.origin, %error, "the key set cannot be read; the last good one stays");
            }
        }
        self.last = document.map_err(|error| error.kind());
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut document = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut document)?;
    if document.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {MAX_BYTES} bytes")));
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::{Current, MAX_BYTES, Watcher, load, read};
    use crate::auth::jwt::Algorithm;
    use std::fs;
    use std::sync::Arc;

    /// The example of RFC 8037, appendix A.2, and one with another key.
    const KEY: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    #[test]
    fn set_is_replaced_only_if_the_file_changes() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("jwks.json");
        fs::write(&path, KEY).expect("the file");
        let (current, document) = load(&path, Algorithm::EdDSA).expect("a set");
        let mut watcher = Watcher { path: path.clone(), last: Ok(document) };
        let poll = |watcher: &mut Watcher, current: &Current| {
            let before = current.keys();
            watcher.poll(current);
            !Arc::ptr_eq(&before, &current.keys())
        };
        assert!(!poll(&mut watcher, &current), "the same contents");
        fs::write(&path, KEY.replace("OKP\",", "OKP\", ")).expect("the file");
        assert!(poll(&mut watcher, &current), "other contents");
        fs::remove_file(&path).expect("removed");
        assert!(!poll(&mut watcher, &current) && !poll(&mut watcher, &current), "no file");
        fs::write(&path, KEY).expect("the file");
        assert!(poll(&mut watcher, &current), "a file again");
    }

    #[test]
    fn file_that_is_too_large_is_not_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("jwks.json");
        let length = |bytes: u64| {
            fs::File::create(&path).and_then(|file| file.set_len(bytes)).expect("a file");
            read(&path).map(|document| document.len() as u64).map_err(|error| error.kind())
        };
        assert_eq!(length(MAX_BYTES), Ok(MAX_BYTES));
        assert_eq!(length(MAX_BYTES + 1), Err(std::io::ErrorKind::FileTooLarge));
    }
}
