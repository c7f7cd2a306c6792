//! Nodes in one thread. Each effect of the node under test is one point at which it may
//! crash: what was handed over before may be carried out, what comes after never is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use decube_core::codec::{Decode as _, Encode as _};
use decube_core::io::{Io, Volume};
use decube_core::ledger::{self, Ledger};
use decube_core::machine::{Machine as _, Outbox};
use decube_core::node::{Config, Effect, Event, Message, Node, Notice, PartId, Request, Response};
use decube_core::part::{Health, Scope};
use decube_core::rig::{Disk, Loss};
use decube_core::toy;
use decube_core::types::{NodeId, RequestId, Time, WallTime};

use crate::expect::Blocks;
use crate::nodes::BEGIN_MS;

/// Steps after which a run does not come to an end.
const STEPS_MAX: u64 = 200_000;

/// When and how the node under test crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crash {
    /// After this effect of it, counted from 1 over the whole run.
    pub after: u64,
    /// What is lost.
    pub loss: Loss,
    /// Whether orders that were handed over are carried out before that.
    pub is_carried_out: bool,
}

/// A node and what it is kept on.
#[derive(Debug)]
pub struct Machine {
    /// What its process is built from.
    pub config: Config,
    /// The running process.
    pub node: Option<Node>,
    pub volumes: BTreeMap<Volume, Disk>,
    orders: BTreeMap<Volume, VecDeque<Io>>,
    inbox: VecDeque<Event>,
    is_started: bool,
    /// Whether it has said that all its parts have ended.
    pub is_stopped: bool,
    /// The health that each part has told last.
    pub health: BTreeMap<PartId, Health>,
}

/// Nodes, one of which is under test.
#[derive(Debug)]
pub struct World {
    /// The nodes.
    pub machines: Vec<Machine>,
    /// Which of them is under test: the only one that crashes and is asked something.
    pub watched: usize,
    now: Time,
    /// The volume of the node under test that does something only when nothing else
    /// happens, and at how many of those times it does not.
    pub slow: Option<(Volume, u64)>,
    /// Crashes to come, the next one first.
    pub crashes: VecDeque<Crash>,
    /// Effects of the node under test so far.
    pub effects: u64,
    /// The blocks that are final on any node.
    pub blocks: Blocks,
    /// States that came into force without their blocks on the node under test.
    pub replaced: u64,
    /// Steps of it in which more than one thing was told.
    pub told_several: u64,
    /// Runs of blocks that were read for its toy.
    pub runs: u64,
    /// Answers of the node under test.
    pub replies: BTreeMap<RequestId, Response>,
    /// What it has streamed.
    pub streamed: Vec<Response>,
    /// Crashes so far.
    pub crashed: u64,
    /// Messages between toys.
    pub words: u64,
    idle: u64,
    steps: u64,
    next_request: u64,
}

impl World {
    /// No node so far.
    pub fn new() -> Self {
        Self {
            machines: Vec::new(),
            watched: 0,
            now: Time(1_000),
            slow: None,
            crashes: VecDeque::new(),
            effects: 0,
            blocks: Blocks::default(),
            replaced: 0,
            told_several: 0,
            runs: 0,
            replies: BTreeMap::new(),
            streamed: Vec::new(),
            crashed: 0,
            words: 0,
            idle: 0,
            steps: 0,
            next_request: 0,
        }
    }

    /// Adds a node on these volumes and starts it.
    pub fn add(&mut self, config: Config, volumes: BTreeMap<Volume, Disk>) {
        self.machines.push(Machine {
            config,
            node: None,
            volumes,
            orders: BTreeMap::new(),
            inbox: VecDeque::new(),
            is_started: false,
            is_stopped: false,
            health: BTreeMap::new(),
        });
        self.boot(self.machines.len() - 1);
    }

    /// Starts the process of a node on what its volumes hold.
    pub fn boot(&mut self, at: usize) {
        let wall = WallTime(BEGIN_MS * 1_000_000 + self.now.0);
        let machine = &mut self.machines[at];
        let volumes = machine.volumes.iter();
        let used = volumes.filter(|(_, disk)| disk.is_used());
        let used: BTreeSet<Volume> = used.map(|(volume, _)| *volume).collect();
        machine.node = Some(Node::new(machine.config.clone()));
        machine.is_started = true;
        machine.inbox.clear();
        machine.orders.clear();
        machine.inbox.push_back(Event::Clock { wall });
        machine.inbox.push_back(Event::Start { used });
        let ids = self.machines.iter().map(|machine| machine.config.node);
        let ids: Vec<NodeId> = ids.collect();
        for (other, machine) in self.machines.iter_mut().enumerate() {
            let peer = |peer| Event::Peer {
                peer,
                scope: Scope::Global,
                is_up: true,
            };
            if other == at {
                let others = ids.iter().filter(|id| **id != ids[at]);
                machine.inbox.extend(others.map(|id| peer(*id)));
            } else {
                machine.inbox.push_back(peer(ids[at]));
            }
        }
    }

    /// Ends the process of a node at once.
    pub fn crash(&mut self, at: usize, loss: Loss, is_carried_out: bool) {
        let machine = &mut self.machines[at];
        for (volume, orders) in &mut machine.orders {
            let disk = machine.volumes.entry(*volume).or_default();
            for io in orders.drain(..).filter(|_| is_carried_out) {
                disk.carry_out(io);
            }
        }
        machine
            .volumes
            .values_mut()
            .for_each(|disk| disk.crash(loss));
        machine.node = None;
        machine.inbox.clear();
        self.crashed += 1;
    }

    /// Asks the node under test.
    pub fn ask(&mut self, request: impl Into<Request>) -> RequestId {
        self.ask_of(self.watched, request)
    }

    /// Asks a node.
    pub fn ask_of(&mut self, at: usize, request: impl Into<Request>) -> RequestId {
        self.next_request += 1;
        let id = RequestId(self.next_request);
        let request = request.into();
        let request = Request::from_bytes(&request.to_bytes()).expect("it is encoded soundly");
        self.machines[at]
            .inbox
            .push_back(Event::Request { id, request });
        id
    }

    /// Gives the node under test an event.
    pub fn tell(&mut self, event: Event) {
        self.machines[self.watched].inbox.push_back(event);
    }

    /// The machine under test.
    pub fn machine(&self) -> &Machine {
        &self.machines[self.watched]
    }

    /// The node under test.
    pub fn node(&self) -> &Node {
        self.machine().node.as_ref().expect("it runs")
    }

    /// Where the toy of the node under test is, durable or not.
    pub fn position(&self) -> Option<toy::Position> {
        self.node().toy().and_then(toy::Toy::position)
    }

    /// Runs until something holds.
    pub fn run_until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        while !holds(self) {
            self.turn();
            self.steps += 1;
            assert!(
                self.steps < STEPS_MAX,
                "{what}: never; {:?}, tip {}",
                self.machine().health,
                self.blocks.tip()
            );
        }
    }

    /// One thing happens: an event, an order, a wake; or time passes.
    fn turn(&mut self) {
        for at in 0..self.machines.len() {
            if let Some(event) = self.machines[at].inbox.pop_front() {
                return self.step(at, event);
            }
        }
        for at in 0..self.machines.len() {
            let slow = self
                .slow
                .filter(|_| at == self.watched)
                .map(|(volume, _)| volume);
            if self.carry_out(at, |volume| Some(volume) != slow) {
                return;
            }
        }
        let due = |machine: &Machine| machine.node.as_ref()?.deadline();
        let wakes: Vec<Option<Time>> = self.machines.iter().map(due).collect();
        let is_due = |wake: &Option<Time>| wake.is_some_and(|wake| wake <= self.now);
        if let Some(at) = wakes.iter().position(is_due) {
            return self.step(at, Event::Wake);
        }
        let pause = self.slow.map_or(0, |(_, pause)| pause);
        self.idle += 1;
        if self.idle.is_multiple_of(pause + 1) && self.carry_out(self.watched, |_| true) {
            return;
        }
        let next = wakes.into_iter().flatten().min();
        match next {
            Some(next) => self.now = next,
            None => assert!(
                self.carry_out(self.watched, |_| true),
                "nothing will ever happen"
            ),
        }
    }

    /// Carries out the oldest order of one of these volumes, if there is any.
    fn carry_out(&mut self, at: usize, of: impl Fn(Volume) -> bool) -> bool {
        let machine = &mut self.machines[at];
        let open = machine.orders.iter_mut().filter(|(volume, _)| of(**volume));
        let next = open.filter_map(|(volume, orders)| Some((*volume, orders.pop_front()?)));
        let Some((volume, io)) = { next }.next() else {
            return false;
        };
        let done = machine.volumes.entry(volume).or_default().carry_out(io);
        machine.inbox.push_back(Event::Io { volume, done });
        true
    }

    fn step(&mut self, at: usize, event: Event) {
        let is_watched = at == self.watched;
        let machine = &mut self.machines[at];
        let Some(node) = &mut machine.node else {
            return;
        };
        let mut out = Outbox::new();
        node.step(self.now, event, &mut out);
        // A planted bug may keep its notice from everybody.
        if let Some(tip) = node.ledger().and_then(Ledger::tip) {
            self.blocks.note(tip.height, tip.hash);
        }
        self.told_several += u64::from(is_watched && node.notices().len() > 1);
        for notice in node.notices() {
            match notice {
                Notice::Ledger(ledger::Notice::Final(block)) => {
                    self.blocks.note(block.height(), block.block.hash());
                }
                Notice::Ledger(ledger::Notice::Replaced { .. }) if is_watched => self.replaced += 1,
                Notice::Ledger(ledger::Notice::Run(_)) if is_watched => self.runs += 1,
                _ => {}
            }
        }
        for effect in out.drain() {
            self.effect(at, effect);
            if is_watched {
                self.effects += 1;
                let is_now = |crash: &mut Crash| crash.after <= self.effects;
                if let Some(crash) = self.crashes.pop_front_if(is_now) {
                    self.crash(at, crash.loss, crash.is_carried_out);
                    return self.boot(at);
                }
            }
        }
    }

    fn effect(&mut self, at: usize, effect: Effect) {
        let from = self.machines[at].config.node;
        match effect {
            Effect::Send { to, message } => {
                self.words += u64::from(message.part() == PartId::Toy);
                let bytes = message.to_bytes();
                let part = PartId::of_message(&bytes).expect("a part that there is");
                assert_eq!(part, message.part());
                let message = Message::from_bytes(&bytes).expect("it is encoded soundly");
                let receiver = self.machines.iter_mut().find(|one| one.config.node == to);
                if let Some(receiver) = receiver {
                    let scope = Scope::Global;
                    receiver.inbox.push_back(Event::Message {
                        from,
                        scope,
                        message,
                    });
                }
            }
            Effect::Reply { id, response } => {
                let before = self.replies.insert(id, response);
                assert!(before.is_none(), "one answer for {id}");
            }
            Effect::Stream { response, .. } => self.streamed.push(response),
            Effect::Io { volume, io } => {
                let orders = &mut self.machines[at].orders;
                orders.entry(volume).or_default().push_back(io);
            }
            Effect::Health { part, health } => {
                self.machines[at].health.insert(part, health);
            }
            Effect::Connect { .. } => {}
            Effect::Stopped => {
                self.machines[at].is_stopped = true;
                self.machines[at].node = None;
            }
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}
