//! What a leader knows of one follower.

use alloc::collections::VecDeque;

use super::config::Config;
use super::message::{Incarnation, InflightId, RoundId};
use super::snapshot::Sending;
use crate::types::{Index, NodeId, Time};

/// How a follower is fed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Where its log agrees is not known: one message at a time.
    Probe {
        /// Whether one is on its way; the next heartbeat repeats it.
        waiting: bool,
    },
    /// Its log agrees up to `next`: messages are pipelined.
    Replicate,
    /// What it needs is compacted away: a snapshot is on its way.
    Snapshot(Sending),
}

/// An Append with entries that is not answered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Inflight {
    /// The message.
    pub id: InflightId,
    /// Its last entry.
    pub upto: Index,
    /// Its payload bytes.
    pub bytes: usize,
}

/// What a leader knows of one follower.
#[derive(Debug, Clone, Hash)]
pub struct Progress {
    /// The follower.
    pub id: NodeId,
    /// Its log equals ours up to here, durably.
    pub matched: Index,
    /// The next entry to send; always beyond `matched`.
    pub next: Index,
    /// How it is fed.
    pub mode: Mode,
    /// The incarnation of its log, once it has spoken.
    pub incarnation: Option<Incarnation>,
    /// Refusals of messages below this are void.
    pub floor: InflightId,
    /// The commit index that it has been told, as far as it could use it.
    pub told_commit: Index,
    /// The latest round that it has been sent.
    pub told_round: RoundId,
    /// The latest round that it has confirmed.
    pub confirmed_round: RoundId,
    /// When it last sent anything in this term.
    pub heard: Option<Time>,
    inflight: VecDeque<Inflight>,
    inflight_bytes: usize,
}

impl Progress {
    /// A follower of which nothing is known.
    pub fn new(id: NodeId, next: Index) -> Self {
        assert!(next > Index::ZERO);
        Self {
            id,
            matched: Index::ZERO,
            next,
            mode: Mode::Probe { waiting: false },
            incarnation: None,
            floor: InflightId(0),
            told_commit: Index::ZERO,
            told_round: RoundId(0),
            confirmed_round: RoundId(0),
            heard: None,
            inflight: VecDeque::new(),
            inflight_bytes: 0,
        }
    }

    /// Whether entries may be sent now.
    pub fn has_window(&self, config: &Config) -> bool {
        match &self.mode {
            Mode::Probe { waiting } => !waiting,
            Mode::Replicate => {
                self.inflight.len() < config.inflight_messages_max
                    && self.inflight_bytes < config.inflight_bytes_max
            }
            Mode::Snapshot(_) => false,
        }
    }

    /// Notes that entries up to `upto` have been sent.
    pub fn sent(&mut self, id: InflightId, upto: Index, bytes: usize) {
        match &mut self.mode {
            Mode::Probe { waiting } => *waiting = true,
            Mode::Replicate => {
                assert!(upto >= self.next);
                self.inflight.push_back(Inflight { id, upto, bytes });
                self.inflight_bytes += bytes;
                self.next = upto.next();
            }
            Mode::Snapshot(_) => unreachable!("no entries go along with a snapshot"),
        }
    }

    /// Notes a durable match. `current` tells that the message answered belongs
    /// to the present way of feeding, so it may also end a probe.
    pub fn matched(&mut self, upto: Index, current: bool) {
        self.matched = self.matched.max(upto);
        self.next = self.next.max(self.matched.next());
        while let Some(front) = self.inflight.front().copied() {
            if front.upto > self.matched {
                break;
            }
            self.inflight_bytes -= front.bytes;
            self.inflight.pop_front();
        }
        if current && matches!(self.mode, Mode::Probe { .. }) {
            self.mode = Mode::Replicate;
        }
    }

    /// Starts over from `next`, one message at a time. Answers to messages
    /// before `fresh` cannot rewind it again.
    pub fn probe_from(&mut self, next: Index, fresh: InflightId, waiting: bool) {
        assert!(fresh >= self.floor);
        self.next = next.max(self.matched.next());
        self.mode = Mode::Probe { waiting };
        self.floor = fresh;
        self.inflight.clear();
        self.inflight_bytes = 0;
    }

    /// The follower's log began again: what it acknowledged is void.
    pub fn renew(&mut self, incarnation: Incarnation, next: Index, fresh: InflightId) {
        self.matched = Index::ZERO;
        self.incarnation = Some(incarnation);
        self.told_commit = Index::ZERO;
        self.confirmed_round = RoundId(0);
        self.probe_from(next, fresh, false);
    }

    /// Panics if a bound or an order is broken.
    pub fn invariants(&self, config: &Config) {
        assert!(self.next > self.matched, "next is beyond the match");
        assert!(self.inflight.len() <= config.inflight_messages_max);
        let bytes: usize = self.inflight.iter().map(|message| message.bytes).sum();
        assert_eq!(bytes, self.inflight_bytes, "the window counts its bytes");
        if self.mode != Mode::Replicate {
            assert!(self.inflight.is_empty(), "only replication is pipelined");
        }
    }
}
