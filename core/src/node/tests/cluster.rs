//! A cluster in one thread: disks keep everything, messages arrive at once.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use crate::cluster::{self, Changes, Config, Request, Response};
use crate::io::Volume;
use crate::machine::{Machine, Outbox};
use crate::node::{self, Effect, Event, Node, PartId};
use crate::part::{Health, Reason, Scope};
use crate::raft::{Membership, Role};
use crate::rig::Disk;
use crate::types::{ClusterId, Index, NodeId, ProcessNonce, RequestId, Span, Time, WallTime};

pub(super) const CLUSTER: ClusterId = ClusterId(7);

/// So few that a small state takes several pages.
const PAGE_PAIRS: usize = 10;

pub(super) struct Host {
    pub(super) node: Node,
    pub(super) disk: Disk,
    pub(super) halted: Option<Reason>,
    pub(super) stopped: bool,
    pub(super) ready: bool,
}

pub(super) struct Cluster {
    pub(super) now: Time,
    pub(super) hosts: BTreeMap<NodeId, Host>,
    pub(super) replies: BTreeMap<RequestId, Response>,
    pub(super) changed: Vec<(RequestId, Changes)>,
    /// Requests that were told the beginning of a stream.
    streams: BTreeSet<RequestId>,
    /// Nodes that no message leaves or reaches.
    pub(super) cut: BTreeSet<NodeId>,
    /// Configuration changes that tests make for all nodes.
    pub(super) tune: fn(&mut Config),
    inbox: VecDeque<(NodeId, Event)>,
    next_request: u64,
    /// Processes that have begun.
    processes: u64,
}

pub(super) fn new_disk() -> Disk {
    Disk::of_pages(PAGE_PAIRS)
}

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
        let mut cluster = Self {
            now: Time(1_000_000),
            hosts: BTreeMap::new(),
            replies: BTreeMap::new(),
            changed: Vec::new(),
            streams: BTreeSet::new(),
            cut: BTreeSet::new(),
            tune,
            inbox: VecDeque::new(),
            next_request: 0,
            processes: 0,
        };
        for id in bootstrap.members() {
            cluster.start(id, bootstrap.clone(), new_disk());
        }
        cluster
    }

    /// Starts a process on a disk.
    pub(super) fn start(&mut self, id: NodeId, bootstrap: Membership, disk: Disk) {
        let mut config = Config::new(id, CLUSTER, bootstrap, 42);
        config.wal_segment_bytes = 1 << 20;
        self.processes += 1;
        config.process = ProcessNonce(self.processes);
        (self.tune)(&mut config);
        let node = Node::new(node::Config::of_cluster(config));
        let used = match disk.is_used() {
            true => BTreeSet::from([Volume::Cluster]),
            false => BTreeSet::new(),
        };
        let host = Host {
            node,
            disk,
            halted: None,
            stopped: false,
            ready: false,
        };
        self.hosts.insert(id, host);
        let wall = WallTime(1_700_000_000_000_000_000_u64.saturating_add(self.now.0));
        self.inbox.push_back((id, Event::Clock { wall }));
        self.inbox.push_back((id, Event::Start { used }));
    }

    /// Kills the process and starts it again on what its disk holds.
    pub(super) fn restart(&mut self, id: NodeId) {
        let host = self.hosts.remove(&id).expect("it exists");
        self.inbox.retain(|(to, _)| *to != id);
        let bootstrap = host.cluster().config().bootstrap.clone();
        self.start(id, bootstrap, host.disk);
    }

    pub(super) fn request(&mut self, to: NodeId, request: Request) -> RequestId {
        self.next_request += 1;
        let id = RequestId(self.next_request);
        let request = request.into();
        self.inbox.push_back((to, Event::Request { id, request }));
        id
    }

    /// Asks and runs until the answer is there.
    pub(super) fn ask(&mut self, to: NodeId, request: Request) -> Response {
        let id = self.request(to, request);
        self.run_until("the answer", |cluster| cluster.replies.contains_key(&id));
        self.replies.remove(&id).expect("just seen")
    }

    pub(super) fn event(&mut self, to: NodeId, event: Event) {
        self.inbox.push_back((to, event));
    }

    /// The last index that is not in a node's log any more.
    pub(super) fn base(&self, id: NodeId) -> Index {
        let raft = self.hosts[&id].cluster().raft();
        raft.expect("it has recovered").base().id.index
    }

    pub(super) fn leader(&self) -> Option<NodeId> {
        let leads = |host: &Host| {
            host.cluster()
                .raft()
                .is_some_and(|r| r.role() == Role::Leader)
        };
        let mut leaders: Vec<(crate::types::Term, NodeId)> = self
            .hosts
            .iter()
            .filter(|(id, host)| leads(host) && !self.cut.contains(id))
            .map(|(id, host)| (host.cluster().raft().expect("it leads").term(), *id))
            .collect();
        leaders.sort();
        leaders.last().map(|(_, id)| *id)
    }

    pub(super) fn elect(&mut self) -> NodeId {
        self.run_until("a leader", |cluster| cluster.leader().is_some());
        self.leader().expect("just seen")
    }

    pub(super) fn run_until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        let limit = self.now + Span::from_secs(60);
        while !condition(self) {
            assert!(self.now < limit, "{what} did not come within a minute");
            self.turn();
        }
    }

    pub(super) fn run_for(&mut self, span: Span) {
        let end = self.now + span;
        while self.now < end {
            self.turn();
        }
    }

    /// Delivers what is queued and wakes who is due; if nothing is, time passes.
    fn turn(&mut self) {
        if let Some((to, event)) = self.inbox.pop_front() {
            return self.deliver(to, event);
        }
        let due = |host: &Host| host.node.deadline();
        let next = self
            .hosts
            .iter()
            .filter_map(|(id, host)| Some((due(host)?, *id)))
            .min();
        match next {
            Some((at, id)) => {
                self.now = self.now.max(at);
                self.deliver(id, Event::Wake);
            }
            None => self.now = self.now + Span::from_millis(10),
        }
    }

    fn deliver(&mut self, id: NodeId, event: Event) {
        let mut out = Outbox::new();
        let Some(host) = self.hosts.get_mut(&id) else {
            return;
        };
        host.node.step(self.now, event, &mut out);
        for effect in out.drain().collect::<Vec<_>>() {
            self.carry_out(id, effect);
        }
    }

    fn carry_out(&mut self, id: NodeId, effect: Effect) {
        let host = self.hosts.get_mut(&id).expect("it just stepped");
        match effect {
            Effect::Send { to, message } => {
                if !self.cut.contains(&id) && !self.cut.contains(&to) {
                    let (from, scope) = (id, Scope::Cluster);
                    let event = Event::Message {
                        from,
                        scope,
                        message,
                    };
                    self.inbox.push_back((to, event));
                }
            }
            Effect::Reply { id, response } => {
                let node::Response::Cluster(response) = response else {
                    panic!("another part answers: {response:?}")
                };
                let before = self.replies.insert(id, response);
                let began = self.streams.remove(&id);
                assert!(before.is_none() || began, "one answer for each request");
            }
            Effect::Stream { id, response } => match response {
                node::Response::Cluster(Response::Changed(changes)) => {
                    self.changed.push((id, changes));
                }
                node::Response::Cluster(response) => {
                    self.streams.insert(id);
                    self.replies.insert(id, response);
                }
                node::Response::Ledger(_) => panic!("these nodes have no ledger"),
            },
            Effect::Io { volume, io } => {
                assert_eq!(volume, Volume::Cluster);
                let done = host.disk.carry_out(io);
                self.inbox.push_back((id, Event::Io { volume, done }));
            }
            Effect::Health { part, health } => {
                assert_eq!(part, PartId::Cluster);
                match health {
                    Health::Halted(reason) => host.halted = Some(reason),
                    Health::Stopped => host.stopped = true,
                    health => host.ready |= health != Health::Starting,
                }
            }
            Effect::Connect { .. } | Effect::Stopped => {}
        }
    }
}

impl Host {
    pub(super) fn cluster(&self) -> &cluster::Cluster {
        self.node.cluster().expect("these nodes have no other part")
    }
}
