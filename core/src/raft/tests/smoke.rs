//! The shortest complete stories: elect, replicate, commit, crash, come back.

use super::cluster::{Cluster, id};
use crate::raft::Role;
use crate::types::Span;

#[test]
fn one_node_elects_itself_and_commits() {
    let mut cluster = Cluster::new(1, 1);
    let leader = cluster.elect();
    let context = cluster.propose(leader, b"a");
    let place = cluster.proposed(leader, context).expect("accepted");
    cluster.run(Span::from_millis(50));
    assert_eq!(cluster.raft(leader).committed(), place.index);
    assert_eq!(cluster.raft(leader).applied(), place.index);
    assert_eq!(cluster.nodes[&leader].state.commands, ["a"]);
}

#[test]
fn three_nodes_elect_replicate_and_apply() {
    let mut cluster = Cluster::new(3, 2);
    let leader = cluster.elect();
    for command in [b"a", b"b", b"c"] {
        cluster.propose(leader, command);
    }
    cluster.run(Span::from_millis(300));
    for node in cluster.nodes.values() {
        assert_eq!(node.state.commands, ["a", "b", "c"]);
    }
    let followers = [1, 2, 3].map(id).into_iter().filter(|node| *node != leader);
    for follower in followers {
        assert_eq!(cluster.raft(follower).role(), Role::Follower);
        assert_eq!(cluster.raft(follower).leader(), Some(leader));
    }
}

#[test]
fn a_whole_cluster_restarts_with_everything_that_was_committed() {
    let mut cluster = Cluster::new(3, 3);
    let leader = cluster.elect();
    cluster.propose(leader, b"a");
    cluster.propose(leader, b"b");
    cluster.run(Span::from_millis(300));
    for node in [1, 2, 3].map(id) {
        cluster.crash(node);
    }
    for node in [1, 2, 3].map(id) {
        cluster.start(node);
    }
    let leader = cluster.elect();
    cluster.propose(leader, b"c");
    cluster.run(Span::from_millis(500));
    for node in cluster.nodes.values() {
        assert_eq!(node.state.commands, ["a", "b", "c"]);
    }
}
