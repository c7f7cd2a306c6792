//! A digest of the whole state, to compare two runs step by step.

use super::state::Raft;
use crate::crypto::Fingerprint;

impl Raft {
    /// SHA-256 over everything that decides what this node does next. The
    /// entries enter through their chain.
    pub fn digest(&self) -> u128 {
        let Self {
            // Given at the start and never changed.
            config: _,
            now,
            // Chooses the steps that are checked more closely.
            steps: _,
            hard,
            role,
            leader,
            contact,
            election_at,
            election_timeout,
            campaign,
            lead,
            log,
            commit,
            handed,
            applied,
            gate,
            staging,
            repair,
            halt_reason,
            flush_wanted,
            announced,
            final_epoch,
        } = self;
        let mut fingerprint = Fingerprint::new();
        fingerprint.add(&(now, hard, role, leader, contact, election_at));
        fingerprint.add(&(election_timeout, campaign, lead, log));
        fingerprint.add(&(commit, handed, applied, gate));
        fingerprint.add(&(staging, repair, halt_reason));
        fingerprint.add(&(flush_wanted, announced, final_epoch));
        fingerprint.digest()
    }
}
