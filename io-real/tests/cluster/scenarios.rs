//! What every network must make possible.

use bytes::Bytes;
use decube_core::types::Revision;
use decube_io_real::data_dir::{DataDir, DataDirError};
use decube_io_real::host::HostExit;

use super::rig::{Cluster, Fabric};

fn value(text: &'static str) -> Option<Bytes> {
    Some(Bytes::from_static(text.as_bytes()))
}

/// Elect, commit through any node, read from every node.
pub async fn every_node_serves<F: Fabric>(mut cluster: Cluster<F>) {
    cluster.start_all();
    cluster.leader().await;
    for id in cluster.ids() {
        let key = id.to_string();
        cluster.put(id, &key, "written").await;
        for reader in cluster.ids() {
            assert_eq!(cluster.get(reader, &key).await, value("written"));
        }
        cluster.note(id, &key).await;
    }
}

/// A watch on any node sees what is written through another one.
pub async fn a_watch_sees_writes_of_others<F: Fabric>(mut cluster: Cluster<F>) {
    cluster.start_all();
    let leader = cluster.leader().await;
    let follower = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    cluster.put(leader, "before", "0").await;
    cluster.get(follower, "before").await;
    let handle = cluster.handle(follower);
    // The leader answers for a follower, which may apply the earlier write only now.
    let from = Bytes::from_static(b"key");
    let mut watch = handle.watch(from, None, Revision(0)).await.unwrap();
    cluster.put(leader, "key", "1").await;
    let changes = watch.next().await.unwrap().changes;
    assert_eq!(changes.len(), 1);
    assert_eq!(
        changes[0].pair.as_ref().map(|pair| &pair.value[..]),
        Some(&b"1"[..])
    );
}

/// The leader dies, the others go on, and it comes back with what it had.
pub async fn the_leader_dies<F: Fabric>(mut cluster: Cluster<F>) {
    cluster.start_all();
    let first = cluster.leader().await;
    cluster.put(first, "key", "1").await;
    cluster.kill(first).await;
    let second = cluster.leader().await;
    assert_ne!(first, second);
    assert_eq!(cluster.get(second, "key").await, value("1"));
    cluster.put(second, "key", "2").await;
    cluster.start(first);
    assert_eq!(cluster.get(first, "key").await, value("2"));
    cluster.note(first, "all vote again").await;
}

/// All nodes die at once; what was confirmed is in their logs.
pub async fn everything_dies<F: Fabric>(mut cluster: Cluster<F>) {
    cluster.start_all();
    let leader = cluster.leader().await;
    for number in 0..20 {
        cluster.put(leader, &format!("key{number}"), "kept").await;
    }
    cluster.note(leader, "before").await;
    for id in cluster.ids() {
        cluster.kill(id).await;
    }
    cluster.start_all();
    let leader = cluster.leader().await;
    // Its sequence follows that of the note before, or it would never be final.
    cluster.note(leader, "after").await;
    for number in 0..20 {
        assert_eq!(
            cluster.get(leader, &format!("key{number}")).await,
            value("kept")
        );
    }
}

/// Nodes stop gracefully, one by one, and the directory is free at once.
pub async fn nodes_stop_and_start_again<F: Fabric>(mut cluster: Cluster<F>) {
    cluster.start_all();
    let leader = cluster.leader().await;
    cluster.put(leader, "key", "1").await;
    let error = DataDir::open(cluster.path(leader)).unwrap_err();
    assert!(matches!(error, DataDirError::Locked { .. }), "{error}");
    assert_eq!(cluster.stop(leader).await, HostExit::Stopped);
    let next = cluster.leader().await;
    assert_ne!(next, leader, "leadership was handed over");
    cluster.put(next, "key", "2").await;
    cluster.start(leader);
    assert_eq!(cluster.get(leader, "key").await, value("2"));
    for id in cluster.ids() {
        let exit = cluster.stop(id).await;
        // The last nodes have nobody to hand leadership to.
        assert!(
            matches!(exit, HostExit::Stopped | HostExit::ShutdownTimedOut),
            "{exit:?}"
        );
    }
    cluster.start_all();
    let leader = cluster.leader().await;
    assert_eq!(cluster.get(leader, "key").await, value("2"));
}
