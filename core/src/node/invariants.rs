//! What is true after every step.

use super::state::Node;
use crate::limits::REQUESTS_OPEN_MAX;

impl Node {
    /// Panics if an invariant is broken. Parts check their own with every step of theirs.
    pub(super) fn invariants(&self) {
        assert!(
            self.links.is_empty(),
            "H1: what follows from a notice follows in its step"
        );
        assert!(
            self.clients.len() <= REQUESTS_OPEN_MAX.saturating_add(1),
            "H2: open requests have a bound"
        );
        assert!(
            self.parts.parked() <= self.clients.len(),
            "H3: who waits for a part that recovers is open"
        );
        let ended = self.has_ended();
        assert!(
            !ended || self.clients.len() == 0,
            "H4: nobody waits for a node that has ended"
        );
        assert_eq!(
            ended, self.told_stopped,
            "H5: the shell is told once when all parts have ended"
        );
    }
}
