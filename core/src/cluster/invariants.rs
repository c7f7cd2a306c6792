//! What is always true between two steps.

use super::state::{Cluster, Phase};
use crate::raft::Role;

impl Cluster {
    /// Panics if an invariant of the node is broken. Cheap enough to run after
    /// every step.
    pub(super) fn check_invariants(&self) {
        assert!(
            self.queue.is_empty(),
            "every inner effect is routed within its step"
        );
        let Some(raft) = &self.raft else { return };
        let running = matches!(self.phase, Phase::Running | Phase::Stopping { .. });
        if !running {
            return;
        }
        // A log that is repaired may have lost the entries between.
        if raft.role() != Role::Repairing {
            assert!(
                raft.base().id.index <= self.storage.stored,
                "N1: the log begins no later than the stored state reaches"
            );
            assert!(
                self.replica.applied().index <= raft.committed(),
                "only committed entries are applied"
            );
        }
        if cfg!(debug_assertions) || raft.is_sampled() {
            assert!(
                self.requests.is_consistent(),
                "N2: every request has one place"
            );
        }
    }
}
