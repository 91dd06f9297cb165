//! The audit log: who tried to delete what, the decision, its rule, and what happened to the record.
//!
//! Every decision is one event with the target `audit` in the log of the process ([`trace`]). With `[audit]` in the
//! configuration it is also an entry of a durable log, which others can verify:
//!
//! | step | file |
//! |---|---|
//! | what an entry contains and redacts | `event.rs` |
//! | the intent before a delete, the decision after it | `request.rs` |
//! | the queue of lines, writing and syncing | `log.rs`, `queued_line.rs`, `appender.rs` |
//! | what no request waits for | `maintenance.rs`, `refusals.rs` |
//! | the files of the journal | `journal.rs` |
//! | the Merkle tree, its files, signed checkpoints | `tree.rs`, `tiles.rs`, `note.rs`, `publisher.rs` |
//! | the start after a crash | `start.rs`, `recovery.rs` |
//! | the commands | `verify.rs`, `receipt.rs`, `forget.rs` |

mod appender;
mod config;
mod error;
mod event;
mod forget;
mod journal;
mod json;
mod log;
mod maintenance;
mod note;
mod publisher;
mod queued_line;
mod receipt;
mod recovery;
mod refusals;
mod request;
mod start;
mod tiles;
mod time;
pub mod trace;
mod tree;
mod verify;

pub use config::AuditConfig;
pub use error::AuditError;
pub use event::{Entry, GuardDigest, Kind, Request, Salted, Values};
pub use forget::{Forgotten, Selection, forget};
pub use journal::{JournalLine, JournalReader, Next, Segment, segments};
pub use log::AuditLog;
pub use note::{Checkpoint, NoteError, PublicKey, SigningKey};
pub use receipt::{Disclosure, Receipt, ReceiptError, VerifiedReceipt};
pub use request::AUDIT_FAILED_RULE;
pub use start::OpenIntent;
pub use trace::{CallerSummary, Event, describe_guards};
pub use verify::{Finding, Progress, Report, verify};

pub(crate) use recovery::close_open_intents;
pub(crate) use request::AuditedRecord;
