//! The signature algorithms of JSON Web Tokens.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{self, VerificationAlgorithm};

/// A signature algorithm, by its name in RFC 7518, section 3.1 (RFC 8037, section 3.1 for EdDSA).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the RFC describes each")]
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

/// What a key of an algorithm is, and how it verifies.
pub(super) enum Scheme {
    /// A secret of at least so many bytes (RFC 7518, section 3.2: no shorter than the hash's output).
    Hmac(hmac::Algorithm, usize),
    /// An RSA public key (section 3.3: at least 2048 bits, which these verifiers insist on).
    Rsa(&'static dyn VerificationAlgorithm),
    /// A point on the curve with this JWK name, so many bytes a coordinate.
    Ecdsa(&'static dyn VerificationAlgorithm, &'static str, usize),
    /// An Ed25519 public key.
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

    /// The algorithm of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Its name, as in a token's `alg`.
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

    pub(super) const fn scheme(self) -> Scheme {
        match self {
            Self::HS256 => Scheme::Hmac(hmac::HMAC_SHA256, 32),
            Self::HS384 => Scheme::Hmac(hmac::HMAC_SHA384, 48),
            Self::HS512 => Scheme::Hmac(hmac::HMAC_SHA512, 64),
            Self::RS256 => Scheme::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
            Self::RS384 => Scheme::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
            Self::RS512 => Scheme::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
            Self::PS256 => Scheme::Rsa(&signature::RSA_PSS_2048_8192_SHA256),
            Self::PS384 => Scheme::Rsa(&signature::RSA_PSS_2048_8192_SHA384),
            Self::PS512 => Scheme::Rsa(&signature::RSA_PSS_2048_8192_SHA512),
            Self::ES256 => Scheme::Ecdsa(&signature::ECDSA_P256_SHA256_FIXED, "P-256", 32),
            Self::ES384 => Scheme::Ecdsa(&signature::ECDSA_P384_SHA384_FIXED, "P-384", 48),
            Self::ES512 => Scheme::Ecdsa(&signature::ECDSA_P521_SHA512_FIXED, "P-521", 66),
            Self::EdDSA => Scheme::Ed25519(&signature::ED25519),
        }
    }
}
