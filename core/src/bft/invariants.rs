//! What is true after every step.

use super::gate::Gate;
use super::state::Bft;
use super::types::View;
use super::vote::VoteKind;
use crate::limits::{BLOCKS_OPEN_MAX, PERSISTS_PENDING_MAX};
use crate::mutant::Mutant;

impl Bft {
    /// Panics if an invariant is broken: the node must stop, since whatever it
    /// signs next could be a lie.
    pub fn invariants(&self) {
        if self.config.mutant != Mutant::None && cfg!(feature = "mutants") {
            // A planted bug is for the independent checkers to find.
            return;
        }
        self.position_invariants();
        // These walk over everything that is kept: a quarter of a validator's work, if
        // a product did it in every step.
        if cfg!(debug_assertions) || self.steps.is_multiple_of(64) {
            self.vote_invariants();
            self.bound_invariants();
        }
    }

    /// B1 Positions are ordered: committed <= final <= the present view.
    fn position_invariants(&self) {
        assert!(self.view >= View(1), "view 0 is that of the root");
        assert!(self.committed.height >= self.epoch.root_height);
        let last = self.final_place();
        assert!(last.view >= self.committed.view);
        assert!(last.height >= self.committed.height);
        if let Some(cert) = &self.last_final {
            assert_eq!(cert.statement.kind, VoteKind::Finalize);
            assert!(cert.statement.view() < self.view, "a final view has ended");
        }
        if let Some(cert) = &self.entered_by {
            assert_eq!(cert.statement.view().next(), self.view);
        }
        assert!(self.building.is_none_or(|view| view == self.view));
        let timers = &self.timers;
        assert!(
            timers.idle.is_none() || timers.retry.is_none(),
            "asleep or not"
        );
        assert!(timers.patience.is_none() || self.is_active());
        assert!(timers.hold.is_none() || (self.leads() && timers.hold == timers.patience));
    }

    /// B2 Own votes are those of this validator, in views that it has reached,
    /// and never contradict each other.
    fn vote_invariants(&self) {
        for vote in self.guard.votes() {
            assert_eq!(Some(vote.signer), self.me);
            assert_eq!(vote.statement.epoch, self.epoch.epoch);
            assert!(vote.statement.view() <= self.view);
            if vote.statement.kind == VoteKind::Finalize {
                let contrary = self.guard.vote(vote.statement.view(), VoteKind::Nullify);
                assert!(contrary.is_none());
            }
        }
    }

    /// B3 Everything kept has a bound, and a step leaves nothing unwritten.
    fn bound_invariants(&self) {
        assert!(self.blocks.len() <= BLOCKS_OPEN_MAX);
        assert!(self.gate.pending_len() <= PERSISTS_PENDING_MAX);
        assert!(Gate::is_flushed(&self.gate));
        let three_votes_each = self.epoch.validators.len().saturating_mul(3);
        assert!(
            self.rounds
                .values()
                .all(|round| round.votes_len() <= three_votes_each)
        );
        assert!(
            self.peers
                .keys()
                .all(|node| self.epoch.validators.index_of(*node).is_some())
        );
    }
}
