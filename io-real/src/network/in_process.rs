//! A network inside one process, for tests of whole hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use decube_core::limits::MESSAGE_BYTES_MAX;
use decube_core::part::Scope;
use decube_core::types::{ClusterId, NodeId};

use crate::inbox::{NetworkInbox, NetworkSender, network_inbox};
use crate::ports::{Dropped, Network, NetworkEvent, Peer};

/// Messages that wait for one part of a host.
const QUEUE_MAX: usize = 1024;

/// What connects hosts of one process. Clones are the same hub.
#[derive(Debug, Clone, Default)]
pub struct InProcessHub(Arc<Mutex<Hub>>);

#[derive(Debug, Default)]
struct Hub {
    nodes: BTreeMap<NodeId, Attached>,
    /// Links that carry nothing, as (from, to).
    cut: BTreeSet<(NodeId, NodeId)>,
    /// Of each link every so-manieth message is lost; 0 loses none.
    lose_every: u64,
    sent: u64,
    attached: u64,
}

#[derive(Debug)]
struct Attached {
    /// Tells a host from an earlier one under the same id.
    generation: u64,
    inbox: NetworkSender,
    cluster: ClusterId,
    /// Whom it wants to be connected to.
    peers: BTreeSet<NodeId>,
}

/// The network port of one host.
#[derive(Debug)]
pub struct InProcess {
    node: NodeId,
    generation: u64,
    hub: InProcessHub,
}

impl InProcessHub {
    /// A hub without nodes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Attaches a node of the one cluster that there is. A node that was attached under
    /// this id is cut off.
    pub fn attach(&self, node: NodeId) -> (InProcess, NetworkInbox) {
        self.attach_in(node, ClusterId::default())
    }

    /// Attaches a node of one of several clusters.
    pub fn attach_in(&self, node: NodeId, cluster: ClusterId) -> (InProcess, NetworkInbox) {
        let (inbox, events) = network_inbox(QUEUE_MAX);
        let mut hub = self.lock();
        hub.detach(node);
        hub.attached += 1;
        let generation = hub.attached;
        let attached = Attached {
            generation,
            inbox,
            cluster,
            peers: BTreeSet::new(),
        };
        hub.nodes.insert(node, attached);
        let network = InProcess {
            node,
            generation,
            hub: self.clone(),
        };
        (network, events)
    }

    /// Cuts or mends the link from one node to another; the way back is a link
    /// of its own. Nobody is told: a black hole looks like silence.
    pub fn set_cut(&self, from: NodeId, to: NodeId, cut: bool) {
        let mut hub = self.lock();
        if cut {
            hub.cut.insert((from, to));
        } else {
            hub.cut.remove(&(from, to));
        }
    }

    /// Loses every so-manieth message from now on; 0 loses none.
    pub fn set_lose_every(&self, lose_every: u64) {
        self.lock().lose_every = lose_every;
    }

    fn lock(&self) -> MutexGuard<'_, Hub> {
        // A test that panicked elsewhere leaves the hub as it is.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attached {
    /// Another node, as the transport of this one presents it.
    fn sees(&self, node: NodeId, cluster: ClusterId) -> Peer {
        let scope = match self.cluster == cluster {
            true => Scope::Cluster,
            false => Scope::Global,
        };
        Peer { node, scope }
    }
}

impl Hub {
    fn detach(&mut self, node: NodeId) {
        let Some(gone) = self.nodes.remove(&node) else {
            return;
        };
        for peer in &gone.peers {
            if let Some(attached) = self.nodes.get(peer)
                && attached.peers.contains(&node)
            {
                // A full inbox misses the news, as a silent crash would.
                let _ = attached
                    .inbox
                    .try_send(NetworkEvent::Down(Peer::of_cluster(node)));
            }
        }
    }

    fn tell_both(&self, a: NodeId, b: NodeId, event: fn(Peer) -> NetworkEvent) {
        for (to, about) in [(a, b), (b, a)] {
            if let (Some(attached), Some(peer)) = (self.nodes.get(&to), self.nodes.get(&about)) {
                let _ = attached
                    .inbox
                    .try_send(event(attached.sees(about, peer.cluster)));
            }
        }
    }
}

impl Network for InProcess {
    fn send(&mut self, to: NodeId, message: Bytes) -> Result<(), Dropped> {
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(Dropped::TooLarge);
        }
        let mut hub = self.hub.lock();
        hub.sent = hub.sent.wrapping_add(1);
        let lost = hub.lose_every != 0 && hub.sent.is_multiple_of(hub.lose_every);
        if lost || hub.cut.contains(&(self.node, to)) {
            return Ok(());
        }
        let receiver = hub.nodes.get(&to).ok_or(Dropped::NotConnected)?;
        let own = hub.nodes.get(&self.node).map(|own| own.cluster);
        let event = NetworkEvent::Message {
            from: receiver.sees(self.node, own.unwrap_or_default()),
            bytes: message,
        };
        receiver
            .inbox
            .try_send(event)
            .map_err(|_| Dropped::QueueFull)
    }

    fn connect(&mut self, peers: &BTreeSet<NodeId>) {
        let mut hub = self.hub.lock();
        let Some(attached) = hub.nodes.get_mut(&self.node) else {
            return;
        };
        let before = std::mem::replace(&mut attached.peers, peers.clone());
        let wanted_by = |hub: &Hub, peer: &NodeId| {
            hub.nodes
                .get(peer)
                .is_some_and(|other| other.peers.contains(&self.node))
        };
        for peer in peers.difference(&before) {
            if wanted_by(&hub, peer) {
                hub.tell_both(self.node, *peer, NetworkEvent::Up);
            }
        }
        for peer in before.difference(peers) {
            if wanted_by(&hub, peer) {
                hub.tell_both(self.node, *peer, NetworkEvent::Down);
            }
        }
    }

    async fn close(self) {}
}

impl Drop for InProcess {
    fn drop(&mut self) {
        let mut hub = self.hub.lock();
        // A newer host under the same id is not this one's to detach.
        let is_own = hub
            .nodes
            .get(&self.node)
            .is_some_and(|own| own.generation == self.generation);
        if is_own {
            hub.detach(self.node);
        }
    }
}
