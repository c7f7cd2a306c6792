//! What is true after every step. Checked on each one in debug builds, in which the
//! simulator runs, and on a sample of them in release.

use super::effect::Role;
use super::persist::HELD_MAX;
use super::state::{Lead, Raft};
use crate::limits::READS_PENDING_MAX;
use crate::machine::is_sampled;
use crate::mutant::Mutant;
use crate::types::{Index, LogId};

/// See [`is_sampled`].
const STEPS_BETWEEN: u64 = 64;

impl Raft {
    /// Whether the step is one after which what costs much is checked.
    pub(crate) const fn is_sampled(&self) -> bool {
        is_sampled(self.steps, STEPS_BETWEEN)
    }

    /// Panics if an invariant is broken: the node must stop, since whatever it
    /// does next could spread the damage.
    pub fn invariants(&self) {
        // A planted bug is for the independent checkers to find. Terms that are lost on a disk
        // that lies are left to P2: no checker holds a node to what such a disk forgets.
        let is_left_to_checkers = !matches!(
            self.config.mutant,
            Mutant::None | Mutant::RaftTrustsOlderTerm
        );
        if is_left_to_checkers && cfg!(feature = "mutants") {
            return;
        }
        self.role_invariants();
        self.position_invariants();
        self.bound_invariants();
        if let Some(lead) = &self.lead {
            self.leader_invariants(lead);
        }
    }

    /// R1 The role agrees with what it needs.
    fn role_invariants(&self) {
        assert_eq!(self.role == Role::Leader, self.lead.is_some());
        assert_eq!(self.role == Role::Repairing, self.repair.is_some());
        assert_eq!(self.role == Role::Halted, self.halt_reason.is_some());
        if self.role == Role::Leader {
            assert_eq!(self.leader, Some(self.config.id));
            assert_eq!(self.hard.voted_for, Some(self.config.id));
        }
        if self.role == Role::Candidate {
            assert_eq!(self.hard.voted_for, Some(self.config.id));
            assert!(self.leader.is_none());
        }
    }

    /// R2 Positions are ordered: base <= applied <= handed <= committed and
    /// durable <= last.
    fn position_invariants(&self) {
        let base = self.log.base().id;
        let last = self.log.last();
        assert!(base <= last);
        assert!(self.applied <= self.handed);
        assert!(self.commit <= last.index, "only existing entries commit");
        assert!(self.commit >= base.index, "the base is committed");
        assert!(
            last.term <= self.hard.term,
            "P2: terms before their entries"
        );
        if base.index == Index::ZERO {
            assert_eq!(base, LogId::ZERO, "nothing precedes the first entry");
        }
        assert!(self.gate.flushed() <= last.index);
        assert!(self.gate.durable() <= self.gate.flushed());
        if self.repair.is_none() && self.role != Role::Halted {
            assert!(self.applied >= base.index, "the state reaches the log");
            assert!(self.handed <= self.commit, "only committed entries apply");
        }
    }

    /// R3 Everything kept has a bound.
    fn bound_invariants(&self) {
        assert!(self.gate.pending_len() <= self.config.persists_pending_max);
        assert!(self.gate.held_len() <= HELD_MAX);
        assert!(self.log.membership().broken_rule().is_none());
    }

    /// R4 What a leader knows of others is possible.
    fn leader_invariants(&self, lead: &Lead) {
        let last = self.log.last();
        assert!(lead.noop <= last.index);
        assert!(lead.reads.len() <= READS_PENDING_MAX);
        assert!(
            lead.peers
                .is_sorted_by(|earlier, later| earlier.id < later.id)
        );
        for peer in &lead.peers {
            peer.invariants(&self.config);
            assert!(peer.matched <= last.index, "nobody is ahead of the leader");
            assert!(peer.next <= last.index.next());
            assert!(peer.confirmed_round <= peer.told_round);
            assert!(peer.id != self.config.id);
        }
        let uncommitted = self.log.payload_bytes(self.commit.next(), last.index);
        assert_eq!(uncommitted, lead.uncommitted_bytes);
    }
}
