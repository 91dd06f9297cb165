//! `delete-learning audit`: keys, verification, search, receipts and erasure of the audit log.

mod forget;
mod keygen;
mod progress;
mod receipt;
mod show;
mod verify;

use super::CommandResult;
use clap::{Args, Subcommand};
use delete_learning_server::audit::PublicKey;
use std::fs;
use std::path::{Path, PathBuf};

/// The commands of `audit`.
#[derive(Subcommand)]
pub(super) enum AuditCommand {
    /// Makes the key that signs the checkpoints of a log
    ///
    /// Writes the private key to FILE, which only its owner can read, and the public key to FILE.pub. The configuration names
    /// FILE in `audit.signing_key_file`. Give FILE.pub to everyone who is to verify the log or a receipt.
    Keygen {
        /// The name of the log, unique among all logs: a domain and a path, such as example.com/deletions
        #[arg(long, value_name = "NAME")]
        origin: String,
        /// The file of the private key, which must not exist
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Proves that nothing in a log was changed, removed, added or reordered, or names the first bad entry
    ///
    /// Compares the journal, the bundles of entries and the tiles with each other and with the latest signed checkpoint.
    /// Entries after the checkpoint are counted, and nothing proves them yet. An end that was cut off together with the
    /// checkpoint shows only against a checkpoint that was stored elsewhere: see --checkpoint. Exits with 1 if something is
    /// wrong. The server can run meanwhile.
    Verify {
        #[command(flatten)]
        log: LogArguments,
        /// A checkpoint of the log that was stored elsewhere; can be repeated
        #[arg(long, value_name = "FILE")]
        checkpoint: Vec<PathBuf>,
    },
    /// Prints entries, with the values that were not erased
    ///
    /// Prints a table, or one JSON object for each entry. Filters are combined; without any, every entry is printed. It does
    /// not verify the log.
    Show(show::ShowArguments),
    /// Writes the receipt of one deletion: its redacted entry, chosen values, and the proof that the log contains it
    ///
    /// The receipt names the learning id, and nothing else that identifies a person unless --disclose is given. It can be
    /// verified offline with the public key alone. The entry must be in a checkpoint, so a receipt of a deletion that was
    /// just made is available after the next one.
    Receipt {
        #[command(flatten)]
        log: LogArguments,
        /// The id of the request: the header x-request-id of its answer
        #[arg(value_name = "REQUEST_ID")]
        request_id: String,
        /// The file to write; without it, the receipt is printed
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Values that the receipt contains
        #[arg(long, value_name = "VALUE", value_delimiter = ',', default_value = "learning-id")]
        disclose: Vec<String>,
    },
    /// Verifies a receipt offline with the public key alone, and prints what it states
    ///
    /// Exits with 1 if the receipt was changed, or is of another log.
    VerifyReceipt {
        /// The public key of the log; can be repeated if the key was replaced
        #[arg(long, value_name = "FILE", required = true)]
        public_key: Vec<PathBuf>,
        /// The receipt
        #[arg(value_name = "RECEIPT")]
        receipt: PathBuf,
    },
    /// Erases the values of a subject or of a learning id from a log, which still verifies afterwards
    ///
    /// Entries contain only digests of values with random salts. This overwrites the values and their salts in the journal, so
    /// that nothing leads from the digests to them. Of a subject it erases: as a caller its subject and its client address; as
    /// an owner the owner and the learning id. Copies of the log elsewhere are not changed. The server can run meanwhile.
    Forget {
        /// The directory of the log
        #[arg(long, value_name = "DIRECTORY")]
        directory: PathBuf,
        /// The subject whose values are erased
        #[arg(long, value_name = "SUBJECT", required_unless_present = "learning", conflicts_with = "learning")]
        subject: Option<String>,
        /// The learning id that is erased, with the owner of its record
        #[arg(long, value_name = "ID")]
        learning: Option<String>,
    },
}

/// A log and its public key.
#[derive(Args)]
pub(super) struct LogArguments {
    /// The directory of the log: `audit.directory` of the configuration
    #[arg(long, value_name = "DIRECTORY")]
    directory: PathBuf,
    /// The public key of the log; can be repeated if the key was replaced
    #[arg(long, value_name = "FILE", required = true)]
    public_key: Vec<PathBuf>,
}

/// Runs a command of `audit`.
pub(super) fn run(command: AuditCommand) -> CommandResult {
    match command {
        AuditCommand::Keygen { origin, file } => keygen::keygen(&origin, &file),
        AuditCommand::Verify { log, checkpoint } => verify::verify(&log, &checkpoint),
        AuditCommand::Show(arguments) => show::show(&arguments),
        AuditCommand::Receipt { log, request_id, output, disclose } => {
            receipt::create(&log, &request_id, output.as_deref(), &disclose)
        }
        AuditCommand::VerifyReceipt { public_key, receipt } => receipt::verify(&public_key, &receipt),
        AuditCommand::Forget { directory, subject, learning } => forget::forget(&directory, subject, learning),
    }
}

/// Reads a text file.
fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

/// Reads public keys.
fn read_keys(paths: &[PathBuf]) -> Result<Vec<PublicKey>, String> {
    let read = |path: &PathBuf| read(path)?.parse().map_err(|error| format!("{}: {error}", path.display()));
    paths.iter().map(read).collect()
}
