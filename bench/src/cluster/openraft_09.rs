//! The crate `openraft`, version 0.9 (stable): as [`super::Group10`], with what
//! that version offers. It has one Append in flight per follower.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::ops::RangeBounds;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use openraft_09::error::{InstallSnapshotError, RPCError, RaftError, Unreachable};
use openraft_09::network::RPCOption;
use openraft_09::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use openraft_09::storage::{LogFlushed, RaftLogStorage, RaftStateMachine};
use openraft_09::{
    Config, Entry, EntryPayload, LogId, LogState, OptionalSend, Raft, RaftLogReader, RaftNetwork,
    RaftNetworkFactory, RaftSnapshotBuilder, Snapshot, SnapshotMeta, SnapshotPolicy, StorageError,
    StoredMembership, Vote,
};

use super::{Cluster, Open, Traffic, timeouts};
use crate::node::Settings;
use crate::workload::Sink;

openraft_09::declare_raft_types!(
    /// The types of the workload.
    pub Types:
        D = Command,
        R = (),
        Node = (),
        Entry = Entry<Types>,
        SnapshotData = std::io::Cursor<Vec<u8>>,
);

type Handle = Raft<Types>;
type Failure = StorageError<u64>;

/// A command, with the traits that the crate asks for.
#[derive(Debug, Clone)]
pub struct Command(Bytes);

/// Three nodes of `openraft` 0.9.
#[derive(Clone)]
pub struct Group09 {
    leader: Handle,
    machines: [Machine; 3],
    traffic: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    messages: AtomicU64,
    syncs: AtomicU64,
}

impl Cluster for Group09 {
    async fn start(settings: Settings) -> Self {
        let (election_timeout_min, election_timeout_max) = timeouts(settings.elections);
        let config = Config {
            heartbeat_interval: 100,
            election_timeout_min,
            election_timeout_max,
            max_payload_entries: 1024,
            replication_lag_threshold: 1 << 40,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(settings.cut_every),
            max_in_snapshot_log_to_keep: settings.trailing,
            purge_batch_size: settings.cut_every,
            ..Config::default()
        };
        let config = Arc::new(config.validate().expect("a valid configuration"));
        let router = Router::default();
        let machines: [Machine; 3] = std::array::from_fn(|_| Machine::default());
        let mut handles = BTreeMap::new();
        for (id, machine) in (0_u64..).zip(&machines) {
            let log = Log {
                shared: Arc::default(),
                traffic: router.traffic.clone(),
            };
            let (config, router) = (config.clone(), router.clone());
            let handle = Raft::new(id, config, router, log, machine.clone());
            handles.insert(id, handle.await.expect("a node starts"));
        }
        let traffic = router.traffic.clone();
        *router.handles.lock().expect("no panic") = handles.clone();
        let members: BTreeSet<u64> = handles.keys().copied().collect();
        let leader = handles[&0].clone();
        leader.initialize(members).await.expect("a new cluster");
        for handle in handles.values() {
            let wait = handle.wait(Some(Duration::from_secs(30)));
            let reached = wait.applied_index_at_least(Some(1), "elected").await;
            reached.expect("a leader is elected");
        }
        Self {
            leader,
            machines,
            traffic,
        }
    }

    async fn write(&self, data: Bytes) {
        let written = self.leader.client_write(Command(data)).await;
        written.expect("the leader stays");
    }

    async fn is_caught_up(&self, written: u64) -> bool {
        super::agree(self.sinks(), written)
    }
}

impl Open for Group09 {
    async fn write_all(&self, data: Vec<Bytes>) {
        let mut answers = Vec::with_capacity(data.len());
        for data in data {
            let answer = self.leader.client_write_ff(Command(data)).await;
            answers.push(answer.expect("the node runs"));
        }
        for answer in answers {
            let written = answer.await.expect("the node runs");
            written.expect("the leader stays");
        }
    }

    fn sinks(&self) -> [Sink; 3] {
        std::array::from_fn(|at| self.machines[at].shared.lock().expect("no panic").sink)
    }

    fn traffic(&self) -> Traffic {
        Traffic {
            messages: self.traffic.messages.load(Relaxed),
            syncs: self.traffic.syncs.load(Relaxed),
        }
    }
}

/// The network: the handles of all nodes.
#[derive(Clone, Default)]
struct Router {
    handles: Arc<Mutex<BTreeMap<u64, Handle>>>,
    traffic: Arc<Counters>,
}

/// The way to one node.
struct Link {
    to: Handle,
    traffic: Arc<Counters>,
}

impl RaftNetworkFactory<Types> for Router {
    type Network = Link;

    async fn new_client(&mut self, target: u64, _node: &()) -> Link {
        Link {
            to: self.handles.lock().expect("no panic")[&target].clone(),
            traffic: self.traffic.clone(),
        }
    }
}

type Lost<E = openraft_09::error::Infallible> = RPCError<u64, (), RaftError<u64, E>>;

impl RaftNetwork<Types> for Link {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Lost> {
        self.traffic.messages.fetch_add(2, Relaxed);
        super::hop().await;
        let answer = self.to.append_entries(rpc).await;
        super::hop().await;
        answer.map_err(|error| RPCError::Unreachable(Unreachable::new(&error)))
    }

    async fn install_snapshot(
        &mut self,
        _rpc: InstallSnapshotRequest<Types>,
        _option: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, Lost<InstallSnapshotError>> {
        unreachable!("no node ever lags behind the logs that are kept")
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<u64>,
        _option: RPCOption,
    ) -> Result<VoteResponse<u64>, Lost> {
        let answer = self.to.vote(rpc).await;
        answer.map_err(|error| RPCError::Unreachable(Unreachable::new(&error)))
    }
}

/// The log in memory.
#[derive(Clone)]
struct Log {
    shared: Arc<Mutex<Kept>>,
    traffic: Arc<Counters>,
}

#[derive(Default)]
struct Kept {
    vote: Option<Vote<u64>>,
    purged: Option<LogId<u64>>,
    /// The index of the first entry.
    first: u64,
    entries: VecDeque<Entry<Types>>,
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + fmt::Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry<Types>>, Failure> {
        let kept = self.shared.lock().expect("no panic");
        let end = kept.first + kept.entries.len() as u64;
        let (from, upto) = super::clamp(&range, kept.first, end);
        let (from, upto) = ((from - kept.first) as usize, (upto - kept.first) as usize);
        Ok(kept.entries.range(from..upto).cloned().collect())
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, Failure> {
        let kept = self.shared.lock().expect("no panic");
        Ok(LogState {
            last_purged_log_id: kept.purged,
            last_log_id: kept
                .entries
                .back()
                .map(|entry| entry.log_id)
                .or(kept.purged),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<(), Failure> {
        self.traffic.syncs.fetch_add(1, Relaxed);
        self.shared.lock().expect("no panic").vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>, Failure> {
        Ok(self.shared.lock().expect("no panic").vote)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Result<(), Failure>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.traffic.syncs.fetch_add(1, Relaxed);
        self.shared
            .lock()
            .expect("no panic")
            .entries
            .extend(entries);
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, from: LogId<u64>) -> Result<(), Failure> {
        let mut kept = self.shared.lock().expect("no panic");
        let keep = from.index - kept.first;
        kept.entries.truncate(keep as usize);
        Ok(())
    }

    async fn purge(&mut self, upto: LogId<u64>) -> Result<(), Failure> {
        let mut kept = self.shared.lock().expect("no panic");
        let count = (upto.index + 1).saturating_sub(kept.first) as usize;
        let count = count.min(kept.entries.len());
        kept.entries.drain(..count);
        kept.first = upto.index + 1;
        kept.purged = Some(upto);
        Ok(())
    }
}

/// The state machine.
#[derive(Clone, Default)]
pub struct Machine {
    shared: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    sink: Sink,
    applied: Option<LogId<u64>>,
    membership: StoredMembership<u64, ()>,
}

impl RaftSnapshotBuilder<Types> for Machine {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, Failure> {
        let state = self.shared.lock().expect("no panic");
        let meta = SnapshotMeta {
            last_log_id: state.applied,
            last_membership: state.membership.clone(),
            snapshot_id: state.sink.count.to_string(),
        };
        let snapshot = Box::default();
        Ok(Snapshot { meta, snapshot })
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotBuilder = Self;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogId<u64>>, StoredMembership<u64, ()>), Failure> {
        let state = self.shared.lock().expect("no panic");
        Ok((state.applied, state.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<()>, Failure>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut state = self.shared.lock().expect("no panic");
        let mut answers = Vec::new();
        for entry in entries {
            state.applied = Some(entry.log_id);
            match &entry.payload {
                EntryPayload::Normal(command) => state.sink.apply(&command.0),
                EntryPayload::Membership(membership) => {
                    state.membership =
                        StoredMembership::new(Some(entry.log_id), membership.clone());
                }
                EntryPayload::Blank => {}
            }
            answers.push(());
        }
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<std::io::Cursor<Vec<u8>>>, Failure> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMeta<u64, ()>,
        _snapshot: Box<std::io::Cursor<Vec<u8>>>,
    ) -> Result<(), Failure> {
        unreachable!("no node ever lags behind the logs that are kept")
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, Failure> {
        Ok(None)
    }
}
