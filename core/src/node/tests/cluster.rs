//! A cluster in one thread: disks keep everything, messages arrive at once.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::kv::LogTime;
use crate::machine::{Machine, Outbox};
use crate::node::{Config, Effect, Event, Node, Request, Response};
use crate::raft::{Membership, Role};
use crate::store::StoreOp;
use crate::types::{ClusterId, NodeId, RequestId, Span, Time};
use crate::wal::{FileError, FileName, FileOp, FileResult};

pub(super) const CLUSTER: ClusterId = ClusterId(7);

/// What survives a restart.
#[derive(Debug, Default, Clone)]
pub(super) struct Disk {
    pub(super) files: BTreeMap<FileName, Vec<u8>>,
    pub(super) store: BTreeMap<Bytes, Bytes>,
}

pub(super) struct Host {
    pub(super) node: Node,
    pub(super) disk: Disk,
    pub(super) halted: Option<&'static str>,
    pub(super) stopped: bool,
    pub(super) ready: bool,
}

pub(super) struct Cluster {
    pub(super) now: Time,
    pub(super) hosts: BTreeMap<NodeId, Host>,
    pub(super) replies: BTreeMap<RequestId, Response>,
    pub(super) changed: Vec<(RequestId, crate::node::Changes)>,
    /// Nodes that no message leaves or reaches.
    pub(super) cut: BTreeSet<NodeId>,
    /// Configuration changes that tests make for all nodes.
    pub(super) tune: fn(&mut Config),
    inbox: VecDeque<(NodeId, Event)>,
    next_request: u64,
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
            cut: BTreeSet::new(),
            tune,
            inbox: VecDeque::new(),
            next_request: 0,
        };
        for id in bootstrap.members() {
            cluster.start(id, bootstrap.clone(), Disk::default());
        }
        cluster
    }

    /// Starts a process on a disk.
    pub(super) fn start(&mut self, id: NodeId, bootstrap: Membership, disk: Disk) {
        let mut config = Config::new(id, CLUSTER, bootstrap, 42);
        config.wal_segment_bytes = 1 << 20;
        (self.tune)(&mut config);
        let node = Node::new(config);
        let host = Host {
            node,
            disk,
            halted: None,
            stopped: false,
            ready: false,
        };
        self.hosts.insert(id, host);
        let wall = LogTime(1_700_000_000_000_000_000_u64.saturating_add(self.now.0));
        self.inbox.push_back((id, Event::Clock { wall }));
        self.inbox.push_back((id, Event::Start));
    }

    /// Kills the process and starts it again on what its disk holds.
    pub(super) fn restart(&mut self, id: NodeId) {
        let host = self.hosts.remove(&id).expect("it exists");
        self.inbox.retain(|(to, _)| *to != id);
        let bootstrap = host.node.config().bootstrap.clone();
        self.start(id, bootstrap, host.disk);
    }

    pub(super) fn request(&mut self, to: NodeId, request: Request) -> RequestId {
        self.next_request += 1;
        let id = RequestId(self.next_request);
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

    pub(super) fn leader(&self) -> Option<NodeId> {
        let leads = |host: &Host| host.node.raft().is_some_and(|r| r.role() == Role::Leader);
        let mut leaders: Vec<(crate::types::Term, NodeId)> = self
            .hosts
            .iter()
            .filter(|(id, host)| leads(host) && !self.cut.contains(id))
            .map(|(id, host)| (host.node.raft().expect("it leads").term(), *id))
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
                    self.inbox
                        .push_back((to, Event::Message { from: id, message }));
                }
            }
            Effect::Reply { id, response } => {
                let before = self.replies.insert(id, response);
                assert!(before.is_none(), "one answer for each request");
            }
            Effect::Changed { id, changes } => self.changed.push((id, changes)),
            Effect::File { id: op_id, op } => {
                let result = host.disk.execute(op);
                self.inbox
                    .push_back((id, Event::File { id: op_id, result }));
            }
            Effect::StoreCommit(batch) => {
                batch.ops.into_iter().for_each(|op| host.disk.store_op(op));
                self.inbox
                    .push_back((id, Event::StoreCommitted { seq: batch.seq }));
            }
            Effect::StoreScan { from } => {
                let pairs: Vec<_> = host
                    .disk
                    .store
                    .range(from.clone()..)
                    .filter(|(key, _)| from.is_empty() || **key != from)
                    .take(10)
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                let done = pairs.len() < 10;
                self.inbox.push_back((id, Event::StorePage { pairs, done }));
            }
            Effect::Halted { reason } => host.halted = Some(reason),
            Effect::Stopped => host.stopped = true,
            Effect::Ready => host.ready = true,
            Effect::Ledger(_) => panic!("these nodes have no ledger"),
            Effect::RoleChanged { .. } | Effect::MembershipChanged { .. } => {}
        }
    }
}

impl Disk {
    fn execute(&mut self, op: FileOp) -> FileResult {
        let at = |offset: u64| usize::try_from(offset).expect("small files");
        match op {
            FileOp::List => FileResult::Listed(
                self.files
                    .iter()
                    .map(|(name, data)| (*name, data.len() as u64))
                    .collect(),
            ),
            FileOp::Create { file, len } => {
                if self.files.contains_key(&file) {
                    return FileResult::Failed(FileError::Exists);
                }
                self.files.insert(file, vec![0; at(len)]);
                FileResult::Done
            }
            FileOp::Write { file, offset, data } => {
                let content = self.files.get_mut(&file).expect("written files exist");
                content[at(offset)..][..data.len()].copy_from_slice(&data);
                FileResult::Done
            }
            FileOp::Sync { .. } => FileResult::Done,
            FileOp::Read { file, offset, len } => {
                let content = self.files.get(&file).expect("read files exist");
                let end = at(offset + len).min(content.len());
                FileResult::Data(Bytes::copy_from_slice(&content[at(offset).min(end)..end]))
            }
            FileOp::Remove { file } => {
                self.files.remove(&file);
                FileResult::Done
            }
        }
    }

    fn store_op(&mut self, op: StoreOp) {
        match op {
            StoreOp::Put { key, value } => {
                self.store.insert(key, value);
            }
            StoreOp::Delete { key } => {
                self.store.remove(&key);
            }
            StoreOp::DeleteRange { from, to } => {
                self.store.retain(|key, _| *key < from || *key >= to);
            }
        }
    }
}
