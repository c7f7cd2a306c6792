//! Signing and verifying behind traits, and the portable implementation.
//!
//! `core` carries [`P256Signer`] and [`P256Verifier`] in pure Rust; a shell may
//! inject a faster [`Verifier`], which must give the same answers.

use p256::ecdsa::signature::{Signer as _, Verifier as _};

use super::key::PublicKey;
use super::preimage::Preimage;
use super::secret::SecretKey;
use super::signature::Signature;

/// The signature does not belong to this key and these bytes. Nothing more is
/// known, on purpose: there is no detail that a caller could act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct VerifyError;

/// Holds a key and signs with it.
pub trait Signer {
    /// The public half of the key.
    fn public_key(&self) -> &PublicKey;

    /// For implementations: signs bytes whose purpose the caller answers for.
    /// Protocol code calls [`sign`](Signer::sign) (rule C2).
    fn sign_bytes(&self, message: &[u8]) -> Signature;

    /// Signs a statement.
    fn sign(&self, preimage: &Preimage) -> Signature {
        self.sign_bytes(preimage.as_bytes())
    }
}

/// Checks signatures. Deterministic and without effects: equal arguments give
/// equal answers on every implementation of the same scheme.
pub trait Verifier {
    /// For implementations and test vectors: checks a signature over the SHA-256
    /// of bytes. Protocol code calls [`verify`](Verifier::verify) (rule C2).
    fn verify_bytes(
        &self,
        key: &PublicKey,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), VerifyError>;

    /// Checks a signature over a statement.
    fn verify(
        &self,
        key: &PublicKey,
        preimage: &Preimage,
        signature: &Signature,
    ) -> Result<(), VerifyError> {
        self.verify_bytes(key, preimage.as_bytes(), signature)
    }
}

/// ECDSA P-256 over SHA-256 with the nonces of RFC 6979: no randomness, so equal
/// statements get equal signatures and a run replays.
#[derive(Debug, Clone)]
pub struct P256Signer {
    key: p256::ecdsa::SigningKey,
    public: PublicKey,
}

/// ECDSA P-256 over SHA-256 in pure Rust.
#[derive(Debug, Clone, Copy, Default)]
pub struct P256Verifier;

impl P256Signer {
    /// Signs with this key.
    pub fn new(secret: &SecretKey) -> Self {
        Self {
            key: secret.to_signing_key(),
            public: secret.public_key(),
        }
    }
}

impl Signer for P256Signer {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign_bytes(&self, message: &[u8]) -> Signature {
        let any: p256::ecdsa::Signature = self.key.sign(message);
        // The curve implementation leaves `s` high in half of all cases.
        Signature::from_bytes(any.normalize_s().to_bytes().into())
            .expect("a normalised signature is in range and low-S")
    }
}

impl Verifier for P256Verifier {
    fn verify_bytes(
        &self,
        key: &PublicKey,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), VerifyError> {
        let signature = p256::ecdsa::Signature::from_slice(signature.as_bytes())
            .expect("the constructor checked the range");
        key.to_verifying_key()
            .verify(message, &signature)
            .map_err(|_| VerifyError)
    }
}
