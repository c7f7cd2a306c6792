//! A fingerprint of everything that decides what the part does next.

use super::state::Cluster;
use crate::crypto::Fingerprint;
use crate::raft::Raft;

impl Cluster {
    /// See [`Part::digest`](crate::part::Part::digest).
    pub(super) fn fingerprint(&self) -> u128 {
        let Self {
            // Given at the start and never changed.
            config: _,
            phase,
            clock,
            wal,
            raft,
            replica,
            storage,
            requests,
            watches,
            snapshots,
            log_tree,
            attest,
            module_checks,
            followers,
            told_health,
            tick_in_flight,
            // Empty between steps; a part whose step panicked is described too.
            queue: _,
            raft_out: _,
            wal_out: _,
        } = self;
        let mut fingerprint = Fingerprint::new();
        fingerprint.add(&(phase, clock, wal));
        fingerprint.add(&(raft.as_ref().map(Raft::digest), replica.digest()));
        fingerprint.add(&(storage, requests, watches, snapshots));
        fingerprint.add(&(log_tree, attest, followers));
        fingerprint.add(&(told_health, tick_in_flight, module_checks));
        fingerprint.digest()
    }
}
