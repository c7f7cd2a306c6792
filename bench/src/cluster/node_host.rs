//! The product itself, disk and sockets left out: `decube_core::node::Node` under the
//! host of `io-real`, with its write-ahead log in memory, its in-process network
//! (which carries encoded bytes) and its in-memory store. It does more than the
//! others: every command is a key-value write, encoded, framed, checksummed,
//! applied to the replicated state and written to the store behind it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use decube_core::cluster::{Config, Request, Response};
use decube_core::io::{FileName, FileOp, FileOpId, FileResult, Read, Volume};
use decube_core::kv::{Condition, Op};
use decube_core::node::{self, Node};
use decube_core::raft::{Membership, Role};
use decube_core::replica::Command;
use decube_core::store::{Store as _, StoreBatch};
use decube_core::types::{ClusterId, NodeId};
use decube_io_real::host::{self, HostConfig, NodeHandle};
use decube_io_real::network::InProcessHub;
use decube_io_real::ports::{
    Disk, DiskEvent, Ports, StoreEvent, StoreQueue, SystemClock, VolumePorts,
};
use decube_io_real::store::MemoryStore;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::Cluster;
use crate::node::{NODES, Settings};

/// Keys that the writes go round.
const KEYS: u64 = 1000;

/// Three whole nodes.
#[derive(Clone)]
pub struct WholeNode {
    leader: NodeHandle,
    nodes: Arc<[NodeHandle]>,
    next_key: Arc<AtomicU64>,
}

impl Cluster for WholeNode {
    async fn start(settings: Settings) -> Self {
        let hub = InProcessHub::new();
        let ids: Vec<NodeId> = (1..=NODES as u128).map(NodeId).collect();
        let members = Membership {
            voters: ids.clone(),
            ..Membership::default()
        };
        let mut nodes = Vec::new();
        for id in ids {
            let (network, network_events) = hub.attach(id);
            let (disk_sender, disk_events) = unbounded_channel();
            let (store_sender, store_events) = unbounded_channel();
            let volume = VolumePorts {
                disk: MemoryDisk {
                    files: BTreeMap::new(),
                    events: disk_sender,
                },
                disk_events,
                store: MemoryQueue {
                    store: MemoryStore::default(),
                    events: store_sender,
                },
                store_events,
                is_used: false,
            };
            let ports = Ports {
                network,
                network_events,
                volumes: BTreeMap::from([(Volume::Cluster, volume)]),
                clock: SystemClock,
            };
            let cluster = ClusterId::from_name("bench");
            let mut config = Config::new(id, cluster, members.clone(), 7);
            config.log_trailing_entries = settings.trailing.min(config.log_trailing_entries);
            let node = Node::new(node::Config::of_cluster(config));
            let (handle, _task) = host::spawn(HostConfig::default(), node, ports, ());
            nodes.push(handle);
        }
        let leader = elected(&nodes).await;
        Self {
            leader,
            nodes: nodes.into(),
            next_key: Arc::default(),
        }
    }

    async fn write(&self, data: Bytes) {
        let number = self.next_key.fetch_add(1, Relaxed) % KEYS;
        let op = Op::Put {
            key: Bytes::copy_from_slice(&number.to_be_bytes()),
            value: data,
            condition: Condition::Always,
            lease: None,
        };
        loop {
            let request = Request::Write(Command::Once { op: op.clone() });
            match self.leader.cluster(request).await.expect("the host runs") {
                Response::Written { .. } => return,
                // The queue of requests is bounded, as it is in production.
                Response::Refused(_) => tokio::task::yield_now().await,
                other => panic!("a write ended as {other:?}"),
            }
        }
    }

    async fn is_caught_up(&self, _written: u64) -> bool {
        let mut states = Vec::new();
        for node in self.nodes.iter() {
            match node.cluster(Request::Status).await.expect("the host runs") {
                Response::Status(status) => states.push((status.applied, status.revision)),
                other => panic!("a status ended as {other:?}"),
            }
        }
        states.windows(2).all(|pair| pair[0] == pair[1])
    }
}

/// Waits for a leader that serves.
async fn elected(nodes: &[NodeHandle]) -> NodeHandle {
    loop {
        for node in nodes {
            if let Response::Status(status) =
                node.cluster(Request::Status).await.expect("the host runs")
                && status.role == Role::Leader
            {
                return node.clone();
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Files in memory: every operation is complete and durable at once.
struct MemoryDisk {
    files: BTreeMap<FileName, Vec<u8>>,
    events: UnboundedSender<DiskEvent>,
}

impl MemoryDisk {
    fn perform(&mut self, op: FileOp) -> FileResult {
        match op {
            FileOp::List => {
                let files = self.files.iter();
                let list = files.map(|(name, data)| (*name, data.len() as u64));
                return FileResult::Listed(list.collect());
            }
            FileOp::Create { file, len } => {
                self.files.insert(file, vec![0; len as usize]);
            }
            FileOp::Write { file, offset, data } => {
                let content = self.files.get_mut(&file).expect("a known file");
                content[offset as usize..][..data.len()].copy_from_slice(&data);
            }
            FileOp::Sync { .. } => {}
            FileOp::Read { file, offset, len } => {
                let content = &self.files[&file];
                let upto = content.len().min((offset + len) as usize);
                let data = Bytes::copy_from_slice(&content[offset as usize..upto]);
                return FileResult::Data(data);
            }
            FileOp::Remove { file } => {
                self.files.remove(&file);
            }
        }
        FileResult::Done
    }
}

impl Disk for MemoryDisk {
    fn submit(&mut self, id: FileOpId, op: FileOp) {
        let result = self.perform(op);
        // A host that is gone needs no answers.
        let _ = self.events.send(DiskEvent {
            id,
            result,
            said: None,
        });
    }

    async fn close(self) {}
}

/// The store without its thread.
struct MemoryQueue {
    store: MemoryStore,
    events: UnboundedSender<StoreEvent>,
}

impl StoreQueue for MemoryQueue {
    fn commit(&mut self, batch: StoreBatch) {
        let Ok(()) = self.store.commit(&batch);
        let _ = self.events.send(StoreEvent::Committed(batch.seq));
    }

    fn read(&mut self, read: Read) {
        let Read {
            id,
            from,
            to,
            bytes_max,
        } = read;
        let Ok(page) = self.store.scan(&from, to.as_deref(), bytes_max);
        let _ = self.events.send(StoreEvent::Read { id, page });
    }

    async fn close(self) {}
}
