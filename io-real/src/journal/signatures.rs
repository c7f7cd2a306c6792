//! The signatures of a run: kept when they are made, given back in a replay.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use decube_core::crypto::{
    P256Verifier, PublicKey, SharedSigner, Signature, Signer, Verifier as _,
};

/// Signatures on their way between a signer and a recorder, or back.
#[derive(Debug, Clone, Default)]
pub(super) struct Signatures(Arc<Mutex<VecDeque<Signature>>>);

impl Signatures {
    /// A signer that signs as `signer` does and leaves a copy here.
    pub(super) fn kept_from(&self, signer: SharedSigner) -> SharedSigner {
        let made = self.clone();
        SharedSigner::new(Kept { signer, made })
    }

    /// A signer that gives out what is put here, for statements that it verifies
    /// for.
    pub(super) fn given_by(&self, key: PublicKey) -> SharedSigner {
        let recorded = self.clone();
        SharedSigner::new(Given { key, recorded })
    }

    /// Replaces all that is here.
    pub(super) fn put(&self, signatures: impl IntoIterator<Item = Signature>) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.clear();
        queue.extend(signatures);
    }

    /// Takes all that is here, the oldest first.
    pub(super) fn take(&self) -> VecDeque<Signature> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *queue)
    }

    fn push(&self, signature: Signature) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push_back(signature);
    }

    fn pop(&self) -> Option<Signature> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.pop_front()
    }
}

struct Kept {
    signer: SharedSigner,
    made: Signatures,
}

impl Signer for Kept {
    fn public_key(&self) -> &PublicKey {
        self.signer.public_key()
    }

    fn sign_bytes(&self, message: &[u8]) -> Signature {
        let signature = self.signer.sign_bytes(message);
        self.made.push(signature);
        signature
    }
}

struct Given {
    key: PublicKey,
    recorded: Signatures,
}

impl Signer for Given {
    fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// A step that signs something else than it did when it was recorded gets a
    /// signature that is nobody's: its effects then differ from the recorded ones,
    /// and the replay says at which step.
    fn sign_bytes(&self, message: &[u8]) -> Signature {
        let recorded = self.recorded.pop();
        recorded
            .filter(|signature| {
                P256Verifier
                    .verify_bytes(&self.key, message, signature)
                    .is_ok()
            })
            .unwrap_or_else(nobodys)
    }
}

/// `r = s = 1`: in range, and valid under no key that anybody knows.
fn nobodys() -> Signature {
    let mut bytes = [0; 64];
    bytes[31] = 1;
    bytes[63] = 1;
    Signature::from_bytes(bytes).expect("in range and low")
}
