//! The signature algorithms of JSON Web Tokens.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{self, VerificationAlgorithm};

/// A signature algorithm. Names are those of RFC 7518, section 3.1, and of RFC 8037, section 3.1, for EdDSA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the RFC describes each algorithm")]
pub enum Algorithm {
    HS256,
    HS384,
    HS512,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES512,
    EdDSA,
}

/// The type of key that an algorithm needs, and how aws-lc-rs verifies with it.
pub(super) enum KeyType {
    /// A shared secret (RFC 7518, section 3.2).
    Secret {
        /// The HMAC algorithm.
        hmac: hmac::Algorithm,
        /// The minimum length in bytes: the output size of the hash function.
        min_bytes: usize,
    },
    /// An RSA public key of at least 2048 bits (sections 3.3 and 3.5).
    Rsa(&'static dyn VerificationAlgorithm),
    /// A point on an elliptic curve (section 3.4).
    Ec {
        /// The signature algorithm.
        algorithm: &'static dyn VerificationAlgorithm,
        /// The curve's name in a JSON Web Key.
        curve: &'static str,
        /// The length of a coordinate in bytes.
        coordinate_bytes: usize,
    },
    /// An Ed25519 public key (RFC 8037, section 2).
    Ed25519(&'static dyn VerificationAlgorithm),
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 13] = [
        Self::HS256,
        Self::HS384,
        Self::HS512,
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::ES512,
        Self::EdDSA,
    ];

    /// Returns the algorithm with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Returns the algorithm's name, as in a token's `alg`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::EdDSA => "EdDSA",
        }
    }

    /// Returns the type of key that the algorithm needs.
    pub(super) const fn key_type(self) -> KeyType {
        match self {
            Self::HS256 => KeyType::Secret { hmac: hmac::HMAC_SHA256, min_bytes: 32 },
            Self::HS384 => KeyType::Secret { hmac: hmac::HMAC_SHA384, min_bytes: 48 },
            Self::HS512 => KeyType::Secret { hmac: hmac::HMAC_SHA512, min_bytes: 64 },
            Self::RS256 => KeyType::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
            Self::RS384 => KeyType::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
            Self::RS512 => KeyType::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
            Self::PS256 => KeyType::Rsa(&signature::RSA_PSS_2048_8192_SHA256),
            Self::PS384 => KeyType::Rsa(&signature::RSA_PSS_2048_8192_SHA384),
            Self::PS512 => KeyType::Rsa(&signature::RSA_PSS_2048_8192_SHA512),
            Self::ES256 => ec(&signature::ECDSA_P256_SHA256_FIXED, "P-256", 32),
            Self::ES384 => ec(&signature::ECDSA_P384_SHA384_FIXED, "P-384", 48),
            Self::ES512 => ec(&signature::ECDSA_P521_SHA512_FIXED, "P-521", 66),
            Self::EdDSA => KeyType::Ed25519(&signature::ED25519),
        }
    }
}

const fn ec(algorithm: &'static dyn VerificationAlgorithm, curve: &'static str, coordinate_bytes: usize) -> KeyType {
    KeyType::Ec { algorithm, curve, coordinate_bytes }
}
