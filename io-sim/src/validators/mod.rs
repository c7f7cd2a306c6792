//! The validators of a ledger alone, in virtual time: what agreement costs in time,
//! messages and bytes.
//!
//! # What is real
//! The consensus core ([`Bft`]), its rules, its deadlines and its encoding.
//!
//! # What is not
//! Signatures are the cheap scheme of simulations: of the same size, so bytes are
//! right, but without the time that they take. Blocks hold one small item and are
//! found good at once. The network loses what the [`Faults`] say, its bandwidth has no
//! end, and a message takes what the [`Distance`] says. A write is durable after
//! [`Setup::disk`].
//!
//! This is the measuring bench, not a search for faults: those are in
//! [`world`](crate::world) and in the tests of the core. What it prints is a pure
//! function of the [`Setup`], the same on every machine.
//!
//! | file | holds |
//! |---|---|
//! | `regions.rs` | how far apart validators are |
//! | `faults.rs` | what goes wrong |
//! | `figures.rs` | what is read off a run |

mod faults;
pub mod figures;
mod regions;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use decube_core::bft::{
    Bft, Commitments, Committed, Config, Content, Effect, Epoch, EpochStart, Event, FinalBlocks,
    Height, Message, PersistSeq, Power, Relay, Timing, Validator, ValidatorSet, View,
};
use decube_core::codec::Encode;
use decube_core::crypto::fake::FakeAuthority;
use decube_core::crypto::{
    ChainId, Digest, SharedSigner, SharedVerifier, Signer, Verifier, sha256,
};
use decube_core::limits::{BLOCKS_ANSWERED_MAX, PERSISTS_PENDING_MAX};
use decube_core::machine::{Machine, Outbox};
use decube_core::mutant::Mutant;
use decube_core::types::{NodeId, Span, Time};

use crate::queue::{Queue, Tie};

pub use faults::Faults;
pub use figures::{Figures, Latency};
pub use regions::{Distance, REGIONS};

/// The ledger of all runs.
const CHAIN: ChainId = ChainId(1);

/// No run is longer: who has not committed by then stands still.
pub const PATIENCE: Span = Span::from_secs(600);

/// The order in which validators lead, by their numbers: for those that are run beside
/// ours, so that the dead and the distant have their turns in the same order.
pub fn leaders(count: usize) -> Vec<usize> {
    let validators = Validators::new(Setup::new(count, Distance::World, 0));
    let bft = validators.nodes[0].bft.as_ref().expect("nobody is dead");
    let views = (1..).take(count);
    views
        .map(|view| bft.leader_of(View(view)).position())
        .collect()
}

/// What is run.
#[derive(Debug, Clone)]
pub struct Setup {
    /// How many validators there are.
    pub count: usize,
    /// How far apart.
    pub distance: Distance,
    /// How certificates travel.
    pub relay: Relay,
    /// What goes wrong.
    pub faults: Faults,
    /// The delay that deadlines are reckoned by.
    pub delta: Span,
    /// Until a write is durable.
    pub disk: Span,
    /// How many blocks everybody has to commit.
    pub blocks: u64,
    /// Whether bytes are counted: that encodes every message once.
    pub count_bytes: bool,
}

impl Setup {
    /// So many validators, all well, with the product's settings.
    pub fn new(count: usize, distance: Distance, blocks: u64) -> Self {
        Self {
            count,
            distance,
            relay: Relay::default(),
            faults: Faults::default(),
            delta: Timing::default().delta,
            disk: Span::ZERO,
            blocks,
            count_bytes: true,
        }
    }

    /// With as many of them dead as are tolerated, spread over the places.
    #[must_use]
    pub fn with_faulty(mut self) -> Self {
        self.faults.crash(self.count.saturating_sub(1) / 3);
        self
    }
}

/// One block on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// Who proposed it.
    pub proposer: usize,
    pub height: Height,
    /// When its leader began to build it: what was known to it then is inside.
    pub built: Time,
    /// When the proposal left.
    pub proposed: Time,
    /// When each validator committed it. Crashed ones never do.
    pub committed: Vec<Option<Time>>,
}

/// What a node does next by itself.
enum Item {
    Message {
        from: NodeId,
        to: usize,
        message: Rc<Message>,
    },
    Durable {
        node: usize,
        seq: PersistSeq,
    },
    /// A block that took a while to build.
    Built {
        node: usize,
        built: Box<Event>,
    },
    Wake {
        node: usize,
    },
}

struct Node {
    id: NodeId,
    bft: Option<Bft>,
    /// When the queue wakes it, if it does.
    wakes_at: Option<Time>,
    /// When it began to build its present block.
    building: Time,
    /// The height of its last committed block.
    height: Height,
    /// What it has committed, for those who missed it.
    chain: Vec<Committed>,
}

/// A run.
pub struct Validators {
    setup: Setup,
    set: Arc<ValidatorSet>,
    nodes: Vec<Node>,
    queue: Queue<Item>,
    now: Time,
    tracks: BTreeMap<Digest, Track>,
    messages: u64,
    bytes: u64,
}

impl Node {
    /// Blocks from a height on, for who lags behind.
    fn blocks_from(&self, from: Height) -> Option<FinalBlocks> {
        let wanted = self
            .chain
            .iter()
            .filter(|one| one.block.header().height >= from);
        let run: Vec<&Committed> = wanted.take(BLOCKS_ANSWERED_MAX).collect();
        let last = run.last()?;
        Some(FinalBlocks {
            blocks: run.iter().map(|one| (*one.block).clone()).collect(),
            path: last.path.clone(),
            finalization: last.finalization.to_cert(),
        })
    }
}

impl Validators {
    /// Validators that have started and want blocks, with the scheme of simulations.
    pub fn new(setup: Setup) -> Self {
        let authority = FakeAuthority::new(1);
        let verifier = authority.verifier();
        Self::with_scheme(setup, |number| authority.signer(number), verifier)
    }

    /// As [`new`](Self::new), with another signature scheme.
    pub fn with_scheme<S: Signer + Send + Sync + 'static>(
        setup: Setup,
        signer: impl Fn(u64) -> S,
        verifier: impl Verifier + Send + Sync + 'static,
    ) -> Self {
        assert!(
            setup.faults.crashed.len() * 3 < setup.count,
            "a quorum is alive"
        );
        let numbers = 0..u64::try_from(setup.count).expect("a small number");
        let mut signers: Vec<SharedSigner> = numbers
            .map(|number| SharedSigner::new(signer(number)))
            .collect();
        signers.sort_by_key(|signer| signer.public_key().node_id());
        let listed = signers.iter().map(|signer| Validator {
            node: signer.public_key().node_id(),
            key: *signer.public_key(),
            power: Power(1),
        });
        let set = Arc::new(ValidatorSet::new(listed.collect()).expect("keys differ"));
        let mut validators = Self {
            nodes: Vec::new(),
            queue: Queue::new(),
            now: Time(1),
            tracks: BTreeMap::new(),
            messages: 0,
            bytes: 0,
            set,
            setup,
        };
        validators.start(signers, SharedVerifier::new(verifier));
        validators
    }

    fn start(&mut self, signers: Vec<SharedSigner>, verifier: SharedVerifier) {
        let epoch = EpochStart {
            epoch: Epoch(1),
            root_height: Height(0),
            root_hash: sha256(b"the root of a bench"),
            validators: self.set.clone(),
        };
        for (number, signer) in signers.into_iter().enumerate() {
            let id = signer.public_key().node_id();
            let config = Config {
                node: id,
                chain: CHAIN,
                signer: Some(signer),
                verifier: verifier.clone(),
                timing: Timing {
                    delta: self.setup.delta,
                    ..Timing::default()
                },
                relay: self.setup.relay,
                persists_pending_max: PERSISTS_PENDING_MAX,
                mutant: Mutant::None,
            };
            let is_alive = !self.setup.faults.crashed.contains(&number);
            self.nodes.push(Node {
                id,
                bft: is_alive.then(|| Bft::new(config, epoch.clone())),
                wakes_at: None,
                building: self.now,
                height: Height(0),
                chain: Vec::new(),
            });
        }
        for number in 0..self.nodes.len() {
            self.step(number, Event::Start(Box::default()));
            self.step(number, Event::Pending { waiting: true });
        }
    }

    /// Runs until every living validator has committed the blocks that are wanted.
    ///
    /// # Panics
    /// If they never do.
    pub fn run(&mut self) {
        assert!(self.run_to(self.setup.blocks), "a quorum is alive");
    }

    /// Runs until every living validator has committed so many blocks; whether they
    /// have before [`PATIENCE`] ended.
    pub fn run_to(&mut self, blocks: u64) -> bool {
        while !self.is_done(blocks) {
            let (time, item) = self.queue.pop().expect("deadlines never end");
            assert!(time >= self.now.0, "time never runs backwards");
            self.now = Time(time);
            if self.now > Time::ZERO + PATIENCE {
                return false;
            }
            match item {
                Item::Message { from, to, message } => {
                    let message = Rc::unwrap_or_clone(message);
                    self.step(to, Event::Message { from, message });
                }
                Item::Durable { node, seq } => self.step(node, Event::Persisted { seq }),
                Item::Built { node, built } => self.step(node, *built),
                Item::Wake { node } => self.wake(node),
            }
        }
        true
    }

    /// Messages that were sent so far, one for each that they go to, and bytes of them.
    pub const fn sent(&self) -> [u64; 2] {
        [self.messages, self.bytes]
    }

    fn is_done(&self, blocks: u64) -> bool {
        let mut living = self.nodes.iter().filter(|node| node.bft.is_some());
        living.all(|node| node.height.0 >= blocks)
    }

    /// A step, and at once those that follow from it without a message.
    fn step(&mut self, number: usize, event: Event) {
        let mut events = VecDeque::from([event]);
        let mut out = Outbox::new();
        while let Some(event) = events.pop_front() {
            let Some(bft) = &mut self.nodes[number].bft else {
                return;
            };
            bft.step(self.now, event, &mut out);
            assert!(
                bft.halt_reason().is_none(),
                "nothing here breaks a validator"
            );
            for effect in out.drain() {
                events.extend(self.on_effect(number, effect));
            }
        }
        self.set_alarm(number);
    }

    /// Carries out an effect; what it brings about at once, if anything.
    fn on_effect(&mut self, number: usize, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Persist { seq, .. } if self.setup.disk == Span::ZERO => {
                return Some(Event::Persisted { seq });
            }
            Effect::Persist { seq, .. } => {
                let item = Item::Durable { node: number, seq };
                self.push(self.now + self.setup.disk, item);
            }
            Effect::Send { to, message } => self.answer(number, to, message),
            Effect::Broadcast { message } => self.broadcast(number, message),
            Effect::Build { view, .. } => return self.build(number, view),
            Effect::Check { block } => {
                let hash = block.hash();
                return Some(Event::Checked { hash, valid: true });
            }
            Effect::Commit(committed) => self.on_commit(number, *committed),
            Effect::ServeBlocks { to, from } => {
                if let Some(answer) = self.nodes[number].blocks_from(from) {
                    self.answer(number, to, Message::Blocks(Box::new(answer)));
                }
            }
            Effect::ServeBlock { to, hash } => {
                let chain = self.nodes[number].chain.iter();
                let found = chain.map(|one| &one.block).find(|one| one.hash() == hash);
                if let Some(block) = found.cloned() {
                    let block = Box::new(Arc::unwrap_or_clone(block));
                    self.answer(number, to, Message::Block(block));
                }
            }
            Effect::Evidence(_) | Effect::SafetyViolation { .. } => {
                unreachable!("nobody is Byzantine here")
            }
        }
        None
    }

    /// Builds a block, at once but for who is late.
    fn build(&mut self, number: usize, view: View) -> Option<Event> {
        self.nodes[number].building = self.now;
        // Not nothing: an empty block is held back for a while.
        let items = vec![Bytes::from_static(b"item")];
        let commitments = Commitments::to_items(&items);
        let content = Some(Box::new(Content { commitments, items }));
        let built = Event::Built { view, content };
        let late = self.setup.faults.lateness(number);
        if late == Span::ZERO {
            return Some(built);
        }
        let (node, built) = (number, Box::new(built));
        self.push(self.now + late, Item::Built { node, built });
        None
    }

    /// Sends a message to one.
    fn answer(&mut self, number: usize, to: NodeId, message: Message) {
        let to = self.set.index_of(to).expect("only validators are here");
        self.note_bytes(&message, 1);
        self.deliver(number, to.position(), &Rc::new(message));
    }

    fn broadcast(&mut self, number: usize, message: Message) {
        self.note_bytes(&message, self.nodes.len() - 1);
        if let Message::Proposal(proposal) = &message {
            let track = Track {
                proposer: number,
                height: proposal.block.header().height,
                built: self.nodes[number].building,
                proposed: self.now,
                committed: vec![None; self.nodes.len()],
            };
            // One that nobody answers is sent again: the first time counts.
            self.tracks.entry(proposal.block.hash()).or_insert(track);
        }
        let message = Rc::new(message);
        for to in (0..self.nodes.len()).filter(|to| *to != number) {
            self.deliver(number, to, &message);
        }
    }

    fn note_bytes(&mut self, message: &Message, copies: usize) {
        if self.setup.count_bytes {
            let copies = u64::try_from(copies).expect("a small number");
            let length = u64::try_from(message.to_bytes().len()).expect("a length");
            self.bytes += length * copies;
        }
    }

    fn deliver(&mut self, from: usize, to: usize, message: &Rc<Message>) {
        assert_ne!(from, to, "nobody writes to itself");
        self.messages += 1;
        let is_lost = self.setup.faults.lose(self.now, from, to, self.messages);
        if self.nodes[to].bft.is_none() || is_lost {
            return;
        }
        let at = self.now + self.setup.distance.between(from, to);
        let from = self.nodes[from].id;
        let message = message.clone();
        self.push(at, Item::Message { from, to, message });
    }

    fn on_commit(&mut self, number: usize, committed: Committed) {
        let track = self.tracks.get_mut(&committed.block.hash());
        let track = track.expect("it was proposed");
        let node = &mut self.nodes[number];
        assert_eq!(track.height, node.height.next(), "in order, once each");
        node.height = track.height;
        assert!(track.committed[number].is_none());
        track.committed[number] = Some(self.now);
        node.chain.push(committed);
    }

    /// Queues the deadline of a node, if it is earlier than the queued one.
    fn set_alarm(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        let deadline = node.bft.as_ref().and_then(Machine::deadline);
        let Some(due) = deadline.map(|due| due.max(self.now)) else {
            return;
        };
        if node.wakes_at.is_none_or(|at| due < at) {
            node.wakes_at = Some(due);
            self.push(due, Item::Wake { node: number });
        }
    }

    fn wake(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        if node.wakes_at != Some(self.now) {
            return;
        }
        node.wakes_at = None;
        let due = node.bft.as_ref().and_then(Machine::deadline);
        if due.is_some_and(|due| due <= self.now) {
            self.step(number, Event::Wake);
        } else {
            self.set_alarm(number);
        }
    }

    fn push(&mut self, at: Time, item: Item) {
        // Wakes come last of their instant: a message that arrives on the deadline is
        // in time.
        let tie = match item {
            Item::Wake { .. } => Tie::LAST,
            Item::Message { .. } | Item::Durable { .. } | Item::Built { .. } => Tie(0),
        };
        self.queue.push(at.0, tie, item);
    }
}

#[cfg(test)]
#[path = "../tests/validators.rs"]
mod tests;
