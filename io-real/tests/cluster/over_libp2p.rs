//! Three nodes over libp2p on the loopback device.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use decube_core::crypto::P256Verifier;
use decube_core::types::{ClusterId, NodeId};
use decube_io_real::data_dir::NodeKeys;
use decube_io_real::inbox::NetworkInbox;
use decube_io_real::network::libp2p::{Libp2p, Libp2pConfig, start};

use super::rig::{Cluster, Fabric};
use super::scenarios;

/// Every node has an address that it keeps.
struct Loopback {
    addresses: BTreeMap<NodeId, SocketAddr>,
}

impl Fabric for Loopback {
    type Network = Libp2p;

    fn attach(&mut self, keys: &NodeKeys) -> (Libp2p, NetworkInbox) {
        let own = keys.node_id();
        let others = self.addresses.iter().filter(|(id, _)| **id != own);
        let config = Libp2pConfig {
            cluster: ClusterId::from_name("test"),
            listen: vec![self.addresses[&own]],
            addresses: others
                .map(|(id, address)| (*id, vec![(*address).into()]))
                .collect(),
            foreign: Default::default(),
        };
        let (network, events, _) = start(config, keys, Arc::new(P256Verifier), ()).unwrap();
        (network, events)
    }
}

fn cluster() -> Cluster<Loopback> {
    Cluster::new(3, |keys| {
        // Bound together, so that the ports differ; free again when dropped.
        let any = (Ipv4Addr::LOCALHOST, 0);
        let free: Vec<_> = keys
            .iter()
            .map(|_| TcpListener::bind(any).unwrap())
            .collect();
        let ids = keys.iter().map(NodeKeys::node_id);
        let addresses = free.iter().map(|listener| listener.local_addr().unwrap());
        Loopback {
            addresses: ids.zip(addresses).collect(),
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_serves() {
    scenarios::every_node_serves(cluster()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_sees_writes_of_others() {
    scenarios::a_watch_sees_writes_of_others(cluster()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_dies() {
    scenarios::the_leader_dies(cluster()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_dies() {
    scenarios::everything_dies(cluster()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_stop_and_start_again() {
    scenarios::nodes_stop_and_start_again(cluster()).await;
}
