//! What is always true between two steps.

use super::state::{Cluster, Phase};

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
        let applied = self.replica.applied().index;
        assert!(
            raft.base().id.index <= self.storage.stored.max(applied),
            "N1: the log begins no later than the state reaches"
        );
        assert!(
            applied <= raft.committed().max(applied),
            "only committed entries are applied"
        );
        debug_assert!(
            self.requests.is_consistent(),
            "N2: every request has one place"
        );
    }
}
