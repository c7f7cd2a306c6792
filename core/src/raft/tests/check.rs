//! Raft's promises, checked from outside: on messages, disks and applied
//! entries. Nothing here calls the code under test.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::disk::Disk;
use crate::raft::{AppendResult, Body, Entry, HardState, Membership, Message};
use crate::types::{Chain, Index, LogId, NodeId, Term};

/// What has been promised so far.
#[derive(Debug, Default)]
pub struct Checker {
    leaders: BTreeMap<Term, NodeId>,
    votes: BTreeMap<(NodeId, Term), NodeId>,
    granted: BTreeMap<(NodeId, Term), NodeId>,
    applied: BTreeMap<Index, Entry>,
    terms: BTreeMap<NodeId, Term>,
    /// What was broken, when collecting.
    pub violations: Vec<&'static str>,
    /// Whether to collect violations instead of failing at once.
    pub collect: bool,
}

impl Checker {
    /// Election safety: at most one leader per term.
    pub fn leader(&mut self, node: NodeId, term: Term) {
        let first = *self.leaders.entry(term).or_insert(node);
        self.require(first == node, "two leaders in one term");
    }

    /// A node votes once per term, and terms on a disk never go back.
    pub fn voted(&mut self, node: NodeId, hard: &HardState) {
        let before = self.terms.insert(node, hard.term).unwrap_or_default();
        self.require(hard.term >= before, "a durable term went back");
        if let Some(vote) = hard.voted_for {
            let first = *self.votes.entry((node, hard.term)).or_insert(vote);
            self.require(first == vote, "two votes in one term on disk");
        }
    }

    /// Nothing is sent before what it rests on is durable.
    pub fn sent(&mut self, from: NodeId, to: NodeId, message: &Message, disk: &Disk) {
        match &message.body {
            Body::VoteReply { granted: true, .. } => {
                let first = *self.granted.entry((from, message.term)).or_insert(to);
                self.require(first == to, "two votes granted in one term");
                let durable = disk.hard.term == message.term && disk.hard.voted_for == Some(to);
                self.require(durable, "P1: a vote was granted before it was durable");
            }
            Body::Vote { .. } => {
                let durable = disk.hard.term == message.term && disk.hard.voted_for == Some(from);
                self.require(durable, "P1: a candidacy before its own durable vote");
            }
            Body::AppendReply {
                result: AppendResult::Match { upto },
                ..
            } => {
                self.require(disk.last() >= *upto, "P3: acknowledged before durable");
                self.require(
                    disk.hard.term == message.term,
                    "P1: a reply in a volatile term",
                );
            }
            _ => {}
        }
    }

    /// State machine safety: the same entry at the same index everywhere.
    pub fn applied(&mut self, entry: &Entry) {
        let first = self
            .applied
            .entry(entry.id.index)
            .or_insert_with(|| entry.clone());
        let same = first == entry;
        self.require(same, "two different entries applied at one index");
    }

    /// Log matching: equal index and term mean equal entries before.
    pub fn logs<'a>(&mut self, disks: impl Iterator<Item = &'a Disk>) {
        let mut seen: BTreeMap<LogId, Chain> = BTreeMap::new();
        let mut matching = true;
        for disk in disks {
            for entry in &disk.entries {
                matching &= *seen.entry(entry.id).or_insert(entry.chain) == entry.chain;
            }
        }
        self.require(matching, "equal entries with different histories");
    }

    /// A commit stands on a majority of the voters, old and new ones.
    pub fn committed<'a>(
        &mut self,
        membership: &Membership,
        entry: Option<LogId>,
        disks: impl Iterator<Item = (NodeId, &'a Disk)> + Clone,
    ) {
        let Some(entry) = entry else {
            return;
        };
        let mut stands = true;
        for voters in [&membership.voters, &membership.outgoing] {
            let holding = disks.clone().filter(|(node, disk)| {
                voters.contains(node) && (disk.was_damaged || disk.holds(entry))
            });
            stands &= voters.is_empty() || holding.count() * 2 > voters.len();
        }
        self.require(stands, "committed without a quorum of disks");
    }

    /// A read sees at least what was applied anywhere when it was asked for.
    pub fn read(&mut self, floor: Index, index: Index) {
        self.require(index >= floor, "a stale read");
    }

    /// The highest index applied anywhere.
    pub fn applied_max(&self) -> Index {
        self.applied.keys().next_back().copied().unwrap_or_default()
    }

    fn require(&mut self, holds: bool, promise: &'static str) {
        if !holds {
            assert!(self.collect, "{promise}");
            self.violations.push(promise);
        }
    }
}
