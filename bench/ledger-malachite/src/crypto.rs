//! What signs and checks: nothing, ring as in ours, or the crate that malachite has
//! for it.

use arc_malachitebft_signing_ecdsa as own;
use decube_core::crypto::{P256Signer, Signature, Signer as _, Verifier as _};
use decube_io_real::verifier::FastVerifier;
use own::{P256Config, PrivateKey, PublicKey};

/// By what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crypto {
    /// All signatures are the same, and all are good.
    Free,
    /// Signed and checked as in ours.
    Ring,
    /// `arc-malachitebft-signing-ecdsa`.
    Own,
}

/// The keys of all validators.
pub enum Keys {
    Free,
    Ring(Vec<P256Signer>),
    Own(Vec<(PrivateKey<P256Config>, PublicKey<P256Config>)>),
}

impl Keys {
    pub fn new(crypto: Crypto, count: usize) -> Self {
        let numbers = 1..=u64::try_from(count).expect("64 bits");
        match crypto {
            Crypto::Free => Self::Free,
            Crypto::Ring => Self::Ring(numbers.map(ledger_common::signer).collect()),
            Crypto::Own => Self::Own(numbers.map(own_key).collect()),
        }
    }

    /// Signs what `message` makes, which is not called where nothing signs.
    pub fn sign(&self, number: usize, message: impl FnOnce() -> Vec<u8>) -> [u8; 64] {
        match self {
            Self::Free => [1; 64],
            Self::Ring(keys) => *keys[number].sign_bytes(&message()).as_bytes(),
            Self::Own(keys) => {
                let signature = keys[number].0.sign(&message()).to_vec();
                signature.try_into().expect("64 bytes")
            }
        }
    }

    /// Whether the signature is this validator's.
    pub fn check(
        &self,
        number: usize,
        message: impl FnOnce() -> Vec<u8>,
        signature: &[u8; 64],
    ) -> bool {
        match self {
            Self::Free => true,
            Self::Ring(keys) => Signature::from_bytes(*signature).is_ok_and(|signature| {
                let key = keys[number].public_key();
                FastVerifier
                    .verify_bytes(key, &message(), &signature)
                    .is_ok()
            }),
            Self::Own(keys) => own::Signature::from_slice(signature)
                .is_ok_and(|signature| keys[number].1.verify(&message(), &signature).is_ok()),
        }
    }
}

fn own_key(number: u64) -> (PrivateKey<P256Config>, PublicKey<P256Config>) {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    let key = PrivateKey::from_slice(&bytes).expect("below the order of the curve");
    let public = key.public_key();
    (key, public)
}
