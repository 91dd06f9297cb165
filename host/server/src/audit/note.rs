//! Signed notes (C2SP `signed-note`) and checkpoints (C2SP `tlog-checkpoint`) with Ed25519 keys.

use super::tree::{Hash, sha256};
use crate::hex::hex;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::fmt;
use std::str::FromStr;

/// The algorithm byte of Ed25519 in keys of notes.
const ED25519_ALGORITHM: u8 = 1;

/// The start of a private key, as Go's tools for notes write it.
const PRIVATE_KEY_PREFIX: &str = "PRIVATE+KEY+";

/// The start of a signature line: an em dash and a space.
const SIGNATURE_PREFIX: &str = "— ";

/// Why a key or a note cannot be used. It contains nothing of a private key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The name of a key is empty, or contains a space or a `+`.
    #[error("the name {0:?} is empty, or contains a space, a control character or a `+`")]
    InvalidName(String),
    /// The text is no public key.
    #[error("it is not a public key of the form NAME+ID+KEY")]
    InvalidPublicKey,
    /// The text is no private key.
    #[error("it is not a private key that `audit keygen` wrote")]
    InvalidPrivateKey,
    /// The operating system returned no random bytes.
    #[error("the operating system returned no random bytes")]
    NoRandomBytes,
    /// The text is no signed note.
    #[error("it is not a signed note")]
    InvalidNote,
    /// The text of the note is no checkpoint.
    #[error("it is not a checkpoint")]
    InvalidCheckpoint,
    /// No signature is of a known key.
    #[error("no signature is of the key {0}")]
    UnknownKey(String),
    /// A signature of a known key is wrong.
    #[error("the signature of the key {0} is wrong")]
    WrongSignature(String),
    /// The checkpoint is of another log.
    #[error("it is of the log {found:?}, not of {expected:?}")]
    OtherOrigin {
        /// The origin in the checkpoint.
        found: String,
        /// The name of the key.
        expected: String,
    },
}

/// The public key of a log, with the log's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    key: [u8; 32],
}

impl PublicKey {
    /// The name of the key, which is the origin of the log.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of the key: the first bytes of the digest of its name, its algorithm and itself.
    fn id(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = sha256(&[self.name.as_bytes(), b"\n", &[ED25519_ALGORITHM], &self.key]);
        [a, b, c, d]
    }

    fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.key).verify(text.as_bytes(), signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = BASE64.encode([&[ED25519_ALGORITHM], self.key.as_slice()].concat());
        write!(formatter, "{}+{}+{key}", self.name, hex(&self.id()))
    }
}

impl FromStr for PublicKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let (name, id, key) = parse_key(text).ok_or(NoteError::InvalidPublicKey)?;
        let key = Self { name: validate_name(name)?, key };
        if hex(&key.id()) == id { Ok(key) } else { Err(NoteError::InvalidPublicKey) }
    }
}

/// The private key of a log. What it prints of itself is the public key.
pub struct SigningKey {
    public: PublicKey,
    pair: Ed25519KeyPair,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({})", self.public)
    }
}

/// Keys are equal if their public keys are.
impl PartialEq for SigningKey {
    fn eq(&self, other: &Self) -> bool {
        self.public == other.public
    }
}

impl Eq for SigningKey {}

impl SigningKey {
    /// Generates a key of this name. Returns the text of its file and the key.
    ///
    /// # Errors
    /// [`NoteError::InvalidName`]; [`NoteError::NoRandomBytes`].
    pub fn generate(name: &str) -> Result<(String, Self), NoteError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|_| NoteError::NoRandomBytes)?;
        let key = Self::from_seed(name, &seed)?;
        let secret = BASE64.encode([&[ED25519_ALGORITHM], seed.as_slice()].concat());
        Ok((format!("{PRIVATE_KEY_PREFIX}{}+{}+{secret}\n", key.public.name, hex(&key.public.id())), key))
    }

    /// Parses the text of a key file.
    ///
    /// # Errors
    /// [`NoteError::InvalidPrivateKey`]; [`NoteError::InvalidName`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let key = text.trim_end().strip_prefix(PRIVATE_KEY_PREFIX).and_then(parse_key);
        let (name, id, seed) = key.ok_or(NoteError::InvalidPrivateKey)?;
        let key = Self::from_seed(name, &seed)?;
        if hex(&key.public.id()) == id { Ok(key) } else { Err(NoteError::InvalidPrivateKey) }
    }

    fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| NoteError::InvalidPrivateKey)?;
        let mut key = [0; 32];
        let public = pair.public_key().as_ref();
        if public.len() != key.len() {
            return Err(NoteError::InvalidPrivateKey);
        }
        key.copy_from_slice(public);
        Ok(Self { public: PublicKey { name: validate_name(name)?, key }, pair })
    }

    /// The public key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a text, which must end with a line feed.
    fn sign(&self, text: &str) -> String {
        let signature = self.pair.sign(text.as_bytes());
        let signature = BASE64.encode([self.public.id().as_slice(), signature.as_ref()].concat());
        format!("{text}\n{SIGNATURE_PREFIX}{} {signature}\n", self.public.name)
    }
}

/// Returns the text of a signed note that one of these keys signed. Signatures of unknown keys are ignored.
fn open<'a>(note: &'a str, keys: &[PublicKey]) -> Result<&'a str, NoteError> {
    let (text, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::InvalidNote)?;
    let signatures = signatures.strip_suffix('\n').ok_or(NoteError::InvalidNote)?;
    // The line feed at the end of the text is signed, and the empty line is not.
    let signed = note.get(..=text.len()).ok_or(NoteError::InvalidNote)?;
    let mut is_signed = false;
    for line in signatures.split('\n') {
        let line = line.strip_prefix(SIGNATURE_PREFIX).and_then(|line| line.split_once(' '));
        let (name, signature) = line.ok_or(NoteError::InvalidNote)?;
        let signature = BASE64.decode(signature).map_err(|_| NoteError::InvalidNote)?;
        let (id, signature) = signature.split_at_checked(4).ok_or(NoteError::InvalidNote)?;
        let Some(key) = keys.iter().find(|key| key.name == name && key.id() == id) else { continue };
        if !key.verifies(signed, signature) {
            return Err(NoteError::WrongSignature(key.to_string()));
        }
        is_signed = true;
    }
    let names = || keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
    if is_signed { Ok(signed) } else { Err(NoteError::UnknownKey(names())) }
}

/// The state of a log at one time: its origin, its size and its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name of the log.
    pub origin: String,
    /// The number of entries.
    pub size: u64,
    /// The root of the tree.
    pub root: Hash,
}

impl Checkpoint {
    /// The checkpoint as a note that this key signed.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> String {
        key.sign(&format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root)))
    }

    /// Parses a signed checkpoint, and verifies that one of these keys signed it and that its origin is the key's name.
    ///
    /// # Errors
    /// [`NoteError`] if it is not such a checkpoint.
    pub fn open(note: &str, keys: &[PublicKey]) -> Result<Self, NoteError> {
        let checkpoint = Self::parse(open(note, keys)?).ok_or(NoteError::InvalidCheckpoint)?;
        match keys.first() {
            Some(key) if key.name != checkpoint.origin => {
                Err(NoteError::OtherOrigin { found: checkpoint.origin, expected: key.name.clone() })
            }
            _ => Ok(checkpoint),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let has_other_form = size.starts_with('+') || (size.len() > 1 && size.starts_with('0')) || origin.is_empty();
        let root = BASE64.decode(root).ok()?.try_into().ok()?;
        if has_other_form { None } else { Some(Self { origin: origin.to_owned(), size: size.parse().ok()?, root }) }
    }
}

/// Parses `NAME+ID+BASE64`. Returns the name, the id and the 32 bytes after the algorithm byte.
fn parse_key(text: &str) -> Option<(&str, &str, [u8; 32])> {
    let (name, rest) = text.trim_end().split_once('+')?;
    let (id, key) = rest.split_once('+')?;
    match BASE64.decode(key).ok()?.as_slice() {
        [ED25519_ALGORITHM, key @ ..] => Some((name, id, key.try_into().ok()?)),
        _ => None,
    }
}

fn validate_name(name: &str) -> Result<String, NoteError> {
    let is_invalid = |character: char| character.is_whitespace() || character.is_control() || character == '+';
    if name.is_empty() || name.chars().any(is_invalid) {
        return Err(NoteError::InvalidName(name.to_owned()));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Checkpoint, NoteError, PublicKey, SigningKey};

    /// The example of C2SP `signed-note`.
    #[test]
    fn note_of_another_implementation_verifies() {
        let key: PublicKey =
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().expect("a key");
        let note = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n\n\
                    — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        assert!(super::open(note, std::slice::from_ref(&key)).is_ok_and(|text| text.ends_with("problem is.\n")));
        let changed = note.replace("answer", "Answer");
        assert_eq!(super::open(&changed, std::slice::from_ref(&key)), Err(NoteError::WrongSignature(key.to_string())));
    }

    #[test]
    fn checkpoint_verifies_with_its_key_only() {
        let (text, key) = SigningKey::generate("example.com/log").expect("a key");
        let other = SigningKey::generate("example.com/log").expect("a key").1.public_key().clone();
        let checkpoint = Checkpoint { origin: "example.com/log".to_owned(), size: 300, root: [7; 32] };
        let note = checkpoint.sign(&SigningKey::parse(&text).expect("the key"));
        let keys = [other.clone(), key.public_key().clone()];
        assert_eq!(Checkpoint::open(&note, &keys), Ok(checkpoint.clone()));
        assert_eq!(
            Checkpoint::open(&note, std::slice::from_ref(&other)),
            Err(NoteError::UnknownKey(other.to_string()))
        );
        for (from, to) in
            [("300", "301"), ("300", "0300"), ("example.com/log\n3", "example.org/log\n3"), ("\n\n", "\n")]
        {
            assert!(Checkpoint::open(&note.replacen(from, to, 1), &keys).is_err(), "{from}");
        }
        assert_eq!(key.public_key().to_string().parse::<PublicKey>().as_ref(), Ok(key.public_key()));
    }

    #[test]
    fn key_with_an_invalid_name_is_refused() {
        for name in ["", "a b", "a+b", "a\n"] {
            assert_eq!(SigningKey::generate(name).err(), Some(NoteError::InvalidName(name.to_owned())));
        }
        assert!(SigningKey::parse("PRIVATE+KEY+a+00000000+AA==").is_err());
    }

    #[test]
    fn private_key_prints_its_public_key_only() {
        let (text, key) = SigningKey::generate("example.com/log").expect("a key");
        assert_eq!(format!("{key:?}"), format!("SigningKey({})", key.public_key()));
        // Base64 has `+` too, so only the first four of them separate the key's parts.
        let seed = text.trim_end().splitn(5, '+').nth(4).expect("the seed");
        assert!(!format!("{key:?}").contains(seed));
    }

    #[test]
    fn checkpoint_of_another_log_is_refused() {
        let (_, key) = SigningKey::generate("example.com/log").expect("a key");
        let checkpoint = Checkpoint { origin: "example.com/other".to_owned(), size: 1, root: [7; 32] };
        let opened = Checkpoint::open(&checkpoint.sign(&key), &[key.public_key().clone()]);
        let (found, expected) = ("example.com/other".to_owned(), "example.com/log".to_owned());
        assert_eq!(opened, Err(NoteError::OtherOrigin { found, expected }));
    }

    #[test]
    fn checkpoint_has_one_form() {
        let root = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
        let size = |origin: &str, size: &str| {
            Checkpoint::parse(&format!("{origin}\n{size}\n{root}\n")).map(|checkpoint| checkpoint.size)
        };
        assert_eq!([size("o", "0"), size("o", "10"), size("o", "7")], [Some(0), Some(10), Some(7)]);
        for other in ["+1", "+", "01", "00", "-1", "", "x"] {
            assert_eq!(size("o", other), None, "{other}");
        }
        assert_eq!(size("", "10"), None);
    }

    #[test]
    fn keys_are_equal_if_their_public_keys_are() {
        let [(text, key), (_, other)] = [(); 2].map(|()| SigningKey::generate("example.com/log").expect("a key"));
        assert!(SigningKey::parse(&text).expect("the key") == key && key != other);
    }
}
