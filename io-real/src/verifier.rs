//! A fast [`Verifier`] on ring.
//!
//! Signature checks are what bounds a node's throughput. `core` carries a
//! portable verifier; this one gives the same answers several times faster. Of
//! the two fast libraries, ring is the one that the transports link already.
//!
//! ring accepts both forms of `s`, as ECDSA does. That the system accepts one is
//! settled before: a [`Signature`] with a high `s` cannot exist. The tests run
//! the Wycheproof vectors through both verifiers and compare every verdict.

use decube_core::crypto::{PublicKey, Signature, Verifier, VerifyError};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

/// ECDSA P-256 over SHA-256 by ring. It signs nothing: signing stays with the
/// deterministic signer of `core`, because ring's nonces are random.
#[derive(Debug, Clone, Copy, Default)]
pub struct FastVerifier;

impl Verifier for FastVerifier {
    fn verify_bytes(
        &self,
        key: &PublicKey,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), VerifyError> {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.as_uncompressed())
            .verify(message, signature.as_bytes())
            .map_err(|_| VerifyError)
    }
}

#[cfg(test)]
mod tests;
