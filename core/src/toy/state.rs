//! What a toy remembers.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::config::Config;
use crate::bft::Height;
use crate::codec::{Decode, Encode};
use crate::crypto::{Digest, tagged};
use crate::part::{Health, Reason};
use crate::store::StoreSeq;
use crate::types::{NodeId, RequestId, Time};

/// All that it keeps: one value under one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Encode, Decode)]
pub struct Position {
    /// The cursor: all blocks up to this one are taken or jumped over.
    pub height: Height,
    /// How many were taken.
    pub blocks: u64,
    /// A hash over their names and over the jumps, in order.
    pub hash: Digest,
    /// The sum of the numbers that clients have added.
    pub sum: u64,
}

impl Position {
    /// With one more block.
    #[must_use]
    pub fn take(self, height: Height, block: &Digest) -> Self {
        let parts: [&[u8]; 3] = [&self.hash.0, &height.0.to_be_bytes(), &block.0];
        Self {
            height,
            blocks: self.blocks.saturating_add(1),
            hash: tagged("decube/toy/block", &parts),
            ..self
        }
    }

    /// Without the blocks up to this one.
    #[must_use]
    pub fn jump(self, height: Height) -> Self {
        let parts: [&[u8]; 2] = [&self.hash.0, &height.0.to_be_bytes()];
        Self {
            height,
            hash: tagged("decube/toy/jump", &parts),
            ..self
        }
    }
}

/// A toy: feed it [`super::Event::Start`], then whatever happens.
#[derive(Debug)]
pub struct Toy {
    pub(super) config: Config,
    pub(super) phase: Phase,
    pub(super) now: Time,
    /// How far peers say that they are.
    pub(super) peers: BTreeMap<NodeId, Height>,
    pub(super) told_health: Health,
}

/// How far it is in its life.
#[derive(Debug, Hash)]
pub(super) enum Phase {
    New,
    /// Its position is being read, or what was read is being synced: after the crash of a
    /// process that may be no more than what the system remembers.
    Recovering {
        stored: Option<Position>,
    },
    Running(Box<Running>),
    /// Stopped, or halted for good.
    Ended {
        halted: Option<Reason>,
    },
}

/// What it has from the end of recovery on.
#[derive(Debug, Hash)]
pub(super) struct Running {
    /// With everything that was taken.
    pub(super) taken: Position,
    /// The last one that the store was given.
    pub(super) given: Position,
    /// The last one that is synced: what others may know.
    pub(super) durable: Position,
    /// The last batch that the store was given.
    pub(super) seq: StoreSeq,
    /// The batch that is under way.
    pub(super) writing: Option<Writing>,
    /// Who has added a number that no batch holds yet, and the sum with it.
    pub(super) adding: Vec<(RequestId, u64)>,
    pub(super) followers: BTreeSet<RequestId>,
    pub(super) reading: Reading,
    /// The last block that it has heard of.
    pub(super) heard: Height,
    /// Whether it ends as soon as everything is durable.
    pub(super) is_stopping: bool,
}

/// A batch on its way to the store.
#[derive(Debug, Hash)]
pub(super) struct Writing {
    pub(super) seq: StoreSeq,
    /// The position that is durable with it, if it is synced.
    pub(super) durable: Option<Position>,
    /// Who has added the numbers in it.
    pub(super) added: Vec<(RequestId, u64)>,
}

/// Whether it reads blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reading {
    /// It has all that it has heard of.
    Idle,
    /// It asks at the next wake.
    Due,
    /// It has asked.
    Asked,
}

impl Running {
    /// Begins at what the store holds, synced by this batch.
    pub(super) const fn new(stored: Position, seq: StoreSeq) -> Self {
        Self {
            taken: stored,
            given: stored,
            durable: stored,
            seq,
            writing: None,
            adding: Vec::new(),
            followers: BTreeSet::new(),
            reading: Reading::Due,
            heard: stored.height,
            is_stopping: false,
        }
    }

    /// Whether something is to be written, and nothing is on its way.
    pub(super) fn is_due(&self) -> bool {
        let is_dirty = self.taken != self.given || (self.is_stopping && !self.is_clean());
        is_dirty && self.writing.is_none()
    }

    /// Whether everything is durable.
    pub(super) fn is_clean(&self) -> bool {
        self.taken == self.durable
    }
}

impl Toy {
    /// A toy that has not started.
    pub fn new(config: Config) -> Self {
        config.validate();
        Self {
            config,
            phase: Phase::New,
            now: Time::ZERO,
            peers: BTreeMap::new(),
            told_health: Health::Starting,
        }
    }

    /// What it was built from.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// What it has taken so far, durable or not. For checkers.
    pub const fn position(&self) -> Option<Position> {
        match &self.phase {
            Phase::Running(running) => Some(running.taken),
            Phase::New | Phase::Recovering { .. } | Phase::Ended { .. } => None,
        }
    }

    /// Whether it has all that it has heard of.
    pub fn is_following(&self) -> bool {
        matches!(&self.phase, Phase::Running(running) if running.reading == Reading::Idle)
    }
}
