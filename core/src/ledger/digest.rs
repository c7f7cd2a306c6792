//! A fingerprint of everything that decides what the part does next.

use super::state::Ledger;
use crate::crypto::Fingerprint;

impl Ledger {
    /// See [`Part::digest`](crate::part::Part::digest).
    pub(super) fn fingerprint(&self) -> u128 {
        let Self {
            // Given at the start and never changed.
            config: _,
            chain: _,
            phase,
            now,
            steps,
            clock,
            wal,
            pool,
            storage,
            recent,
            reads,
            later_epochs,
            early,
            parked,
            assemblies,
            waits,
            followers,
            finals,
            told_health,
            push,
            helped,
            ahead,
            outside_asked,
            asked_ahead_at,
            sync,
            is_peers_changed,
            is_pool_changed,
            // Empty between steps; a part whose step panicked is described too.
            queue: _,
            bft_out: _,
            wal_out: _,
        } = self;
        let mut fingerprint = Fingerprint::new();
        fingerprint.add(&(phase, now, steps, clock, wal));
        fingerprint.add(&(pool, storage, recent, reads));
        fingerprint.add(&(later_epochs, early, parked, assemblies));
        fingerprint.add(&(waits, followers, finals, told_health, push));
        fingerprint.add(&(helped, ahead, outside_asked, asked_ahead_at, sync));
        fingerprint.add(&(is_peers_changed, is_pool_changed));
        fingerprint.digest()
    }
}
