//! A liar: an honest process whose words are changed on their way out.
//!
//! It holds its own key and what it has heard, nothing else, so it can not forge a
//! vote of somebody else (see [`decube_core::crypto::fake`]). Each way to lie is one
//! bit of [`SimConfig::strategies`](crate::config::SimConfig::strategies), so that a
//! minimiser can find out which one a failure needs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use decube_core::bft::{
    self, Bft, Block, BlockRef, Cert, Epoch, Proposal, Statement, Vote, VoteKind,
};
use decube_core::crypto::fake::FakeSigner;
use decube_core::crypto::{ChainId, Digest};
use decube_core::ledger::{Compact, Ledger, Message};
use decube_core::types::NodeId;

use super::MILLI;
use crate::config::SimConfig;
use crate::rng::{Domain, Draw, Keyed};

/// A way to lie, by its bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Strategy {
    /// Two good blocks of one view, each to some.
    Equivocate = 0,
    /// Nothing at all to some, for a while.
    Withhold = 1,
    /// Votes to some only.
    SelectiveVote = 2,
    /// Blocks so late that others may have given the view up.
    LateProposal = 3,
    /// Blocks that break a rule.
    InvalidBody = 4,
    /// What it once heard, again, of earlier epochs as well.
    StaleReplay = 5,
    /// Certificates that no quorum signed.
    GarbageCerts = 6,
    /// Wrong answers to those who catch up.
    SyncLiar = 7,
    /// Accusations of the innocent.
    EvidenceForger = 8,
    /// Work for nothing.
    Spam = 9,
    /// Votes for everything, and for giving it up.
    DoubleVote = 10,
    /// Nothing at all, for a while.
    Silent = 11,
}

/// What a liar sees when it acts.
pub(super) struct Scene<'a> {
    pub(super) now: u64,
    pub(super) me: NodeId,
    pub(super) peers: &'a [NodeId],
    pub(super) ledger: &'a Ledger,
    pub(super) bft: &'a Bft,
}

/// A message that the honest process would not have sent so.
#[derive(Debug, Clone)]
pub(super) struct Lie {
    pub(super) to: NodeId,
    pub(super) message: Message,
    /// How much later it leaves.
    pub(super) after: u64,
}

/// One liar with what it has heard.
#[derive(Debug)]
pub(in crate::world) struct Liar {
    pub(super) key: FakeSigner,
    pub(super) chain: ChainId,
    pub(super) certs: VecDeque<Cert>,
    pub(super) votes: VecDeque<Vote>,
    strategies: u64,
    fork: bool,
    delta: u64,
    /// Drawn by the seed alone: with a salt of all, what liars agree on; with an own
    /// one, what each does for itself.
    keyed: Keyed,
    entity: u64,
    draws: u64,
    pub(super) heard: Vec<Message>,
    heard_count: u64,
    blocks: BTreeMap<(Epoch, bft::View), Vec<BlockRef>>,
    /// How often it voted for everything in a view: liars hear each other, and would
    /// answer each other without end.
    voted: BTreeMap<(Epoch, bft::View), u64>,
    /// Blocks that it sent by the hashes of their items, to answer for them.
    pub(super) spoken: VecDeque<Block>,
    /// In a run that is to fork: which side has which block.
    sides: BTreeMap<Digest, bool>,
    /// In such a run: who hears of the second of two blocks.
    second_side: BTreeSet<NodeId>,
    /// A quorum of liars forks without two votes that contradict each other: it
    /// notarises one block of a view and finalises the other.
    leaves_no_proof: bool,
}

const HEARD_MAX: usize = 96;
const CERTS_MAX: usize = 48;
/// Blocks for whose items a liar answers.
const SPOKEN_MAX: usize = 8;
/// Views of which a liar remembers the blocks.
const VIEWS_MAX: usize = 32;
/// How far from its own view a liar votes for everything: fewer views than it remembers,
/// so that none of them is forgotten while it may be voted in.
const VIEWS_NEAR: u64 = 15;
const _: () = assert!(2 * VIEWS_NEAR < VIEWS_MAX as u64);
/// Times that it votes for everything in one view.
const VOTES_PER_VIEW_MAX: u64 = 8;
/// Withholding and silence change after so many message delays.
const WINDOW_DELAYS: u64 = 20;

impl Liar {
    pub(super) fn new(
        seed: u64,
        entity: u64,
        key: FakeSigner,
        chain: ChainId,
        config: &SimConfig,
        second_side: BTreeSet<NodeId>,
    ) -> Self {
        let keyed = Keyed::new(seed, Domain::Liar);
        Self {
            key,
            chain,
            certs: VecDeque::new(),
            votes: VecDeque::new(),
            strategies: config.adversary.strategies,
            fork: config.may_fork(),
            delta: config.ledger.delta_ms.max(1) * MILLI,
            keyed,
            entity: entity | 1 << 32,
            draws: 0,
            heard: Vec::new(),
            heard_count: 0,
            blocks: BTreeMap::new(),
            voted: BTreeMap::new(),
            spoken: VecDeque::new(),
            sides: BTreeMap::new(),
            second_side,
            leaves_no_proof: config.adversary.fork == 2 && keyed.at(0, 1 << 55).coin(),
        }
    }

    /// What becomes of a message of the honest process.
    pub(super) fn on_send(&mut self, scene: &Scene<'_>, to: NodeId, message: Message) -> Vec<Lie> {
        if self.is_silent(scene.now) || self.withholds(scene.now, to) {
            return Vec::new();
        }
        let truth = |message| Lie {
            to,
            message,
            after: 0,
        };
        let Message::Bft(said) = message else {
            return vec![truth(message)];
        };
        match said {
            bft::Message::Proposal(proposal) => self.propose(scene, to, *proposal),
            // Its votes are those that keep the two sides apart.
            bft::Message::Vote(_) if self.fork => Vec::new(),
            bft::Message::Vote(vote) if self.has(Strategy::SelectiveVote) => {
                let view = vote.statement.view().0;
                let to_it = self.keyed.at(low_bits(to), view | 1 << 50).coin();
                let said = Message::Bft(bft::Message::Vote(vote));
                if to_it { vec![truth(said)] } else { Vec::new() }
            }
            said if self.has(Strategy::SyncLiar) => {
                let said = self.twist_answer(said);
                said.map(|said| truth(Message::Bft(said)))
                    .into_iter()
                    .collect()
            }
            said => vec![truth(Message::Bft(said))],
        }
    }

    /// Lies that a message provokes.
    pub(super) fn on_heard(
        &mut self,
        scene: &Scene<'_>,
        from: NodeId,
        message: &Message,
    ) -> Vec<Lie> {
        if let Message::AskItems { block, items } = message {
            return self.answer_items(from, *block, items).into_iter().collect();
        }
        let place = self.learn(message);
        if let Message::Bft(bft::Message::Vote(vote)) = message
            && vote.statement.kind == VoteKind::Notarize
            && self.fork
        {
            let side = self.side(from, vote.statement.view().0);
            self.sides.entry(vote.statement.block.hash).or_insert(side);
        }
        let mut lies = Vec::new();
        if self.is_silent(scene.now) {
            return lies;
        }
        if let Some((epoch, block)) = place
            && self.has(Strategy::DoubleVote)
        {
            self.vote_for_all(scene, epoch, block, &mut lies);
        }
        lies
    }

    /// Lies that need no occasion.
    pub(super) fn on_idle(&mut self, scene: &Scene<'_>) -> Vec<Lie> {
        let mut lies = Vec::new();
        if self.is_silent(scene.now) {
            return lies;
        }
        if self.has(Strategy::StaleReplay) && !self.heard.is_empty() {
            for _ in 0..4 {
                let at = self.draw().index(self.heard.len());
                let old = self.heard[at].clone();
                self.spread(scene, &old, &mut lies);
            }
        }
        if self.has(Strategy::GarbageCerts)
            && let Some(cert) = self.garbage_cert(scene)
        {
            let message = Message::Bft(bft::Message::Cert(Box::new(cert)));
            self.spread(scene, &message, &mut lies);
        }
        if self.has(Strategy::SyncLiar)
            && let Some(blocks) = self.blocks_of_nobody()
        {
            let message = Message::Bft(bft::Message::Blocks(Box::new(blocks)));
            self.spread(scene, &message, &mut lies);
        }
        if self.has(Strategy::EvidenceForger)
            && let Some(message) = self.false_accusation(scene)
        {
            self.spread(scene, &message, &mut lies);
        }
        if self.has(Strategy::Spam) {
            for _ in 0..4 {
                let message = self.spam(scene);
                self.spread(scene, &message, &mut lies);
            }
        }
        lies
    }

    /// A block of its own leaves, as it is or otherwise.
    fn propose(&mut self, scene: &Scene<'_>, to: NodeId, proposal: Proposal) -> Vec<Lie> {
        let view = proposal.block.header().view.0;
        let is_other = self.side(to, view) && self.has(Strategy::Equivocate);
        let bad = self.keyed.at(self.entity, view | 1 << 51);
        let mut said = proposal;
        if is_other {
            said = self.other_block(scene, said);
        }
        if self.has(Strategy::InvalidBody) && bad.coin() {
            said = self.invalid_block(scene, said, bad.again());
        }
        if self.has(Strategy::GarbageCerts) && bad.again().again().chance(200_000) {
            said.parent = self.garbage_cert(scene).or(said.parent);
        }
        let after = match self.has(Strategy::LateProposal) && bad.again().coin() {
            true => self.draw().below(self.delta * 6),
            false => 0,
        };
        let header = said.block.header();
        self.note((header.epoch, header.view), said.block.place());
        if self.fork {
            self.sides.insert(said.block.hash(), self.side(to, view));
        }
        let message = match bad.again().again().again().chance(700_000) {
            true => self.in_short(said),
            false => Message::Bft(bft::Message::Proposal(Box::new(said))),
        };
        vec![Lie { to, message, after }]
    }

    /// The short form of a block, which may be wrong.
    fn in_short(&mut self, said: Proposal) -> Message {
        if !self.spoken.contains(&said.block) {
            self.spoken.push_back(said.block.clone());
            if self.spoken.len() > SPOKEN_MAX {
                self.spoken.pop_front();
            }
        }
        let mut compact = Compact::of(said);
        if self.has(Strategy::InvalidBody) && self.draw().chance(300_000) {
            self.spoil_list(&mut compact);
        }
        Message::Compact(Box::new(compact))
    }

    /// Notarises and finalises every block of a view that it knows of, and one that nobody
    /// has, and gives the view up as well. In a run that is to fork each side hears of its own block.
    fn vote_for_all(
        &mut self,
        scene: &Scene<'_>,
        epoch: Epoch,
        block: BlockRef,
        lies: &mut Vec<Lie>,
    ) {
        let Some(me) = scene.bft.validator() else {
            return;
        };
        let is_near = block.view.0.abs_diff(scene.bft.view().0) <= VIEWS_NEAR;
        let is_now = epoch == scene.bft.epoch().epoch && is_near;
        if !is_now || (!self.fork && !self.draw().chance(300_000)) {
            return;
        }
        let known = self.blocks.get(&(epoch, block.view));
        let known = known.cloned().unwrap_or_default();
        let times = self.voted.entry((epoch, block.view)).or_default();
        *times += 1;
        let is_enough = *times > VOTES_PER_VIEW_MAX;
        while self.voted.len() > VIEWS_MAX {
            self.voted.pop_first();
        }
        if is_enough {
            return;
        }
        if !self.fork {
            // For what nobody has, and first: a tally must keep it apart from the rest.
            let nowhere = BlockRef {
                hash: Digest([8; 32]),
                ..block
            };
            let vote = self.signed(Statement::on(VoteKind::Notarize, epoch, nowhere), me);
            self.spread(scene, &Message::Bft(bft::Message::Vote(vote)), lies);
        }
        for block in known {
            for kind in self.kinds_for(&block) {
                let vote = self.signed(Statement::on(*kind, epoch, block), me);
                let message = Message::Bft(bft::Message::Vote(vote));
                match self.fork {
                    true => self.spread_on_its_side(scene, block, &message, lies),
                    false => self.spread(scene, &message, lies),
                }
            }
        }
        if !self.fork {
            let vote = self.signed(Statement::nullify(epoch, block.view), me);
            self.spread(scene, &Message::Bft(bft::Message::Vote(vote)), lies);
        }
    }

    /// Which votes it casts for a block.
    fn kinds_for(&self, block: &BlockRef) -> &'static [VoteKind] {
        match (self.leaves_no_proof, self.sides.get(&block.hash)) {
            (true, Some(true)) => &[VoteKind::Finalize],
            (true, _) => &[VoteKind::Notarize],
            (false, _) => &[VoteKind::Notarize, VoteKind::Finalize],
        }
    }

    /// To those that have this block, and to the other liars.
    fn spread_on_its_side(
        &self,
        scene: &Scene<'_>,
        block: BlockRef,
        message: &Message,
        lies: &mut Vec<Lie>,
    ) {
        let Some(side) = self.sides.get(&block.hash) else {
            return;
        };
        for to in scene.peers.iter().filter(|peer| **peer != scene.me) {
            if self.side(*to, block.view.0) == *side {
                let (to, message) = (*to, message.clone());
                lies.push(Lie {
                    to,
                    message,
                    after: 0,
                });
            }
        }
    }

    fn learn(&mut self, message: &Message) -> Option<(Epoch, BlockRef)> {
        self.heard_count += 1;
        if self.heard.len() < HEARD_MAX {
            self.heard.push(message.clone());
        } else {
            // A sample of everything so far: old epochs stay in it.
            let at = self.draw().below(self.heard_count);
            if let Ok(at) = usize::try_from(at)
                && at < HEARD_MAX
            {
                self.heard[at] = message.clone();
            }
        }
        let said = match message {
            Message::Bft(said) => said,
            Message::Compact(compact) => {
                self.keep(compact.parent.iter().chain(&compact.skips));
                let (epoch, place) = (compact.header.epoch, compact.header.place());
                self.note((epoch, place.view), place);
                return Some((epoch, place));
            }
            _ => return None,
        };
        let (epoch, block) = match said {
            bft::Message::Proposal(proposal) => {
                self.keep(proposal.parent.iter().chain(&proposal.skips));
                let header = proposal.block.header();
                (header.epoch, proposal.block.place())
            }
            bft::Message::Vote(vote) => {
                self.votes.push_back(*vote);
                if self.votes.len() > CERTS_MAX {
                    self.votes.pop_front();
                }
                (vote.statement.epoch, vote.statement.block)
            }
            bft::Message::Cert(cert) => {
                self.keep([&**cert]);
                (cert.statement.epoch, cert.statement.block)
            }
            bft::Message::Blocks(blocks) => {
                self.keep([&blocks.finalization]);
                return None;
            }
            _ => return None,
        };
        self.note((epoch, block.view), block);
        Some((epoch, block))
    }

    fn keep<'a>(&mut self, certs: impl IntoIterator<Item = &'a Cert>) {
        for cert in certs {
            self.certs.push_back(cert.clone());
            if self.certs.len() > CERTS_MAX {
                self.certs.pop_front();
            }
        }
    }

    fn note(&mut self, view: (Epoch, bft::View), block: BlockRef) {
        if block.height == bft::Height(0) {
            return;
        }
        let known = self.blocks.entry(view).or_default();
        if !known.contains(&block) && known.len() < 4 {
            known.push(block);
        }
        while self.blocks.len() > VIEWS_MAX {
            self.blocks.pop_first();
        }
    }

    pub(super) const fn has(&self, strategy: Strategy) -> bool {
        self.strategies >> strategy as u32 & 1 == 1
    }

    pub(super) fn draw(&mut self) -> Draw {
        self.draws += 1;
        self.keyed.at(self.entity, self.draws)
    }

    /// On which side a peer is when two blocks go round.
    fn side(&self, to: NodeId, view: u64) -> bool {
        match self.fork {
            true => self.second_side.contains(&to),
            false => self.keyed.at(low_bits(to), view | 1 << 52).coin(),
        }
    }

    fn is_silent(&self, now: u64) -> bool {
        let window = now / (self.delta * WINDOW_DELAYS);
        self.has(Strategy::Silent) && self.keyed.at(self.entity, window | 1 << 53).coin()
    }

    fn withholds(&self, now: u64, to: NodeId) -> bool {
        let window = now / (self.delta * WINDOW_DELAYS);
        let salt = self.entity << 16 ^ low_bits(to);
        self.has(Strategy::Withhold) && self.keyed.at(salt, window | 1 << 54).coin()
    }

    /// To a random subset.
    fn spread(&mut self, scene: &Scene<'_>, message: &Message, lies: &mut Vec<Lie>) {
        let mask = self.draw().0;
        for (number, to) in scene.peers.iter().enumerate() {
            if *to != scene.me && mask >> (number % 64) & 1 == 1 {
                let (to, message) = (*to, message.clone());
                lies.push(Lie {
                    to,
                    message,
                    after: 0,
                });
            }
        }
    }
}

/// Enough of an id to draw by.
pub(super) fn low_bits(node: NodeId) -> u64 {
    u64::try_from(node.0 & u128::from(u64::MAX)).expect("64 bits")
}
