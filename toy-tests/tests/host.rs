//! The toy in nodes on the real host: files of a log on disk, threads, a network inside of
//! the process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use decube_core::bft::Height;
use decube_core::io::Volume;
use decube_core::ledger::{self, TxState};
use decube_core::node::{Config, Node, PartId, Response};
use decube_core::store::{Page, Store, StoreBatch};
use decube_core::toy::{Position, Request, Response as ToyResponse, View};
use decube_core::types::ClusterId;
use decube_io_real::data_dir::DataDir;
use decube_io_real::disk::{Directory, DiskThread};
use decube_io_real::host::{HostConfig, HostExit, NodeHandle, spawn};
use decube_io_real::network::InProcessHub;
use decube_io_real::ports::{Ports, SystemClock, VolumePorts};
use decube_io_real::store::{MemoryStore, StoreThread};
use decube_toy_tests::expect::Blocks;
use decube_toy_tests::nodes::Nodes;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A store that outlives its host, and can be made to fail.
#[derive(Debug, Clone, Default)]
struct Kept {
    pairs: Arc<Mutex<MemoryStore>>,
    fails: Arc<AtomicBool>,
}

impl Store for Kept {
    type Error = &'static str;

    fn commit(&mut self, batch: &StoreBatch) -> Result<(), Self::Error> {
        if self.fails.load(Ordering::SeqCst) {
            return Err("it was told to fail");
        }
        let mut pairs = self.pairs.lock().expect("nobody panics with it");
        pairs.commit(batch).map_err(|never| match never {})
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Self::Error> {
        let pairs = self.pairs.lock().expect("nobody panics with it");
        pairs.get(key).map_err(|never| match never {})
    }

    fn scan(&self, from: &[u8], to: Option<&[u8]>, bytes_max: usize) -> Result<Page, Self::Error> {
        let pairs = self.pairs.lock().expect("nobody panics with it");
        let page = pairs.scan(from, to, bytes_max);
        page.map_err(|never| match never {})
    }
}

type Stores = BTreeMap<Volume, Kept>;

fn volumes() -> [Volume; 2] {
    [Volume::Ledger, Volume::Toy]
}

/// Starts a node on a directory and the stores that go with it.
fn start(hub: &InProcessHub, config: Config, dir: &Path, stores: &Stores) -> NodeHandle {
    let data = DataDir::open(dir).expect("a directory");
    let attached = volumes().map(|volume| {
        let dirs = data.volume(volume).expect("folders of the volume");
        let files = Directory::open(&dirs.wal).expect("the folder is there");
        let (disk, disk_events) = DiskThread::start(files).expect("a thread");
        let store = stores[&volume].clone();
        let (store, store_events) = StoreThread::start(store).expect("a thread");
        let ports = VolumePorts {
            disk,
            disk_events,
            store,
            store_events,
            is_used: !dirs.is_empty,
        };
        (volume, ports)
    });
    // Each node is a cluster of its own: what they say to each other is said to all.
    let cluster = ClusterId(config.node.0);
    let (network, network_events) = hub.attach_in(config.node, cluster);
    let ports = Ports {
        network,
        network_events,
        volumes: attached.into(),
        clock: SystemClock,
    };
    let (handle, _) = spawn(HostConfig::default(), Node::new(config), ports, ());
    handle
}

async fn ask(handle: &NodeHandle, request: Request) -> ToyResponse {
    let asked = tokio::time::timeout(PATIENCE, handle.request(request));
    match asked.await.expect("in time").expect("it runs") {
        Response::Toy(response) => response,
        other => panic!("the toy was asked: {other:?}"),
    }
}

async fn read(handle: &NodeHandle) -> View {
    match ask(handle, Request::Read).await {
        ToyResponse::Read(view) => view,
        other => panic!("{other:?}"),
    }
}

async fn read_until(handle: &NodeHandle, holds: impl Fn(&View) -> bool) -> View {
    let found = async {
        loop {
            let view = read(handle).await;
            if holds(&view) {
                return view;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, found);
    found.await.expect("in time")
}

/// Hands a transaction in and waits until it is final; its height.
async fn note(handle: &NodeHandle, nodes: &Nodes, sequence: u64) -> Height {
    let request = ledger::Request::Submit {
        transaction: nodes.note(sequence),
        wait: true,
    };
    let answered = tokio::time::timeout(PATIENCE, handle.ledger(request)).await;
    match answered.expect("in time").expect("it runs") {
        ledger::Response::Transaction(TxState::Final(located)) => located.height,
        other => panic!("{other:?}"),
    }
}

/// What a toy must have at its height, from the blocks that clients of the ledger get.
async fn expected(handle: &NodeHandle, at: Position) -> Position {
    let mut blocks = Blocks::default();
    for height in 1..=at.height.0 {
        let height = Some(Height(height));
        let answered = handle.ledger(ledger::Request::Block { height }).await;
        let Ok(ledger::Response::Block(block)) = answered else {
            panic!("no block at {height:?}: {answered:?}");
        };
        blocks.note(block.height(), block.block.hash());
    }
    let position = blocks.position(Height(0), at.height);
    Position {
        sum: at.sum,
        ..position.expect("no block is missing")
    }
}

async fn serving(handle: &NodeHandle) {
    let mut status = handle.status();
    let both = status
        .wait_for(|status| status.is_serving(PartId::Ledger) && status.is_serving(PartId::Toy));
    let both = tokio::time::timeout(PATIENCE, both).await;
    both.expect("in time").expect("it runs");
}

#[tokio::test]
async fn clients_and_peers_reach_the_toy_of_a_host() {
    let nodes = Nodes::new(2);
    let hub = InProcessHub::new();
    let dirs = [0, 1].map(|_| tempfile::tempdir().expect("a folder"));
    let stores = [0, 1].map(|_| Stores::from(volumes().map(|one| (one, Kept::default()))));
    let start = |node: usize| start(&hub, nodes.config(node), dirs[node].path(), &stores[node]);
    let handles = [start(0), start(1)];
    for handle in &handles {
        serving(handle).await;
    }
    let mut followed = handles[1].stream(Request::Follow).expect("it runs");
    let mut tip = Height(0);
    for sequence in 0..12 {
        tip = note(&handles[0], &nodes, sequence).await;
    }
    let added = ask(&handles[1], Request::Add { number: 5 }).await;
    assert_eq!(added, ToyResponse::Added { sum: 5 });
    let [first, second] = [nodes.id(0), nodes.id(1)];
    let reaches = |view: &View, peer| {
        let told = view.peers.get(&peer).copied();
        view.position.height >= tip && told >= Some(tip)
    };
    // Blocks come when nobody asks for any, too, so both are synced up to here soon.
    let views = [
        read_until(&handles[0], |view| reaches(view, second)).await,
        read_until(&handles[1], |view| reaches(view, first)).await,
    ];
    for (view, handle) in views.iter().zip(&handles) {
        assert_eq!(view.position, expected(handle, view.position).await);
    }
    let next = tokio::time::timeout(PATIENCE, followed.next()).await;
    let next = next.expect("in time").expect("it goes on");
    assert!(
        matches!(next, Response::Toy(ToyResponse::At(_))),
        "{next:?}"
    );
    drop(followed);
    for handle in handles {
        assert_eq!(handle.shutdown().await, Some(HostExit::Stopped));
    }
    // What was there is there again, in the same place of the sequence.
    let again = start(1);
    serving(&again).await;
    let view = read(&again).await;
    assert!(view.position.height >= views[1].position.height && view.position.sum == 5);
    assert_eq!(view.position, expected(&again, view.position).await);
    assert_eq!(again.shutdown().await, Some(HostExit::Stopped));
    println!("host: 2 nodes, {} blocks, 3 ends", view.position.blocks);
}

#[tokio::test]
async fn a_toy_that_halts_leaves_the_ledger_going() {
    let nodes = Nodes::new(1);
    let hub = InProcessHub::new();
    let dir = tempfile::tempdir().expect("a folder");
    let stores = Stores::from(volumes().map(|volume| (volume, Kept::default())));
    let handle = start(&hub, nodes.config(0), dir.path(), &stores);
    serving(&handle).await;
    let before = note(&handle, &nodes, 0).await;
    // The toy has that block as well: what fails next is what it is asked, no block.
    let follows = async { while read(&handle).await.position.height < before {} };
    let has_followed = tokio::time::timeout(PATIENCE, follows).await;
    has_followed.expect("the toy follows");
    stores[&Volume::Toy].fails.store(true, Ordering::SeqCst);
    let added = ask(&handle, Request::Add { number: 1 }).await;
    assert_eq!(added, ToyResponse::Unknown, "it may be there or not");
    let status = handle.status().borrow().clone();
    let reason = status.halted(PartId::Toy).expect("it has halted");
    assert!(reason.contains("told to fail"), "{reason}");
    assert!(status.is_serving(PartId::Ledger) && status.exit.is_none());
    let read = ask(&handle, Request::Read).await;
    assert_eq!(read, ToyResponse::Unavailable);
    let mut after = before;
    for sequence in 1..4 {
        after = note(&handle, &nodes, sequence).await;
    }
    assert!(after > before, "blocks go on");
    assert_eq!(handle.shutdown().await, Some(HostExit::Stopped));
    println!("host: {} blocks without the toy", after.0 - before.0);
}
