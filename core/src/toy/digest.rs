//! A fingerprint of everything that decides what the part does next.

use super::state::Toy;
use crate::crypto::Fingerprint;

impl Toy {
    /// See [`Part::digest`](crate::part::Part::digest).
    pub(super) fn fingerprint(&self) -> u128 {
        let Self {
            // Given at the start and never changed.
            config: _,
            phase,
            now,
            peers,
            told_health,
        } = self;
        let mut fingerprint = Fingerprint::new();
        fingerprint.add(&(phase, now, peers, told_health));
        fingerprint.digest()
    }
}
