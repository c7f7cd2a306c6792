//! A cheap signature scheme for simulations of volume: about a microsecond where
//! ECDSA takes a third of a millisecond. Never for production.
//!
//! A signature is a keyed SHA-256 under a secret that belongs to one public key.
//! All secrets follow from one master secret, and Rust's privacy guards it:
//!
//! - [`FakeAuthority`] makes signers. Only the harness holds it.
//! - [`FakeSigner`] signs for one key. A node holds its own; an adversary holds
//!   those of the nodes that it has corrupted.
//! - [`FakeVerifier`] says yes or no, nothing else. Everybody may hold it.
//!
//! **Why an adversary cannot forge inside the simulator.** The adversary is code
//! that acts through these types. To make an accepted signature for a key whose
//! signer it does not hold, it has to produce 500 bits of a keyed hash under a
//! secret that no method returns, prints, encodes or compares except as a whole.
//! The keyed bytes carry the message's length in front of the message, so a known
//! signature cannot be extended to a longer message. What is left is guessing.
//! A signature of one key, message or run is never valid for another.
//!
//! Public keys are real P-256 keys, so that decoding, node ids and certificates
//! take the same paths as in production; only the signature is replaced.

use core::fmt;

use super::hash::{Digest, Hasher, tagged};
use super::key::PublicKey;
use super::secret::{SecretBytes, SecretKey};
use super::sign::{Signer, Verifier, VerifyError};
use super::signature::Signature;

/// Makes the signers of one simulation.
pub struct FakeAuthority {
    master: Digest,
}

/// Signs for one key.
pub struct FakeSigner {
    public: PublicKey,
    secret: Digest,
}

/// Checks the signatures of all signers of one authority.
#[derive(Clone)]
pub struct FakeVerifier {
    master: Digest,
}

impl FakeAuthority {
    /// The authority of the run with this seed. Equal seeds give equal keys and
    /// signatures.
    pub fn new(seed: u64) -> Self {
        Self {
            master: tagged("decube/fake/master", &[&seed.to_be_bytes()]),
        }
    }

    /// The signer number `number`. Calling twice gives the same key twice.
    pub fn signer(&self, number: u64) -> FakeSigner {
        let parts: [&[u8]; 2] = [&self.master.0, &number.to_be_bytes()];
        let entropy = SecretBytes::new(tagged("decube/fake/entropy", &parts).0);
        let public = SecretKey::from_entropy(&entropy).public_key();
        FakeSigner {
            public,
            secret: secret_of(&self.master, &public),
        }
    }

    /// The verifier that everybody gets.
    pub fn verifier(&self) -> FakeVerifier {
        FakeVerifier {
            master: self.master,
        }
    }
}

impl Signer for FakeSigner {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign_bytes(&self, message: &[u8]) -> Signature {
        keyed_signature(&self.secret, message)
    }
}

impl Verifier for FakeVerifier {
    fn verify_bytes(
        &self,
        key: &PublicKey,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), VerifyError> {
        let secret = secret_of(&self.master, key);
        if keyed_signature(&secret, message) == *signature {
            Ok(())
        } else {
            Err(VerifyError)
        }
    }
}

/// The secret that belongs to a public key, also to one that nobody signs for.
fn secret_of(master: &Digest, key: &PublicKey) -> Digest {
    tagged("decube/fake/secret", &[&master.0, &key.to_compressed()])
}

/// The signature of a message under a secret.
fn keyed_signature(secret: &Digest, message: &[u8]) -> Signature {
    let mut hasher = Hasher::new();
    hasher.update(&secret.0);
    let length = u64::try_from(message.len()).expect("a length fits 64 bits");
    hasher.update(&length.to_be_bytes());
    hasher.update(message);
    let inner = hasher.finish();
    let mut bytes = [0; 64];
    for (half, label) in bytes.chunks_exact_mut(32).zip(["r", "s"]) {
        let parts: [&[u8]; 2] = [&secret.0, &inner.0];
        half.copy_from_slice(&tagged(label, &parts).0);
        // Below half the order, and never zero: a valid pair by construction.
        half[0] = (half[0] & 0x3f) | 0x20;
    }
    Signature::from_bytes(bytes).expect("the first byte puts both halves in range")
}

impl fmt::Debug for FakeAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeAuthority([REDACTED])")
    }
}

impl fmt::Debug for FakeSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FakeSigner({:?}, [REDACTED])", self.public)
    }
}

impl fmt::Debug for FakeVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeVerifier([REDACTED])")
    }
}
