//! What always holds of a state. Named in the module's documentation.

use super::command::LogTime;
use super::digest::PairSum;
use super::load::derive;
use super::state::{Kv, size};

impl Kv {
    /// Invariants that cost nothing to check; run at the end of every entry.
    pub(super) fn invariants(&self) {
        let derived = &self.derived;
        // RevisionApplied
        assert!(self.revision.0 <= self.applied.index.0);
        // OneEndEach
        assert!(derived.expiry.len() == derived.leases.len() + derived.sessions.len());
        // OneNonceEach
        assert!(derived.nonces.len() == derived.sessions.len());
        // Bounds
        assert!(derived.leases.len() <= self.config.leases_max);
        assert!(derived.sessions.len() <= self.config.sessions_max);
        // NothingElse
        let records = derived.keys
            + derived.leases.len()
            + derived.locks
            + derived.sessions.len()
            + derived.answers;
        assert!(records == self.image.map.len());
    }

    /// All invariants, at the cost of a walk over the whole state: for tests and
    /// the simulator. Panics if one is broken.
    pub fn audit(&self) {
        self.invariants();
        let header = self.header();
        // Derivable
        let derived = derive(&self.config, &header, &self.image);
        let derived = derived.expect("the image is consistent");
        assert!(derived == self.derived, "indexes match the image");
        // Digest, Size, Ordered
        let mut sum = PairSum::default();
        let mut bytes = 0;
        let mut last: Option<&[u8]> = None;
        for (key, value) in self.image.map.iter() {
            assert!(last < Some(key.as_ref()), "keys ascend");
            last = Some(key);
            sum.add(key, value);
            bytes += size(key.len() + value.len());
        }
        assert!(sum == self.image.sum, "the sum is the sum of the pairs");
        assert!(
            bytes == self.image.bytes,
            "the size is the size of the pairs"
        );
        // NothingOverdue; at the end of time nothing can end later.
        if let Some(next) = self.next_expiry() {
            let end_of_time = self.log_time == LogTime(u64::MAX);
            assert!(next > self.log_time || end_of_time, "what is due has ended");
        }
        // LeaseKeysBounded
        for lease in self.derived.leases.values() {
            assert!(lease.bound() <= self.config.lease_keys_max);
        }
    }
}
