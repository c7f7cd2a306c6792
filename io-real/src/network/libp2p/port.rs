//! The network port, and how it is started.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use decube_core::crypto::{NodeCert, P256Signer, PublicKey, TransportKey, Verifier};
use decube_core::limits::MESSAGE_BYTES_MAX;
use decube_core::node::PartId;
use decube_core::types::{ClusterId, NodeId};
use libp2p::identity::Keypair;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::address::PeerAddress;
use super::blob::{self, BlobClient, BlobService};
use super::link::{Link, Together};
use super::shared::{NetworkCounters, Shared, bump};
use super::swarm::{Command, SwarmTask};
use super::{BLOB_PROTOCOL, EVENTS_MAX, PEER_PROTOCOL, inbound};
use crate::data_dir::NodeKeys;
use crate::inbox::{NetworkInbox, network_inbox};
use crate::ports::{Dropped, Network, NetworkEvent};

/// Commands that wait for the swarm.
const COMMANDS_MAX: usize = 256;
/// The first generation of transport keys; see [`NodeCert::generation`].
const GENERATION: u64 = 1;

/// What the transport needs to know.
#[derive(Debug, Clone)]
pub struct Libp2pConfig {
    pub cluster: ClusterId,
    /// Where to listen; port 0 takes any free port.
    pub listen: Vec<SocketAddr>,
    /// Where peers can be reached. These nodes are let in even before the
    /// membership names them, so that a new node can join.
    pub addresses: BTreeMap<NodeId, Vec<PeerAddress>>,
    /// Nodes of other clusters, which show certificates of theirs. What they may say
    /// is the machine's business.
    pub foreign: BTreeSet<NodeId>,
}

/// Why the transport cannot start.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        address: SocketAddr,
        /// What the system said.
        reason: String,
    },
    /// The transport key cannot be used.
    #[error("the transport key cannot be used: {0}")]
    Keys(String),
}

/// The network port of a host.
pub struct Libp2p {
    shared: Arc<Shared>,
    control: libp2p_stream::Control,
    /// A stream for each part of each peer, so that what a part of the peer does not take
    /// holds back that part alone.
    links: BTreeMap<(NodeId, PartId), Link>,
    tasks: Vec<JoinHandle<()>>,
}

/// What others than the host can ask of the transport. Cheap to clone.
#[derive(Clone)]
pub struct Libp2pControl {
    shared: Arc<Shared>,
    control: libp2p_stream::Control,
    listening: watch::Receiver<Vec<SocketAddr>>,
}

/// Starts the transport on the current runtime. The receiver is the host's.
pub fn start(
    config: Libp2pConfig,
    keys: &NodeKeys,
    verifier: Arc<dyn Verifier + Send + Sync>,
    blobs: impl BlobService,
) -> Result<(Libp2p, NetworkInbox, Libp2pControl), NetworkError> {
    let keypair = Keypair::ed25519_from_bytes(*keys.transport.as_bytes())
        .map_err(|error| NetworkError::Keys(error.to_string()))?;
    let transport_key = keypair
        .public()
        .try_into_ed25519()
        .map(|key| TransportKey(key.to_bytes()))
        .expect("the key was made as an Ed25519 key");
    let signer = P256Signer::new(&keys.identity);
    let cert = NodeCert::issue(&signer, config.cluster, transport_key, GENERATION);

    let (events, events_rx) = network_inbox(EVENTS_MAX);
    let (commands, commands_rx) = mpsc::channel(COMMANDS_MAX);
    let (listening_tx, listening) = watch::channel(Vec::new());
    let shared = Arc::new(Shared::new(
        cert,
        verifier,
        config.addresses,
        config.foreign,
        events,
        commands,
    ));
    let swarm = SwarmTask::new(keypair, &config.listen, commands_rx, listening_tx)?;
    let mut control = swarm.control();
    let own = "a protocol of a new swarm is free";
    let peers = control.accept(PEER_PROTOCOL).expect(own);
    let transfers = control.accept(BLOB_PROTOCOL).expect(own);
    let tasks = vec![
        tokio::spawn(swarm.run()),
        tokio::spawn(inbound::serve(shared.clone(), peers)),
        tokio::spawn(blob::serve(shared.clone(), transfers, Arc::new(blobs))),
    ];
    let network = Libp2p {
        shared: shared.clone(),
        control: control.clone(),
        links: BTreeMap::new(),
        tasks,
    };
    let control = Libp2pControl {
        shared,
        control,
        listening,
    };
    Ok((network, events_rx, control))
}

impl Libp2p {
    /// Reaches for the parts of a peer that this node's parts may speak to.
    fn reach_for(&mut self, node: NodeId) {
        let peer = self.shared.peer(node);
        let parts = PartId::ALL.into_iter();
        let parts: Vec<_> = parts
            .filter(|part| part.scope().admits(peer.scope))
            .collect();
        let together = Together::of(parts.len());
        for (place, part) in parts.into_iter().enumerate() {
            let shared = self.shared.clone();
            let control = self.control.clone();
            let link = Link::start(peer, place == 0, together.clone(), shared, control);
            self.links.insert((node, part), link);
        }
    }
}

impl Network for Libp2p {
    fn send(&mut self, to: NodeId, message: Bytes) -> Result<(), Dropped> {
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(Dropped::TooLarge);
        }
        let part = PartId::of_message(&message).expect("messages begin with their part");
        let sent = match self.links.get(&(to, part)) {
            Some(link) => link.send(message),
            None => Err(Dropped::NotConnected),
        };
        let counters = &self.shared.counters;
        match sent {
            Err(Dropped::QueueFull) => bump(&counters.dropped_queue_full),
            Err(Dropped::NotConnected) => bump(&counters.dropped_not_connected),
            Err(Dropped::TooLarge) | Ok(()) => {}
        }
        sent
    }

    fn connect(&mut self, peers: &BTreeSet<NodeId>) {
        self.shared.set_wanted(peers);
        let is_gone = |(node, _): &(NodeId, PartId), _: &mut Link| !peers.contains(node);
        let mut cut_off = BTreeSet::new();
        for ((node, _), link) in self.links.extract_if(.., is_gone) {
            if link.is_peer_up() {
                cut_off.insert(node);
            }
        }
        for node in cut_off {
            // The links cannot say it themselves when they are cut off. A host whose
            // queue is full learns it from the membership that it announced.
            let gone = NetworkEvent::Down(self.shared.peer(node));
            let _ = self.shared.events.try_send(gone);
        }
        for node in peers {
            if !self.links.keys().any(|(known, _)| known == node) {
                self.reach_for(*node);
            }
        }
    }

    async fn close(mut self) {
        self.links.clear();
        // A swarm that is gone is closed.
        let _ = self.shared.commands.send(Command::Close).await;
        for task in self.tasks.drain(..) {
            task.abort();
            let _ = task.await;
        }
    }
}

impl Drop for Libp2p {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Libp2pControl {
    /// Where the transport listens, as soon as it does.
    pub async fn listening(&self) -> Vec<SocketAddr> {
        let mut listening = self.listening.clone();
        match listening.wait_for(|addresses| !addresses.is_empty()).await {
            Ok(addresses) => addresses.clone(),
            // The transport was closed before it listened anywhere.
            Err(_) => Vec::new(),
        }
    }

    /// Sets where a node can be reached, from its next attempt on. A node with an
    /// address is let in. No addresses: it is forgotten.
    pub fn set_addresses(&self, node: NodeId, addresses: Vec<PeerAddress>) {
        self.shared.set_addresses(node, addresses);
    }

    /// The keys that peers proved since this node started, in the last handshake
    /// of each.
    pub fn node_keys(&self) -> BTreeMap<NodeId, PublicKey> {
        self.shared.node_keys()
    }

    /// Transfers of blobs from and to peers.
    pub fn blobs(&self) -> BlobClient {
        BlobClient::new(self.shared.clone(), self.control.clone())
    }

    /// What the transport counts.
    pub fn counters(&self) -> &NetworkCounters {
        &self.shared.counters
    }
}
