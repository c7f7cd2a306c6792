//! The keys of those who have signed lately, as points of the curve.
//!
//! On the wire a key is one coordinate and a sign. The other coordinate is a square
//! root, which costs more than half of a signature check; who signs again and again
//! shall not cost it each time.

use alloc::collections::BTreeMap;

use crate::crypto::PublicKey;
use crate::limits::LEDGER_KEYS_KEPT;

/// The keys, in two generations: when the young one is full, the old one is forgotten.
#[derive(Debug, Default)]
pub(in crate::ledger) struct KeyCache {
    young: BTreeMap<[u8; 33], PublicKey>,
    old: BTreeMap<[u8; 33], PublicKey>,
}

impl KeyCache {
    /// No keys.
    pub(in crate::ledger) const fn new() -> Self {
        Self {
            young: BTreeMap::new(),
            old: BTreeMap::new(),
        }
    }

    /// The key with this encoding, if it is known.
    pub(in crate::ledger) fn find(&self, encoded: &[u8; 33]) -> Option<PublicKey> {
        let found = self.young.get(encoded).or_else(|| self.old.get(encoded));
        found.copied()
    }

    /// Remembers the key of a signature that was verified: who has not signed cannot
    /// drive others out.
    pub(in crate::ledger) fn note(&mut self, key: &PublicKey) {
        let encoded = key.to_compressed();
        if self.young.contains_key(&encoded) {
            return;
        }
        if self.young.len() >= LEDGER_KEYS_KEPT / 2 {
            self.old = core::mem::take(&mut self.young);
        }
        self.young.insert(encoded, *key);
        assert!(
            self.young.len() + self.old.len() <= LEDGER_KEYS_KEPT,
            "G2: keys of those who have signed lately"
        );
    }
}

#[cfg(test)]
#[path = "../tests/key_cache.rs"]
mod tests;
