//! The digest by which a component is identified in audit events and pinned in a configuration.

use sha2::Digest as _;
use std::fmt;
use std::str::FromStr;

/// The SHA-256 digest of the bytes of a component. Its text is 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Computes the digest of a component.
    #[must_use]
    pub fn of(component: &[u8]) -> Self {
        Self(sha2::Sha256::digest(component).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One write instead of 32, because every audit event has a digest.
        let mut text = [0; 64];
        let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
        for (digits, byte) in text.as_chunks_mut().0.iter_mut().zip(self.0) {
            *digits = [digit(byte >> 4), digit(byte & 15)];
        }
        formatter.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Digest({self})")
    }
}

/// Why a text is no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 64 hexadecimal digits")]
pub struct InvalidDigest;

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidDigest);
        }
        for (byte, index) in bytes.iter_mut().zip((0..64).step_by(2)) {
            let digits = text.get(index..index + 2).ok_or(InvalidDigest)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| InvalidDigest)?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::{Digest, InvalidDigest};

    #[test]
    fn text_of_a_digest_is_lower_case_and_parses_to_the_digest() {
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string(), abc);
        assert_eq!(abc.parse(), Ok(digest));
        assert_eq!(abc.to_uppercase().parse(), Ok(digest));
        for invalid in [
            "",
            abc.strip_prefix('b').unwrap(),
            &format!("{abc}0"),
            &abc.replace('b', "g"),
            &abc.replacen("ba", "+a", 1),
        ] {
            assert_eq!(invalid.parse::<Digest>(), Err(InvalidDigest), "{invalid}");
        }
    }

    #[test]
    fn digest_is_printed_as_its_text() {
        let digest = Digest::of(b"abc");
        assert!(format!("{digest:?}").contains(&digest.to_string()));
    }
}
