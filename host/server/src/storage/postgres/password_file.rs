//! libpq's password file: lines of `host:port:database:user:password`.

use super::hosts::Host;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Why a password file is not used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    #[error("does not exist")]
    Missing,
    #[error("is not a regular file")]
    NotAFile,
    #[error("can be accessed by its group or others; run chmod 600")]
    Permissions,
    #[error("cannot be read: {0}")]
    Io(io::ErrorKind),
}

/// The lines of a password file.
pub(super) struct PasswordFile(Vec<u8>);

impl PasswordFile {
    pub(super) fn read(path: &Path) -> Result<Self, Unusable> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Unusable::Missing,
            kind => Unusable::Io(kind),
        };
        let metadata = fs::metadata(path).map_err(failed)?;
        if !metadata.is_file() {
            return Err(Unusable::NotAFile);
        }
        if metadata.mode() & 0o077 != 0 {
            return Err(Unusable::Permissions);
        }
        fs::read(path).map(Self).map_err(failed)
    }

    /// The password of the first line that matches.
    pub(super) fn find(&self, host: &Host, database: &str, user: &str) -> Option<Vec<u8>> {
        let port = host.port.to_string();
        let wanted = [host.name_in_password_file(), &port, database, user];
        self.0.split(|byte| *byte == b'\n').find_map(|line| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.starts_with(b"#") {
                return None;
            }
            let mut rest = line;
            for wanted in wanted {
                let (field, after) = next_field(rest);
                // Only an unescaped asterisk matches everything.
                if !(rest.starts_with(b"*:") || field == wanted.as_bytes()) {
                    return None;
                }
                rest = after?;
            }
            Some(next_field(rest).0).filter(|password| !password.is_empty())
        })
    }
}

/// Returns the text up to the next colon without its escapes, and what follows the colon if there is one.
fn next_field(line: &[u8]) -> (Vec<u8>, Option<&[u8]>) {
    let mut field = Vec::new();
    let mut rest = line;
    loop {
        match rest {
            [b'\\', byte, after @ ..] => {
                field.push(*byte);
                rest = after;
            }
            [b':', after @ ..] => return (field, Some(after)),
            [byte, after @ ..] => {
                field.push(*byte);
                rest = after;
            }
            [] => return (field, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Host, PasswordFile, Unusable};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    #[test]
    fn first_matching_line_has_the_password() {
        let file = PasswordFile(
            b"# h:5432:d:u:comment\r\n\
              h:5432:d:u:first\n\
              h:5432:d:u:second\n\
              *:6000:*:u:any host\r\n\
              \\*:7000:*:*:not a pattern\n\
              h:8000:a\\:b:c\\\\d:p\\:w:rest\n\
              localhost:*:d:u:by socket\n\
              too:few:fields\n"
                .to_vec(),
        );
        for (name, port, database, user, password) in [
            ("h", 5432, "d", "u", Some("first")),
            ("h", 5433, "d", "u", None),
            ("other", 6000, "x", "u", Some("any host")),
            ("other", 6000, "x", "v", None),
            ("h", 7000, "d", "u", None),
            ("h", 8000, "a:b", "c\\d", Some("p:w")),
            ("/var/run/postgresql", 5432, "d", "u", Some("by socket")),
            ("/tmp", 1, "d", "u", Some("by socket")),
            ("/srv/sockets", 1, "d", "u", None),
        ] {
            let host = Host { name: name.to_owned(), address: None, port };
            let found = file.find(&host, database, user);
            assert_eq!(found.as_deref(), password.map(str::as_bytes), "{name}:{port}:{database}:{user}");
        }
    }

    #[test]
    fn file_that_others_can_read_is_not_used() {
        let directory = tempfile::TempDir::new().expect("a temporary directory");
        let path = directory.path().join("pgpass");
        assert_eq!(PasswordFile::read(&path).err(), Some(Unusable::Missing));
        fs::write(&path, "*:*:*:*:secret").expect("the file is written");
        for (mode, error) in [(0o644, Some(Unusable::Permissions)), (0o640, Some(Unusable::Permissions)), (0o600, None)]
        {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its permissions are set");
            assert_eq!(PasswordFile::read(&path).err(), error, "{mode:o}");
        }
        assert_eq!(PasswordFile::read(Path::new("/dev/null")).err(), Some(Unusable::NotAFile));
    }
}
