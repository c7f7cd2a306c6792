//! What a Byzantine node knows, and what all of its behaviours make with its key.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use decube_core::bft::{
    self, Block, BlockRef, Cert, Commitments, Epoch, Height, Proposal, Statement, ValidatorIndex,
    Vote, VoteKind,
};
use decube_core::codec::Encode as _;
use decube_core::crypto::fake::FakeSigner;
use decube_core::crypto::{ChainId, Digest, Signer as _};
use decube_core::ledger::{AccountId, Intent, Lane, Message, Operation, Sequence};
use decube_core::node;
use decube_core::types::NodeId;

use super::{Deviation, Scene};
use crate::config::SimConfig;
use crate::rng::{Domain, Draw, Keyed};

/// What one Byzantine node has heard, and its key.
#[derive(Debug)]
pub struct Mind {
    pub(super) key: FakeSigner,
    pub(super) chain: ChainId,
    pub(super) certs: VecDeque<Cert>,
    pub(super) votes: VecDeque<Vote>,
    /// So many are Byzantine that the ledger is to fork.
    pub(super) fork: bool,
    /// The delay of a message, in nanoseconds.
    pub(super) delta: u64,
    /// Drawn by the seed alone: with a salt of all, what Byzantine nodes agree on; with an own
    /// one, what each does for itself.
    pub(super) keyed: Keyed,
    pub(super) entity: u64,
    draws: u64,
    /// A sample of what it heard.
    pub(super) heard: Vec<Message>,
    heard_count: u64,
    pub(super) blocks: BTreeMap<(Epoch, bft::View), Vec<BlockRef>>,
    /// In a run that is to fork: which side has which block.
    pub(super) sides: BTreeMap<Digest, bool>,
    /// In such a run: who hears of the second of two blocks.
    second_side: BTreeSet<NodeId>,
    /// A quorum of Byzantine nodes forks without two votes that contradict each other: it
    /// notarises one block of a view and finalises the other.
    pub(super) leaves_no_proof: bool,
}

const HEARD_MAX: usize = 96;
const CERTS_MAX: usize = 48;
/// Views of which a Byzantine node remembers the blocks.
pub(super) const VIEWS_MAX: usize = 32;
/// Withholding and silence change after so many message delays.
const WINDOW_DELAYS: u64 = 20;

impl Mind {
    pub(super) fn new(
        seed: u64,
        entity: u64,
        key: FakeSigner,
        chain: ChainId,
        config: &SimConfig,
        second_side: BTreeSet<NodeId>,
    ) -> Self {
        let keyed = Keyed::new(seed, Domain::Byzantine);
        Self {
            key,
            chain,
            certs: VecDeque::new(),
            votes: VecDeque::new(),
            fork: config.may_fork(),
            delta: config.ledger.delta_ms.max(1) * 1_000_000,
            keyed,
            entity: entity | 1 << 32,
            draws: 0,
            heard: Vec::new(),
            heard_count: 0,
            blocks: BTreeMap::new(),
            sides: BTreeMap::new(),
            second_side,
            leaves_no_proof: config.adversary.fork == 2 && keyed.at(0, 1 << 55).coin(),
        }
    }

    /// Takes up what a message says.
    pub(super) fn learn(&mut self, message: &Message) {
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
        match message {
            Message::Compact(compact) => self.keep(compact.parent.iter().chain(&compact.skips)),
            Message::Bft(message) => self.learn_from(message),
            _ => {}
        }
        if let Some((epoch, block)) = place_in(message) {
            self.note((epoch, block.view), block);
        }
    }

    fn learn_from(&mut self, message: &bft::Message) {
        match message {
            bft::Message::Proposal(proposal) => {
                self.keep(proposal.parent.iter().chain(&proposal.skips));
            }
            bft::Message::Vote(vote) => {
                self.votes.push_back(*vote);
                if self.votes.len() > CERTS_MAX {
                    self.votes.pop_front();
                }
            }
            bft::Message::Cert(cert) => self.keep([&**cert]),
            bft::Message::Blocks(blocks) => self.keep([&blocks.finalization]),
            _ => {}
        }
    }

    fn keep<'a>(&mut self, certs: impl IntoIterator<Item = &'a Cert>) {
        for cert in certs {
            self.certs.push_back(cert.clone());
            if self.certs.len() > CERTS_MAX {
                self.certs.pop_front();
            }
        }
    }

    /// Remembers a block of a view.
    pub(super) fn note(&mut self, view: (Epoch, bft::View), block: BlockRef) {
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

    /// A draw of this node's own.
    pub fn draw(&mut self) -> Draw {
        self.draws += 1;
        self.keyed.at(self.entity, self.draws)
    }

    /// On which side a peer is when two blocks go round.
    pub(super) fn side(&self, to: NodeId, view: u64) -> bool {
        match self.fork {
            true => self.second_side.contains(&to),
            false => self.keyed.at(low_bits(to), view | 1 << 52).coin(),
        }
    }

    /// What it draws for itself when it says a block of a view.
    pub(super) fn of_view(&self, view: u64) -> Draw {
        self.keyed.at(self.entity, view | 1 << 51)
    }

    /// The number of the present stretch of time: what lasts for a while, changes with it.
    pub(super) const fn window(&self, now: u64) -> u64 {
        now / (self.delta * WINDOW_DELAYS)
    }

    /// To a random subset.
    pub fn spread(
        &mut self,
        scene: &Scene<'_>,
        message: &node::Message,
        deviations: &mut Vec<Deviation>,
    ) {
        let mask = self.draw().0;
        for (number, to) in scene.peers.iter().enumerate() {
            if *to != scene.me && mask >> (number % 64) & 1 == 1 {
                let (to, message) = (*to, message.clone());
                deviations.push(Deviation {
                    to,
                    message,
                    after: 0,
                });
            }
        }
    }

    /// A proposal with another header and, if given, other items.
    pub(super) fn with_block(
        &self,
        scene: &Scene<'_>,
        proposal: Proposal,
        mut header: bft::Header,
        items: Option<Vec<Bytes>>,
    ) -> Proposal {
        let items = items.unwrap_or_else(|| proposal.block.items().to_vec());
        let content = Commitments::to_items(&items);
        header.content.items_root = content.items_root;
        header.content.items_count = content.items_count;
        header.content.items_bytes = content.items_bytes;
        let (Some(block), Some(me)) = (Block::new(header, items), scene.bft.validator()) else {
            return proposal;
        };
        let statement = Statement::on(VoteKind::Notarize, header.epoch, block.place());
        Proposal {
            block,
            vote: self.signed(statement, me),
            ..proposal
        }
    }

    /// A vote, whatever it says.
    pub fn signed(&self, statement: Statement, signer: ValidatorIndex) -> Vote {
        Vote {
            statement,
            signer,
            signature: self.key.sign(&statement.preimage(self.chain)),
        }
    }

    /// A transaction of the Byzantine node's own account.
    pub(super) fn transaction(&self, scene: &Scene<'_>, operation: Operation) -> node::Message {
        let account = AccountId::of(self.key.public_key());
        let ledger_state = scene.ledger.ledger_state();
        let known = ledger_state.and_then(|ledger_state| ledger_state.account(&account));
        let next = known.map_or(Sequence(0), |account| account.next(Lane(0)));
        let height = scene.ledger.tip().map_or(Height(0), |tip| tip.height);
        let intent = Intent {
            chain: self.chain,
            account,
            lane: Lane(0),
            sequence: next,
            valid_until: Height(height.0 + 50),
            operations: vec![operation],
        };
        Message::Transactions(vec![intent.sign(&self.key).to_bytes()]).into()
    }
}

/// The block that a message is about.
pub(super) fn place_in(message: &Message) -> Option<(Epoch, BlockRef)> {
    let bft = match message {
        Message::Bft(bft) => bft,
        Message::Compact(compact) => return Some((compact.header.epoch, compact.header.place())),
        _ => return None,
    };
    match bft {
        bft::Message::Proposal(proposal) => {
            Some((proposal.block.header().epoch, proposal.block.place()))
        }
        bft::Message::Vote(vote) => Some((vote.statement.epoch, vote.statement.block)),
        bft::Message::Cert(cert) => Some((cert.statement.epoch, cert.statement.block)),
        _ => None,
    }
}

/// Enough of an id to draw by.
pub(super) fn low_bits(node: NodeId) -> u64 {
    u64::try_from(node.0 & u128::from(u64::MAX)).expect("64 bits")
}
