//! A world for the tests: nodes of the ledger with their disks, a network and a
//! clock, all drawn from one seed.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::check::Checker;
use crate::bft::{
    Block, Commitments, Epoch, Header, Height, Proposal, Statement, Timing, Vote, VoteKind,
};
use crate::codec::{Decode as _, Encode as _};
use crate::crypto::fake::{FakeAuthority, FakeSigner};
use crate::crypto::{ChainId, SharedSigner, SharedVerifier, Signer as _};
use crate::ledger::state_sync::SyncMessage;
use crate::ledger::*;
use crate::machine::{Machine, Outbox};
use crate::mutant::Mutant;
use crate::part::{Health, Reason};
use crate::proof::ledger::EpochEnd;
use crate::rig::{Disk, Loss};
use crate::types::{ClusterId, NodeId, RequestId, Span, Time, WallTime};

/// Wall-clock time at the beginning of every test.
pub const BEGIN_MS: u64 = 1_700_000_000_000;

/// What a test can turn.
#[derive(Debug, Clone)]
pub struct Knobs {
    /// Nodes of each cluster at the beginning, all of them validators.
    pub clusters: Vec<u64>,
    /// Nodes that follow.
    pub followers: u64,
    pub loss_percent: u64,
    pub delay_max: Span,
    pub disk_max: Span,
    pub crash_permille: u64,
    pub params: Params,
    pub mutant: Mutant,
    /// Blocks between states that can be fetched, and how far behind they are.
    pub point_blocks: u64,
    pub fetch_behind: u64,
    /// Blocks that nodes keep whole, by their places; all if nothing is said.
    pub retain: Vec<u64>,
    /// How often an answer with blocks arrives.
    pub answer_copies: u64,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            clusters: alloc::vec![1, 1, 1, 1],
            followers: 0,
            loss_percent: 0,
            delay_max: Span::from_millis(20),
            disk_max: Span::from_millis(2),
            crash_permille: 0,
            params: Params::default(),
            mutant: Mutant::None,
            point_blocks: 1024,
            fetch_behind: 10_000,
            retain: Vec::new(),
            answer_copies: 1,
        }
    }
}

/// A node with its disk.
pub struct Slot {
    pub node: NodeId,
    pub ledger: Option<Ledger>,
    pub disk: Disk,
    life: u64,
    /// When the disk has done what it was asked for.
    disk_free_at: Time,
    pub halted: Option<Reason>,
    pub heights: Vec<Height>,
}

struct Item {
    slot: usize,
    /// The life for which it is; none for messages.
    life: Option<u64>,
    event: Event,
}

/// The world.
pub struct Cluster {
    pub slots: Vec<Slot>,
    pub now: Time,
    pub knobs: Knobs,
    pub genesis: Arc<Genesis>,
    pub checker: Checker,
    pub authority: FakeAuthority,
    pub replies: BTreeMap<RequestId, Response>,
    /// What clients were told before their last answer.
    pub streams: BTreeMap<RequestId, Vec<Response>>,
    /// Blocks that other parts have read, and on which node.
    pub runs: Vec<(usize, Run)>,
    pub cut: BTreeSet<(usize, usize)>,
    /// Further keys of nodes, by their numbers.
    pub voting_keys: BTreeMap<usize, u64>,
    /// Runs of blocks that begin lower are lost, as if all had forgotten those.
    pub blocks_from: Height,
    /// Questions for final blocks so far.
    pub asked_blocks: u64,
    /// What becomes of a message of a node on its way to another one.
    pub tamper: fn(usize, usize, Message) -> Option<Message>,
    /// Chunks of states that were sent, by whom and to whom.
    pub chunks: BTreeMap<(usize, usize), u64>,
    queue: BTreeMap<(Time, u64), Item>,
    next_item: u64,
    next_request: u64,
    random: u64,
}

impl Cluster {
    pub fn new(seed: u64, knobs: Knobs) -> Self {
        let authority = FakeAuthority::new(seed);
        let mut members = Vec::new();
        let mut number = 0;
        for (cluster, count) in (1_u128..).zip(&knobs.clusters) {
            for _ in 0..*count {
                let key = *authority.signer(number).public_key();
                members.push(Member::new(key.node_id(), key, ClusterId(cluster), 1));
                number += 1;
            }
        }
        let genesis = Arc::new(Genesis {
            name: "test".into(),
            time: TimeMs(BEGIN_MS),
            params: knobs.params.clone(),
            members,
        });
        let mut cluster = Self {
            slots: Vec::new(),
            now: Time(1_000),
            checker: Checker::new(&genesis, authority.verifier()),
            genesis,
            authority,
            replies: BTreeMap::new(),
            streams: BTreeMap::new(),
            runs: Vec::new(),
            cut: BTreeSet::new(),
            voting_keys: BTreeMap::new(),
            blocks_from: Height(0),
            asked_blocks: 0,
            tamper: |_, _, message| Some(message),
            chunks: BTreeMap::new(),
            queue: BTreeMap::new(),
            next_item: 0,
            next_request: 0,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            knobs,
        };
        for slot in 0..number + cluster.knobs.followers {
            let node = cluster.authority.signer(slot).public_key().node_id();
            cluster.slots.push(Slot {
                node,
                ledger: None,
                disk: Disk::default(),
                life: 0,
                disk_free_at: Time::ZERO,
                halted: None,
                heights: Vec::new(),
            });
        }
        for slot in 0..cluster.slots.len() {
            cluster.start(slot);
        }
        cluster
    }

    pub fn chain(&self) -> ChainId {
        self.genesis.chain()
    }

    pub fn signer(&self, slot: usize) -> FakeSigner {
        self.authority.signer(u64::try_from(slot).unwrap())
    }

    /// Starts a process on what its disk holds.
    pub fn start(&mut self, slot: usize) {
        let mut config = Config::new(self.slots[slot].node, self.genesis.clone());
        config.signer = Some(SharedSigner::new(self.signer(slot)));
        let voting_key = self.voting_keys.get(&slot);
        config.voting_key = voting_key.map(|key| SharedSigner::new(self.authority.signer(*key)));
        config.verifier = SharedVerifier::new(self.authority.verifier());
        config.timing = Timing {
            delta: Span::from_millis(100),
            idle_block: Span::from_secs(2),
        };
        config.wal_segment_bytes = 1 << 16;
        config.point_blocks = self.knobs.point_blocks;
        config.fetch_behind = self.knobs.fetch_behind;
        config.push_again = Span::from_millis(500);
        config.retain_blocks = self.knobs.retain.get(slot).copied().unwrap_or(0);
        config.mutant = self.knobs.mutant;
        self.slots[slot].ledger = Some(Ledger::new(config));
        self.checker.on_restart(slot);
        let wall = WallTime(BEGIN_MS * 1_000_000 + self.now.0);
        self.step(slot, Event::Clock { wall });
        let is_used = self.slots[slot].disk.is_used();
        self.step(slot, Event::Start { is_used });
    }

    /// Kills a process.
    pub fn crash(&mut self, slot: usize) {
        let batches_kept = usize::try_from(self.random(4)).unwrap();
        let one = &mut self.slots[slot];
        one.ledger = None;
        one.life += 1;
        one.disk_free_at = self.now;
        one.disk.crash(Loss::Power { batches_kept });
    }

    pub fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below.max(1)
    }

    pub fn step(&mut self, slot: usize, event: Event) {
        let Some(ledger) = &mut self.slots[slot].ledger else {
            return;
        };
        let mut out = Outbox::new();
        ledger.step(self.now, event, &mut out);
        for effect in out.drain().collect::<Vec<_>>() {
            self.on_effect(slot, effect);
        }
    }

    fn on_effect(&mut self, slot: usize, effect: Effect) {
        match effect {
            Effect::Send { to, message } => self.deliver(slot, to, message),
            Effect::Reply { id, response } => {
                let before = self.replies.insert(id, response);
                assert!(before.is_none(), "one answer for each request");
            }
            Effect::Stream { id, response } => {
                self.streams.entry(id).or_default().push(response);
            }
            Effect::Notice(Notice::Final(block)) => self.on_final(slot, &block),
            Effect::Io(io) => {
                let done = self.slots[slot].disk.carry_out(io);
                self.after_disk(slot, Event::Io(done));
            }
            Effect::Notice(Notice::Replaced { at }) => {
                let ledger = self.slots[slot].ledger.as_ref().unwrap();
                let (tip, state) = (ledger.tip().unwrap(), ledger.world().unwrap().root());
                assert_eq!(tip.height, at);
                self.checker.on_fetched(slot, tip, state);
            }
            Effect::Notice(Notice::Run(run)) => self.runs.push((slot, run)),
            Effect::Notice(Notice::Forked { culprits }) => panic!("a fork: {culprits:?}"),
            Effect::Health(Health::Halted(reason)) => self.slots[slot].halted = Some(reason),
            Effect::Health(_) | Effect::Peers => {}
        }
    }

    fn on_final(&mut self, slot: usize, block: &FinalBlock) {
        let ledger = self.slots[slot].ledger.as_ref().unwrap();
        // Several blocks of one step are announced together: the state is that of
        // the last one.
        let is_last = ledger.tip().unwrap().height == block.height();
        let state = is_last.then(|| ledger.world().unwrap().root());
        self.checker.on_final(slot, block, state);
        let header = block.block.header();
        if header.content.ends_epoch {
            let mut key = alloc::vec![b'e'];
            key.extend(header.epoch.0.to_be_bytes());
            let found = &self.slots[slot].disk.pairs()[&key[..]];
            let end = EpochEnd::from_bytes(found).expect("the end is kept");
            self.checker.on_epoch_end(&end);
        }
        self.slots[slot].heights.push(block.height());
    }

    /// The disk does one thing after the other.
    fn after_disk(&mut self, slot: usize, event: Event) {
        let delay = Span(1 + self.random(self.knobs.disk_max.0));
        let begin = self.slots[slot].disk_free_at.max(self.now);
        let at = begin + delay;
        self.slots[slot].disk_free_at = at;
        let life = Some(self.slots[slot].life);
        self.push(at, Item { slot, life, event });
    }

    fn push(&mut self, at: Time, item: Item) {
        self.next_item += 1;
        self.queue.insert((at, self.next_item), item);
    }

    fn deliver(&mut self, from: usize, to: NodeId, message: Message) {
        let Some(slot) = self.slots.iter().position(|slot| slot.node == to) else {
            return;
        };
        assert_ne!(slot, from, "nobody sends to itself");
        let bytes = message.to_bytes();
        assert!(bytes.len() < crate::limits::MESSAGE_BYTES_MAX);
        assert_eq!(Message::from_bytes(&bytes).as_ref(), Ok(&message));
        if self.cut.contains(&(from, slot)) || self.random(100) < self.knobs.loss_percent {
            return;
        }
        if matches!(message, Message::Sync(SyncMessage::Chunk(_))) {
            *self.chunks.entry((from, slot)).or_default() += 1;
        }
        let is_forgotten = match &message {
            Message::Bft(crate::bft::Message::Blocks(answer)) => {
                answer.blocks[0].header().height < self.blocks_from
            }
            _ => false,
        };
        if is_forgotten {
            return;
        }
        let Some(message) = (self.tamper)(from, slot, message) else {
            return;
        };
        let copies = match &message {
            Message::Bft(crate::bft::Message::Blocks(_)) => self.knobs.answer_copies,
            _ => 1,
        };
        let is_question = matches!(message, Message::Bft(crate::bft::Message::AskBlocks { .. }));
        self.asked_blocks += u64::from(is_question);
        let from = self.slots[from].node;
        for _ in 0..copies {
            let at = self.now + Span(1 + self.random(self.knobs.delay_max.0));
            let message = message.clone();
            let event = Event::Message { from, message };
            let life = None;
            self.push(at, Item { slot, life, event });
        }
    }

    pub fn run_for(&mut self, span: Span) {
        let until = self.now + span;
        loop {
            let queued = self.queue.keys().next().map(|(time, _)| *time);
            let due = |slot: &Slot| slot.ledger.as_ref().and_then(Machine::deadline);
            let wake = self.slots.iter().filter_map(due).min();
            let wake = wake.map(|due| due.max(self.now));
            let next = queued.into_iter().chain(wake).min();
            let Some(next) = next.filter(|next| *next <= until) else {
                self.now = until;
                return;
            };
            self.now = next;
            if queued == Some(next) {
                let (_, item) = self.queue.pop_first().unwrap();
                self.on_item(item);
                continue;
            }
            for slot in 0..self.slots.len() {
                if due(&self.slots[slot]).is_some_and(|due| due <= next) {
                    self.step(slot, Event::Wake);
                }
            }
        }
    }

    fn on_item(&mut self, Item { slot, life, event }: Item) {
        if life.is_some_and(|life| life != self.slots[slot].life) {
            return;
        }
        let is_disk = life.is_some();
        self.step(slot, event);
        if is_disk && self.random(1000) < self.knobs.crash_permille {
            self.crash(slot);
            self.start(slot);
        }
    }

    pub fn request(&mut self, slot: usize, request: Request) -> RequestId {
        self.next_request += 1;
        let id = RequestId(self.next_request);
        self.step(slot, Event::Request { id, request });
        id
    }

    /// Asks and runs until the answer is there.
    pub fn ask(&mut self, slot: usize, request: Request) -> Response {
        let id = self.request(slot, request);
        let limit = self.now + Span::from_secs(60);
        while !self.replies.contains_key(&id) {
            assert!(self.now < limit, "no answer within a minute");
            self.run_for(Span::from_millis(5));
        }
        self.replies.remove(&id).unwrap()
    }

    /// A signed transaction of the account of signer `number`.
    pub fn sign(
        &self,
        number: u64,
        sequence: u64,
        operations: Vec<Operation>,
    ) -> (Bytes, Vec<TxId>) {
        let signer = self.authority.signer(number);
        let intent = Intent {
            chain: self.chain(),
            account: AccountId::of(signer.public_key()),
            lane: Lane(0),
            sequence: Sequence(sequence),
            valid_until: Height(self.checker.highest.0 + 5_000),
            operations,
        };
        let ids = intent.ids().collect();
        (intent.sign(&signer).to_bytes(), ids)
    }

    /// A block of the leader of the present view with this time, as it would send it,
    /// and the leader's slot. The ledger is idle.
    pub fn leaders_block(&self, items: Vec<Bytes>, time_ms: u64) -> (usize, Proposal) {
        let ledger = self.ledger(0);
        let (bft, tip) = (ledger.bft().unwrap(), ledger.tip().unwrap());
        let (view, set) = (bft.view(), bft.epoch().validators.clone());
        assert_eq!(view, tip.view.next(), "the ledger is idle");
        let leader = bft.leader_of(view);
        let node = set.get(leader).unwrap().node;
        let slot = self.slots.iter().position(|slot| slot.node == node);
        let slot = slot.unwrap();
        let parent = ledger.phase.running().unwrap().tip();
        let header = Header {
            chain: self.chain(),
            epoch: Epoch(0),
            height: tip.height.next(),
            view,
            parent: tip.hash,
            parent_view: tip.view,
            proposer: leader,
            content: Commitments {
                time_ms,
                parent_state: parent.world().root(),
                parent_receipts: parent.executed.results_root,
                history: parent.history.root(),
                validators: set.hash(),
                ..Commitments::to_items(&items)
            },
        };
        let block = Block::new(header, items).unwrap();
        let statement = Statement::on(VoteKind::Notarize, Epoch(0), block.place());
        let signature = self.signer(slot).sign(&statement.preimage(self.chain()));
        let proposal = Proposal {
            parent: None,
            skips: Vec::new(),
            vote: Vote {
                statement,
                signer: leader,
                signature,
            },
            block,
        };
        (slot, proposal)
    }

    /// Submits a note of account `number` and gives its id.
    pub fn note(&mut self, slot: usize, number: u64, sequence: u64, text: &str) -> TxId {
        let (transaction, ids) = self.sign(number, sequence, alloc::vec![note(text)]);
        let request = Request::Submit {
            transaction,
            wait: false,
        };
        let id = self.request(slot, request);
        let response = self.replies.remove(&id);
        assert!(
            matches!(
                response,
                Some(Response::Accepted { .. } | Response::Unavailable) | None
            ),
            "{response:?}"
        );
        ids[0]
    }

    /// The lowest tip of all running nodes.
    pub fn lowest(&self) -> Height {
        let tips = self.slots.iter().map(|slot| {
            let ledger = slot.ledger.as_ref();
            let tip = ledger.and_then(Ledger::tip);
            tip.map_or(Height(0), |tip| tip.height)
        });
        tips.min().unwrap()
    }

    pub fn ledger(&self, slot: usize) -> &Ledger {
        self.slots[slot].ledger.as_ref().expect("it runs")
    }

    pub fn epoch(&self, slot: usize) -> Epoch {
        self.ledger(slot).world().expect("recovered").epoch().epoch
    }

    /// Runs until something holds.
    pub fn until(&mut self, what: &str, within: Span, holds: impl Fn(&Self) -> bool) {
        let limit = self.now + within;
        while !holds(self) {
            assert!(
                self.now < limit,
                "{what} within {within}: {}",
                self.describe()
            );
            self.run_for(Span::from_millis(20));
        }
    }

    fn describe(&self) -> alloc::string::String {
        let mut text = alloc::string::String::new();
        for (place, slot) in self.slots.iter().enumerate() {
            let Some(ledger) = &slot.ledger else {
                text += &alloc::format!("\n{place}: down");
                continue;
            };
            let bft = ledger.bft();
            text += &alloc::format!(
                "\n{place}: tip {:?} epoch {:?} view {:?} committed {:?} running {:?} pool {} {:?} \
                 rejected {:?} final {:?} deadline {:?} now {:?} clock {:?}",
                ledger.tip().map(|tip| tip.height),
                bft.map(|bft| bft.epoch().epoch),
                bft.map(crate::bft::Bft::view),
                bft.map(|bft| bft.committed().height),
                bft.map(crate::bft::Bft::is_running),
                ledger.pool().len(),
                slot.halted,
                bft.map(crate::bft::Bft::rejected),
                bft.and_then(|bft| bft.finalization().map(|f| f.statement)),
                ledger.deadline(),
                self.now,
                ledger.wall(),
            );
        }
        text
    }

    /// Heals everything and requires that a new note becomes final everywhere.
    pub fn must_progress(&mut self, number: u64, within: Span) {
        self.cut.clear();
        self.knobs.loss_percent = 0;
        self.knobs.crash_permille = 0;
        for slot in 0..self.slots.len() {
            if self.slots[slot].ledger.is_none() {
                self.start(slot);
            }
        }
        self.run_for(Span::from_secs(1));
        let id = self.note(0, number, 0, "healed");
        self.until("progress after healing", within, |world| {
            world.checker.is_final(&id) && world.lowest() >= world.checker.highest
        });
    }
}

/// A note.
pub fn note(text: &str) -> Operation {
    Operation::Data {
        kind: Name::new("note").unwrap(),
        payload: Bytes::copy_from_slice(text.as_bytes()),
    }
}
