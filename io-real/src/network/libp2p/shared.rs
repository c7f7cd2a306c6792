//! What all tasks of the transport know.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use decube_core::crypto::{NodeCert, PublicKey, Verifier};
use decube_core::part::Scope;
use decube_core::types::{ClusterId, NodeId};
use libp2p::PeerId;
use tokio::sync::mpsc;

use super::address::PeerAddress;
use super::hello::{self, Refusal};
use super::swarm::Command;
use crate::inbox::NetworkSender;
use crate::ports::Peer;

/// What all tasks of the transport know.
pub(super) struct Shared {
    cluster: ClusterId,
    foreign: BTreeSet<NodeId>,
    hello: Bytes,
    verifier: Arc<dyn Verifier + Send + Sync>,
    peers: Mutex<Peers>,
    pub(super) events: NetworkSender,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) counters: NetworkCounters,
}

/// What the transport counts. Counters only ever rise.
#[derive(Debug, Default)]
pub struct NetworkCounters {
    /// Messages dropped because the peer's queue was full.
    pub dropped_queue_full: AtomicU64,
    /// Messages dropped because the peer was not connected.
    pub dropped_not_connected: AtomicU64,
    /// Attempts to reach a peer.
    pub attempts: AtomicU64,
    /// Streams to peers that were established.
    pub links_up: AtomicU64,
    /// Streams refused because nobody knows the node.
    pub strangers: AtomicU64,
    /// Inbound streams dropped because too many were open.
    pub streams_dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Peers {
    addresses: BTreeMap<NodeId, Vec<PeerAddress>>,
    wanted: BTreeSet<NodeId>,
    /// The last certificate that each peer proved.
    certified: BTreeMap<NodeId, Certified>,
    /// Who answered last at a node's address. Only a hint where a connection may
    /// be: each stream proves again who is there.
    answered: BTreeMap<NodeId, PeerId>,
    /// Held by the one task that dials a node, so that many transfers to a node
    /// share a connection instead of opening one each.
    dialing: BTreeMap<NodeId, Arc<tokio::sync::Mutex<()>>>,
    /// Peers of which it was said that they speak another version, and that have not
    /// proven since to speak this one. Configured or wanted nodes only.
    other_version: BTreeSet<NodeId>,
}

#[derive(Debug, Clone)]
struct Certified {
    peer: PeerId,
    cert: NodeCert,
}

impl Shared {
    pub(super) fn new(
        cert: NodeCert,
        verifier: Arc<dyn Verifier + Send + Sync>,
        addresses: BTreeMap<NodeId, Vec<PeerAddress>>,
        foreign: BTreeSet<NodeId>,
        events: NetworkSender,
        commands: mpsc::Sender<Command>,
    ) -> Self {
        Self {
            cluster: cert.cluster,
            foreign,
            hello: hello::own(cert),
            verifier,
            peers: Mutex::new(Peers {
                addresses,
                ..Peers::default()
            }),
            events,
            commands,
            counters: NetworkCounters::default(),
        }
    }

    #[cfg(test)]
    pub(super) fn set_foreign(&mut self, foreign: BTreeSet<NodeId>) {
        self.foreign = foreign;
    }

    /// A node that was identified, as the host sees it. Who is not configured as one of
    /// another cluster has shown a certificate of this one.
    pub(super) fn peer(&self, node: NodeId) -> Peer {
        let scope = match self.foreign.contains(&node) {
            true => Scope::Global,
            false => Scope::Cluster,
        };
        Peer { node, scope }
    }

    /// This node's own first words.
    pub(super) fn hello(&self) -> &[u8] {
        &self.hello
    }

    /// Believes that a connection is a certain node's, or not. A peer that shows
    /// the certificate it showed before is believed without a new verification.
    pub(super) fn identify(
        &self,
        peer: PeerId,
        same_version: bool,
        cert: NodeCert,
    ) -> Result<NodeId, Refusal> {
        if !same_version {
            return Err(Refusal::Version);
        }
        let node = cert.node_key.node_id();
        {
            let mut peers = self.peers();
            // Before the costly check, so that strangers cannot make this node
            // work.
            if !peers.wanted.contains(&node) && !peers.addresses.contains_key(&node) {
                bump(&self.counters.strangers);
                return Err(Refusal::Stranger);
            }
            match peers.certified.get(&node) {
                Some(known) if known.peer == peer && known.cert == cert => {
                    peers.other_version.remove(&node);
                    return Ok(node);
                }
                // A certificate that was replaced does not come back.
                Some(known) if known.cert.generation > cert.generation => {
                    return Err(Refusal::Certificate);
                }
                _ => {}
            }
        }
        if !hello::is_key_of(&cert.transport_key, peer) {
            return Err(Refusal::Certificate);
        }
        let proven_key = cert.transport_key;
        // A node of another cluster may belong to any, but never to this one: a
        // certificate of this cluster would make it a member.
        let is_foreign = self.foreign.contains(&node);
        if is_foreign && cert.cluster == self.cluster {
            return Err(Refusal::Certificate);
        }
        let cluster = match is_foreign {
            true => cert.cluster,
            false => self.cluster,
        };
        let verified = cert
            .verify(&*self.verifier, cluster, &proven_key)
            .map_err(|_| Refusal::Certificate)?;
        assert_eq!(verified.node_id(), node, "both derive from the same key");
        let cert = verified.cert().clone();
        let mut peers = self.peers();
        peers.certified.insert(node, Certified { peer, cert });
        peers.other_version.remove(&node);
        drop(peers);
        Ok(node)
    }

    /// The peer id that a node last proved, or else the one that answered last
    /// at its address.
    pub(super) fn peer_of(&self, node: NodeId) -> Option<PeerId> {
        let peers = self.peers();
        let certified = peers.certified.get(&node).map(|known| known.peer);
        certified.or_else(|| peers.answered.get(&node).copied())
    }

    /// The keys of the peers that proved theirs.
    pub(super) fn node_keys(&self) -> BTreeMap<NodeId, PublicKey> {
        let peers = self.peers();
        let keys = peers.certified.iter();
        keys.map(|(node, known)| (*node, known.cert.node_key))
            .collect()
    }

    /// Remembers who answered at a node's address.
    pub(super) fn set_answered(&self, node: NodeId, peer: PeerId) {
        self.peers().answered.insert(node, peer);
    }

    /// One connection attempt to a node at a time.
    pub(super) fn dialing(&self, node: NodeId) -> Arc<tokio::sync::Mutex<()>> {
        self.peers().dialing.entry(node).or_default().clone()
    }

    /// Forgets the peer id of a node, because somebody else answers there.
    pub(super) fn forget(&self, node: NodeId) {
        let mut peers = self.peers();
        peers.certified.remove(&node);
        peers.answered.remove(&node);
    }

    /// Tells the operator that nothing can be exchanged with a peer, once until it
    /// speaks this version. Returns whether that was told now. Who only claims to be
    /// the peer can bring about that one line and no more.
    pub(super) fn warn_of_version(&self, node: NodeId) -> bool {
        let mut peers = self.peers();
        let is_peer = peers.wanted.contains(&node) || peers.addresses.contains_key(&node);
        let is_news = is_peer && peers.other_version.insert(node);
        drop(peers);
        if is_news {
            tracing::warn!(
                %node,
                own_version = hello::VERSION,
                "a peer speaks another version of the protocol, and nothing is exchanged with \
                 it: run the same release of decube on all nodes"
            );
        }
        is_news
    }

    pub(super) fn addresses_of(&self, node: NodeId) -> Vec<PeerAddress> {
        self.peers()
            .addresses
            .get(&node)
            .cloned()
            .unwrap_or_default()
    }

    pub(super) fn set_addresses(&self, node: NodeId, addresses: Vec<PeerAddress>) {
        let mut peers = self.peers();
        if addresses.is_empty() {
            peers.addresses.remove(&node);
            peers.dialing.remove(&node);
        } else {
            peers.addresses.insert(node, addresses);
        }
    }

    pub(super) fn set_wanted(&self, wanted: &BTreeSet<NodeId>) {
        self.peers().wanted.clone_from(wanted);
    }

    fn peers(&self) -> MutexGuard<'_, Peers> {
        // No code panics while it holds the lock with the maps half-changed.
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts one.
pub(super) fn bump(counter: &AtomicU64) {
    // Counters order nothing.
    counter.fetch_add(1, Ordering::Relaxed);
}
