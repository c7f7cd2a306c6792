//! A world for the tests: nodes, disks, a network and a clock, all drawn from
//! one seed, with a checker that knows Raft's promises and none of its code.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use bytes::Bytes;

use super::check::Checker;
use super::disk::{CHUNK, Disk, State};
use crate::machine::{Machine, Outbox};
use crate::mutant::Mutant;
use crate::raft::{
    Base, Config, Context, Effect, Event, Membership, Message, Persist, Raft, Recovered, Refusal,
    Role, Runs, SnapshotMeta,
};
use crate::types::{ClusterId, Index, LogId, NodeId, Span, Time};

/// The cluster of all tests.
pub const CLUSTER: ClusterId = ClusterId(77);

/// What a test can turn.
#[derive(Debug, Clone)]
pub struct Knobs {
    pub loss_percent: u64,
    pub duplicate_percent: u64,
    pub delay_max: Span,
    pub disk_max: Span,
    pub mutant: Mutant,
    /// Entries of one Append.
    pub append_entries_max: usize,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            loss_percent: 0,
            duplicate_percent: 0,
            delay_max: Span::from_millis(2),
            disk_max: Span::from_millis(1),
            mutant: Mutant::None,
            append_entries_max: 16,
        }
    }
}

/// A node with its disk. `raft` is `None` while it is down.
pub struct Node {
    pub raft: Option<Raft>,
    pub disk: Disk,
    pub state: State,
    /// Writes asked for and not yet durable.
    writes: VecDeque<Persist>,
    /// Which life of the node this is: completions of a former one are void.
    life: u64,
    /// The snapshots frozen for peers.
    frozen: BTreeMap<NodeId, State>,
    staged: Vec<u8>,
    /// Effects that a test may look at.
    pub seen: Vec<Effect>,
}

enum Item {
    Message {
        from: NodeId,
        to: NodeId,
        message: Message,
    },
    Durable {
        node: NodeId,
        life: u64,
    },
}

/// The world.
pub struct Cluster {
    pub nodes: BTreeMap<NodeId, Node>,
    pub now: Time,
    pub knobs: Knobs,
    pub checker: Checker,
    /// Pairs that cannot reach each other, in this direction.
    pub cut: BTreeSet<(NodeId, NodeId)>,
    /// A test's own filter: true lets a message pass.
    pub filter: fn(NodeId, NodeId, &Message) -> bool,
    queue: BTreeMap<(Time, u64), Item>,
    next_item: u64,
    seed: u64,
    random: u64,
    next_context: u64,
    /// What was applied anywhere when a read was asked for.
    reads: BTreeMap<Context, Index>,
    /// Reads that became ready.
    pub reads_ready: u64,
}

/// A node id.
pub fn id(number: u128) -> NodeId {
    NodeId(number)
}

impl Cluster {
    /// Nodes `1..=count`, all voters.
    pub fn new(count: u128, seed: u64) -> Self {
        Self::with(count, seed, Knobs::default())
    }

    /// As [`Cluster::new`], with knobs.
    pub fn with(count: u128, seed: u64, knobs: Knobs) -> Self {
        let voters = Membership::of_voters((1..=count).map(NodeId));
        let mut cluster = Self {
            nodes: BTreeMap::new(),
            now: Time(1_000_000),
            knobs,
            checker: Checker::default(),
            cut: BTreeSet::new(),
            filter: |_, _, _| true,
            queue: BTreeMap::new(),
            next_item: 0,
            seed,
            random: seed.wrapping_mul(0x9e37_79b9).wrapping_add(1),
            next_context: 0,
            reads: BTreeMap::new(),
            reads_ready: 0,
        };
        for number in 1..=count {
            cluster.add(id(number), voters.clone());
        }
        cluster
    }

    /// Adds a fresh node that believes in a membership.
    pub fn add(&mut self, node: NodeId, membership: Membership) {
        let disk = Disk {
            base: Base {
                membership,
                ..Base::default()
            },
            ..Disk::default()
        };
        let fresh = Node {
            raft: None,
            disk,
            state: State::default(),
            writes: VecDeque::new(),
            life: 0,
            frozen: BTreeMap::new(),
            staged: Vec::new(),
            seen: Vec::new(),
        };
        self.nodes.insert(node, fresh);
        self.start(node);
    }

    /// Starts a node from its disk.
    pub fn start(&mut self, at: NodeId) {
        let mut config = Config::new(at, CLUSTER, self.seed);
        config.mutant = self.knobs.mutant;
        config.append_entries_max = self.knobs.append_entries_max;
        let node = self.nodes.get_mut(&at).expect("a known node");
        assert!(node.raft.is_none());
        let recovered = Recovered {
            hard_state: node.disk.hard,
            base: node.disk.base.clone(),
            entries: node.disk.entries.clone(),
            applied: node.disk.state.applied,
            installed: node.disk.installed.clone(),
            damaged_upto: node.disk.damaged_upto.take(),
            hard_state_lost: node.disk.hard_state_lost,
        };
        node.state = node.disk.state.clone();
        let mut out = Outbox::new();
        node.raft = Some(Raft::new(self.now, config, recovered, &mut out));
        self.carry_out(at, out);
    }

    /// Stops a node; what it had not made durable is lost.
    pub fn crash(&mut self, at: NodeId) {
        let node = self.nodes.get_mut(&at).expect("a known node");
        node.raft = None;
        node.life += 1;
        node.writes.clear();
        node.frozen.clear();
        node.staged.clear();
        node.state = State::default();
    }

    /// Makes the applied state durable, so that the log may be compacted.
    pub fn checkpoint(&mut self, at: NodeId) {
        let node = self.nodes.get_mut(&at).expect("a known node");
        if node.raft.is_some() {
            node.disk.state = node.state.clone();
        }
    }

    /// Makes the state durable and drops the log before it.
    pub fn compact(&mut self, at: NodeId) {
        self.checkpoint(at);
        let upto = self.nodes[&at].disk.state.applied.index;
        self.event(at, Event::Compact { upto });
    }

    /// Gives a node one event.
    pub fn event(&mut self, at: NodeId, event: Event) {
        let now = self.now;
        let node = self.nodes.get_mut(&at).expect("a known node");
        let Some(raft) = node.raft.as_mut() else {
            return;
        };
        let mut out = Outbox::new();
        raft.step(now, event, &mut out);
        self.carry_out(at, out);
    }

    /// Asks a node to replicate a command.
    pub fn propose(&mut self, at: NodeId, data: &'static [u8]) -> Context {
        self.next_context += 1;
        let context = Context(self.next_context);
        let data = Bytes::from_static(data);
        self.event(at, Event::Propose { context, data });
        context
    }

    /// Asks a node to read.
    pub fn read(&mut self, at: NodeId) -> Context {
        self.next_context += 1;
        let context = Context(self.next_context);
        self.reads.insert(context, self.checker.applied_max());
        self.event(at, Event::Read { context });
        context
    }

    /// Asks a node to change the membership.
    pub fn change(&mut self, at: NodeId, target: Membership) -> Context {
        self.next_context += 1;
        let context = Context(self.next_context);
        self.event(at, Event::ChangeMembership { context, target });
        context
    }

    /// Lets time pass.
    pub fn run(&mut self, span: Span) {
        let end = self.now.saturating_add(span);
        while let Some(next) = self.next_time().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.iterate();
        }
        self.now = end;
        self.checker
            .logs(self.nodes.values().map(|node| &node.disk));
    }

    /// Lets time pass until something holds; false if it does not in time.
    pub fn run_until(&mut self, span: Span, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now.saturating_add(span);
        while !done(self) {
            let Some(next) = self.next_time().filter(|next| *next <= end) else {
                self.now = end;
                return done(self);
            };
            self.now = self.now.max(next);
            self.iterate();
        }
        true
    }

    /// Lets time pass until a leader of a quorum exists.
    pub fn elect(&mut self) -> NodeId {
        let found = self.run_until(Span::from_secs(20), |cluster| {
            cluster.ready_leader().is_some()
        });
        assert!(found, "no leader in time");
        self.ready_leader().expect("just found")
    }

    /// Lets time pass until a node other than this one leads.
    pub fn elect_other(&mut self, former: NodeId) -> NodeId {
        let found = self.run_until(Span::from_secs(20), |cluster| {
            cluster
                .ready_leader()
                .is_some_and(|leader| leader != former)
        });
        assert!(found, "no other leader in time");
        self.ready_leader().expect("just found")
    }

    /// Some node other than this one.
    pub fn another(&self, than: NodeId) -> NodeId {
        let mut others = self.nodes.keys().filter(|node| **node != than);
        *others.next().expect("there are several")
    }

    /// The leader of the highest term that has committed in it.
    pub fn ready_leader(&self) -> Option<NodeId> {
        let leaders = self.nodes.iter().filter_map(|(at, node)| {
            let raft = node.raft.as_ref()?;
            let ready =
                raft.role() == Role::Leader && raft.term_at(raft.committed()) == Some(raft.term());
            ready.then_some((raft.term(), *at))
        });
        leaders.max().map(|(_, at)| at)
    }

    /// A running node.
    pub fn raft(&self, at: NodeId) -> &Raft {
        self.nodes[&at].raft.as_ref().expect("it runs")
    }

    /// Cuts a node off in both directions.
    pub fn isolate(&mut self, at: NodeId) {
        let others: Vec<NodeId> = self.nodes.keys().copied().filter(|n| *n != at).collect();
        for other in others {
            self.cut.insert((at, other));
            self.cut.insert((other, at));
        }
    }

    /// Mends all cuts.
    pub fn heal(&mut self) {
        self.cut.clear();
    }

    /// The answer to a request, if there was one.
    pub fn refusal(&self, at: NodeId, wanted: Context) -> Option<Refusal> {
        self.nodes[&at].seen.iter().find_map(|effect| match effect {
            Effect::Refused { context, reason } if *context == wanted => Some(*reason),
            _ => None,
        })
    }

    /// The index of a read, if it is ready.
    pub fn read_ready(&self, at: NodeId, wanted: Context) -> Option<Index> {
        self.nodes[&at].seen.iter().find_map(|effect| match effect {
            Effect::ReadReady { context, index } if *context == wanted => Some(*index),
            _ => None,
        })
    }

    /// The place of a proposal, if it has one.
    pub fn proposed(&self, at: NodeId, wanted: Context) -> Option<LogId> {
        self.nodes[&at].seen.iter().find_map(|effect| match effect {
            Effect::Proposed { context, id } if *context == wanted => Some(*id),
            _ => None,
        })
    }

    /// Damages a stopped node's log: the entries from `from` on are gone.
    pub fn damage(&mut self, at: NodeId, from: Index) {
        let node = self.nodes.get_mut(&at).expect("a known node");
        assert!(node.raft.is_none(), "only a stopped node is damaged");
        let last = node.disk.entries.last().map(|entry| entry.id.index);
        node.disk.entries.retain(|entry| entry.id.index < from);
        node.disk.damaged_upto = last;
        node.disk.was_damaged = true;
    }

    /// A number below `bound`.
    pub fn random(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }

    /// When something happens next.
    fn next_time(&self) -> Option<Time> {
        let queued = self.queue.keys().next().map(|(time, _)| *time);
        let woken = self
            .nodes
            .values()
            .filter_map(|node| node.raft.as_ref()?.deadline());
        woken.chain(queued).min()
    }

    /// Delivers what is due, then wakes who is due.
    fn iterate(&mut self) {
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            match entry.remove() {
                Item::Message { from, to, message } => {
                    if !self.cut.contains(&(from, to)) && self.nodes.contains_key(&to) {
                        self.event(to, Event::Message { from, message });
                    }
                }
                Item::Durable { node, life } => self.write(node, life),
            }
        }
        let now = self.now;
        let due: Vec<NodeId> = self
            .nodes
            .iter()
            .filter(|(_, node)| {
                let deadline = node.raft.as_ref().and_then(Machine::deadline);
                deadline.is_some_and(|deadline| deadline <= now)
            })
            .map(|(at, _)| *at)
            .collect();
        for at in due {
            self.event(at, Event::Wake);
        }
    }

    /// Does what a node asked for.
    fn carry_out(&mut self, at: NodeId, mut out: Outbox<Effect>) {
        let effects: Vec<Effect> = out.drain().collect();
        for effect in effects {
            let node = self.nodes.get_mut(&at).expect("a known node");
            node.seen.push(effect.clone());
            match effect {
                Effect::Persist(persist) => {
                    let life = node.life;
                    node.writes.push_back(persist);
                    let delay = Span(self.random(self.knobs.disk_max.0));
                    self.enqueue(delay, Item::Durable { node: at, life });
                }
                Effect::Send { to, message } => self.send(at, to, message),
                Effect::Apply { entries } => self.apply(at, &entries),
                Effect::SnapshotOpen { peer } => self.freeze(at, peer),
                Effect::SnapshotRead { peer, chunk } => self.read_chunk(at, peer, chunk),
                Effect::SnapshotClose { peer } => {
                    node.frozen.remove(&peer);
                }
                Effect::SnapshotStage {
                    meta,
                    chunk,
                    data,
                    last,
                } => self.stage(at, meta, chunk, &data, last),
                Effect::RoleChanged { role, term, .. } => {
                    if role == Role::Leader {
                        self.checker.leader(at, term);
                    }
                }
                Effect::ReadReady { context, index } => {
                    let floor = self.reads.get(&context).copied().unwrap_or_default();
                    self.checker.read(floor, index);
                    self.reads_ready += 1;
                }
                Effect::Committed { index } => self.check_commit(at, index),
                Effect::Proposed { .. }
                | Effect::Refused { .. }
                | Effect::MembershipChanged { .. } => {}
            }
        }
    }

    /// A leader's commit stands on the disks of a majority.
    fn check_commit(&mut self, at: NodeId, index: Index) {
        let raft = self.raft(at);
        if raft.role() == Role::Leader && raft.durable() >= raft.base().id.index {
            let membership = raft.membership().clone();
            let entry = raft.term_at(index).map(|term| LogId::new(term, index));
            let disks = self.nodes.iter().map(|(id, node)| (*id, &node.disk));
            self.checker.committed(&membership, entry, disks);
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, message: Message) {
        self.checker
            .sent(from, to, &message, &self.nodes[&from].disk);
        if !(self.filter)(from, to, &message) || self.random(100) < self.knobs.loss_percent {
            return;
        }
        if self.random(100) < self.knobs.duplicate_percent {
            let delay = Span(self.random(self.knobs.delay_max.0 * 3));
            let message = message.clone();
            self.enqueue(delay, Item::Message { from, to, message });
        }
        let delay = Span(100_000 + self.random(self.knobs.delay_max.0));
        self.enqueue(delay, Item::Message { from, to, message });
    }

    fn enqueue(&mut self, delay: Span, item: Item) {
        self.next_item += 1;
        let key = (self.now.saturating_add(delay), self.next_item);
        self.queue.insert(key, item);
    }

    /// Makes the oldest write of a node durable.
    fn write(&mut self, at: NodeId, life: u64) {
        let node = self.nodes.get_mut(&at).expect("a known node");
        if node.life != life {
            return;
        }
        let persist = node.writes.pop_front().expect("one write per completion");
        let seq = persist.seq;
        node.disk.write(persist);
        self.checker.voted(at, &self.nodes[&at].disk.hard);
        self.event(at, Event::Persisted { seq });
    }

    fn apply(&mut self, at: NodeId, entries: &Runs) {
        let node = self.nodes.get_mut(&at).expect("a known node");
        for entry in entries.iter().cloned() {
            assert_eq!(
                entry.id.index,
                node.state.applied.index.next(),
                "applied in order"
            );
            assert!(
                node.disk.entries.iter().any(|kept| kept.id == entry.id)
                    || self.knobs.mutant != Mutant::None,
                "P5: only durable entries are applied"
            );
            self.checker.applied(&entry);
            node.state.applied = entry.id;
            if entry.kind == crate::raft::EntryKind::App {
                node.state.commands.push(entry.data);
            }
        }
        let upto = node.state.applied.index;
        self.event(at, Event::Applied { upto });
    }

    fn freeze(&mut self, at: NodeId, peer: NodeId) {
        let node = self.nodes.get_mut(&at).expect("a known node");
        let state = node.state.clone();
        let base = self
            .raft(at)
            .base_at(state.applied.index)
            .expect("applied and kept");
        let meta = alloc::boxed::Box::new(SnapshotMeta {
            base,
            digest: state.digest(),
            metadata: Bytes::new(),
        });
        let node = self.nodes.get_mut(&at).expect("a known node");
        node.frozen.insert(peer, state);
        self.event(at, Event::SnapshotOpened { peer, meta });
    }

    fn read_chunk(&mut self, at: NodeId, peer: NodeId, chunk: u64) {
        let bytes = self.nodes[&at].frozen[&peer].encode();
        let start = usize::try_from(chunk).expect("small") * CHUNK;
        let end = bytes.len().min(start + CHUNK);
        let data = Bytes::copy_from_slice(bytes.get(start..end).unwrap_or(&[]));
        let last = end == bytes.len();
        let event = Event::SnapshotChunk {
            peer,
            chunk,
            data,
            last,
        };
        self.event(at, event);
    }

    fn stage(
        &mut self,
        at: NodeId,
        meta: alloc::boxed::Box<SnapshotMeta>,
        chunk: u64,
        data: &[u8],
        last: bool,
    ) {
        let node = self.nodes.get_mut(&at).expect("a known node");
        if chunk == 0 {
            node.staged.clear();
        }
        node.staged.extend_from_slice(data);
        if !last {
            return;
        }
        let state = State::decode(meta.base.id, &node.staged);
        if state.digest() == meta.digest {
            node.state = state.clone();
            node.disk.state = state;
            node.disk.installed = Some(meta.base.clone());
            self.event(at, Event::SnapshotInstalled { meta });
        } else {
            self.event(at, Event::SnapshotRefused);
        }
    }
}
