//! What a node of the ledger remembers.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

use bytes::Bytes;

use super::chain::recent::Recent;
use super::chain::record::{FinalBlock, LogRecord};
use super::chain::recovery::Recovery;
use super::chain::storage::Storage;
use super::config::Config;
use super::execution::branch::{Branch, Branches};
use super::execution::ledger_state::LedgerState;
use super::pool::Pool;
use super::reads::Reads;
use super::state_sync::StateSync;
use crate::bft::{self, Bft, Block, BlockRef, Epoch, View};
use crate::crypto::{ChainId, Digest};
use crate::ledger_types::{TimeMs, TxId};
use crate::machine::Outbox;
use crate::part::{Health, Reason};
use crate::store::StoreSeq;
use crate::types::{NodeId, RequestId, Time};
use crate::wal::{self, Wal};

/// A node of the ledger: feed it [`super::Event::Clock`], then
/// [`super::Event::Start`], then whatever happens.
#[derive(Debug)]
pub struct Ledger {
    pub(super) config: Config,
    pub(super) chain: ChainId,
    pub(super) phase: Phase,
    pub(super) now: Time,
    /// Steps so far.
    pub(super) steps: u64,
    pub(super) clock: Clock,
    pub(super) wal: Wal,
    pub(super) pool: Pool,
    pub(super) storage: Storage,
    pub(super) recent: Recent,
    pub(super) reads: Reads,
    /// What the log held of epochs that have not begun yet.
    pub(super) later_epochs: BTreeMap<Epoch, Vec<LogRecord>>,
    /// Good blocks whose time has not come: they are voted for when it has.
    pub(super) early: BTreeSet<(TimeMs, Digest)>,
    pub(super) parked: Parked,
    pub(super) assemblies: super::chain::compact::Assemblies,
    pub(super) waits: Waits,
    /// Clients that follow the final blocks.
    pub(super) followers: BTreeSet<RequestId>,
    pub(super) finals: Finals,
    /// The health that was told last.
    pub(super) told_health: Health,
    pub(super) push: Push,
    /// When each peer of an earlier epoch was helped last.
    pub(super) helped: BTreeMap<NodeId, Time>,
    /// A peer that is in a later epoch: it is asked for blocks.
    pub(super) ahead: Option<(NodeId, Epoch)>,
    /// Questions to peers that need not be validators, to take turns.
    pub(super) outside_asked: usize,
    /// When such a peer was asked last.
    pub(super) asked_ahead_at: Option<Time>,
    /// States that are fetched, by this node and from it.
    pub(super) sync: StateSync,
    /// Whether the peers have changed in this step.
    pub(super) is_peers_changed: bool,
    /// Whether the pool or the tip has changed in this step.
    pub(super) is_pool_changed: bool,
    /// Effects of the inner machines that are not routed yet. Empty between steps.
    pub(super) queue: VecDeque<Inner>,
    pub(super) bft_out: Outbox<bft::Effect>,
    pub(super) wal_out: Outbox<wal::Effect>,
}

/// An effect of an inner machine.
#[derive(Debug)]
pub(super) enum Inner {
    Bft(bft::Effect),
    Wal(wal::Effect),
}

/// How far the node is in its life.
#[derive(Debug, Hash)]
pub(super) enum Phase {
    New,
    Recovering(Box<Recovery>),
    Running(Box<Running>),
    /// Stopping gracefully, until a batch is in the store. What was sent before is
    /// still written and counted.
    Stopping {
        running: Box<Running>,
        last: StoreSeq,
    },
    /// Stopped, or halted for good.
    Ended {
        /// Why it halted, if it did.
        halted: Option<Reason>,
        /// What it ran with, if it ever did, for checkers and metrics.
        running: Option<Box<Running>>,
    },
}

/// What a node has from the end of recovery on.
#[derive(Debug)]
pub(super) struct Running {
    /// The validator of the present epoch. Never two: one key must not sign by two
    /// guards.
    pub(super) bft: Bft,
    pub(super) branches: Branches,
}

impl Hash for Running {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { bft, branches } = self;
        (bft.digest(), branches).hash(state);
    }
}

impl Running {
    /// The state after the last final block.
    pub(super) const fn tip(&self) -> &Arc<Branch> {
        self.branches.tip()
    }
}

impl Phase {
    /// What the node runs with, or ran with until it stopped.
    pub(super) fn running(&self) -> Option<&Running> {
        match self {
            Self::New | Self::Recovering(_) => None,
            Self::Running(running) | Self::Stopping { running, .. } => Some(running),
            Self::Ended { running, .. } => running.as_deref(),
        }
    }

    /// The same, to change it.
    pub(super) fn running_mut(&mut self) -> Option<&mut Running> {
        match self {
            Self::New | Self::Recovering(_) => None,
            Self::Running(running) | Self::Stopping { running, .. } => Some(running),
            Self::Ended { running, .. } => running.as_deref_mut(),
        }
    }

    /// Running no more, but until a batch is in the store.
    pub(super) fn stop(&mut self, last: StoreSeq) {
        *self = match core::mem::replace(self, Self::New) {
            Self::Running(running) => Self::Stopping { running, last },
            other => other,
        };
    }

    /// Stopped, or halted for good.
    pub(super) fn end(&mut self, halted: Option<Reason>) {
        let running = match core::mem::replace(self, Self::New) {
            Self::New | Self::Recovering(_) => None,
            Self::Running(running) | Self::Stopping { running, .. } => Some(running),
            Self::Ended { running, .. } => running,
        };
        *self = Self::Ended { halted, running };
    }
}

/// The wall clock, extrapolated from the last reading.
#[derive(Debug, Clone, Copy, Default, Hash)]
pub(super) struct Clock {
    pub(super) wall: TimeMs,
    pub(super) read_at: Time,
}

impl Clock {
    pub(super) const fn wall_at(&self, now: Time) -> TimeMs {
        let since = now.saturating_since(self.read_at).as_millis();
        TimeMs(self.wall.0.saturating_add(since))
    }

    /// When the wall clock will show `wall`, which a Byzantine leader may have chosen.
    pub(super) const fn time_of(&self, wall: TimeMs) -> Time {
        let ahead_ms = wall.0.saturating_sub(self.wall.0);
        let ahead = crate::types::Span(ahead_ms.saturating_mul(1_000_000));
        self.read_at.saturating_add(ahead)
    }
}

/// What the consensus asked about a parent that it knows to be final, and that is
/// final here only when that is durable; and what it asked while the store was behind.
#[derive(Debug, Default, Hash)]
pub(super) struct Parked {
    pub(super) blocks: Vec<Arc<Block>>,
    pub(super) build: Option<(View, BlockRef)>,
}

/// Clients that wait for an operation to become final.
#[derive(Debug, Default, Hash)]
pub(super) struct Waits {
    pub(super) by_id: BTreeMap<TxId, Vec<RequestId>>,
    pub(super) by_request: BTreeMap<RequestId, (TxId, Time)>,
    pub(super) deadlines: BTreeSet<(Time, RequestId)>,
}

impl Waits {
    pub(super) fn insert(&mut self, request: RequestId, id: TxId, deadline: Time) {
        self.by_id.entry(id).or_default().push(request);
        let before = self.by_request.insert(request, (id, deadline));
        assert!(before.is_none(), "G5: a request waits once");
        self.deadlines.insert((deadline, request));
    }

    pub(super) fn remove(&mut self, request: RequestId) -> Option<TxId> {
        let (id, deadline) = self.by_request.remove(&request)?;
        self.deadlines.remove(&(deadline, request));
        if let Some(waiting) = self.by_id.get_mut(&id) {
            waiting.retain(|one| *one != request);
            if waiting.is_empty() {
                self.by_id.remove(&id);
            }
        }
        Some(id)
    }

    /// All that wait for an operation; they wait no more.
    pub(super) fn take(&mut self, id: &TxId) -> Vec<RequestId> {
        let waiting = self.by_id.get(id).cloned().unwrap_or_default();
        for request in &waiting {
            self.remove(*request);
        }
        waiting
    }

    pub(super) fn len(&self) -> usize {
        self.by_request.len()
    }

    /// G5 Whoever waits is found by its request, by what it waits for and by when.
    pub(super) fn check(&self) {
        let count = self.by_request.len();
        assert_eq!(self.deadlines.len(), count, "G5: one deadline each");
        let listed: usize = self.by_id.values().map(Vec::len).sum();
        assert_eq!(listed, count, "G5: each waits for one operation");
        for (request, (id, deadline)) in &self.by_request {
            assert!(
                self.deadlines.contains(&(*deadline, *request)),
                "G5: whoever waits has its deadline"
            );
            let waiting = self.by_id.get(id);
            assert!(
                waiting.is_some_and(|waiting| waiting.contains(request)),
                "G5: whoever waits is told"
            );
        }
    }
}

/// What has become final in the life of the process.
#[derive(Debug, Default, Hash)]
pub(super) struct Finals {
    pub(super) blocks: u64,
    pub(super) operations: u64,
}

impl Finals {
    pub(super) fn note(&mut self, block: &FinalBlock) {
        let operations = u64::try_from(block.results.len()).unwrap_or(u64::MAX);
        self.blocks = self.blocks.saturating_add(1);
        self.operations = self.operations.saturating_add(operations);
    }
}

/// Transactions on their way to the other nodes.
#[derive(Debug, Default, Hash)]
pub(super) struct Push {
    pub(super) fresh: Vec<Bytes>,
    /// When what is still not final is handed over again.
    pub(super) again_at: Option<Time>,
}

impl Ledger {
    /// A node that has not started.
    ///
    /// # Panics
    /// The genesis makes no ledger: check it by
    /// [`Genesis::validators`](super::Genesis::validators) before.
    pub fn new(config: Config) -> Self {
        config
            .genesis
            .validators()
            .expect("a genesis that was checked");
        let key = config.signer.as_ref().map(|signer| signer.public_key());
        assert!(
            key.is_none_or(|key| key.node_id() == config.node),
            "a node signs with the key that its id follows from"
        );
        let chain = config.genesis.chain();
        let wal = Wal::new(wal::Config {
            segment_bytes: config.wal_segment_bytes,
            mutant: config.mutant,
        });
        Self {
            pool: Pool::new(config.node, chain, config.verifier.clone()),
            config,
            chain,
            phase: Phase::New,
            now: Time::ZERO,
            steps: 0,
            clock: Clock::default(),
            wal,
            storage: Storage::default(),
            recent: Recent::default(),
            reads: Reads::default(),
            later_epochs: BTreeMap::new(),
            early: BTreeSet::new(),
            parked: Parked::default(),
            assemblies: super::chain::compact::Assemblies::default(),
            waits: Waits::default(),
            followers: BTreeSet::new(),
            finals: Finals::default(),
            told_health: Health::Starting,
            push: Push::default(),
            helped: BTreeMap::new(),
            ahead: None,
            asked_ahead_at: None,
            sync: StateSync::default(),
            outside_asked: 0,
            is_peers_changed: false,
            is_pool_changed: false,
            queue: VecDeque::new(),
            bft_out: Outbox::new(),
            wal_out: Outbox::new(),
        }
    }

    /// What the node was built from.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The validator of the present epoch, once recovery is complete. For checkers
    /// and metrics.
    pub fn bft(&self) -> Option<&Bft> {
        self.phase.running().map(|running| &running.bft)
    }

    /// What waits for a block. For checkers and metrics.
    pub const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The state after the last final block, once recovery is complete.
    pub fn ledger_state(&self) -> Option<&LedgerState> {
        self.phase
            .running()
            .map(|running| running.tip().ledger_state())
    }

    /// The place of the last final block.
    pub fn tip(&self) -> Option<BlockRef> {
        let tip = self.phase.running()?.tip();
        Some(BlockRef {
            view: self.storage.tip.view,
            height: tip.height,
            hash: tip.hash,
        })
    }

    /// Whether the node has halted and takes nothing more.
    pub const fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended { .. })
    }

    pub(super) const fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running(_))
    }

    /// The wall clock now.
    pub(super) const fn wall(&self) -> TimeMs {
        self.clock.wall_at(self.now)
    }
}
