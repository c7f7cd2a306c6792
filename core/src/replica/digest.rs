//! The digest of a set of pairs that is kept up to date in constant time.
//!
//! See the module's documentation for what it proves and what it does not.

use sha2::{Digest as _, Sha256};

/// A sum modulo 2^256 over the SHA-256 of each pair. The order of additions and
/// removals does not matter, so equal sets have equal sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PairSum {
    /// Least significant limb first.
    limbs: [u64; 4],
}

impl PairSum {
    /// Adds a pair to the set.
    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        let mut carry = false;
        for (limb, term) in self.limbs.iter_mut().zip(term(key, value)) {
            let (sum, over_term) = limb.overflowing_add(term);
            let (sum, over_carry) = sum.overflowing_add(u64::from(carry));
            // At most one of the two can overflow.
            *limb = sum;
            carry = over_term || over_carry;
        }
    }

    /// Takes a pair out of the set.
    pub fn remove(&mut self, key: &[u8], value: &[u8]) {
        let mut borrow = false;
        for (limb, term) in self.limbs.iter_mut().zip(term(key, value)) {
            let (rest, under_term) = limb.overflowing_sub(term);
            let (rest, under_borrow) = rest.overflowing_sub(u64::from(borrow));
            *limb = rest;
            borrow = under_term || under_borrow;
        }
    }

    /// The sum as big-endian bytes.
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, limb) in bytes.chunks_exact_mut(8).zip(self.limbs.iter().rev()) {
            chunk.copy_from_slice(&limb.to_be_bytes());
        }
        bytes
    }
}

/// The SHA-256 of a pair as a number. The length in front of the key keeps apart
/// pairs whose bytes are equal when joined.
fn term(key: &[u8], value: &[u8]) -> [u64; 4] {
    let key_len = u64::try_from(key.len()).expect("a length fits 64 bits");
    let mut hasher = Sha256::new();
    hasher.update(key_len.to_be_bytes());
    hasher.update(key);
    hasher.update(value);
    let hash: [u8; 32] = hasher.finalize().into();
    let mut limbs = [0; 4];
    for (limb, chunk) in limbs.iter_mut().rev().zip(hash.chunks_exact(8)) {
        *limb = u64::from_be_bytes(chunk.try_into().expect("chunks of eight bytes"));
    }
    limbs
}
