//! The shortest complete stories: elect, replicate, commit, crash, come back.

use super::cluster::{Cluster, Knobs, id};
use crate::raft::Role;
use crate::types::{Index, Span};

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

#[test]
fn random_faults_never_break_a_promise() {
    for seed in 0..60 {
        let knobs = Knobs {
            loss_percent: 10,
            duplicate_percent: 10,
            delay_max: Span::from_millis(60),
            disk_max: Span::from_millis(20),
            append_entries_max: 3,
            ..Knobs::default()
        };
        let size = if seed % 2 == 0 { 3 } else { 5 };
        let mut cluster = Cluster::with(size, seed, knobs);
        for _ in 0..60 {
            let at = id(u128::from(cluster.random(u64::try_from(size).expect("small"))) + 1);
            match cluster.random(10) {
                0 if cluster.nodes[&at].raft.is_some() => cluster.crash(at),
                0 | 1 if cluster.nodes[&at].raft.is_none() => cluster.start(at),
                2 => cluster.isolate(at),
                3 => cluster.heal(),
                4 => cluster.compact(at),
                _ => {
                    cluster.propose(at, b"x");
                }
            }
            let pause = Span::from_millis(cluster.random(400));
            cluster.run(pause);
        }
        cluster.heal();
        cluster.knobs.loss_percent = 0;
        for at in 1..=size {
            if cluster.nodes[&id(at)].raft.is_none() {
                cluster.start(id(at));
            }
        }
        let leader = cluster.elect();
        let context = cluster.propose(leader, b"end");
        let place = cluster
            .proposed(leader, context)
            .map_or(Index(1), |place| place.index);
        let done = cluster.run_until(Span::from_secs(20), |cluster| cluster.all_applied(place));
        assert!(done, "seed {seed}: the cluster did not recover");
        let states: alloc::vec::Vec<_> = cluster.nodes.values().map(|node| &node.state).collect();
        assert!(
            states
                .windows(2)
                .all(|pair| pair[0].commands == pair[1].commands)
        );
    }
}
