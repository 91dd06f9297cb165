//! Errors: a key or a key set that cannot be used, and a token that is refused.

use crate::http_client::NoRootCertificates;
use delete_learning::{Credential, IdentityError, IdentityErrorKind};
use std::io;
use std::path::PathBuf;

/// An error about a verification key or a JSON Web Key Set.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The secret is too short for the algorithm (RFC 7518, section 3.2).
    #[error("{algorithm} needs a secret of at least {min} bytes, and this one has {length}")]
    ShortSecret {
        /// The algorithm's name.
        algorithm: &'static str,
        /// The secret's length in bytes.
        length: usize,
        /// The required length in bytes.
        min: usize,
    },
    /// The RSA key is too short (RFC 7518, section 3.3) or too long.
    #[error("{algorithm} needs an RSA key of 2048 to 8192 bits")]
    RsaSize {
        /// The algorithm's name.
        algorithm: &'static str,
    },
    /// The text is not a public key in PEM.
    #[error("{algorithm} needs a public key in PEM ('-----BEGIN PUBLIC KEY-----'): {reason}")]
    Pem {
        /// The algorithm's name.
        algorithm: &'static str,
        /// What the text is instead.
        reason: &'static str,
    },
    /// The key is malformed, or its type is not the algorithm's.
    #[error("this is not a public key for {algorithm}")]
    WrongKind {
        /// The algorithm's name.
        algorithm: &'static str,
    },
    /// The JSON Web Key is for another use, algorithm or key type (RFC 7517, section 4).
    #[error("its \"{member}\" is {value:?}, and {expected:?} is needed")]
    Mismatch {
        /// The member's name.
        member: &'static str,
        /// The member's value.
        value: String,
        /// The value that this deployment needs.
        expected: &'static str,
    },
    /// A member of a JSON Web Key is missing, or cannot be decoded.
    #[error("its \"{member}\" {reason}")]
    Member {
        /// The member's name.
        member: &'static str,
        /// What is wrong with the value.
        reason: &'static str,
    },
    /// An entry of a JSON Web Key Set is not a JSON object.
    #[error("it is not a JSON object")]
    NotAnObject,
    /// The document is not JSON.
    #[error("not a JSON Web Key Set: {0}")]
    Json(#[from] serde_json::Error),
    /// The document is JSON without an array of keys (RFC 7517, section 5).
    #[error("not a JSON Web Key Set: it has no array \"keys\"")]
    NotAKeySet,
    /// No key of a set can be used.
    #[error("none of its {keys} keys is one for {algorithm}: {reasons}")]
    NoUsableKey {
        /// The number of keys in the set.
        keys: usize,
        /// The algorithm's name.
        algorithm: &'static str,
        /// Why each key was skipped.
        reasons: String,
    },
}

/// An error about a JSON Web Key Set.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// The file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The document cannot be used.
    #[error("{origin}: {source}")]
    Keys {
        /// Where it is from.
        origin: String,
        /// What is wrong with it.
        source: KeyError,
    },
    /// The thread that reads or fetches the set cannot be started.
    #[error("cannot start a thread for the key set: {0}")]
    Thread(#[source] io::Error),
    /// This machine has no trusted certificate authority.
    #[error("the key set cannot be fetched")]
    NoRootCertificates(#[from] NoRootCertificates),
}

/// Returns an [`IdentityErrorKind::Invalid`] error with this reason. The reason must not contain a part of the token.
pub(super) fn invalid_token(reason: &str) -> IdentityError {
    token_error(IdentityErrorKind::Invalid, reason)
}

/// Returns an error of this kind with this reason. The reason must not contain a part of the token.
pub(super) fn token_error(kind: IdentityErrorKind, reason: &str) -> IdentityError {
    IdentityError::new(kind, Credential::Jwt, format!("token refused: {reason}"))
}
