//! One test per sentence of the Raft paper (extended version), sections 6 to 8.

use alloc::vec::Vec;

use super::cluster::{Cluster, id};
use super::paper::{granted, vote};
use super::solo::{Solo, at, log_of};
use crate::raft::{
    AppendResult, Context, Effect, Event, InflightId, Membership, Refusal, Role, RoundId,
};
use crate::types::{Index, Span, Term};

// §6

#[test]
fn s6_a_server_uses_the_latest_configuration_in_its_log_committed_or_not() {
    let mut solo = Solo::new();
    solo.lead_and_commit();
    let mut target = solo.raft.membership().clone();
    target.learners.push(id(4));
    let context = Context(1);
    solo.step(Event::ChangeMembership {
        context,
        target: target.clone(),
    });
    assert!(solo.raft.committed() < solo.raft.last().index);
    assert_eq!(*solo.raft.membership(), target);
    solo.wake();
    assert!(!solo.sent_to(4).is_empty(), "the new member is fed");
}

#[test]
fn s6_agreement_in_joint_consensus_needs_majorities_of_both() {
    let mut cluster = Cluster::new(3, 6);
    for number in 4..=5 {
        cluster.add(id(number), Membership::default());
    }
    let leader = cluster.elect();
    let mut learning = Membership::of_voters([1, 2, 3].map(id));
    learning.learners = [4, 5].map(id).to_vec();
    cluster.change(leader, learning);
    cluster.run(Span::from_secs(1));
    // The new majority is {leader, 4} or {leader, 5}, the old one needs another.
    for number in (1..=3).map(id).filter(|node| *node != leader) {
        cluster.crash(number);
    }
    let before = cluster.raft(leader).committed();
    cluster.change(leader, Membership::of_voters([leader, id(4), id(5)]));
    cluster.run(Span::from_millis(400));
    assert!(cluster.raft(leader).membership().is_joint());
    assert_eq!(cluster.raft(leader).committed(), before);
}

#[test]
fn s6_the_cluster_leaves_the_joint_configuration_by_itself() {
    let mut cluster = Cluster::new(3, 7);
    cluster.add(id(4), Membership::default());
    let leader = cluster.elect();
    let mut learning = Membership::of_voters([1, 2, 3].map(id));
    learning.learners.push(id(4));
    cluster.change(leader, learning);
    cluster.run(Span::from_secs(1));
    let target = Membership::of_voters([1, 2, 3, 4].map(id));
    cluster.change(leader, target.clone());
    cluster.run(Span::from_secs(1));
    for node in cluster.nodes.keys() {
        assert_eq!(*cluster.raft(*node).membership(), target);
    }
    let entries = (1..=cluster.raft(leader).last().index.0)
        .filter_map(|index| cluster.raft(leader).entry(Index(index)))
        .filter(|entry| entry.kind == crate::raft::EntryKind::Membership);
    assert_eq!(entries.count(), 3, "learner, joint, final: each once");
}

#[test]
fn s6_new_servers_catch_up_before_they_vote() {
    let mut cluster = Cluster::new(3, 9);
    let leader = cluster.elect();
    let context = cluster.change(leader, Membership::of_voters([1, 2, 3, 4].map(id)));
    let node = id(4);
    assert_eq!(
        cluster.refusal(leader, context),
        Some(Refusal::NotCaughtUp { node })
    );
}

#[test]
fn s6_a_leader_outside_the_new_configuration_steps_down_once_it_commits() {
    let mut cluster = Cluster::new(4, 10);
    let leader = cluster.elect();
    let rest = (1..=4).map(id).filter(|node| *node != leader);
    let target = Membership::of_voters(rest);
    cluster.change(leader, target.clone());
    cluster.run(Span::from_secs(3));
    let next = cluster.ready_leader().expect("a new leader");
    assert_ne!(next, leader);
    assert_eq!(*cluster.raft(next).membership(), target);
    assert_eq!(cluster.raft(leader).role(), Role::Follower);
}

#[test]
fn s6_servers_disregard_vote_requests_while_they_hear_a_leader() {
    let mut solo = Solo::new();
    solo.appended(1, at(0, 0), Vec::new(), 0);
    solo.sent();
    solo.elapse(Span::from_millis(499));
    solo.hears(3, 7, vote(9, 9));
    assert!(solo.sent().is_empty());
    assert_eq!(solo.raft.term(), Term(1));
    solo.elapse(Span::from_millis(2));
    solo.hears(3, 7, vote(9, 9));
    assert!(granted(&solo.answer()));
}

// §7

#[test]
fn s7_a_leader_sends_a_snapshot_if_it_discarded_the_next_entry() {
    let mut cluster = Cluster::new(3, 11);
    let leader = cluster.elect();
    let follower = cluster.another(leader);
    cluster.crash(follower);
    for _ in 0..30 {
        cluster.propose(leader, b"compacted");
    }
    cluster.run(Span::from_millis(500));
    cluster.compact(leader);
    assert!(cluster.raft(leader).base().id.index > Index(20));
    cluster.start(follower);
    cluster.run(Span::from_secs(2));
    assert_eq!(cluster.nodes[&follower].state.commands.len(), 30);
    let staged = cluster.nodes[&follower]
        .seen
        .iter()
        .filter(|effect| matches!(effect, Effect::SnapshotStage { .. }));
    assert!(staged.count() > 1, "it came in chunks");
}

#[test]
fn s7_a_snapshot_carries_position_and_configuration() {
    let mut cluster = Cluster::new(3, 12);
    let leader = cluster.elect();
    for _ in 0..10 {
        cluster.propose(leader, b"x");
    }
    cluster.run(Span::from_millis(500));
    cluster.compact(leader);
    cluster.add(id(4), Membership::default());
    let mut target = Membership::of_voters([1, 2, 3].map(id));
    target.learners.push(id(4));
    cluster.change(leader, target.clone());
    cluster.run(Span::from_secs(2));
    assert_eq!(*cluster.raft(id(4)).membership(), target);
    let base = cluster.raft(id(4)).base();
    assert!(base.id.index >= cluster.raft(leader).base().id.index);
    // Whatever was in force there; the new node began with none at all.
    assert!(base.membership.votes(leader));
    assert_eq!(
        cluster.raft(leader).base_at(base.id.index).as_ref(),
        Some(base)
    );
}

#[test]
fn s7_entries_behind_a_snapshot_are_kept_if_the_log_contains_its_end() {
    let mut solo = Solo::with(1, &[1, 1, 1, 1]);
    let base = solo.raft.base_at(Index(2)).expect("kept");
    solo.snapshot(1, base, true);
    assert_eq!(solo.raft.last(), at(1, 4));
    assert_eq!(solo.raft.base().id, at(1, 2));
}

#[test]
fn s7_the_whole_log_is_discarded_otherwise() {
    let mut solo = Solo::with(2, &[1, 1, 1, 1]);
    let other = log_of(&[1, 2, 2]);
    let mut base = solo.raft.base_at(Index(1)).expect("kept");
    base.id = other[2].id;
    base.chain = other[2].chain;
    solo.snapshot(2, base, true);
    assert_eq!(solo.raft.last(), at(2, 3));
    assert_eq!(solo.raft.base().id, at(2, 3));
    assert_eq!(solo.raft.durable(), Index(3));
}

// §8

#[test]
fn s8_a_leader_commits_a_blank_entry_at_the_start_of_its_term() {
    let mut solo = Solo::with(1, &[1]);
    solo.lead();
    let entry = solo.raft.entry(Index(2)).expect("appended");
    assert_eq!(entry.kind, crate::raft::EntryKind::Noop);
    assert_eq!(entry.id.term, solo.raft.term());
}

#[test]
fn s8_a_read_waits_until_the_leader_has_committed_in_its_term() {
    let mut solo = Solo::with(1, &[1]);
    solo.lead();
    let context = Context(5);
    solo.step(Event::Read { context });
    let reason = Refusal::NotReady;
    assert!(solo.effects.contains(&Effect::Refused { context, reason }));
}

#[test]
fn s8_a_leader_exchanges_heartbeats_with_a_majority_before_it_answers_a_read() {
    let mut solo = Solo::new();
    solo.lead_and_commit();
    solo.effects.clear();
    let (context, index) = (Context(5), solo.raft.committed());
    solo.step(Event::Read { context });
    solo.wake();
    let ready = Effect::ReadReady { context, index };
    assert!(!solo.effects.contains(&ready));
    let (inflight, round) = solo.last_append(3);
    let upto = Index(0);
    let older = RoundId(round.0 - 1);
    solo.replies(3, inflight, older, AppendResult::Match { upto });
    assert!(
        !solo.effects.contains(&ready),
        "an older round confirms nothing"
    );
    solo.replies(
        3,
        InflightId(inflight.0),
        round,
        AppendResult::Match { upto },
    );
    assert!(solo.effects.contains(&ready));
}

#[test]
fn s8_a_follower_directs_clients_to_the_leader() {
    let mut solo = Solo::new();
    solo.appended(1, at(0, 0), Vec::new(), 0);
    solo.propose(3, b"command");
    let reason = Refusal::NotLeader {
        leader: Some(id(2)),
    };
    let context = Context(3);
    assert!(solo.effects.contains(&Effect::Refused { context, reason }));
}
