//! Nodes with their disks, a network, a clock and clients: all drawn from one seed.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};

use super::disk::{Disk, Loss};
use super::setting::Setting;
use crate::codec::{Decode as _, Encode as _};
use crate::limits::MESSAGE_BYTES_MAX;
use crate::machine::{Machine, Outbox};
use crate::part::{Effect, Event, Health, Reason};
use crate::types::{NodeId, RequestId, Span, Time, WallTime};

/// Wall-clock time at the beginning of every test.
pub(crate) const WALL_BEGIN_MS: u64 = 1_700_000_000_000;

/// How long a client waits for an answer.
const PATIENCE: Span = Span::from_secs(60);

/// Batches that a store may have written though nobody asked it to be sure of them.
const BATCHES_KEPT_MAX: u64 = 3;

/// What befalls messages, disks and processes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Faults {
    /// Messages that are lost.
    pub(crate) loss_percent: u64,
    /// How long a message is on its way at most.
    pub(crate) delay_max: Span,
    /// How long a disk takes for one thing at most.
    pub(crate) disk_max: Span,
    /// How often power is lost when a disk has done something.
    pub(crate) crash_permille: u64,
}

impl Faults {
    /// Everything is done at once, and nothing is lost.
    pub(crate) const NONE: Self = Self {
        loss_percent: 0,
        delay_max: Span::ZERO,
        disk_max: Span::ZERO,
        crash_permille: 0,
    };
}

/// A node with its disk.
pub(crate) struct Slot<M> {
    pub(crate) node: NodeId,
    /// The process, if one runs.
    pub(crate) machine: Option<M>,
    pub(crate) disk: Disk,
    /// What the process has told last.
    pub(crate) health: Health,
    /// Processes that have ended here.
    lives: u64,
    /// When the disk has done what it was asked for.
    disk_free_at: Time,
}

impl<M: Machine> Slot<M> {
    /// The process, which runs.
    pub(crate) fn machine(&self) -> &M {
        self.machine.as_ref().expect("it runs")
    }

    /// Why the process has halted, if it has.
    pub(crate) const fn halted(&self) -> Option<&Reason> {
        match &self.health {
            Health::Halted(reason) => Some(reason),
            _ => None,
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.machine.as_ref()?.deadline()
    }
}

/// How tests name a slot: by its number, or by its node.
pub(crate) trait At: Copy {
    /// Its number.
    fn place(self, nodes: impl Iterator<Item = NodeId>) -> Option<usize>;
}

impl At for usize {
    fn place(self, _: impl Iterator<Item = NodeId>) -> Option<usize> {
        Some(self)
    }
}

impl At for NodeId {
    fn place(self, mut nodes: impl Iterator<Item = NodeId>) -> Option<usize> {
        nodes.position(|node| node == self)
    }
}

type EventOf<S> = <<S as Setting>::Machine as Machine>::Event;
type EffectOf<S> = <<S as Setting>::Machine as Machine>::Effect;

/// Something that will happen to a slot.
struct Item<E> {
    slot: usize,
    /// The life for which it is; none for messages, which reach whoever is there.
    life: Option<u64>,
    event: E,
}

/// The nodes of a test. What its setting holds can be reached as if it stood here.
pub(crate) struct Rig<S: Setting> {
    setting: S,
    pub(crate) slots: Vec<Slot<S::Machine>>,
    pub(crate) now: Time,
    pub(crate) faults: Faults,
    /// Nodes that no message leaves or reaches.
    pub(crate) cut: BTreeSet<NodeId>,
    /// The last that clients were told.
    pub(crate) replies: BTreeMap<RequestId, S::Response>,
    /// What they were told before that.
    pub(crate) streams: BTreeMap<RequestId, Vec<S::Response>>,
    /// Requests that were not answered so far.
    open: BTreeSet<RequestId>,
    requests: u64,
    queue: BTreeMap<(Time, u64), Item<EventOf<S>>>,
    items: u64,
    random: u64,
}

impl<S: Setting> Deref for Rig<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.setting
    }
}

impl<S: Setting> DerefMut for Rig<S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.setting
    }
}

impl<S: Setting> Rig<S> {
    /// A world without nodes.
    pub(crate) fn empty(seed: u64, faults: Faults, setting: S) -> Self {
        Self {
            setting,
            slots: Vec::new(),
            now: Time(1_000),
            faults,
            cut: BTreeSet::new(),
            replies: BTreeMap::new(),
            streams: BTreeMap::new(),
            open: BTreeSet::new(),
            requests: 0,
            queue: BTreeMap::new(),
            items: 0,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    /// Adds a node on this disk. Its process does not run yet.
    pub(crate) fn add(&mut self, node: NodeId, disk: Disk) {
        self.slots.push(Slot {
            node,
            machine: None,
            disk,
            health: Health::Starting,
            lives: 0,
            disk_free_at: Time::ZERO,
        });
    }

    /// Starts a process on what its disk holds.
    pub(crate) fn start(&mut self, at: impl At) {
        let at = self.place(at);
        let slot = &mut self.slots[at];
        slot.machine = Some(self.setting.process(at, slot.node));
        slot.health = Health::Starting;
        let is_used = slot.disk.is_used();
        let wall = WallTime(WALL_BEGIN_MS * 1_000_000 + self.now.0);
        self.step(at, Event::Clock { wall });
        self.step(at, Event::Start { is_used });
    }

    /// Ends a process at once.
    pub(crate) fn kill(&mut self, at: impl At) {
        self.end(at, Loss::Process);
    }

    /// Takes away the power of a node.
    pub(crate) fn crash(&mut self, at: impl At) {
        let kept = self.random(BATCHES_KEPT_MAX + 1);
        let batches_kept = usize::try_from(kept).expect("a few");
        let place = self.place(at);
        let halted = self.slots[place].halted();
        assert_eq!(halted, None, "a crash would hide it");
        self.end(at, Loss::Power { batches_kept });
    }

    fn end(&mut self, at: impl At, loss: Loss) {
        let at = self.place(at);
        let slot = &mut self.slots[at];
        slot.machine = None;
        slot.lives += 1;
        slot.disk_free_at = self.now;
        slot.disk.crash(loss);
    }

    fn place(&self, at: impl At) -> usize {
        let nodes = self.slots.iter().map(|slot| slot.node);
        at.place(nodes).expect("a node of this world")
    }

    /// A node with its disk.
    pub(crate) fn slot(&self, at: impl At) -> &Slot<S::Machine> {
        &self.slots[self.place(at)]
    }

    /// A node with its disk.
    pub(crate) fn slot_mut(&mut self, at: impl At) -> &mut Slot<S::Machine> {
        let at = self.place(at);
        &mut self.slots[at]
    }

    /// A number below this one.
    pub(crate) fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below.max(1)
    }

    fn delay(&mut self, most: Span) -> Span {
        match most {
            Span::ZERO => Span::ZERO,
            most => Span(1 + self.random(most.0)),
        }
    }

    /// Asks a node, which takes it at once.
    pub(crate) fn request(&mut self, at: impl At, request: S::Request) -> RequestId {
        self.requests += 1;
        let id = RequestId(self.requests);
        self.open.insert(id);
        self.step(at, Event::Request { id, request });
        id
    }

    /// Asks and runs until the answer is there.
    pub(crate) fn ask(&mut self, at: impl At, request: S::Request) -> S::Response {
        let id = self.request(at, request);
        self.until("the answer", PATIENCE, |rig| rig.replies.contains_key(&id));
        self.replies.remove(&id).expect("just seen")
    }

    /// Runs until something holds.
    pub(crate) fn until(&mut self, what: &str, within: Span, holds: impl Fn(&Self) -> bool) {
        let limit = self.now + within;
        while !holds(self) {
            assert!(
                self.now < limit,
                "{what} within {within}: {}",
                self.describe()
            );
            self.iterate(limit);
        }
    }

    fn describe(&self) -> String {
        let mut text = format!("{:?}", self.now);
        for (place, slot) in self.slots.iter().enumerate() {
            let machine = slot.machine.as_ref().map(S::describe);
            let machine = machine.unwrap_or_else(|| "down".into());
            text += &format!("\n{place}: {:?} {machine}", slot.health);
        }
        text
    }

    /// Runs for so long.
    pub(crate) fn run_for(&mut self, span: Span) {
        let until = self.now + span;
        while self.iterate(until) {}
    }

    /// The next thing happens: an event, or the wakes that are due. If nothing is to
    /// happen before, it is `until`.
    fn iterate(&mut self, until: Time) -> bool {
        let queued = self.queue.keys().next().map(|(time, _)| *time);
        let wake = self.slots.iter().filter_map(Slot::deadline).min();
        let wake = wake.map(|due| due.max(self.now));
        let next = queued.into_iter().chain(wake).min();
        let Some(next) = next.filter(|next| *next <= until) else {
            self.now = until;
            return false;
        };
        self.now = next;
        if queued == Some(next) {
            let (_, item) = self.queue.pop_first().expect("just seen");
            self.on_item(item);
        } else {
            for at in 0..self.slots.len() {
                if self.slots[at].deadline().is_some_and(|due| due <= next) {
                    self.step(at, Event::Wake);
                }
            }
        }
        true
    }

    fn on_item(&mut self, Item { slot, life, event }: Item<EventOf<S>>) {
        if life.is_some_and(|life| life != self.slots[slot].lives) {
            return;
        }
        let is_disk = life.is_some();
        self.step(slot, event);
        if is_disk && self.random(1000) < self.faults.crash_permille {
            self.crash(slot);
            self.start(slot);
        }
    }

    /// A node takes an event, if its process runs, and gets what it asks for.
    pub(crate) fn step(&mut self, at: impl At, event: EventOf<S>) {
        let at = self.place(at);
        let Some(machine) = &mut self.slots[at].machine else {
            return;
        };
        let mut out = Outbox::new();
        machine.step(self.now, event, &mut out);
        for effect in out.drain() {
            self.on_effect(at, effect);
        }
    }

    fn on_effect(&mut self, at: usize, effect: EffectOf<S>) {
        match effect {
            Effect::Send { to, message } => self.send(at, to, message),
            Effect::Reply { id, response } => {
                assert!(self.open.remove(&id), "one answer for each request");
                self.replies.insert(id, response);
            }
            Effect::Stream { id, response } => {
                assert!(self.open.contains(&id), "an answer comes last");
                self.streams.entry(id).or_default().push(response);
            }
            Effect::Io(io) => {
                let done = self.slots[at].disk.carry_out(io);
                self.after_disk(at, Event::Io(done));
            }
            Effect::Health(health) => self.slots[at].health = health,
            Effect::Notice(notice) => self.setting.on_notice(at, &self.slots[at], notice),
            Effect::Peers => {}
        }
    }

    /// The disk does one thing after the other.
    fn after_disk(&mut self, at: usize, event: EventOf<S>) {
        let delay = self.delay(self.faults.disk_max);
        let slot = &mut self.slots[at];
        slot.disk_free_at = slot.disk_free_at.max(self.now) + delay;
        let (time, life) = (slot.disk_free_at, Some(slot.lives));
        let slot = at;
        self.push(time, Item { slot, life, event });
    }

    fn push(&mut self, time: Time, item: Item<EventOf<S>>) {
        self.items += 1;
        self.queue.insert((time, self.items), item);
    }

    fn send(&mut self, from: usize, to: NodeId, message: S::Message) {
        let Some(slot) = self.slots.iter().position(|slot| slot.node == to) else {
            return;
        };
        assert_ne!(slot, from, "nobody sends to itself");
        let bytes = message.to_bytes();
        assert!(bytes.len() < MESSAGE_BYTES_MAX);
        assert_eq!(S::Message::from_bytes(&bytes).as_ref(), Ok(&message));
        let is_cut = [self.slots[from].node, to]
            .iter()
            .any(|node| self.cut.contains(node));
        if is_cut || self.random(100) < self.faults.loss_percent {
            return;
        }
        for message in self.setting.on_way(from, slot, message) {
            let time = self.now + self.delay(self.faults.delay_max);
            let from = self.slots[from].node;
            let event = Event::Message { from, message };
            let life = None;
            self.push(time, Item { slot, life, event });
        }
    }
}
