//! The crate `openraft`, version 0.10: three nodes with an in-memory log and state
//! machine, and function calls for a network. Append requests are streamed, so
//! that several are in flight at once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::future::Future;
use std::io;
use std::ops::RangeBounds;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use openraft::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf, VoteOf};
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::impls::leader_id_std::LeaderId;
use openraft::impls::{BoxedErrorSource, InlineBatch, OneshotResponder};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, VoteRequest,
    VoteResponse,
};
use openraft::storage::{EntryResponder, IOFlushed, RaftLogStorage, RaftStateMachine};
use openraft::vote::RaftLeaderId;
use openraft::{
    Config, EntryPayload, LogState, OptionalSend, Raft, RaftLogReader, RaftNetworkFactory,
    RaftNetworkV2, RaftSnapshotBuilder, RaftTypeConfig, SnapshotPolicy, Vote,
};

use super::{Cluster, Open, Traffic, timeouts};
use crate::node::Settings;
use crate::workload::Sink;

/// One leader per term, as in the other contenders, and the cheapest responder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Types;

impl RaftTypeConfig for Types {
    type D = Command;
    type R = ();
    type NodeId = u64;
    type Node = ();
    type Term = u64;
    type LeaderId = LeaderId<u64, u64>;
    type Vote = Vote<Self::LeaderId>;
    type Payload = EntryPayload<Command, u64, ()>;
    type Entry = openraft::Entry<<Self::LeaderId as RaftLeaderId>::Committed, Self::Payload>;
    type AsyncRuntime = openraft::TokioRuntime;
    type Responder<T>
        = OneshotResponder<Self, T>
    where
        T: Send + 'static;
    type Batch<T>
        = InlineBatch<T>
    where
        T: Send + 'static;
    type ErrorSource = BoxedErrorSource;
}

type Entry = openraft::alias::EntryOf<Types>;
type Handle = Raft<Types, Machine>;

/// A command, with the traits that the crate asks for.
#[derive(Debug, Clone)]
pub struct Command(Bytes);

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// Three nodes of `openraft` 0.10.
#[derive(Clone)]
pub struct Group10 {
    leader: Handle,
    machines: [Machine; 3],
    traffic: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    messages: AtomicU64,
    syncs: AtomicU64,
}

impl Cluster for Group10 {
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
            enable_pre_vote: Some(true),
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

impl Open for Group10 {
    async fn write_all(&self, data: Vec<Bytes>) {
        let commands = data.into_iter().map(Command);
        let stream = self.leader.client_write_many(commands).await;
        let mut stream = stream.expect("the node runs");
        while let Some(written) = stream.try_next().await.expect("the node runs") {
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

fn lost(error: &(impl std::error::Error + 'static)) -> RPCError<Types> {
    RPCError::Unreachable(Unreachable::new(error))
}

impl RaftNetworkV2<Types> for Link {
    type SnapshotData = ();

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        self.traffic.messages.fetch_add(2, Relaxed);
        super::hop().await;
        let answer = self.to.append_entries(rpc).await;
        super::hop().await;
        answer.map_err(|error| lost(&error))
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _option: RPCOption,
    ) -> BoxFuture<'s, Result<Answers<'s>, RPCError<Types>>>
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
    {
        let traffic = self.traffic.clone();
        let input = input.then(move |request| {
            traffic.messages.fetch_add(2, Relaxed);
            async move {
                super::hop().await;
                request
            }
        });
        let answers = self.to.stream_append(input).then(|answer| async move {
            super::hop().await;
            answer.map_err(|error| lost(&error))
        });
        Box::pin(async move { Ok(Box::pin(answers) as Answers<'s>) })
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        _option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.to.vote(rpc).await.map_err(|error| lost(&error))
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types>,
        _option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.to.pre_vote(rpc).await.map_err(|error| lost(&error))
    }

    async fn full_snapshot(
        &mut self,
        _vote: VoteOf<Types>,
        _snapshot: SnapshotOf<Types, ()>,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        unreachable!("no node ever lags behind the logs that are kept")
    }
}

type Answers<'s> = BoxStream<'s, Result<StreamAppendResult<Types>, RPCError<Types>>>;

/// The log in memory.
#[derive(Clone)]
struct Log {
    shared: Arc<Mutex<Kept>>,
    traffic: Arc<Counters>,
}

#[derive(Default)]
struct Kept {
    vote: Option<VoteOf<Types>>,
    purged: Option<LogIdOf<Types>>,
    /// The index of the first entry.
    first: u64,
    entries: VecDeque<Entry>,
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + fmt::Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry>, io::Error> {
        let kept = self.shared.lock().expect("no panic");
        let end = kept.first + kept.entries.len() as u64;
        let (from, upto) = super::clamp(&range, kept.first, end);
        let (from, upto) = ((from - kept.first) as usize, (upto - kept.first) as usize);
        Ok(kept.entries.range(from..upto).cloned().collect())
    }

    async fn read_vote(&mut self) -> Result<Option<VoteOf<Types>>, io::Error> {
        Ok(self.shared.lock().expect("no panic").vote)
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
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

    async fn save_vote(&mut self, vote: &VoteOf<Types>) -> Result<(), io::Error> {
        self.traffic.syncs.fetch_add(1, Relaxed);
        self.shared.lock().expect("no panic").vote = Some(*vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.traffic.syncs.fetch_add(1, Relaxed);
        self.shared
            .lock()
            .expect("no panic")
            .entries
            .extend(entries);
        callback.io_completed(Ok(()));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<Types>>) -> Result<(), io::Error> {
        let mut kept = self.shared.lock().expect("no panic");
        let keep = last.map_or(0, |last| last.index + 1 - kept.first);
        kept.entries.truncate(keep as usize);
        Ok(())
    }

    async fn purge(&mut self, upto: LogIdOf<Types>) -> Result<(), io::Error> {
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
    applied: Option<LogIdOf<Types>>,
    membership: StoredMembershipOf<Types>,
}

impl RaftSnapshotBuilder<Types> for Machine {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<Types, ()>, io::Error> {
        let state = self.shared.lock().expect("no panic");
        let meta = SnapshotMetaOf::<Types> {
            last_log_id: state.applied,
            last_membership: state.membership.clone(),
        };
        Ok(SnapshotOf::<Types, ()> { meta, snapshot: () })
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = ();
    type SnapshotBuilder = Self;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogIdOf<Types>>, StoredMembershipOf<Types>), io::Error> {
        let state = self.shared.lock().expect("no panic");
        Ok((state.applied, state.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let mut state = self.shared.lock().expect("no panic");
            state.applied = Some(entry.log_id);
            match &entry.payload {
                EntryPayload::Normal(command) => state.sink.apply(&command.0),
                EntryPayload::Membership(membership) => {
                    state.membership =
                        StoredMembershipOf::<Types>::new(Some(entry.log_id), membership.clone());
                }
                EntryPayload::Blank => {}
            }
            drop(state);
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMetaOf<Types>,
        _snapshot: (),
    ) -> Result<(), io::Error> {
        unreachable!("no node ever lags behind the logs that are kept")
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf<Types, ()>>, io::Error> {
        Ok(None)
    }
}
