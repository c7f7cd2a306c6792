//! The gate between memory and disk: what rests on a write waits for it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::effect::{Committed, Effect, Record};
use super::fork::Fork;
use super::message::Message;
use super::types::PersistSeq;
use super::vote::Vote;
use crate::limits::PERSISTS_PENDING_MAX;
use crate::mutant::Mutant;

/// Records of the present step, and what waits for earlier ones.
#[derive(Debug, Clone, Hash)]
pub(super) struct Gate {
    records: Vec<Record>,
    held: Vec<Held>,
    pending: VecDeque<(PersistSeq, Vec<Held>)>,
    last: PersistSeq,
    /// Writes under way at most.
    pending_max: usize,
    mutant: Mutant,
}

/// What must not be sent before a write is durable.
#[derive(Debug, Clone, Hash)]
pub(super) enum Held {
    /// An own vote: counted and sent (D1).
    Vote(Vote),
    /// The own proposal (D1).
    Proposal(Message),
    /// A final block (D3).
    Commit(alloc::boxed::Box<Committed>),
    /// The end of a rejoining: this validator votes again.
    Rejoined,
    /// What shows that the ledger is forked.
    Fork(alloc::boxed::Box<Fork>),
}

impl Gate {
    /// Nothing was written yet.
    pub(super) fn new(pending_max: usize, mutant: Mutant) -> Self {
        assert!(
            (2..=PERSISTS_PENDING_MAX).contains(&pending_max),
            "writes under way have a bound, and half of it is a write"
        );
        Self {
            records: Vec::new(),
            held: Vec::new(),
            pending: VecDeque::new(),
            last: PersistSeq::default(),
            pending_max,
            mutant,
        }
    }

    /// Adds a record to the write of this step.
    pub(super) fn record(&mut self, record: Record) {
        self.records.push(record);
    }

    /// Holds something back until everything recorded so far is durable.
    pub(super) fn hold(&mut self, held: Held) {
        self.held.push(held);
    }

    /// Ends a step: one write, if there is something to write or to wait for.
    pub(super) fn flush(&mut self) -> Option<Effect> {
        if self.records.is_empty() && self.held.is_empty() {
            return None;
        }
        // The disk hangs. What is still to be written is one write when it goes on; until
        // then nothing that waits for it is sent. No vote is given by then
        // ([`Gate::is_congested`]), so what gathers is what others certify.
        if self.is_full() {
            return None;
        }
        self.assert_rests_on_this_write();
        self.last = self.last.next();
        let held = core::mem::take(&mut self.held);
        self.pending.push_back((self.last, held));
        Some(Effect::Persist {
            seq: self.last,
            records: core::mem::take(&mut self.records),
        })
    }

    /// That what waits for a write waits for the one that holds it.
    fn assert_rests_on_this_write(&self) {
        let is_written = |wanted: &dyn Fn(&Record) -> bool| self.records.iter().any(wanted);
        let has_vote =
            |vote: &Vote| is_written(&|record| matches!(record, Record::Vote(one) if one == vote));
        for held in &self.held {
            match held {
                Held::Vote(vote) => {
                    assert!(has_vote(vote), "D1: a vote waits for the write of it");
                }
                Held::Proposal(Message::Proposal(proposal)) => {
                    assert!(
                        has_vote(&proposal.vote),
                        "D1: a proposal waits for the write of its vote"
                    );
                }
                Held::Proposal(_) => panic!("D1: only a proposal waits as one"),
                // What contradicts may have been durable long ago.
                Held::Commit(_) | Held::Fork(_) => {}
                Held::Rejoined => assert!(
                    is_written(&|record| matches!(record, Record::VoteFloor(_))),
                    "D5: who comes back waits for the write of its silence"
                ),
            }
        }
    }

    /// What may be sent now that everything up to `seq` is durable.
    pub(super) fn release(&mut self, seq: PersistSeq) -> Vec<Held> {
        assert!(
            seq <= self.last,
            "D1: only what was asked for becomes durable"
        );
        let mut released = Vec::new();
        while self.pending.front().is_some_and(|(first, _)| *first <= seq) {
            let (_, held) = self.pending.pop_front().expect("just seen");
            released.extend(held);
        }
        if self.mutant.is(Mutant::BftCommitsNewestFirst) {
            released.reverse();
        }
        released
    }

    /// For planted bugs: what waits in this step is sent before it is written.
    pub(super) fn leak(&mut self) -> Vec<Held> {
        let mutant = self.mutant;
        if mutant == Mutant::None {
            return Vec::new();
        }
        let held = core::mem::take(&mut self.held);
        let (leaked, held) = held.into_iter().partition(|held| match held {
            Held::Vote(_) => mutant.is(Mutant::BftVoteNotDurable),
            Held::Proposal(_) => mutant.is(Mutant::BftProposalNotDurable),
            Held::Commit(_) => mutant.is(Mutant::BftCommitNotDurable),
            Held::Rejoined | Held::Fork(_) => false,
        });
        self.held = held;
        leaked
    }

    /// Writes under way.
    pub(super) fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// Whether so many writes are under way that nothing more should begin.
    pub(super) fn is_congested(&self) -> bool {
        self.pending.len() >= self.pending_max / 2
    }

    /// Whether there are as many writes under way as there may be: what more there is to
    /// write gathers here.
    pub(super) fn is_full(&self) -> bool {
        self.pending.len() >= self.pending_max
    }

    /// What the present step has to write, and what waits for that.
    pub(super) fn waits(&self) -> (usize, usize) {
        (self.records.len(), self.held.len())
    }

    /// Whether the present step has left nothing behind.
    pub(super) fn is_flushed(&self) -> bool {
        self.is_full() || self.waits() == (0, 0)
    }

    /// The last write asked for.
    pub(super) const fn last(&self) -> PersistSeq {
        self.last
    }
}
