//! What of the pool decides its future, for fingerprints.

use core::hash::{Hash, Hasher};

use super::{Pool, Pooled};
use crate::crypto::Fingerprint;

impl Pooled {
    /// Half of a digest of it.
    fn mark(&self) -> u128 {
        let Self {
            transaction,
            source,
            origin,
        } = self;
        let mut fingerprint = Fingerprint::new();
        fingerprint.add(&(transaction.hash(), source, origin));
        fingerprint.digest()
    }
}

impl Hash for Pool {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            // Given at the start and never changed.
            node: _,
            chain: _,
            verifier: _,
            by_hash,
            // What waits decides the indexes over it.
            accounts: _,
            by_id: _,
            expiry: _,
            shares: _,
            bytes,
            rates,
            clusters,
            members,
            last_served,
            bad_signatures,
            evicted,
            // Decides how long a decoding takes and nothing else.
            keys: _,
        } = self;
        // Summed here and not kept: a node in production takes no fingerprint, and should
        // hash nothing for one when a transaction comes and goes.
        let marks = by_hash.values().map(Pooled::mark);
        let marks = marks.fold(0, u128::wrapping_add);
        (self.len(), bytes, marks, rates).hash(state);
        (clusters, members, last_served).hash(state);
        (bad_signatures, evicted).hash(state);
    }
}
