//! Three nodes over channels.

use decube_io_real::data_dir::NodeKeys;
use decube_io_real::inbox::NetworkInbox;
use decube_io_real::network::{InProcess, InProcessHub};

use super::rig::{Cluster, Fabric};
use super::scenarios;

impl Fabric for InProcessHub {
    type Network = InProcess;

    fn attach(&mut self, keys: &NodeKeys) -> (InProcess, NetworkInbox) {
        InProcessHub::attach(self, keys.node_id())
    }
}

fn cluster() -> Cluster<InProcessHub> {
    Cluster::new(3, |_| InProcessHub::new())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_serves() {
    scenarios::every_node_serves(cluster()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_serves_although_messages_are_lost() {
    let cluster = cluster();
    cluster.fabric.set_lose_every(7);
    scenarios::every_node_serves(cluster).await;
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
