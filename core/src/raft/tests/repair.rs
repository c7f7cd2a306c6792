//! Damaged disks: what a node may and may not do until its log is whole again.

use super::cluster::{Cluster, id};
use super::paper::vote;
use super::solo::{Solo, at, log_of};
use crate::raft::{
    AppendResult, Base, Body, CampaignId, Config, HardState, Membership, Recovered, Role,
};
use crate::types::{Index, Span, Term};

/// A node whose entries from 3 on are damaged; it may have acknowledged up to 4.
fn damaged() -> Solo {
    let recovered = Recovered {
        hard_state: HardState {
            term: Term(1),
            ..HardState::default()
        },
        base: Base {
            membership: Membership::of_voters([1, 2, 3].map(id)),
            ..Base::default()
        },
        entries: log_of(&[1, 1]),
        damaged_upto: Some(Index(4)),
        ..Recovered::default()
    };
    Solo::start(Config::new(id(1), super::cluster::CLUSTER, 1), recovered)
}

#[test]
fn a_damaged_node_neither_votes_nor_campaigns() {
    let mut solo = damaged();
    assert_eq!(solo.raft.role(), Role::Repairing);
    assert_eq!(crate::machine::Machine::deadline(&solo.raft), None);
    solo.sent();
    solo.hears(2, 5, vote(9, 9));
    assert!(!super::paper::granted(&solo.answer()));
    let (campaign, last) = (CampaignId(1), at(9, 9));
    solo.hears(2, 9, Body::PreVote { campaign, last });
    assert!(!super::paper::granted(&solo.answer()));
    assert_eq!(solo.raft.hard_state().voted_for, None);
}

#[test]
fn a_damaged_node_takes_entries_and_acknowledges_none() {
    let mut solo = damaged();
    solo.sent();
    let (prev, entries) = solo.entries_behind(2, &[1, 1]);
    solo.appended(1, prev, entries, 4);
    let Body::AppendReply { result, .. } = solo.answer().body else {
        panic!("an answer")
    };
    let (prev, hint) = (Index(2), at(1, 4));
    assert_eq!(result, AppendResult::Reject { prev, hint });
    assert_eq!(solo.raft.role(), Role::Repairing, "no later round yet");
}

#[test]
fn a_repair_that_is_interrupted_goes_on_after_the_restart() {
    let solo = damaged();
    let recovered = Recovered {
        hard_state: solo.raft.hard_state(),
        base: solo.raft.base().clone(),
        entries: log_of(&[1, 1]),
        ..Recovered::default()
    };
    let again = Solo::start(Config::new(id(1), super::cluster::CLUSTER, 1), recovered);
    assert_eq!(again.raft.role(), Role::Repairing);
    assert!(again.raft.incarnation() > solo.raft.incarnation());
}

#[test]
fn a_damaged_node_is_whole_again_soon() {
    let mut cluster = Cluster::new(3, 60);
    let leader = cluster.elect();
    for _ in 0..30 {
        cluster.propose(leader, b"x");
    }
    cluster.run(Span::from_millis(300));
    let victim = cluster.another(leader);
    cluster.crash(victim);
    cluster.damage(victim, Index(7));
    cluster.start(victim);
    assert_eq!(cluster.raft(victim).role(), Role::Repairing);
    cluster.run(Span::from_secs(1));
    assert_eq!(cluster.raft(victim).role(), Role::Follower);
    assert_eq!(cluster.raft(victim).last(), cluster.raft(leader).last());
}

#[test]
fn a_damaged_node_behind_the_leaders_base_gets_a_snapshot() {
    let mut cluster = Cluster::new(3, 61);
    let leader = cluster.elect();
    for _ in 0..30 {
        cluster.propose(leader, b"x");
    }
    cluster.run(Span::from_millis(300));
    let victim = cluster.another(leader);
    cluster.crash(victim);
    cluster.damage(victim, Index(7));
    cluster.compact(leader);
    cluster.start(victim);
    cluster.propose(leader, b"y");
    cluster.run(Span::from_secs(2));
    assert_eq!(cluster.raft(victim).role(), Role::Follower);
    assert_eq!(cluster.nodes[&victim].state.commands.len(), 31);
}

#[test]
fn a_node_whose_state_is_gone_begins_with_a_snapshot() {
    let mut cluster = Cluster::new(3, 62);
    let leader = cluster.elect();
    for _ in 0..30 {
        cluster.propose(leader, b"x");
    }
    cluster.run(Span::from_millis(300));
    let victim = cluster.another(leader);
    cluster.compact(victim);
    cluster.compact(leader);
    cluster.run(Span::from_millis(100));
    cluster.crash(victim);
    let disk = &mut cluster.nodes.get_mut(&victim).expect("known").disk;
    disk.state = super::disk::State::default();
    cluster.start(victim);
    assert_eq!(cluster.raft(victim).role(), Role::Repairing);
    cluster.propose(leader, b"y");
    cluster.run(Span::from_secs(2));
    assert_eq!(cluster.raft(victim).role(), Role::Follower);
    assert_eq!(cluster.nodes[&victim].state.commands.len(), 31);
}

#[test]
fn a_node_that_lost_its_vote_never_runs_again() {
    let recovered = Recovered {
        hard_state_lost: true,
        ..Recovered::default()
    };
    let solo = Solo::start(Config::new(id(1), super::cluster::CLUSTER, 1), recovered);
    assert_eq!(solo.raft.role(), Role::Halted);
    let reason = solo.raft.halt_reason().expect("a reason");
    assert!(reason.contains("new id"), "{reason}");
}

/// The base survived, which is of a later term than the hard state that did, or there is
/// none left.
#[test]
fn a_term_older_than_the_base_is_not_the_last_one() {
    for (hard_state_lost, term) in [(true, 0), (true, 2), (false, 0), (false, 2)] {
        let recovered = Recovered {
            hard_state: HardState {
                term: Term(term),
                ..HardState::default()
            },
            base: Base {
                id: at(3, 7),
                membership: Membership::of_voters([id(1), id(2), id(3)]),
                ..Base::default()
            },
            applied: at(3, 7),
            hard_state_lost,
            ..Recovered::default()
        };
        let solo = Solo::start(Config::new(id(1), super::cluster::CLUSTER, 1), recovered);
        assert_eq!(solo.raft.role(), Role::Halted);
        let reason = solo.raft.halt_reason().expect("a reason");
        assert!(reason.contains("new id"), "{reason}");
    }
}

#[test]
fn an_entry_with_a_wrong_chain_on_disk_counts_as_damage() {
    let mut entries = log_of(&[1, 1, 1]);
    entries[1].data = bytes::Bytes::from_static(b"flipped");
    let recovered = Recovered {
        hard_state: HardState {
            term: Term(1),
            ..HardState::default()
        },
        entries,
        ..Recovered::default()
    };
    let solo = Solo::start(Config::new(id(1), super::cluster::CLUSTER, 1), recovered);
    assert_eq!(solo.raft.role(), Role::Repairing);
    assert_eq!(solo.raft.last(), at(1, 1));
    assert_eq!(solo.raft.hard_state().repair_upto, Some(Index(3)));
}

/// A state was installed and synced, and the node crashed before its log began
/// again behind it: what the old log holds was given up long ago.
#[test]
fn a_state_that_is_not_of_this_log_commits_nothing() {
    // Ahead of the log, inside it with another term, and a log whose tail is lost.
    for (applied, damaged_upto) in [
        (at(2, 9), None),
        (at(2, 2), None),
        (at(1, 3), Some(Index(5))),
    ] {
        let recovered = Recovered {
            hard_state: HardState {
                term: Term(2),
                commit: Index(1),
                ..HardState::default()
            },
            entries: log_of(&[1, 1, 1]),
            applied,
            damaged_upto,
            ..Recovered::default()
        };
        let solo = Solo::start(Config::new(id(1), super::cluster::CLUSTER, 1), recovered);
        assert_eq!(solo.raft.role(), Role::Repairing, "{applied:?}");
        assert_eq!(solo.raft.committed(), Index::ZERO, "{applied:?}");
        let upto = applied
            .index
            .max(Index(3))
            .max(damaged_upto.unwrap_or_default());
        assert_eq!(solo.raft.hard_state().repair_upto, Some(upto));
    }
}

/// The same with the base of the installed state at hand: nothing is lost, so the
/// log begins again behind it, and the node takes part at once.
#[test]
fn an_installed_state_that_its_log_did_not_follow_is_followed_now() {
    let base = |term, index| Base {
        id: at(term, index),
        chain: crate::types::Chain([7; 16]),
        membership: Membership {
            voters: alloc::vec![id(1), id(2)],
            ..Membership::default()
        },
    };
    let start = |installed, damaged_upto| {
        let recovered = Recovered {
            hard_state: HardState {
                term: Term(1),
                voted_for: Some(id(1)),
                ..HardState::default()
            },
            entries: log_of(&[1, 1, 1]),
            applied: at(2, 2),
            installed,
            damaged_upto,
            ..Recovered::default()
        };
        Solo::start(Config::new(id(1), super::cluster::CLUSTER, 1), recovered)
    };
    let solo = start(Some(base(2, 2)), None);
    assert_eq!(solo.raft.role(), Role::Follower);
    assert_eq!(solo.raft.base(), &base(2, 2));
    assert_eq!(
        (solo.raft.last(), solo.raft.committed()),
        (at(2, 2), Index(2))
    );
    // It came in a term that the disk has not heard of: nobody was voted for.
    assert_eq!(solo.raft.hard_state().voted_for, None);
    // That of an older state says nothing about this one.
    let solo = start(Some(base(1, 1)), None);
    assert_eq!(solo.raft.role(), Role::Repairing);
    // What was lost and may have been acknowledged is repaired all the same.
    let solo = start(Some(base(2, 2)), Some(Index(5)));
    assert_eq!(solo.raft.role(), Role::Repairing);
    assert_eq!(solo.raft.last(), at(2, 2));
    assert_eq!(solo.raft.hard_state().repair_upto, Some(Index(5)));
}
