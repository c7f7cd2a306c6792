//! A world for the tests: validators, disks, a network, a clock and an
//! application, all drawn from one seed.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::byzantine::ByzantineNode;
use super::check::Checker;
use crate::bft::*;
use crate::crypto::fake::FakeAuthority;
use crate::crypto::{ChainId, Digest, SharedSigner, SharedVerifier, Signer as _, sha256};
use crate::limits::PERSISTS_PENDING_MAX;
use crate::machine::{Machine, Outbox};
use crate::mutant::Mutant;
use crate::types::{NodeId, Span, Time};

/// The ledger of all tests.
pub const CHAIN: ChainId = ChainId(99);

/// The item whose block is the last one of the epoch.
pub const ENDS_EPOCH: &[u8] = b"the end";

/// What a test can turn.
#[derive(Debug, Clone)]
pub struct Knobs {
    pub count: u64,
    pub loss_percent: u64,
    pub duplicate_percent: u64,
    pub delay_min: Span,
    pub delay_max: Span,
    pub disk_max: Span,
    pub idle_block: Span,
    pub relay: Relay,
    pub mutant: Mutant,
    /// Validators that are Byzantine.
    pub byzantine: Vec<u64>,
    /// Validators that run twice with one key.
    pub twins: Vec<u64>,
    pub crash_percent: u64,
    /// Validators that have no key at hand.
    pub keyless: Vec<u64>,
    /// Nodes outside of the set.
    pub followers: u64,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            count: 4,
            loss_percent: 0,
            duplicate_percent: 0,
            delay_min: Span::ZERO,
            delay_max: Span::from_millis(20),
            disk_max: Span::from_millis(2),
            idle_block: Span::from_secs(2),
            relay: Relay::Sparse,
            mutant: Mutant::None,
            byzantine: Vec::new(),
            twins: Vec::new(),
            crash_percent: 0,
            keyless: Vec::new(),
            followers: 0,
        }
    }
}

/// A validator with its disk and its application. Twins share a node id.
pub struct Slot {
    pub node: NodeId,
    /// The number of its key.
    key: Option<u64>,
    pub bft: Option<Bft>,
    pub byzantine: Option<ByzantineNode>,
    /// Records that are durable.
    pub log: Vec<Record>,
    writes: VecDeque<(PersistSeq, Vec<Record>)>,
    life: u64,
    /// The application: blocks it has seen, and the chain that it holds.
    seen: BTreeMap<Digest, Arc<Block>>,
    pub chain: Vec<Committed>,
    pub violation: Option<Vec<Evidence>>,
    /// What only this one knows of and wants to be final.
    pub own_pool: BTreeSet<Bytes>,
    /// Votes and proposals that it has sent.
    pub signed: u64,
}

enum Item {
    Message {
        from: NodeId,
        to: usize,
        message: Message,
    },
    Durable {
        slot: usize,
        life: u64,
    },
    Answer {
        slot: usize,
        life: u64,
        event: Event,
    },
}

/// The world.
pub struct Cluster {
    pub slots: Vec<Slot>,
    pub now: Time,
    pub knobs: Knobs,
    pub checker: Checker,
    pub epoch: EpochStart,
    authority: FakeAuthority,
    keys: Vec<u64>,
    queue: BTreeMap<(Time, u64), Item>,
    next_item: u64,
    random: u64,
    /// Pairs of slots that cannot hear each other, in this direction.
    pub cut: BTreeSet<(usize, usize)>,
    pub pool: BTreeSet<Bytes>,
    pub messages: u64,
    pub bytes: u64,
    /// A test's own filter: true lets a message pass.
    pub filter: fn(&Message, usize) -> bool,
    /// Slots that healing does not bring back.
    pub gone: BTreeSet<usize>,
}

impl Slot {
    fn new(node: NodeId, key: Option<u64>, byzantine: Option<ByzantineNode>) -> Self {
        Self {
            node,
            key,
            bft: None,
            byzantine,
            log: Vec::new(),
            writes: VecDeque::new(),
            life: 0,
            seen: BTreeMap::new(),
            chain: Vec::new(),
            violation: None,
            own_pool: BTreeSet::new(),
            signed: 0,
        }
    }
}

impl Cluster {
    pub fn new(seed: u64, knobs: Knobs) -> Self {
        let authority = FakeAuthority::new(seed);
        let mut validators: Vec<(u64, Validator)> = (0..knobs.count)
            .map(|number| {
                let key = *authority.signer(number).public_key();
                let node = key.node_id();
                (
                    number,
                    Validator {
                        node,
                        key,
                        power: Power(1),
                    },
                )
            })
            .collect();
        validators.sort_by_key(|(_, validator)| validator.node);
        let keys: Vec<u64> = validators.iter().map(|(number, _)| *number).collect();
        let list = validators.iter().map(|(_, validator)| *validator).collect();
        let set = ValidatorSet::new(list).expect("a set");
        let epoch = EpochStart {
            epoch: Epoch(3),
            root_height: Height(10),
            root_hash: sha256(b"root"),
            validators: Arc::new(set.clone()),
        };
        let checker = Checker::new(CHAIN, set, authority.verifier());
        let mut cluster = Self {
            slots: Vec::new(),
            now: Time(1_000),
            checker,
            epoch,
            authority,
            keys,
            queue: BTreeMap::new(),
            next_item: 0,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            cut: BTreeSet::new(),
            pool: BTreeSet::new(),
            messages: 0,
            bytes: 0,
            filter: |_, _| true,
            gone: BTreeSet::new(),
            knobs,
        };
        cluster.populate();
        cluster
    }

    fn populate(&mut self) {
        let count = self.knobs.count;
        let twins = self.knobs.twins.clone();
        for place in (0..count).chain(twins.iter().copied()) {
            let index = ValidatorIndex(u16::try_from(place).unwrap());
            let node = self.epoch.validators.get(index).unwrap().node;
            let is_byzantine = self.knobs.byzantine.contains(&place);
            if !is_byzantine && !self.knobs.twins.contains(&place) {
                self.checker.honest.insert(index);
            }
            let key = self.keys[usize::try_from(place).unwrap()];
            let byzantine = is_byzantine
                .then(|| ByzantineNode::new(index, self.authority.signer(key), &self.epoch));
            let has_key = !self.knobs.keyless.contains(&place);
            self.slots
                .push(Slot::new(node, has_key.then_some(key), byzantine));
        }
        for number in 0..self.knobs.followers {
            let signer = self.authority.signer(1000 + number);
            let node = signer.public_key().node_id();
            self.slots.push(Slot::new(node, None, None));
        }
        let bad = self.knobs.byzantine.len() + self.knobs.twins.len();
        self.checker.safe = bad <= self.epoch.validators.faulty_max();
        for slot in 0..self.slots.len() {
            self.start(slot, false);
        }
    }

    /// Starts a validator from what its disk holds.
    pub fn start(&mut self, slot: usize, lost_disk: bool) {
        // An owner goes on with the next epoch, which is not part of this world.
        let has_ended = self.slots[slot].chain.last().is_some_and(is_last);
        if self.slots[slot].byzantine.is_some() || has_ended {
            return;
        }
        let Slot { node, key, .. } = self.slots[slot];
        let signer = key.map(|key| SharedSigner::new(self.authority.signer(key)));
        let config = Config {
            node,
            chain: CHAIN,
            signer,
            verifier: SharedVerifier::new(self.authority.verifier()),
            timing: Timing {
                delta: Span::from_millis(100),
                idle_block: self.knobs.idle_block,
            },
            relay: self.knobs.relay,
            persists_pending_max: PERSISTS_PENDING_MAX,
            mutant: self.knobs.mutant,
        };
        self.slots[slot].bft = Some(Bft::new(config, self.epoch.clone()));
        let mut recovered = Recovered {
            lost_disk,
            ..Recovered::default()
        };
        for record in &self.slots[slot].log {
            match record {
                Record::Vote(vote) => recovered.votes.push(*vote),
                Record::Block(block) => recovered.blocks.push((**block).clone()),
                Record::Cert(cert) => recovered.certs.push(cert.clone()),
                Record::VoteFloor(view) => recovered.vote_floor = *view,
            }
        }
        recovered.committed = self.slots[slot].chain.last().map(|last| last.block.place());
        self.step(slot, Event::Start(alloc::boxed::Box::new(recovered)));
        self.tell_pending(slot);
    }

    /// Kills a validator: what was not durable is gone.
    pub fn crash(&mut self, slot: usize) {
        let slot = &mut self.slots[slot];
        slot.bft = None;
        slot.life += 1;
        slot.writes.clear();
        slot.seen.clear();
    }

    /// Everybody learns of an item that wants to be final.
    pub fn submit(&mut self, item: &[u8]) {
        self.pool.insert(Bytes::copy_from_slice(item));
        for slot in 0..self.slots.len() {
            self.step(slot, Event::Pending { waiting: true });
        }
    }

    /// One validator alone learns of an item that wants to be final.
    pub fn submit_at(&mut self, slot: usize, item: &[u8]) {
        let item = Bytes::copy_from_slice(item);
        self.slots[slot].own_pool.insert(item);
        self.tell_pending(slot);
    }

    /// Tells a validator whether something that it knows of is not final yet.
    fn tell_pending(&mut self, slot: usize) {
        let Slot {
            chain, own_pool, ..
        } = &self.slots[slot];
        let is_open = |item: &Bytes| !chain.iter().any(|one| one.block.items().contains(item));
        let waiting = self.pool.iter().chain(own_pool).any(is_open);
        self.step(slot, Event::Pending { waiting });
    }

    pub fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below.max(1)
    }

    pub fn step(&mut self, slot: usize, event: Event) {
        let Some(bft) = &mut self.slots[slot].bft else {
            return;
        };
        let mut out = Outbox::new();
        bft.step(self.now, event, &mut out);
        let effects: Vec<Effect> = out.drain().collect();
        for effect in effects {
            self.on_effect(slot, effect);
        }
    }

    fn on_effect(&mut self, slot: usize, effect: Effect) {
        match effect {
            Effect::Persist { seq, records } => {
                self.slots[slot].writes.push_back((seq, records));
                let life = self.slots[slot].life;
                let delay = Span(self.random(self.knobs.disk_max.0));
                self.push(delay, Item::Durable { slot, life });
            }
            Effect::Send { to, message } => {
                self.note_signed(slot, &message);
                self.checker.on_wire(slot, &message, &self.slots[slot].log);
                self.deliver(slot, to, &message);
            }
            Effect::Broadcast { message } => {
                self.note_signed(slot, &message);
                self.checker.on_wire(slot, &message, &self.slots[slot].log);
                let set = self.epoch.validators.clone();
                for (_, validator) in set.iter() {
                    self.deliver(slot, validator.node, &message);
                }
            }
            Effect::Build { view, parent } => {
                let content = Some(alloc::boxed::Box::new(self.build(slot, &parent)));
                self.answer(slot, Event::Built { view, content });
            }
            Effect::Check { block } => {
                let hash = block.hash();
                let valid = self.judge(slot, &block);
                self.slots[slot].seen.insert(hash, block);
                self.answer(slot, Event::Checked { hash, valid });
            }
            Effect::Commit(committed) => self.on_commit(slot, *committed),
            Effect::ServeBlocks { to, from } => self.serve(slot, to, from),
            Effect::ServeBlock { to, hash } => {
                let chain = &self.slots[slot].chain;
                let found = chain.iter().find(|one| one.block.hash() == hash);
                if let Some(block) = found.map(|one| (*one.block).clone()) {
                    self.deliver(slot, to, &Message::Block(alloc::boxed::Box::new(block)));
                }
            }
            Effect::Evidence(evidence) => self.checker.on_evidence(&evidence),
            Effect::SafetyViolation { culprits, .. } => {
                assert!(!self.checker.safe, "no fork below the threshold");
                culprits
                    .iter()
                    .for_each(|one| self.checker.on_evidence(one));
                self.slots[slot].violation = Some(culprits);
            }
        }
    }

    fn note_signed(&mut self, slot: usize, message: &Message) {
        let is_signed = matches!(message, Message::Vote(_) | Message::Proposal(_));
        self.slots[slot].signed += u64::from(is_signed);
    }

    fn on_commit(&mut self, slot: usize, committed: Committed) {
        let log = &self.slots[slot].log;
        let hash = committed.block.hash();
        let has_block = log
            .iter()
            .any(|one| matches!(one, Record::Block(kept) if kept.hash() == hash));
        let view = committed.finalization.statement.view();
        let has_proof = log.iter().any(|one| {
            matches!(one, Record::Cert(kept) if kept.statement.view() >= view
                && kept.statement.kind == VoteKind::Finalize)
        });
        assert!(
            has_block && has_proof,
            "I7: committed before it was durable"
        );
        self.checker.on_commit(slot, &committed, self.epoch.root());
        self.slots[slot].chain.push(committed);
        self.tell_pending(slot);
    }

    /// The items that stand on the way from a block down to the root.
    fn items_upto(&self, slot: usize, hash: Digest) -> BTreeSet<Bytes> {
        let slot = &self.slots[slot];
        let mut items = BTreeSet::new();
        let mut next = hash;
        while let Some(block) = slot.seen.get(&next) {
            items.extend(block.items().iter().cloned());
            next = block.header().parent;
        }
        for committed in &slot.chain {
            items.extend(committed.block.items().iter().cloned());
        }
        items
    }

    fn build(&self, slot: usize, parent: &BlockRef) -> Content {
        let present = self.items_upto(slot, parent.hash);
        let known = self.pool.iter().chain(&self.slots[slot].own_pool);
        let open = known.filter(|item| !present.contains(*item));
        let items: Vec<Bytes> = open.take(8).cloned().collect();
        let ends_epoch = items.iter().any(|item| item.as_ref() == ENDS_EPOCH);
        let commitments = Commitments {
            ends_epoch,
            ..Commitments::to_items(&items)
        };
        Content { items, commitments }
    }

    fn judge(&self, slot: usize, block: &Block) -> bool {
        let present = self.items_upto(slot, block.header().parent);
        let good = |item: &Bytes| !present.contains(item) && !item.starts_with(b"bad");
        let ends = block.items().iter().any(|item| item.as_ref() == ENDS_EPOCH);
        ends == block.header().content.ends_epoch && block.items().iter().all(good)
    }

    fn serve(&mut self, slot: usize, to: NodeId, from: Height) {
        let chain = &self.slots[slot].chain;
        let run: Vec<&Committed> = chain
            .iter()
            .filter(|one| one.block.header().height >= from)
            .take(5)
            .collect();
        let Some(last) = run.last() else { return };
        let answer = FinalBlocks {
            blocks: run.iter().map(|one| (*one.block).clone()).collect(),
            path: last.path.clone(),
            finalization: last.finalization.to_cert(),
        };
        self.deliver(slot, to, &Message::Blocks(alloc::boxed::Box::new(answer)));
    }

    fn answer(&mut self, slot: usize, event: Event) {
        let life = self.slots[slot].life;
        let delay = Span(self.random(1_000_000));
        self.push(delay, Item::Answer { slot, life, event });
    }

    fn push(&mut self, delay: Span, item: Item) {
        self.next_item += 1;
        self.queue.insert((self.now + delay, self.next_item), item);
    }

    /// Puts a message on its way to everybody at an address.
    pub fn deliver(&mut self, from: usize, to: NodeId, message: &Message) {
        let node = self.slots[from].node;
        for slot in 0..self.slots.len() {
            if self.slots[slot].node != to || slot == from || node == to {
                continue;
            }
            self.messages += 1;
            self.bytes += u64::try_from(crate::codec::Encode::to_bytes(message).len()).unwrap();
            let lost = self.random(100) < self.knobs.loss_percent;
            if lost || self.cut.contains(&(from, slot)) || !(self.filter)(message, slot) {
                continue;
            }
            let copies = 1 + u64::from(self.random(100) < self.knobs.duplicate_percent);
            for _ in 0..copies {
                let Knobs {
                    delay_min,
                    delay_max,
                    ..
                } = self.knobs;
                let delay = Span(1 + delay_min.0 + self.random(delay_max.0 - delay_min.0));
                let message = message.clone();
                self.push(
                    delay,
                    Item::Message {
                        from: node,
                        to: slot,
                        message,
                    },
                );
            }
        }
    }

    /// Runs until a time.
    pub fn run_for(&mut self, span: Span) {
        let until = self.now + span;
        loop {
            let queued = self.queue.keys().next().map(|(time, _)| *time);
            let wakes = self
                .slots
                .iter()
                .filter_map(|slot| slot.bft.as_ref()?.deadline());
            let wake = wakes.min().map(|due| due.max(self.now));
            let Some(next) = queued
                .into_iter()
                .chain(wake)
                .min()
                .filter(|next| *next <= until)
            else {
                self.now = until;
                return;
            };
            self.now = next;
            if queued == Some(next) {
                let (_, item) = self.queue.pop_first().unwrap();
                self.on_item(item);
            } else {
                for slot in 0..self.slots.len() {
                    let due = self.slots[slot].bft.as_ref().and_then(Machine::deadline);
                    if due.is_some_and(|due| due <= next) {
                        self.step(slot, Event::Wake);
                    }
                }
            }
        }
    }

    fn on_item(&mut self, item: Item) {
        match item {
            Item::Message { from, to, message } => {
                if self.slots[to].byzantine.is_some() {
                    return self.on_byzantine(to, &message);
                }
                let bytes = crate::codec::Encode::to_bytes(&message);
                let decoded = <Message as crate::codec::Decode>::from_bytes(&bytes);
                assert_eq!(decoded.as_ref(), Ok(&message), "one encoding");
                if self.slots[to].chain.last().is_some_and(is_last) {
                    return self.answer_for_ended(to, from, &message);
                }
                self.step(to, Event::Message { from, message });
            }
            Item::Durable { slot, life } => {
                if self.slots[slot].life != life {
                    return;
                }
                let (seq, records) = self.slots[slot].writes.pop_front().unwrap();
                self.slots[slot].log.extend(records);
                self.step(slot, Event::Persisted { seq });
                let dice = self.random(1000);
                if dice < self.knobs.crash_percent {
                    self.crash(slot);
                    self.start(slot, false);
                }
            }
            Item::Answer { slot, life, event } => {
                if self.slots[slot].life == life {
                    self.step(slot, event);
                }
            }
        }
    }

    /// What the owner of a validator does whose epoch has ended.
    fn answer_for_ended(&mut self, slot: usize, to: NodeId, message: &Message) {
        match message {
            Message::AskBlocks { from } => self.serve(slot, to, *from),
            Message::Vote(_) | Message::Proposal(_) | Message::AskStatus => {
                let Some(last) = self.slots[slot].chain.last() else {
                    return;
                };
                let cert = alloc::boxed::Box::new(last.finalization.to_cert());
                self.deliver(slot, to, &Message::Cert(cert));
            }
            _ => {}
        }
    }

    fn on_byzantine(&mut self, slot: usize, message: &Message) {
        let mut byzantine = self.slots[slot].byzantine.take().unwrap();
        let mut dice = self.random(u64::MAX);
        for (to, message) in byzantine.on_message(message, &mut dice) {
            let node = self.epoch.validators.get(to).unwrap().node;
            self.deliver(slot, node, &message);
        }
        self.slots[slot].byzantine = Some(byzantine);
    }

    /// The lowest height that every honest running slot has committed.
    pub fn lowest(&self) -> u64 {
        let heights = self.slots.iter().filter_map(|slot| {
            let index = self.epoch.validators.index_of(slot.node)?;
            let bft = slot.bft.as_ref()?;
            self.checker
                .honest
                .contains(&index)
                .then(|| bft.committed().height.0)
        });
        heights.min().unwrap()
    }

    /// Heals everything and requires that a new item becomes final everywhere.
    pub fn must_progress(&mut self, item: &[u8], within: Span) {
        self.cut.clear();
        self.filter = |_, _| true;
        self.knobs.loss_percent = 0;
        self.knobs.crash_percent = 0;
        for slot in 0..self.slots.len() {
            if self.slots[slot].bft.is_none() && !self.gone.contains(&slot) {
                self.start(slot, false);
            }
        }
        self.submit(item);
        let deadline = self.now + within;
        while self.now < deadline {
            self.run_for(Span::from_millis(50));
            if self.checker.is_final(item) && self.lowest() >= self.checker.blocks {
                return;
            }
        }
        let state: Vec<_> = self
            .slots
            .iter()
            .filter_map(|slot| slot.bft.as_ref())
            .map(|bft| {
                (
                    bft.view(),
                    bft.committed().height,
                    bft.halt_reason(),
                    bft.rejected(),
                )
            })
            .collect();
        panic!("I10: no progress within {within}: {state:?}");
    }
}

/// Whether the epoch ends with this block.
fn is_last(committed: &Committed) -> bool {
    committed.block.header().content.ends_epoch
}
