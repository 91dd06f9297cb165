//! Key pairs of every asymmetric algorithm, which sign tokens.

use crate::support::token::{now, signed_by};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Returns the signature of a message.
pub(super) type Sign = Box<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// A key pair, with its public key in PEM and as a JSON Web Key.
pub(super) struct Signer {
    pub(super) algorithm: &'static str,
    pub(super) sign: Sign,
    pub(super) pem: String,
    pub(super) jwk: Value,
}

impl Signer {
    /// Creates a token of alice with the scope to delete, with these header parameters.
    pub(super) fn token(&self, header: Value) -> String {
        self.token_with_claims(header, json!({ "sub": "alice", "scopes": ["learnings:delete"], "exp": now() + 60 }))
    }

    pub(super) fn token_with_claims(&self, header: Value, claims: Value) -> String {
        let mut header = header;
        header["alg"] = json!(self.algorithm);
        signed_by(header, claims, |message| (self.sign)(message))
    }
}

fn public_key_pem(key: &impl AsDer<PublicKeyX509Der<'static>>) -> String {
    let der = key.as_der().expect("a public key has an encoding");
    pem::encode(&pem::Pem::new("PUBLIC KEY", der.as_ref()))
}

pub(super) fn rsa(algorithm: &'static str, padding: &'static dyn RsaEncoding) -> Signer {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key pair");
    let pem = public_key_pem(pair.public_key());
    // PKCS #1 of a key of 2048 bits: two headers, a zero, the modulus, a header, the exponent 65537.
    let der = pair.public_key().as_ref();
    let (n, e) = (&der[9..265], &der[der.len() - 3..]);
    let jwk = json!({ "kty": "RSA", "n": URL_SAFE_NO_PAD.encode(n), "e": URL_SAFE_NO_PAD.encode(e) });
    let sign = move |message: &[u8]| {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(padding, &SystemRandom::new(), message, &mut signature).expect("a signature");
        signature
    };
    Signer { algorithm, sign: Box::new(sign), pem, jwk }
}

pub(super) fn ecdsa(algorithm: &'static str, curve: &'static EcdsaSigningAlgorithm, name: &str) -> Signer {
    let pair = EcdsaKeyPair::generate(curve).expect("a key pair");
    let pem = public_key_pem(pair.public_key());
    let point = &pair.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    let jwk = json!({ "kty": "EC", "crv": name, "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) });
    let sign = move |message: &[u8]| pair.sign(&SystemRandom::new(), message).expect("a signature").as_ref().to_vec();
    Signer { algorithm, sign: Box::new(sign), pem, jwk }
}

pub(super) fn ed25519() -> Signer {
    let pair = Ed25519KeyPair::generate().expect("a key pair");
    let pem = public_key_pem(pair.public_key());
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(pair.public_key().as_ref()) });
    Signer { algorithm: "EdDSA", sign: Box::new(move |message| pair.sign(message).as_ref().to_vec()), pem, jwk }
}

pub(super) fn asymmetric() -> Vec<Signer> {
    vec![
        rsa("RS256", &signature::RSA_PKCS1_SHA256),
        rsa("RS384", &signature::RSA_PKCS1_SHA384),
        rsa("RS512", &signature::RSA_PKCS1_SHA512),
        rsa("PS256", &signature::RSA_PSS_SHA256),
        rsa("PS384", &signature::RSA_PSS_SHA384),
        rsa("PS512", &signature::RSA_PSS_SHA512),
        ecdsa("ES256", &signature::ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
        ecdsa("ES384", &signature::ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
        ecdsa("ES512", &signature::ECDSA_P521_SHA512_FIXED_SIGNING, "P-521"),
        ed25519(),
    ]
}
