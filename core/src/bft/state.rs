//! What a validator remembers.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use super::block::{Block, BlockRef};
use super::cert::Proven;
use super::config::{Config, EpochStart};
use super::gate::Gate;
use super::guard::Guard;
use super::rejoin::Rejoin;
use super::round::{Round, Rounds};
use super::timers::Timers;
use super::types::{Height, ValidatorIndex, View};
use super::validators::Leaders;
use super::vote::{Statement, VoteKind};
use crate::crypto::Digest;
use crate::types::{NodeId, Time};

/// A validator of one epoch, or a node that follows it.
#[derive(Debug, Clone)]
pub struct Bft {
    pub(super) config: Config,
    pub(super) epoch: EpochStart,
    pub(super) leaders: Leaders,
    /// Its place, if it is a validator with a key.
    pub(super) me: Option<ValidatorIndex>,
    pub(super) phase: Phase,
    pub(super) now: Time,
    pub(super) view: View,
    /// When it came into its view.
    pub(super) entered_at: Time,
    /// The certificate by which it came into its view.
    pub(super) entered_by: Option<Proven>,
    /// The highest finalization.
    pub(super) last_final: Option<Proven>,
    /// The last block handed to the application.
    pub(super) committed: BlockRef,
    /// The height up to which the application was told: the blocks behind it up to the
    /// committed one wait for the disk.
    pub(super) announced: Height,
    pub(super) rounds: Rounds,
    /// How many open blocks the own log held at the start: it may be more than are
    /// taken in later.
    pub(super) blocks_taken_up: usize,
    /// Blocks after the committed one.
    pub(super) blocks: BTreeMap<Digest, Known>,
    pub(super) guard: Guard,
    pub(super) gate: Gate,
    pub(super) timers: Timers,
    /// Whether somebody waits for a block.
    pub(super) waiting: bool,
    /// The view for which the application builds.
    pub(super) building: Option<View>,
    /// Whether its view is to be given up as soon as the disk, which hangs, goes on.
    pub(super) gives_up: bool,
    /// The block that the application builds on.
    pub(super) builds_on: Digest,
    pub(super) peers: BTreeMap<NodeId, Peer>,
    /// The view from which on this node has followed view by view: of what was sent
    /// before it knows nothing.
    pub(super) listens_from: View,
    /// Blocks that were asked for: how often, and when last.
    pub(super) wanted: BTreeMap<Digest, Asked>,
    /// Final blocks that were asked for by height.
    pub(super) catch_up: Asked,
    /// Questions that were put to somebody, to draw whom.
    pub(super) peers_asked: u64,
    /// Messages that broke a rule. Above zero somebody is Byzantine or damaged.
    pub(super) rejected: u64,
    /// Steps so far, to check what costs much only now and then.
    pub(super) steps: u64,
    /// Whether something that a rule rests on has changed since the rules were tried, or
    /// something is missing, which is asked for as time goes by.
    pub(super) rules_dirty: bool,
}

/// How far the validator is in its life.
#[derive(Debug, Clone, Hash)]
pub(super) enum Phase {
    /// Before the first event.
    New,
    /// It lost its disk and asks the others where they are.
    Rejoining(Rejoin),
    /// It takes part.
    Running,
    /// The last block of its epoch is committed. It says nothing more; its owner
    /// goes on with a validator of the next epoch.
    Ended,
    /// It has seen that the ledger is forked. It says nothing more but what shows that,
    /// when it is durable.
    Forked,
    /// It has stopped for good.
    Halted(&'static str),
}

/// A block with what is known of it.
#[derive(Debug, Clone, Hash)]
pub(super) struct Known {
    pub(super) block: Arc<Block>,
    pub(super) verdict: Verdict,
    /// Whether it has been handed to the log.
    pub(super) recorded: bool,
}

/// What the application says of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Verdict {
    /// Not asked yet.
    Open,
    /// Asked.
    Asked,
    /// It follows the rules, and so do all before it.
    Valid,
    /// It breaks a rule, or one before it does.
    Invalid,
}

/// What is known of a peer.
#[derive(Debug, Default, Clone, Copy, Hash)]
pub(super) struct Peer {
    /// The highest view that it voted in.
    pub(super) view: View,
    /// When it was heard last.
    pub(super) heard_at: Option<Time>,
    /// When it was helped last.
    pub(super) helped_at: Option<Time>,
}

/// A question that is repeated until it is answered.
#[derive(Debug, Default, Clone, Copy, Hash)]
pub(super) struct Asked {
    pub(super) times: u64,
    pub(super) last_at: Option<Time>,
}

impl Bft {
    /// A validator that has not started.
    pub fn new(config: Config, epoch: EpochStart) -> Self {
        let key = config.signer.as_ref().map(|signer| *signer.public_key());
        let me = epoch.validators.index_of(config.node).filter(|&me| {
            let listed = epoch.validators.get(me).map(|validator| validator.key);
            listed.is_some() && listed == key
        });
        let leaders = Leaders::new(
            config.chain,
            epoch.epoch,
            &epoch.root_hash,
            &epoch.validators,
        );
        let mutant = config.mutant;
        let everybody = epoch.validators.iter().map(|(place, _)| place);
        assert_eq!(
            epoch.validators.power_of(everybody.collect()),
            epoch.validators.total(),
            "B6: the power of all is that of each together"
        );
        Self {
            leaders,
            me,
            phase: Phase::New,
            now: Time::ZERO,
            view: View(1),
            entered_at: Time::ZERO,
            entered_by: None,
            last_final: None,
            committed: epoch.root(),
            announced: epoch.root_height,
            rounds: Rounds::new(),
            blocks_taken_up: 0,
            blocks: BTreeMap::new(),
            guard: Guard::new(mutant),
            gate: Gate::new(config.persists_pending_max, mutant),
            timers: Timers::default(),
            waiting: false,
            building: None,
            gives_up: false,
            builds_on: Digest::default(),
            peers: BTreeMap::new(),
            listens_from: View(1),
            wanted: BTreeMap::new(),
            catch_up: Asked::default(),
            peers_asked: 0,
            rejected: 0,
            steps: 0,
            rules_dirty: false,
            config,
            epoch,
        }
    }

    /// The epoch that it takes part in.
    pub const fn epoch(&self) -> &EpochStart {
        &self.epoch
    }

    /// The view that it is in.
    pub const fn view(&self) -> View {
        self.view
    }

    /// The last block that it has handed to the application.
    pub const fn committed(&self) -> BlockRef {
        self.committed
    }

    /// Its highest finalization.
    pub const fn finalization(&self) -> Option<&Proven> {
        self.last_final.as_ref()
    }

    /// Who leads a view.
    pub fn leader_of(&self, view: View) -> ValidatorIndex {
        self.leaders.of(view)
    }

    /// Its place in the set, if it is a validator with a key.
    pub const fn validator(&self) -> Option<ValidatorIndex> {
        self.me
    }

    /// Whether it takes part in votes: it does not before it has started, while
    /// it asks its way back, and after it has halted.
    pub const fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running)
    }

    /// Whether it has to be silent in its present view: it may have voted in it with
    /// a disk that is lost.
    pub const fn is_silent(&self) -> bool {
        self.view.0 <= self.guard.floor().0
    }

    /// Whether the last block of its epoch is committed: it signs nothing more.
    pub const fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// Why it has stopped for good, if it has.
    pub const fn halt_reason(&self) -> Option<&'static str> {
        match self.phase {
            Phase::Halted(reason) => Some(reason),
            _ => None,
        }
    }

    /// An open block that is here, good or not.
    pub fn block(&self, hash: &Digest) -> Option<&Arc<Block>> {
        self.blocks.get(hash).map(|known| &known.block)
    }

    /// Whether this node has shown that a validator equivocated in a view. For checkers.
    pub fn has_reported(&self, view: View, signer: ValidatorIndex) -> bool {
        let round = self.rounds.get(&view);
        round.is_some_and(|round| round.is_reported(signer))
    }

    /// Messages that broke a rule. Above zero somebody is Byzantine or damaged.
    pub const fn rejected(&self) -> u64 {
        self.rejected
    }

    /// The block of the highest finalization, or what the epoch rests on.
    pub(super) fn final_place(&self) -> BlockRef {
        let root = self.epoch.root();
        let last = self.last_final.as_ref().map(|cert| cert.statement.block);
        let last = last.unwrap_or(root);
        // One block of a view is final, so the view tells.
        match last.view > self.committed.view {
            true => last,
            false => self.committed,
        }
    }

    /// The round of a view, made if needed.
    pub(super) fn round(&mut self, view: View) -> &mut Round {
        self.rounds.entry(view).or_default()
    }

    /// The certificate of a kind for a view.
    pub(super) fn cert(&self, view: View, kind: VoteKind) -> Option<&Proven> {
        self.rounds.get(&view)?.cert(kind)
    }

    /// The node at a place of the set.
    pub(super) fn node_at(&self, index: ValidatorIndex) -> NodeId {
        let validator = self.epoch.validators.get(index);
        validator.expect("only places of the set are used").node
    }

    /// Whether it leads its present view.
    pub(super) fn leads(&self) -> bool {
        self.me == Some(self.leaders.of(self.view))
    }

    /// Whether it takes messages now. While its disk hangs it does not: what others certify
    /// would gather here without end.
    pub(crate) fn accepts(&self) -> bool {
        !self.gate.is_full()
    }

    /// Whether a vote with this statement may be cast now.
    pub(super) fn may_vote(&self, statement: &Statement) -> bool {
        self.is_running()
            && self.me.is_some()
            && !self.gate.is_congested()
            && self.guard.allows(statement)
    }

    /// Whether a block is known to be good to build on.
    pub(super) fn is_valid(&self, hash: &Digest) -> bool {
        *hash == self.committed.hash
            || self
                .blocks
                .get(hash)
                .is_some_and(|known| known.verdict == Verdict::Valid)
    }

    /// The height of a block that is known to be good.
    pub(super) fn height_of(&self, hash: &Digest) -> Option<Height> {
        if *hash == self.committed.hash {
            return Some(self.committed.height);
        }
        Some(self.blocks.get(hash)?.block.header().height)
    }
}
