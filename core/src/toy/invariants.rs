//! What is true after every step.

use super::state::{Phase, Toy};
use crate::limits::{TOY_ADDS_MAX, TOY_FOLLOWERS_MAX};

impl Toy {
    /// Panics if an invariant is broken.
    pub(super) fn check_invariants(&self) {
        if let Phase::Running(running) = &self.phase {
            assert!(
                running.durable.height <= running.given.height
                    && running.given.height <= running.taken.height
                    && running.durable.blocks <= running.taken.blocks,
                "T1: durable, given and taken follow each other"
            );
            assert!(
                running.taken.blocks <= running.taken.height.0
                    || self.config.bug != super::Bug::None,
                "T1: no block is taken twice"
            );
            assert!(running.adding.len() <= TOY_ADDS_MAX, "T2: numbers to add");
            assert!(
                running.followers.len() <= TOY_FOLLOWERS_MAX,
                "T2: following clients"
            );
        }
        assert!(
            self.peers
                .keys()
                .all(|peer| self.config.peers.contains(peer)),
            "T3: only configured peers are remembered"
        );
    }
}
