//! `delete-learning audit keygen`.

use crate::cli::CommandResult;
use delete_learning_server::audit::SigningKey;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Writes a new private key and its public key.
pub(super) fn keygen(origin: &str, file: &Path) -> CommandResult {
    let (text, key) = SigningKey::generate(origin)?;
    let public_file = PathBuf::from([file.as_os_str(), ".pub".as_ref()].into_iter().collect::<std::ffi::OsString>());
    // The private key last: if one of the two exists, no key is left without the other.
    for (file, mode, text) in
        [(&public_file, 0o644, format!("{}\n", key.public_key())), (&file.to_owned(), 0o600, text)]
    {
        write(file, mode, &text).map_err(|error| format!("cannot create {}: {error}", file.display()))?;
    }
    writeln!(
        io::stdout(),
        "private key: {} (keep it secret: audit.signing_key_file of the server)\npublic key:  {} (for everyone who verifies the log)",
        file.display(),
        public_file.display()
    )?;
    Ok(ExitCode::SUCCESS)
}

fn write(file: &Path, mode: u32, text: &str) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(mode).open(file)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
