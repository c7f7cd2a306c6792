//! Secrets that neither print nor outlive their owner.

use core::fmt;

use p256::elliptic_curve::zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::hash::tagged;
use super::key::{KeyError, PublicKey};

/// A P-256 secret key. It has no encoding in [`crate::codec`] on purpose: the
/// only way out is [`expose`](SecretKey::expose), which a key file needs.
///
/// The inner value wipes itself when it is dropped.
#[derive(Clone)]
pub struct SecretKey {
    inner: p256::SecretKey,
}

/// 32 secret bytes, wiped when they are dropped.
#[derive(Clone)]
pub struct SecretBytes(Zeroizing<[u8; 32]>);

impl SecretKey {
    /// Reads a key as a big-endian number; zero and values not below the order
    /// of the curve are refused.
    pub fn from_bytes(bytes: &SecretBytes) -> Result<Self, KeyError> {
        p256::SecretKey::from_slice(bytes.as_bytes())
            .map(|inner| Self { inner })
            .map_err(|_| KeyError::SecretOutOfRange)
    }

    /// Derives a key from 32 bytes of entropy that the shell supplies. Equal
    /// entropy gives the equal key, so entropy must be used once. Candidates out
    /// of range are skipped, not reduced, so that the key is uniform.
    pub fn from_entropy(entropy: &SecretBytes) -> Self {
        for attempt in 0u32..128 {
            let parts: [&[u8]; 2] = [entropy.as_bytes(), &attempt.to_be_bytes()];
            let candidate = SecretBytes::new(tagged("decube/secret-key/v1", &parts).0);
            if let Ok(key) = Self::from_bytes(&candidate) {
                return key;
            }
        }
        unreachable!("each candidate fails with probability 2^-32")
    }

    /// The public half.
    pub fn public_key(&self) -> PublicKey {
        PublicKey::from_point(&self.inner.public_key())
    }

    /// The key as bytes, for a key file that only its owner can read.
    pub fn expose(&self) -> SecretBytes {
        let mut bytes = self.inner.to_bytes();
        let mut array = [0; 32];
        array.copy_from_slice(&bytes);
        bytes.as_mut_slice().zeroize();
        SecretBytes::new(array)
    }

    /// The key as the curve implementation wants it; it wipes itself too.
    pub(super) fn to_signing_key(&self) -> p256::ecdsa::SigningKey {
        p256::ecdsa::SigningKey::from(&self.inner)
    }
}

impl SecretBytes {
    /// Takes ownership of secret bytes. The caller's copy is its own to wipe.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey([REDACTED])")
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes([REDACTED])")
    }
}

/// Refuses to compile if a secret would not be wiped.
const fn wiped_on_drop<T: ZeroizeOnDrop>() {}
const _: () = wiped_on_drop::<p256::SecretKey>();
const _: () = wiped_on_drop::<p256::ecdsa::SigningKey>();
const _: () = wiped_on_drop::<Zeroizing<[u8; 32]>>();
