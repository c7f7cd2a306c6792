//! A cluster in one thread: disks keep everything, messages arrive at once.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::convert::Infallible;

use bytes::Bytes;

use crate::cluster::{self, Config, Request, Response};
use crate::io::Volume;
use crate::machine::{Machine, Outbox};
use crate::node::{self, Message, Node, PartId};
use crate::part::{self, Effect, Scope};
use crate::raft::{Membership, Role};
use crate::rig::{Disk, Faults, Rig, Setting, Slot};
use crate::types::{ClusterId, Index, NodeId, ProcessNonce, Span, Time};

pub(super) const CLUSTER: ClusterId = ClusterId(7);

/// So few that a small state takes several pages.
const PAGE_PAIRS: usize = 10;

/// What happens to a node of these tests.
pub(super) type Event = part::Event<Message, Request, Infallible>;

/// A node with a part in its cluster and no other, which is spoken to in the words of a
/// part.
pub(super) struct Alone(pub(super) Node);

impl Machine for Alone {
    type Event = Event;
    type Effect = Effect<Message, Response, Infallible>;

    fn step(&mut self, now: Time, event: Event, out: &mut Outbox<Self::Effect>) {
        let mut of_node = Outbox::new();
        self.0.step(now, event_of_node(event), &mut of_node);
        of_node
            .drain()
            .filter_map(effect_of_part)
            .for_each(|effect| out.push(effect));
    }

    fn deadline(&self) -> Option<Time> {
        self.0.deadline()
    }
}

fn event_of_node(event: Event) -> node::Event {
    let scope = Scope::Cluster;
    let volume = Volume::Cluster;
    match event {
        Event::Start { is_used } => node::Event::Start {
            used: is_used.then_some(volume).into_iter().collect(),
        },
        Event::Wake => node::Event::Wake,
        Event::Clock { wall } => node::Event::Clock { wall },
        Event::Message { from, message } => node::Event::Message {
            from,
            scope,
            message,
        },
        Event::Peer { peer, is_up } => node::Event::Peer { peer, scope, is_up },
        Event::Request { id, request } => {
            let request = request.into();
            node::Event::Request { id, request }
        }
        Event::Cancel { id } => node::Event::Cancel { id },
        Event::Io(done) => node::Event::Io { volume, done },
        Event::Link(never) => match never {},
        Event::Shutdown => node::Event::Shutdown,
    }
}

fn effect_of_part(effect: node::Effect) -> Option<Effect<Message, Response, Infallible>> {
    Some(match effect {
        node::Effect::Send { to, message } => Effect::Send { to, message },
        node::Effect::Reply { id, response } => {
            let response = response_of_part(response);
            Effect::Reply { id, response }
        }
        node::Effect::Stream { id, response } => {
            let response = response_of_part(response);
            Effect::Stream { id, response }
        }
        node::Effect::Io { volume, io } => {
            assert_eq!(volume, Volume::Cluster);
            Effect::Io(io)
        }
        node::Effect::Connect { .. } => Effect::Peers,
        node::Effect::Health { part, health } => {
            assert_eq!(part, PartId::Cluster);
            Effect::Health(health)
        }
        node::Effect::Stopped => return None,
    })
}

fn response_of_part(response: node::Response) -> Response {
    match response {
        node::Response::Cluster(response) => response,
        other => panic!("another part answers: {other:?}"),
    }
}

/// What the nodes are made of.
pub(super) struct Nodes {
    /// The first members, as each of them was told.
    bootstraps: BTreeMap<NodeId, Membership>,
    /// Configuration changes that tests make, for processes that start from now on.
    pub(super) tune: fn(&mut Config),
    /// Processes that have begun.
    processes: u64,
}

impl Setting for Nodes {
    type Machine = Alone;
    type Message = Message;
    type Request = Request;
    type Response = Response;
    type Link = Infallible;
    type Notice = Infallible;

    fn process(&mut self, _: usize, node: NodeId) -> Alone {
        let bootstrap = self.bootstraps[&node].clone();
        let mut config = Config::new(node, CLUSTER, bootstrap, 42);
        config.wal_segment_bytes = 1 << 20;
        self.processes += 1;
        config.process = ProcessNonce(self.processes);
        (self.tune)(&mut config);
        Alone(Node::new(node::Config::of_cluster(config)))
    }

    fn on_notice(&mut self, _: usize, _: &Slot<Alone>, notice: Infallible) {
        match notice {}
    }

    fn describe(node: &Alone) -> String {
        let raft = node.0.cluster().and_then(cluster::Cluster::raft);
        alloc::format!("{:?}", raft.map(|raft| (raft.role(), raft.term())))
    }
}

pub(super) type Cluster = Rig<Nodes>;

pub(super) fn members(count: u128) -> Membership {
    Membership {
        voters: (1..=count).map(NodeId).collect(),
        ..Membership::default()
    }
}

impl Cluster {
    pub(super) fn new(count: u128) -> Self {
        Self::tuned(count, |_| {})
    }

    pub(super) fn tuned(count: u128, tune: fn(&mut Config)) -> Self {
        Self::of(&members(count), tune)
    }

    /// A cluster with these first members.
    pub(super) fn of(bootstrap: &Membership, tune: fn(&mut Config)) -> Self {
        let nodes = Nodes {
            bootstraps: BTreeMap::new(),
            tune,
            processes: 0,
        };
        let mut cluster = Self::empty(1, Faults::NONE, nodes);
        for id in bootstrap.members() {
            cluster.join(id, bootstrap.clone());
        }
        cluster
    }

    /// A new machine starts.
    pub(super) fn join(&mut self, id: NodeId, bootstrap: Membership) {
        self.bootstraps.insert(id, bootstrap);
        self.add(id, Disk::of_pages(PAGE_PAIRS));
        self.start(id);
    }

    /// Kills the process and starts it again on what its disk holds.
    pub(super) fn restart(&mut self, id: NodeId) {
        self.kill(id);
        self.start(id);
    }

    pub(super) fn run_until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        self.until(what, Span::from_secs(60), condition);
    }

    pub(super) fn nodes(&self) -> Vec<NodeId> {
        self.slots.iter().map(|slot| slot.node).collect()
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.slot(id).machine().0
    }

    /// What a node does in its cluster.
    pub(super) fn part(&self, id: NodeId) -> &cluster::Cluster {
        let part = self.node(id).cluster();
        part.expect("these nodes have no other part")
    }

    /// The parts of the nodes that run.
    pub(super) fn parts(&self) -> impl Iterator<Item = &cluster::Cluster> {
        let running = self.slots.iter().filter_map(|slot| slot.machine.as_ref());
        running.filter_map(|node| node.0.cluster())
    }

    /// The last index that is not in a node's log any more.
    pub(super) fn base(&self, id: NodeId) -> Index {
        let raft = self.part(id).raft();
        raft.expect("it has recovered").base().id.index
    }

    pub(super) fn leader(&self) -> Option<NodeId> {
        let ids = self.parts().map(|part| part.config().id);
        let rafts = self.parts().map(cluster::Cluster::raft);
        let reached = ids.zip(rafts).filter(|(id, _)| !self.cut.contains(id));
        let leaders = reached.filter_map(|(id, raft)| {
            let raft = raft.filter(|raft| raft.role() == Role::Leader)?;
            Some((raft.term(), id))
        });
        leaders.max().map(|(_, id)| id)
    }

    /// One that is not the leader.
    pub(super) fn follower_of(&self, leader: NodeId) -> NodeId {
        let mut nodes = self.nodes().into_iter();
        nodes
            .find(|id| *id != leader)
            .expect("there is another node")
    }

    pub(super) fn elect(&mut self) -> NodeId {
        self.run_until("a leader", |cluster| cluster.leader().is_some());
        self.leader().expect("just seen")
    }

    /// The keys whose changes a watcher was told, in order.
    pub(super) fn watched(&self, id: crate::types::RequestId) -> Vec<Bytes> {
        let told = self.streams[&id].iter().filter_map(|told| match told {
            Response::Changed(changes) => Some(&changes.changes),
            _ => None,
        });
        told.flatten().map(|change| change.key.clone()).collect()
    }
}
