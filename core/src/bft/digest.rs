//! A digest of the whole state, to compare two runs step by step.

use super::cert::Proven;
use super::state::Bft;
use crate::crypto::Fingerprint;

impl Bft {
    /// A fingerprint of everything that decides what this validator does next.
    pub fn digest(&self) -> u128 {
        let Self {
            // Given at the start and never changed.
            config: _,
            epoch: _,
            leaders: _,
            me: _,
            phase,
            now,
            view,
            entered_at,
            entered_by,
            last_final,
            committed,
            announced,
            rounds,
            blocks_taken_up,
            blocks,
            guard,
            gate,
            timers,
            waiting,
            building,
            gives_up,
            builds_on,
            peers,
            listens_from,
            wanted,
            catch_up,
            peers_asked,
            // Counted for people, and to choose the steps that are checked more closely.
            rejected: _,
            steps: _,
            rules_dirty,
        } = self;
        let statement = |cert: &Option<Proven>| cert.as_ref().map(|cert| cert.statement);
        let mut fingerprint = Fingerprint::new();
        fingerprint.add(&(phase, now, view, entered_at, statement(entered_by)));
        fingerprint.add(&(statement(last_final), committed, announced, rounds));
        fingerprint.add(&(blocks_taken_up, blocks, guard, gate, timers));
        fingerprint.add(&(waiting, building, gives_up, builds_on));
        fingerprint.add(&(peers, listens_from, wanted, catch_up));
        fingerprint.add(&(peers_asked, rules_dirty));
        fingerprint.digest()
    }
}
