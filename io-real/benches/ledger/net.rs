//! Four nodes of one ledger, each a cluster of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use decube_core::cluster;
use decube_core::crypto::{
    ChainId, P256Signer, PublicKey, SharedSigner, SharedVerifier, Signature, Verifier, VerifyError,
};
use decube_core::io::{FileOp, FileOpId, FileResult, Read, Volume};
use decube_core::ledger::{self, Genesis, Member, Params, TimeMs};
use decube_core::node::{Config, Node, PartId};
use decube_core::raft::Membership;
use decube_core::store::{Page, StoreBatch};
use decube_core::types::{ClusterId, NodeId, Span};
use decube_io_real::data_dir::{DataDir, NodeKeys};
use decube_io_real::disk::{Directory, DiskThread};
use decube_io_real::host::{self, HostConfig, NodeHandle};
use decube_io_real::inbox::NetworkInbox;
use decube_io_real::network::InProcessHub;
use decube_io_real::network::libp2p::{Libp2pConfig, start};
use decube_io_real::ports::{
    Disk, DiskEvent, Network, Ports, StoreEvent, StoreQueue, SystemClock, VolumePorts,
};
use decube_io_real::store::{EmbeddedStore, StoreThread};
use decube_io_real::verifier::FastVerifier;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};

/// Validators.
const COUNT: usize = 4;

/// A ledger that runs.
pub struct Nodes {
    /// The ledger.
    pub chain: ChainId,
    /// The nodes that clients speak to.
    pub handles: Vec<NodeHandle>,
    peers: Option<(oneshot::Sender<()>, std::thread::JoinHandle<()>)>,
    _root: TempDir,
}

/// A device with what it tells.
type Opened<T, E> = (T, mpsc::UnboundedReceiver<E>);

/// The devices of a volume.
type Devices<D, S> = (Opened<D, DiskEvent>, Opened<S, StoreEvent>);

/// What all nodes are given.
struct Plan {
    root: TempDir,
    keys: Vec<NodeKeys>,
    genesis: Arc<Genesis>,
}

impl Plan {
    fn new() -> Self {
        // On the disk that the build is on: a file system in memory syncs nothing.
        let root = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let keys: Vec<NodeKeys> = (0..COUNT)
            .map(|number| {
                let data = DataDir::open(&root.path().join(number.to_string())).unwrap();
                data.keys().unwrap()
            })
            .collect();
        let member = |keys: &NodeKeys| {
            let key = keys.identity.public_key();
            Member::new(keys.node_id(), key, cluster(keys.node_id()), 1)
        };
        let mut params = Params::default();
        // All accounts begin at once.
        params.set(ledger::Param::NewAccounts, 8_000).unwrap();
        let genesis = Genesis {
            name: "bench".into(),
            time: TimeMs(1),
            params,
            members: keys.iter().map(member).collect(),
        };
        Self {
            root,
            keys,
            genesis: Arc::new(genesis),
        }
    }

    fn ids(&self) -> BTreeSet<NodeId> {
        self.keys.iter().map(NodeKeys::node_id).collect()
    }

    fn config(&self, number: usize, verifier: SharedVerifier) -> Config {
        let keys = &self.keys[number];
        let id = keys.node_id();
        let alone = Membership {
            voters: vec![id],
            ..Membership::default()
        };
        let signer = SharedSigner::new(P256Signer::new(&keys.identity));
        let mut ledger = ledger::Config::new(id, self.genesis.clone());
        ledger.signer = Some(signer.clone());
        ledger.verifier = verifier;
        ledger.wait_timeout = Span::from_secs(120);
        ledger.peers = self.ids().into_iter().collect();
        let mut config = cluster::Config::new(id, cluster(id), alone, 1);
        config.signer = Some(signer);
        Config::of_cluster(config).with_ledger(ledger)
    }

    /// Starts a node as the product does.
    fn start<N: Network>(
        &self,
        number: usize,
        network: N,
        network_events: NetworkInbox,
    ) -> NodeHandle {
        let data = DataDir::open(&self.root.path().join(number.to_string())).unwrap();
        let config = self.config(number, SharedVerifier::new(FastVerifier));
        let volumes = Volume::ALL.map(|volume| {
            let dirs = data.volume(volume).unwrap();
            (volume, (disk(&dirs.wal), store(&dirs.store)))
        });
        self.spawn(config, (network, network_events), volumes)
    }

    /// Starts a node that checks no signatures and has no disk.
    fn simulate(&self, number: usize, hub: &InProcessHub) -> NodeHandle {
        let config = self.config(number, SharedVerifier::new(Trusting));
        let network = hub.attach_in(config.node, cluster(config.node));
        let volumes = Volume::ALL.map(|volume| (volume, (NoDisk::new(), NoStore::new())));
        self.spawn(config, network, volumes)
    }

    /// Starts a node on these volumes.
    fn spawn<N: Network, D: Disk, S: StoreQueue>(
        &self,
        config: Config,
        (network, network_events): (N, NetworkInbox),
        volumes: [(Volume, Devices<D, S>); Volume::ALL.len()],
    ) -> NodeHandle {
        let attach = |((disk, disk_events), (store, store_events))| VolumePorts {
            disk,
            disk_events,
            store,
            store_events,
            is_used: false,
        };
        let volumes = volumes.map(|(volume, opened)| (volume, attach(opened)));
        let ports = Ports {
            network,
            network_events,
            volumes: BTreeMap::from(volumes),
            clock: SystemClock,
        };
        host::spawn(HostConfig::default(), Node::new(config), ports, ()).0
    }

    fn into_nodes(
        self,
        handles: Vec<NodeHandle>,
        peers: Option<(oneshot::Sender<()>, std::thread::JoinHandle<()>)>,
    ) -> Nodes {
        Nodes {
            chain: self.genesis.chain(),
            handles,
            peers,
            _root: self.root,
        }
    }
}

/// One real node on this runtime; the others on a thread named `peers`.
pub fn with_simulated_peers(runtime: &Runtime) -> Nodes {
    let plan = Arc::new(Plan::new());
    let hub = InProcessHub::new();
    let (stop, stopped) = oneshot::channel();
    let (shared, peers_hub) = (plan.clone(), hub.clone());
    let work = move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let nodes = (1..COUNT).map(|number| shared.simulate(number, &peers_hub));
            let _nodes: Vec<NodeHandle> = nodes.collect();
            drop(shared);
            // Ends when the one who started it says so, or is gone.
            let _ = stopped.await;
        });
    };
    let thread = std::thread::Builder::new().name("peers".into());
    let thread = thread.spawn(work).unwrap();
    let handle = runtime.block_on(async {
        let id = plan.keys[0].node_id();
        let (network, events) = hub.attach_in(id, cluster(id));
        let handle = plan.start(0, network, events);
        ready(&handle).await;
        handle
    });
    let plan = loop {
        // The thread lets go of it as soon as its nodes run.
        match Arc::strong_count(&plan) {
            1 => break Arc::into_inner(plan).unwrap(),
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    plan.into_nodes(vec![handle], Some((stop, thread)))
}

/// Four real nodes that speak over the loopback device.
pub async fn over_loopback() -> Nodes {
    let plan = Plan::new();
    // Bound together, so that the ports differ; free again when dropped.
    let any = (Ipv4Addr::LOCALHOST, 0);
    let free: Vec<TcpListener> = (0..COUNT)
        .map(|_| TcpListener::bind(any).unwrap())
        .collect();
    let addresses = free.iter().map(|listener| listener.local_addr().unwrap());
    let ids = plan.keys.iter().map(NodeKeys::node_id);
    let addresses: BTreeMap<NodeId, SocketAddr> = ids.zip(addresses).collect();
    drop(free);
    let mut handles = Vec::new();
    for number in 0..COUNT {
        let id = plan.keys[number].node_id();
        let others = addresses.iter().filter(|(other, _)| **other != id);
        let config = Libp2pConfig {
            cluster: cluster(id),
            listen: vec![addresses[&id]],
            addresses: others.map(|(id, at)| (*id, vec![(*at).into()])).collect(),
            foreign: addresses
                .keys()
                .copied()
                .filter(|other| *other != id)
                .collect(),
        };
        let verifier = Arc::new(FastVerifier);
        let (network, events, _) = start(config, &plan.keys[number], verifier, ()).unwrap();
        handles.push(plan.start(number, network, events));
    }
    for handle in &handles {
        ready(handle).await;
    }
    plan.into_nodes(handles, None)
}

impl Nodes {
    /// Stops everything.
    pub fn stop(self, runtime: Runtime) {
        runtime.block_on(async {
            for handle in &self.handles {
                handle.shutdown().await;
            }
        });
        if let Some((stop, thread)) = self.peers {
            let _ = stop.send(());
            thread.join().unwrap();
        }
        runtime.shutdown_timeout(Duration::from_secs(5));
    }
}

async fn ready(handle: &NodeHandle) {
    let mut status = handle.status();
    let wait = status.wait_for(|status| status.is_serving(PartId::Ledger));
    let waited = tokio::time::timeout(Duration::from_secs(60), wait).await;
    waited.expect("the ledger is ready in a minute").unwrap();
}

fn cluster(node: NodeId) -> ClusterId {
    ClusterId::from_name(&node.to_string())
}

fn disk(path: &Path) -> (DiskThread, mpsc::UnboundedReceiver<DiskEvent>) {
    DiskThread::start(Directory::open(path).unwrap()).unwrap()
}

fn store(path: &Path) -> (StoreThread, mpsc::UnboundedReceiver<StoreEvent>) {
    StoreThread::start(EmbeddedStore::open(path).unwrap()).unwrap()
}

/// Believes everything. For the peers that are not measured.
struct Trusting;

impl Verifier for Trusting {
    fn verify_bytes(&self, _: &PublicKey, _: &[u8], _: &Signature) -> Result<(), VerifyError> {
        Ok(())
    }
}

/// Says that everything is written.
struct NoDisk(mpsc::UnboundedSender<DiskEvent>);

impl NoDisk {
    fn new() -> (Self, mpsc::UnboundedReceiver<DiskEvent>) {
        let (events, receiver) = mpsc::unbounded_channel();
        (Self(events), receiver)
    }
}

impl Disk for NoDisk {
    fn submit(&mut self, id: FileOpId, op: FileOp) {
        let result = match op {
            FileOp::List => FileResult::Listed(Vec::new()),
            FileOp::Read { .. } => FileResult::Data(Bytes::new()),
            FileOp::Create { .. }
            | FileOp::Write { .. }
            | FileOp::Sync { .. }
            | FileOp::Remove { .. } => FileResult::Done,
        };
        let _ = self.0.send(DiskEvent {
            id,
            result,
            said: None,
        });
    }

    async fn close(self) {}
}

/// Takes everything and holds nothing.
struct NoStore(mpsc::UnboundedSender<StoreEvent>);

impl NoStore {
    fn new() -> (Self, mpsc::UnboundedReceiver<StoreEvent>) {
        let (events, receiver) = mpsc::unbounded_channel();
        (Self(events), receiver)
    }
}

impl StoreQueue for NoStore {
    fn commit(&mut self, batch: StoreBatch) {
        let _ = self.0.send(StoreEvent::Committed(batch.seq));
    }

    fn read(&mut self, read: Read) {
        let (id, page) = (read.id, Page::NONE);
        let _ = self.0.send(StoreEvent::Read { id, page });
    }

    async fn close(self) {}
}
