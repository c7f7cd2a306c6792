//! Nodes that can be started, killed and started again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use decube_core::bft::Height;
use decube_core::cluster::{Config, Consistency, Request, Response, Status};
use decube_core::codec::Encode as _;
use decube_core::crypto::{P256Signer, SecretBytes, SecretKey, SharedSigner, Signer as _};
use decube_core::io::{FileOp, FileResult, Volume};
use decube_core::kv::{Condition, Found, Op, Query};
use decube_core::ledger::{
    self, AccountId, Genesis, Intent, Lane, Member, Name, Operation, Params, Sequence, TimeMs,
    TxState,
};
use decube_core::node::{self, Node, PartId};
use decube_core::raft::{Membership, Role};
use decube_core::replica::Command;
use decube_core::types::{ClusterId, NodeId};
use decube_io_real::data_dir::{DataDir, Marking, NodeKeys, VolumeDirs};
use decube_io_real::disk::{Directory, DiskThread, FileSystem};
use decube_io_real::host::{self, HostConfig, HostExit, NodeHandle};
use decube_io_real::inbox::NetworkInbox;
use decube_io_real::ports::{Network, Ports, SystemClock, VolumePorts};
use decube_io_real::store::{EmbeddedStore, StoreThread};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// Long enough for any machine; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the nodes of a test reach each other.
pub trait Fabric {
    type Network: Network;

    /// Attaches a node that starts.
    fn attach(&mut self, keys: &NodeKeys) -> (Self::Network, NetworkInbox);
}

pub struct Cluster<F> {
    pub fabric: F,
    members: Membership,
    genesis: Arc<Genesis>,
    /// Of the one account that writes to the ledger.
    next: Sequence,
    nodes: BTreeMap<NodeId, Place>,
    /// Processes that have begun.
    starts: u64,
    _root: TempDir,
}

struct Place {
    path: PathBuf,
    keys: NodeKeys,
    running: Option<Running>,
}

struct Running {
    handle: NodeHandle,
    task: JoinHandle<HostExit>,
    /// Held by the disk threads as long as they run.
    disk: Arc<()>,
    /// Where the stores are.
    stores: Vec<PathBuf>,
    _data: DataDir,
}

/// Tells by its reference count when the disk thread is gone.
struct Tracked(Directory, #[expect(dead_code, reason = "counts")] Arc<()>);

impl FileSystem for Tracked {
    fn perform(&mut self, op: FileOp) -> FileResult {
        self.0.perform(op)
    }
}

/// The ledger of nodes that all vote.
fn genesis(keys: &[NodeKeys]) -> Genesis {
    let member = |keys: &NodeKeys| {
        let key = keys.identity.public_key();
        Member::new(keys.node_id(), key, ClusterId::from_name("test"), 1)
    };
    Genesis {
        name: "test".into(),
        time: TimeMs(1),
        params: Params::default(),
        members: keys.iter().map(member).collect(),
    }
}

/// Opens log and store of a volume.
fn attach(dirs: &VolumeDirs, disk: &Arc<()>) -> VolumePorts<DiskThread, StoreThread> {
    let directory = Tracked(Directory::open(&dirs.wal).unwrap(), disk.clone());
    let (disk, disk_events) = DiskThread::start(Marking::new(directory, dirs)).unwrap();
    let store = EmbeddedStore::open(&dirs.store).unwrap();
    let (store, store_events) = StoreThread::start(store).unwrap();
    VolumePorts {
        disk,
        disk_events,
        store,
        store_events,
        is_used: dirs.is_used,
    }
}

impl<F: Fabric> Cluster<F> {
    /// A cluster of so many nodes that do not run yet.
    pub fn new(count: usize, fabric: impl FnOnce(&[NodeKeys]) -> F) -> Self {
        Self::on(TempDir::new().unwrap(), count, fabric)
    }

    /// A cluster of so many nodes in the directories `0`, `1` and so on.
    pub fn on(root: TempDir, count: usize, fabric: impl FnOnce(&[NodeKeys]) -> F) -> Self {
        let mut nodes = BTreeMap::new();
        for number in 0..count {
            let path = root.path().join(number.to_string());
            let keys = DataDir::open(&path).unwrap().keys().unwrap();
            let running = None;
            nodes.insert(
                keys.node_id(),
                Place {
                    path,
                    keys,
                    running,
                },
            );
        }
        let members = Membership {
            voters: nodes.keys().copied().collect(),
            ..Membership::default()
        };
        let keys: Vec<NodeKeys> = nodes.values().map(|place| place.keys.clone()).collect();
        Self {
            fabric: fabric(&keys),
            members,
            genesis: Arc::new(genesis(&keys)),
            next: Sequence(0),
            starts: 0,
            nodes,
            _root: root,
        }
    }

    pub fn ids(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }

    pub fn path(&self, id: NodeId) -> &Path {
        &self.nodes[&id].path
    }

    pub fn handle(&self, id: NodeId) -> NodeHandle {
        self.nodes[&id].running.as_ref().unwrap().handle.clone()
    }

    pub fn start_all(&mut self) {
        for id in self.ids() {
            self.start(id);
        }
    }

    /// Starts a node on what its directory holds.
    pub fn start(&mut self, id: NodeId) {
        let place = self.nodes.get_mut(&id).unwrap();
        assert!(place.running.is_none(), "it runs already");
        let data = DataDir::open(&place.path).unwrap();
        assert_eq!(data.keys().unwrap().node_id(), id, "a node keeps its name");
        let disk = Arc::new(());
        let (network, network_events) = self.fabric.attach(&place.keys);
        let dirs = Volume::ALL.map(|volume| (volume, data.volume(volume).unwrap()));
        let stores = dirs.iter().map(|(_, dirs)| dirs.store.clone()).collect();
        let volumes = dirs.map(|(volume, dirs)| (volume, attach(&dirs, &disk)));
        let ports = Ports {
            network,
            network_events,
            volumes: volumes.into(),
            clock: SystemClock,
        };
        let cluster = ClusterId::from_name("test");
        self.starts += 1;
        let mut config = Config::new(id, cluster, self.members.clone(), self.starts);
        config.wal_segment_bytes = 1 << 20;
        let host = HostConfig {
            // The last nodes of a cluster have nobody to hand leadership to.
            shutdown_timeout: Duration::from_secs(2),
            ..HostConfig::default()
        };
        let mut ledger = ledger::Config::new(id, self.genesis.clone());
        ledger.signer = Some(SharedSigner::new(P256Signer::new(&place.keys.identity)));
        ledger.peers = self.members.voters.clone();
        ledger.wal_segment_bytes = 1 << 20;
        let node = Node::new(node::Config::of_cluster(config).with_ledger(ledger));
        let (handle, task) = host::spawn(host, node, ports, ());
        place.running = Some(Running {
            handle,
            task,
            disk,
            stores,
            _data: data,
        });
    }

    /// Kills a node: nothing is flushed, nobody is told.
    pub async fn kill(&mut self, id: NodeId) {
        let running = self.nodes.get_mut(&id).unwrap().running.take().unwrap();
        running.task.abort();
        assert!(running.task.await.unwrap_err().is_cancelled());
        // A killed process has no threads; here they must be waited for.
        patiently("the disk threads end", async || {
            Arc::strong_count(&running.disk) == 1
        })
        .await;
        patiently("the stores are released", async || {
            let is_free = |store: &PathBuf| EmbeddedStore::open(store).is_ok();
            running.stores.iter().all(is_free)
        })
        .await;
    }

    /// Stops a node gracefully.
    pub async fn stop(&mut self, id: NodeId) -> HostExit {
        let running = self.nodes.get_mut(&id).unwrap().running.take().unwrap();
        let told = running.handle.shutdown().await;
        let exit = running.task.await.unwrap();
        assert_eq!(told.as_ref(), Some(&exit));
        assert_eq!(
            Arc::strong_count(&running.disk),
            1,
            "the disk threads are gone"
        );
        exit
    }

    /// Waits until a running node leads and another one knows it.
    pub async fn leader(&self) -> NodeId {
        let mut found = None;
        patiently("a leader is elected", async || {
            let mut statuses = Vec::new();
            for place in self.nodes.values() {
                statuses.extend(status(place).await);
            }
            let is_leader = |status: &&Status| {
                let believes =
                    |one: &&Status| one.leader == Some(status.node) && one.term == status.term;
                status.role == Role::Leader && statuses.iter().filter(believes).count() > 1
            };
            found = statuses.iter().find(is_leader).map(|status| status.node);
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    /// Writes through a node until it is confirmed.
    pub async fn put(&self, id: NodeId, key: &str, value: &str) {
        let handle = self.handle(id);
        let op = Op::Put {
            key: Bytes::copy_from_slice(key.as_bytes()),
            value: Bytes::copy_from_slice(value.as_bytes()),
            condition: Condition::Always,
            lease: None,
        };
        patiently("a write is committed", async || {
            let request = Request::Write(Command::Once { op: op.clone() });
            matches!(
                handle.cluster(request).await.unwrap(),
                Response::Written { .. }
            )
        })
        .await;
    }

    /// So many notes are on the ledger already.
    pub fn skip_notes(&mut self, count: u64) {
        self.next = Sequence(count);
    }

    /// Writes to the ledger through a node until that is final.
    pub async fn note(&mut self, id: NodeId, text: &str) {
        let secret = SecretKey::from_entropy(&SecretBytes::new([7; 32]));
        let signer = P256Signer::new(&secret);
        let intent = Intent {
            chain: self.genesis.chain(),
            account: AccountId::of(signer.public_key()),
            lane: Lane(0),
            sequence: self.next,
            valid_until: Height(1_000),
            operations: vec![Operation::Data {
                kind: Name::new("test").unwrap(),
                payload: Bytes::copy_from_slice(text.as_bytes()),
            }],
        };
        self.next = Sequence(self.next.0 + 1);
        let transaction = intent.sign(&signer).to_bytes();
        let handle = self.handle(id);
        patiently("a note is final", async || {
            let transaction = transaction.clone();
            let wait = true;
            let request = ledger::Request::Submit { transaction, wait };
            let response = handle.ledger(request).await.unwrap();
            matches!(response, ledger::Response::Transaction(TxState::Final(_)))
        })
        .await;
    }

    /// Reads through a node what every confirmed write has left.
    pub async fn get(&self, id: NodeId, key: &str) -> Option<Bytes> {
        let handle = self.handle(id);
        let key = Bytes::copy_from_slice(key.as_bytes());
        let mut value = None;
        patiently("a read is answered", async || {
            let request = Request::Read {
                query: Query::Get { key: key.clone() },
                consistency: Consistency::Linearizable,
            };
            let Response::Read(answer) = handle.cluster(request).await.unwrap() else {
                return false;
            };
            let Found::One(pair) = answer.found else {
                panic!("not the answer to a get");
            };
            value = pair.map(|pair| pair.value);
            true
        })
        .await;
        value
    }
}

/// What a running node that has recovered says of itself.
async fn status(place: &Place) -> Option<Status> {
    let running = place.running.as_ref()?;
    let serves = running.handle.status().borrow().is_serving(PartId::Cluster);
    if !serves {
        return None;
    }
    match running.handle.cluster(Request::Status).await {
        Ok(Response::Status(status)) => Some(*status),
        _ => None,
    }
}

/// Asks again and again until it is so.
pub async fn patiently(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let asked = tokio::time::timeout(PATIENCE, asking).await;
    asked.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}
