//! One node, fed by hand: for tests of single sentences.

use alloc::vec::Vec;

use bytes::Bytes;

use super::cluster::{CLUSTER, id};
use crate::machine::{Machine, Outbox};
use crate::mutant::Mutant;
use crate::raft::{
    AppendResult, Base, Body, CampaignId, Config, Context, Effect, Entry, EntryKind, Event,
    HardState, Incarnation, InflightId, Membership, Message, PersistSeq, Raft, Recovered, Role,
    RoundId, SnapshotMeta, chain,
};
use crate::types::{Chain, Index, LogId, NodeId, Span, Term, Time};

/// A node with id 1 in a cluster of 1, 2, 3.
pub struct Solo {
    pub raft: Raft,
    pub now: Time,
    /// All effects since the last look, in order.
    pub effects: Vec<Effect>,
    /// Writes asked for and not reported durable.
    pub writes: Vec<PersistSeq>,
}

/// The entries of a log with these terms.
pub fn log_of(terms: &[u64]) -> Vec<Entry> {
    entries_after(LogId::ZERO, chain::EMPTY, terms)
}

/// Entries with these terms, behind a position.
pub fn entries_after(prev: LogId, before: Chain, terms: &[u64]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for term in terms {
        let (last, before) = entries
            .last()
            .map_or((prev, before), |entry| (entry.id, entry.chain));
        let place = LogId::new(Term(*term), last.index.next());
        let data = Bytes::from_static(b"entry");
        entries.push(chain::seal(CLUSTER, before, place, EntryKind::App, data));
    }
    entries
}

/// A position.
pub fn at(term: u64, index: u64) -> LogId {
    LogId::new(Term(term), Index(index))
}

impl Solo {
    /// A fresh node.
    pub fn new() -> Self {
        Self::with(0, &[])
    }

    /// A node of a term whose log has these terms.
    pub fn with(term: u64, terms: &[u64]) -> Self {
        Self::recovered(term, log_of(terms), Mutant::None)
    }

    /// A fresh node that takes eight uncommitted bytes.
    pub fn tight() -> Self {
        let mut config = Config::new(id(1), CLUSTER, 9);
        config.uncommitted_bytes_max = 8;
        let base = Base {
            membership: Membership::of_voters([id(1), id(2), id(3)]),
            ..Base::default()
        };
        let recovered = Recovered {
            base,
            ..Recovered::default()
        };
        Self::start(config, recovered)
    }

    /// A node that found this on its disk.
    pub fn recovered(term: u64, entries: Vec<Entry>, mutant: Mutant) -> Self {
        let last = entries.last().map_or(Index::ZERO, |entry| entry.id.index);
        let hard_state = HardState {
            term: Term(term),
            ..HardState::default()
        };
        let base = Base {
            membership: Membership::of_voters([id(1), id(2), id(3)]),
            ..Base::default()
        };
        let recovered = Recovered {
            hard_state,
            base,
            entries,
            ..Recovered::default()
        };
        let mut config = Config::new(id(1), CLUSTER, 9);
        config.mutant = mutant;
        let solo = Self::start(config, recovered);
        assert_eq!(solo.raft.last().index, last);
        solo
    }

    /// Starts a node, and lets its first write complete.
    pub fn start(config: Config, recovered: Recovered) -> Self {
        let now = Time(1_000_000_000);
        let mut out = Outbox::new();
        let raft = Raft::new(now, config, recovered, &mut out);
        let mut solo = Self {
            raft,
            now,
            effects: out.drain().collect(),
            writes: Vec::new(),
        };
        solo.settle();
        solo.effects.clear();
        solo
    }

    /// One event.
    pub fn step(&mut self, event: Event) {
        let mut out = Outbox::new();
        self.raft.step(self.now, event, &mut out);
        for effect in out.drain() {
            if let Effect::Persist(persist) = &effect {
                self.writes.push(persist.seq);
            }
            self.effects.push(effect);
        }
    }

    /// The end of an iteration, without the disk.
    pub fn wake(&mut self) {
        while self
            .raft
            .deadline()
            .is_some_and(|deadline| deadline <= self.now)
        {
            self.step(Event::Wake);
        }
    }

    /// The disk completes everything.
    pub fn persist(&mut self) {
        for seq in core::mem::take(&mut self.writes) {
            self.step(Event::Persisted { seq });
        }
    }

    /// Iterates and writes until nothing is left to do.
    pub fn settle(&mut self) {
        self.wake();
        while !self.writes.is_empty() {
            self.persist();
            self.wake();
        }
    }

    /// Lets time pass, up to and including the next deadline.
    pub fn until_deadline(&mut self) {
        self.now = self
            .raft
            .deadline()
            .expect("something is due")
            .max(self.now);
        self.settle();
    }

    /// Lets time pass without a wake.
    pub fn elapse(&mut self, span: Span) {
        self.now = self.now.saturating_add(span);
    }

    /// A peer says something; the iteration is completed.
    pub fn hears(&mut self, from: u128, term: u64, body: Body) {
        self.receives(from, term, body);
        self.settle();
    }

    /// A peer says something; nothing else happens.
    pub fn receives(&mut self, from: u128, term: u64, body: Body) {
        let term = Term(term);
        let message = Message { term, body };
        let from = id(from);
        self.step(Event::Message { from, message });
    }

    /// What was sent since the last look.
    pub fn sent(&mut self) -> Vec<(NodeId, Message)> {
        core::mem::take(&mut self.effects)
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Send { to, message } => Some((to, message)),
                _ => None,
            })
            .collect()
    }

    /// What was sent to one peer since the last look; the rest is forgotten.
    pub fn sent_to(&mut self, to: u128) -> Vec<Message> {
        let sent = self.sent();
        let sent = sent.into_iter().filter(|(peer, _)| *peer == id(to));
        sent.map(|(_, message)| message).collect()
    }

    /// The answer to a question, which must be the only thing sent.
    pub fn answer(&mut self) -> Message {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "one answer: {sent:?}");
        sent.remove(0).1
    }

    /// Becomes a pre-candidate, then a candidate, by the votes of node 2.
    pub fn stand(&mut self) {
        while self.raft.role() != Role::PreCandidate {
            self.until_deadline();
        }
        let (campaign, term) = self.campaign();
        let granted = true;
        self.hears(2, term, Body::PreVoteReply { campaign, granted });
        assert_eq!(self.raft.role(), Role::Candidate);
    }

    /// The latest attempt that was announced, and its term.
    pub fn campaign(&mut self) -> (CampaignId, u64) {
        let sent = self.sent();
        let found = sent
            .iter()
            .rev()
            .find_map(|(_, message)| match message.body {
                Body::PreVote { campaign, .. } | Body::Vote { campaign, .. } => {
                    Some((campaign, message.term.0))
                }
                _ => None,
            });
        found.expect("an attempt was announced")
    }

    /// Becomes leader by the votes of node 2; its first entry is durable.
    pub fn lead(&mut self) -> u64 {
        self.stand();
        let (campaign, term) = self.campaign();
        let granted = true;
        self.hears(2, term, Body::VoteReply { campaign, granted });
        assert_eq!(self.raft.role(), Role::Leader);
        term
    }

    /// As [`Solo::lead`]; node 2 then holds everything, so it is committed.
    pub fn lead_and_commit(&mut self) -> u64 {
        let term = self.lead();
        self.acknowledged_by(2);
        assert_eq!(self.raft.committed(), self.raft.last().index);
        term
    }

    /// A peer acknowledges everything that the log holds, by answering the last
    /// message sent to it.
    pub fn acknowledged_by(&mut self, peer: u128) {
        let upto = self.raft.last().index;
        let (inflight, round) = self.last_append(peer);
        self.replies(peer, inflight, round, AppendResult::Match { upto });
    }

    /// A peer answers an Append.
    pub fn replies(
        &mut self,
        peer: u128,
        inflight: InflightId,
        round: RoundId,
        result: AppendResult,
    ) {
        let body = Body::AppendReply {
            inflight,
            round,
            incarnation: Incarnation(1),
            result,
        };
        self.hears(peer, self.raft.term().0, body);
    }

    /// The ids of the last Append to a peer; what was sent is kept.
    pub fn last_append(&self, peer: u128) -> (InflightId, RoundId) {
        let found = self.effects.iter().rev().find_map(|effect| match effect {
            Effect::Send { to, message } if *to == id(peer) => match message.body {
                Body::Append {
                    inflight, round, ..
                } => Some((inflight, round)),
                _ => None,
            },
            _ => None,
        });
        found.expect("an Append was sent")
    }

    /// A leader's Append, with number 1.
    pub fn appended(&mut self, term: u64, prev: LogId, entries: Vec<Entry>, commit: u64) {
        let prev_chain = match self.raft.chain_at(prev.index) {
            Some(chain) if self.raft.term_at(prev.index) == Some(prev.term) => chain,
            _ => chain::EMPTY,
        };
        let body = Body::Append {
            inflight: InflightId(1),
            round: RoundId(0),
            prev,
            prev_chain,
            commit: Index(commit),
            quiet: false,
            entries: entries.into(),
        };
        self.hears(2, term, body);
    }

    /// A one-chunk snapshot from node 2, installed at once by the state machine.
    pub fn snapshot(&mut self, term: u64, base: Base, intact: bool) {
        let meta = self.stage(term, base);
        self.step(if intact {
            Event::SnapshotInstalled { meta }
        } else {
            Event::SnapshotRefused
        });
        self.settle();
    }

    /// A one-chunk snapshot from node 2 that the state machine has yet to install.
    pub fn stage(&mut self, term: u64, base: Base) -> alloc::boxed::Box<SnapshotMeta> {
        let meta = alloc::boxed::Box::new(SnapshotMeta {
            base,
            digest: [7; 32],
            metadata: Bytes::from_static(b"metadata"),
        });
        let body = Body::Snapshot {
            inflight: InflightId(1),
            round: RoundId(0),
            meta: meta.clone(),
            chunk: 0,
            data: Bytes::from_static(b"state"),
            last: true,
        };
        self.hears(2, term, body);
        meta
    }

    /// Entries of these terms that fit behind a position of this log.
    pub fn entries_behind(&self, prev: u64, terms: &[u64]) -> (LogId, Vec<Entry>) {
        let index = Index(prev);
        let term = self.raft.term_at(index).expect("kept");
        let before = self.raft.chain_at(index).expect("kept");
        let prev = LogId::new(term, index);
        (prev, entries_after(prev, before, terms))
    }

    /// A client's command.
    pub fn propose(&mut self, context: u64, data: &'static [u8]) {
        let context = Context(context);
        let data = Bytes::from_static(data);
        self.step(Event::Propose { context, data });
    }

    /// The terms of the log.
    pub fn terms(&self) -> Vec<u64> {
        let last = self.raft.last().index.0;
        (1..=last)
            .map(|index| self.raft.term_at(Index(index)).expect("kept").0)
            .collect()
    }

    /// The entries given to the state machine since the last look.
    pub fn applied(&mut self) -> Vec<u64> {
        let effects = core::mem::take(&mut self.effects);
        effects
            .into_iter()
            .flat_map(|effect| match effect {
                Effect::Apply { entries } => entries.iter().map(|entry| entry.id.index.0).collect(),
                _ => Vec::new(),
            })
            .collect()
    }
}
