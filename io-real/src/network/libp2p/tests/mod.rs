//! The transport on the loopback device, and its parts on in-memory streams.

mod blobs;
mod identity;
mod links;
mod parts;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use decube_core::crypto::P256Verifier;
use decube_core::types::{ClusterId, NodeId};

use super::blob::BlobService;
use super::{Libp2p, Libp2pConfig, Libp2pControl, start};
use crate::data_dir::NodeKeys;
use crate::inbox::{NetworkInbox, PartSet};
use crate::ports::{Network, NetworkEvent, Peer};

/// A node that is nothing but its transport.
struct Station {
    id: NodeId,
    keys: NodeKeys,
    network: Libp2p,
    events: NetworkInbox,
    control: Libp2pControl,
    address: SocketAddr,
}

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

impl Station {
    async fn new() -> Self {
        Self::with("test", NodeKeys::generate().unwrap(), ANY_PORT, ()).await
    }

    async fn with(
        cluster: &str,
        keys: NodeKeys,
        listen: SocketAddr,
        blobs: impl BlobService,
    ) -> Self {
        let config = Libp2pConfig {
            cluster: ClusterId::from_name(cluster),
            listen: vec![listen],
            addresses: BTreeMap::new(),
            foreign: Default::default(),
        };
        let verifier = Arc::new(P256Verifier);
        let (network, events, control) = start(config, &keys, verifier, blobs).unwrap();
        let address = control.listening().await[0];
        Self {
            id: keys.node_id(),
            keys,
            network,
            events,
            control,
            address,
        }
    }

    /// Makes the other one a peer that is reached for.
    fn reach_for(&mut self, other: NodeId, at: SocketAddr) {
        self.control.set_addresses(other, vec![at.into()]);
        self.network.connect(&BTreeSet::from([other]));
    }

    /// Lets the other one in without reaching for it: nobody listens there.
    fn let_in(&self, other: NodeId) {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        self.control.set_addresses(other, vec![nowhere.into()]);
    }

    async fn next(&mut self) -> NetworkEvent {
        self.events.recv(PartSet::ALL).await.unwrap()
    }
}

/// Two stations that have reached each other.
async fn pair() -> (Station, Station) {
    let (mut a, mut b) = (Station::new().await, Station::new().await);
    a.reach_for(b.id, b.address);
    b.reach_for(a.id, a.address);
    assert_eq!(a.next().await, NetworkEvent::Up(Peer::of_cluster(b.id)));
    assert_eq!(b.next().await, NetworkEvent::Up(Peer::of_cluster(a.id)));
    (a, b)
}
