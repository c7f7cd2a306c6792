//! Bugs that other implementations really had, as scenarios. The source of each
//! stands in its test's documentation.
//!
//! The first five are functions of the planted bug, so that `mutants.rs` can show
//! that they find it: random schedules meet them too rarely.

use alloc::vec::Vec;

use super::cluster::{Cluster, Knobs, id};
use super::paper::{granted, vote};
use super::solo::{Solo, at, entries_after, log_of};
use crate::mutant::Mutant;
use crate::raft::{
    AppendResult, Body, CampaignId, Context, Effect, Event, Incarnation, InflightId, Membership,
    Message, Refusal, Role, RoundId, SnapshotResult, chain,
};
use crate::types::{Chain, Index, NodeId, Span, Term};

/// Entries of older terms are not committed by counting (logcabin #44).
pub fn old_terms_wait(mutant: Mutant) -> bool {
    let mut solo = Solo::recovered(2, log_of(&[1, 2]), mutant);
    solo.lead();
    let (inflight, round) = solo.last_append(2);
    let upto = Index(2);
    solo.replies(2, inflight, round, AppendResult::Match { upto });
    solo.raft.committed() == Index(0)
}

/// A leader that steps down inside its term keeps its vote (CCF #5891).
pub fn a_vote_outlives_leadership(mutant: Mutant) -> bool {
    let mut solo = Solo::recovered(0, Vec::new(), mutant);
    let term = solo.lead();
    while solo.raft.role() == Role::Leader {
        solo.until_deadline();
    }
    solo.sent();
    solo.hears(3, term, vote(9, 9));
    !granted(&solo.answer())
}

/// A late answer to an older round confirms no newer read (etcd #20418).
pub fn rounds_are_not_reused(mutant: Mutant) -> bool {
    let mut solo = Solo::recovered(0, Vec::new(), mutant);
    solo.lead_and_commit();
    solo.step(Event::Read {
        context: Context(1),
    });
    solo.wake();
    let (inflight, older) = solo.last_append(3);
    let (context, index) = (Context(2), solo.raft.committed());
    solo.step(Event::Read { context });
    solo.wake();
    solo.replies(3, inflight, older, AppendResult::Match { upto: Index(0) });
    !solo.effects.contains(&Effect::ReadReady { context, index })
}

/// A snapshot brings its membership along (openraft #1808).
pub fn a_snapshot_brings_its_membership(mutant: Mutant) -> bool {
    let mut solo = Solo::recovered(1, log_of(&[1]), mutant);
    let mut base = solo.raft.base_at(Index(1)).expect("kept");
    base.id = at(1, 9);
    base.membership = Membership::of_voters([1, 2, 3, 4, 5].map(id));
    let wanted = base.membership.clone();
    solo.snapshot(1, base, true);
    *solo.raft.membership() == wanted
}

/// A log that gave way to a snapshot at one of its own indexes, but of a later term:
/// until the write that begins the new log is durable, nothing of it is vouched for
/// (`raft-reconfig` seed 1203).
pub fn a_log_that_begins_anew_vouches_for_nothing(mutant: Mutant) -> bool {
    let mut solo = Solo::recovered(5, log_of(&[5, 5, 5]), mutant);
    let mut base = solo.raft.base_at(Index(3)).expect("kept");
    base.id = at(6, 3);
    let meta = solo.stage(6, base);
    solo.sent();
    solo.step(Event::SnapshotInstalled { meta });
    let prev_chain = solo.raft.chain_at(Index(3)).expect("the new base");
    for quiet in [false, true] {
        let body = Body::Append {
            inflight: InflightId(2),
            round: RoundId(1),
            prev: at(6, 3),
            prev_chain,
            commit: Index(3),
            quiet,
            entries: Vec::new().into(),
        };
        solo.receives(2, 6, body);
    }
    solo.wake();
    let early = vouched(&solo.sent());
    solo.persist();
    let late = vouched(&solo.sent());
    assert_eq!(late.max(early), Some(Index(3)), "sent in the end");
    early.is_none_or(|upto| upto == Index::ZERO)
}

/// How far these messages say that the own log is durable.
fn vouched(sent: &[(NodeId, Message)]) -> Option<Index> {
    let upto = sent.iter().filter_map(|(_, message)| match &message.body {
        Body::AppendReply {
            result: AppendResult::Match { upto },
            ..
        } => Some(*upto),
        Body::SnapshotReply {
            result: SnapshotResult::Installed { upto },
            ..
        } => Some(*upto),
        _ => None,
    });
    upto.max()
}

#[test]
fn each_planted_scenario_holds_without_its_bug() {
    assert!(a_log_that_begins_anew_vouches_for_nothing(Mutant::None));
    assert!(old_terms_wait(Mutant::None));
    assert!(a_vote_outlives_leadership(Mutant::None));
    assert!(rounds_are_not_reused(Mutant::None));
    assert!(a_snapshot_brings_its_membership(Mutant::None));
}

/// hashicorp/raft #661: term and vote in two writes, a crash between them.
#[test]
fn term_and_vote_are_one_write_and_the_vote_waits_for_it() {
    let mut solo = Solo::new();
    solo.receives(2, 6, vote(0, 0));
    solo.wake();
    let effects = core::mem::take(&mut solo.effects);
    let mut writes = effects.iter().filter_map(|effect| match effect {
        Effect::Persist(persist) => persist.hard_state.as_deref().copied(),
        _ => None,
    });
    let hard = writes.next().expect("a write");
    assert_eq!((hard.term, hard.voted_for), (Term(6), Some(id(2))));
    assert!(writes.next().is_none());
    let sends = |effect: &&Effect| matches!(effect, Effect::Send { .. });
    assert!(!effects.iter().any(|effect| sends(&effect)), "raft-rs #372");
    solo.persist();
    assert!(granted(&solo.answer()));
}

/// daos-stack/raft #70, xraft #33: a leader votes for another in its own term.
#[test]
fn a_leader_grants_no_vote_in_its_own_term() {
    let mut solo = Solo::new();
    let term = solo.lead();
    solo.sent();
    solo.hears(3, term, vote(9, 9));
    assert!(!granted(&solo.answer()));
}

/// CCF #8172, copycat #265: commit past what the message verified.
#[test]
fn commit_goes_no_further_than_the_message_verified() {
    let mut solo = Solo::with(1, &[1, 1, 1]);
    solo.appended(2, at(1, 1), Vec::new(), 3);
    assert_eq!(solo.raft.committed(), Index(1));
}

/// hashicorp/raft 0f31a01: a stale append cuts a suffix that matches.
#[test]
fn an_old_append_cuts_nothing() {
    let mut solo = Solo::with(1, &[1, 1, 1, 1]);
    solo.appended(1, at(0, 0), log_of(&[1, 1]), 0);
    assert_eq!(solo.terms(), [1, 1, 1, 1]);
}

/// etcd 76f1249: the term of a compacted entry is unknown, not 0.
#[test]
fn an_append_that_begins_before_the_base_is_understood() {
    let mut solo = Solo::with(1, &[1, 1, 1]);
    solo.appended(1, at(1, 3), Vec::new(), 3);
    solo.step(Event::Applied { upto: Index(3) });
    solo.step(Event::Compact { upto: Index(2) });
    solo.settle();
    solo.sent();
    assert_eq!(solo.raft.term_at(Index(1)), None);
    solo.appended(1, at(0, 0), log_of(&[1, 1, 1, 1]), 3);
    assert_eq!(solo.raft.last(), at(1, 4));
    let Body::AppendReply { result, .. } = solo.answer().body else {
        panic!("an answer")
    };
    assert_eq!(result, AppendResult::Match { upto: Index(4) });
}

/// openraft cecb5de: an acknowledgement from before a loss is counted after it.
#[test]
fn acknowledgements_of_a_former_incarnation_are_void() {
    let mut solo = Solo::new();
    let term = solo.lead();
    let (inflight, round) = solo.last_append(2);
    let reply = |incarnation, result| Body::AppendReply {
        inflight,
        round,
        incarnation: Incarnation(incarnation),
        result,
    };
    let (prev, hint) = (Index(0), at(0, 0));
    solo.hears(2, term, reply(7, AppendResult::Reject { prev, hint }));
    let upto = Index(1);
    solo.hears(2, term, reply(6, AppendResult::Match { upto }));
    assert_eq!(solo.raft.committed(), Index(0));
    solo.hears(2, term, reply(7, AppendResult::Match { upto }));
    assert_eq!(solo.raft.committed(), Index(1));
}

/// openraft fbbf37b, etcd-io/raft #149: a stale refusal rewinds the leader.
#[test]
fn a_late_refusal_rewinds_nothing() {
    let mut solo = Solo::with(1, &[1, 1, 1]);
    solo.lead();
    let (inflight, round) = solo.last_append(2);
    let (prev, hint) = (Index(3), at(1, 1));
    solo.replies(2, inflight, round, AppendResult::Reject { prev, hint });
    let (fresh, round) = solo.last_append(2);
    let upto = Index(4);
    solo.replies(2, fresh, round, AppendResult::Match { upto });
    solo.effects.clear();
    solo.replies(2, inflight, round, AppendResult::Reject { prev, hint });
    assert!(solo.sent().is_empty());
    assert!(solo.raft.matched().contains(&(id(2), upto)));
}

/// etcd a370b6f, cockroach #31618: a leak of the uncommitted size refuses all.
#[test]
fn backpressure_counts_payload_and_ends_with_the_commit() {
    let mut solo = Solo::tight();
    solo.lead_and_commit();
    solo.acknowledged_by(3);
    for _ in 0..5 {
        solo.effects.clear();
        solo.propose(1, b"12345678");
        solo.propose(2, b"9");
        let (context, reason) = (Context(2), Refusal::Busy);
        assert!(solo.effects.contains(&Effect::Refused { context, reason }));
        solo.settle();
        solo.acknowledged_by(2);
        assert_eq!(solo.raft.committed(), solo.raft.last().index);
    }
}

/// openraft a9f696a: a new leader counts its first entry before it is durable.
#[test]
fn a_leader_counts_its_own_entries_once_they_are_durable() {
    let mut solo = Solo::new();
    solo.lead_and_commit();
    solo.acknowledged_by(3);
    solo.effects.clear();
    solo.propose(1, b"x");
    solo.wake();
    assert!(
        solo.last_append(2).0 > InflightId(0),
        "P4: sent before the write"
    );
    let body = Body::AppendReply {
        inflight: solo.last_append(2).0,
        round: solo.last_append(2).1,
        incarnation: Incarnation(1),
        result: AppendResult::Match { upto: Index(2) },
    };
    solo.receives(2, 1, body);
    assert_eq!(solo.raft.committed(), Index(1));
    solo.persist();
    assert_eq!(solo.raft.committed(), Index(2));
}

/// etcd `async_storage_writes_append_aba_race`: the completion of a write that
/// was overtaken vouches for the entry that replaced its own.
#[test]
fn a_completed_write_does_not_vouch_for_what_replaced_it() {
    let mut solo = Solo::new();
    let append = |term: u64| Body::Append {
        inflight: InflightId(1),
        round: RoundId(0),
        prev: at(0, 0),
        prev_chain: chain::EMPTY,
        commit: Index(0),
        quiet: false,
        entries: log_of(&[term, term]).into(),
    };
    solo.receives(2, 1, append(1));
    solo.wake();
    let old = core::mem::take(&mut solo.writes);
    solo.receives(3, 2, append(2));
    solo.wake();
    solo.sent();
    for seq in old {
        solo.step(Event::Persisted { seq });
    }
    assert_eq!(solo.raft.durable(), Index(0));
    assert!(solo.sent().is_empty(), "nothing of term 2 is durable");
    solo.persist();
    assert_eq!(solo.raft.durable(), Index(2));
    let answer = solo.answer();
    assert_eq!(answer.term, Term(2));
}

/// openraft's io_ordering: entries of a term are durable before the term is.
#[test]
fn a_term_is_written_along_with_its_first_entries() {
    let mut solo = Solo::new();
    solo.receives(
        2,
        5,
        Body::Append {
            inflight: InflightId(1),
            round: RoundId(0),
            prev: at(0, 0),
            prev_chain: chain::EMPTY,
            commit: Index(0),
            quiet: false,
            entries: log_of(&[5]).into(),
        },
    );
    solo.wake();
    let write = solo.effects.iter().find_map(|effect| match effect {
        Effect::Persist(persist) if !persist.append.is_empty() => Some(persist),
        _ => None,
    });
    let hard = write
        .and_then(|write| write.hard_state.clone())
        .expect("one write");
    assert_eq!(hard.term, Term(5));
}

/// openraft #1892: a conflicting snapshot at a committed index is installed.
#[test]
fn a_snapshot_at_or_below_the_commit_is_not_installed() {
    let mut solo = Solo::with(1, &[1, 1, 1]);
    solo.appended(1, at(1, 3), Vec::new(), 3);
    let mut base = solo.raft.base_at(Index(3)).expect("kept");
    base.chain = chain::EMPTY;
    solo.effects.clear();
    solo.snapshot(1, base, true);
    let staged = |effect: &Effect| matches!(effect, Effect::SnapshotStage { .. });
    assert!(!solo.effects.iter().any(staged));
    assert_eq!(solo.raft.last(), at(1, 3));
}

/// openraft eed681d5: entries are applied while a snapshot replaces the state.
#[test]
fn nothing_is_applied_while_a_snapshot_is_installed() {
    let mut solo = Solo::with(1, &[1, 1, 1]);
    let mut base = solo.raft.base_at(Index(3)).expect("kept");
    base.id = at(1, 9);
    let meta = solo.stage(1, base);
    solo.appended(1, at(1, 3), Vec::new(), 3);
    assert!(solo.applied().is_empty());
    solo.step(Event::SnapshotInstalled { meta });
    solo.settle();
    assert_eq!(solo.raft.handed(), Index(9));
}

/// etcd abb533c, KAFKA-16526: a learner that the candidate counts refuses to
/// vote.
#[test]
fn a_vote_depends_on_the_candidates_log_alone() {
    let mut solo = Solo::new();
    let mut entries = log_of(&[1]);
    let without_us = Membership::of_voters([2, 3].map(id));
    let data = crate::codec::Encode::to_bytes(&without_us);
    let before = entries[0].chain;
    let kind = crate::raft::EntryKind::Membership;
    entries.push(chain::seal(
        super::cluster::CLUSTER,
        before,
        at(1, 2),
        kind,
        data,
    ));
    solo.appended(1, at(0, 0), entries, 2);
    assert_eq!(*solo.raft.membership(), without_us);
    solo.elapse(Span::from_secs(1));
    solo.sent();
    solo.hears(3, 2, vote(1, 2));
    assert!(granted(&solo.answer()));
    // But it does not stand itself (hashicorp/raft #477).
    assert_eq!(crate::machine::Machine::deadline(&solo.raft), None);
}

/// etcd 816fc51, tikv #4045: TimeoutNow to a node that may not campaign, or from
/// one that does not lead.
#[test]
fn timeout_now_is_obeyed_by_voters_to_their_leader_only() {
    let mut solo = Solo::new();
    solo.appended(1, at(0, 0), Vec::new(), 0);
    solo.hears(3, 1, Body::TimeoutNow);
    assert_eq!(solo.raft.role(), Role::Follower);
    solo.hears(2, 1, Body::TimeoutNow);
    assert_eq!(solo.raft.role(), Role::Candidate);
}

/// etcd #8501, openraft #1796: a pre-candidate that is behind never learns of it.
#[test]
fn a_refused_pre_vote_teaches_the_term() {
    let mut solo = Solo::with(7, &[7]);
    let campaign = CampaignId(3);
    let last = at(1, 1);
    solo.hears(2, 3, Body::PreVote { campaign, last });
    let answer = solo.answer();
    assert!(!granted(&answer));
    assert_eq!(answer.term, Term(7));
    let mut behind = Solo::new();
    while behind.raft.role() != Role::PreCandidate {
        behind.until_deadline();
    }
    behind.hears(2, 7, answer.body);
    assert_eq!(behind.raft.term(), Term(7));
    assert_eq!(behind.raft.hard_state().voted_for, None);
}

/// A pre-vote changes nothing, at either side.
#[test]
fn a_pre_vote_changes_neither_term_nor_vote() {
    let mut solo = Solo::new();
    let campaign = CampaignId(3);
    let last = at(4, 4);
    let before = solo.raft.hard_state();
    solo.hears(2, 5, Body::PreVote { campaign, last });
    let answer = solo.answer();
    assert!(granted(&answer));
    assert_eq!(answer.term, Term(5), "the term asked about");
    assert_eq!(solo.raft.hard_state(), before);
}

/// Cloudflare, 2020-11-02: a partial partition without a stable leader.
#[test]
fn a_partial_partition_keeps_its_leader() {
    let mut cluster = Cluster::new(5, 44);
    let leader = cluster.elect();
    let mut others = (1..=5).map(id).filter(|node| *node != leader);
    let lonely = others.next().expect("four others");
    cluster.cut.insert((leader, lonely));
    cluster.cut.insert((lonely, leader));
    let term = cluster.raft(leader).term();
    cluster.run(Span::from_secs(30));
    assert_eq!(cluster.ready_leader(), Some(leader));
    assert_eq!(cluster.raft(leader).term(), term);
}

/// A leader that hears nobody steps down (CheckQuorum), and its reads fail.
#[test]
fn a_leader_without_a_quorum_steps_down() {
    let mut cluster = Cluster::new(3, 45);
    let leader = cluster.elect();
    cluster.isolate(leader);
    let context = cluster.read(leader);
    cluster.run(Span::from_secs(2));
    assert_ne!(cluster.raft(leader).role(), Role::Leader);
    assert_eq!(cluster.read_ready(leader, context), None);
    assert!(cluster.refusal(leader, context).is_some());
}

/// dissertation §3.10: the successor takes over without waiting for a timeout.
#[test]
fn a_transfer_is_quick_and_refuses_clients_meanwhile() {
    let mut cluster = Cluster::new(3, 46);
    let leader = cluster.elect();
    cluster.run(Span::from_millis(300));
    let successor = cluster.another(leader);
    cluster.event(leader, Event::Transfer { to: successor });
    let (write, read) = (cluster.propose(leader, b"late"), cluster.read(leader));
    let refused = Some(Refusal::Transferring);
    assert_eq!(cluster.refusal(leader, write), refused);
    assert_eq!(cluster.refusal(leader, read), refused, "etcd: reads too");
    let quick = cluster.run_until(Span::from_millis(100), |cluster| {
        cluster.ready_leader() == Some(successor)
    });
    assert!(quick);
}

/// A transfer to a node that is down is given up.
#[test]
fn a_transfer_has_a_timeout() {
    let mut cluster = Cluster::new(3, 47);
    let leader = cluster.elect();
    let successor = cluster.another(leader);
    cluster.crash(successor);
    cluster.event(leader, Event::Transfer { to: successor });
    cluster.run(Span::from_millis(700));
    let context = cluster.propose(leader, b"after");
    assert!(cluster.proposed(leader, context).is_some());
}

/// logcabin #160: entries cut by size in the middle of a run.
#[test]
fn a_long_log_is_sent_in_contiguous_pieces() {
    let mut cluster = Cluster::with(
        3,
        48,
        Knobs {
            append_entries_max: 2,
            ..Knobs::default()
        },
    );
    let leader = cluster.elect();
    for _ in 0..25 {
        cluster.propose(leader, b"x");
    }
    cluster.run(Span::from_secs(1));
    assert!(
        cluster
            .nodes
            .values()
            .all(|node| node.state.commands.len() == 25)
    );
}

/// One write and one Append per peer for a whole iteration.
#[test]
fn a_turn_writes_once_and_speaks_once_to_each_peer() {
    let mut solo = Solo::new();
    solo.lead_and_commit();
    solo.acknowledged_by(3);
    solo.effects.clear();
    for context in 0..50 {
        solo.propose(context, b"x");
    }
    solo.wake();
    assert_eq!(solo.writes.len(), 1);
    assert_eq!(solo.sent().len(), 2);
}

/// Equal ids with unequal histories are never silently overwritten.
#[test]
fn a_different_history_halts_the_node() {
    let mut solo = Solo::with(1, &[1, 1]);
    let other = Chain([9; 16]);
    let body = Body::Append {
        inflight: InflightId(1),
        round: RoundId(0),
        prev: at(1, 2),
        prev_chain: other,
        commit: Index(0),
        quiet: false,
        entries: entries_after(at(1, 2), other, &[1]).into(),
    };
    solo.hears(2, 1, body);
    assert_eq!(solo.raft.role(), Role::Halted);
    assert!(solo.raft.halt_reason().is_some());
    solo.effects.clear();
    solo.propose(1, b"x");
    let (context, reason) = (Context(1), Refusal::Unavailable);
    assert_eq!(solo.effects, [Effect::Refused { context, reason }]);
}

/// fsyncgate: a failed write is never retried.
#[test]
fn a_failed_disk_halts_the_node() {
    let mut solo = Solo::new();
    solo.lead();
    solo.step(Event::StoreFailed);
    assert_eq!(solo.raft.role(), Role::Halted);
    assert_eq!(crate::machine::Machine::deadline(&solo.raft), None);
}

/// A commit takes six messages in a group of three: what brings nothing but its
/// news is answered only if it does not fit.
#[test]
fn news_of_a_commit_are_answered_only_if_they_do_not_fit() {
    let mut solo = Solo::with(1, &[1, 1]);
    let news = |prev, quiet| Body::Append {
        inflight: InflightId(7),
        round: RoundId(0),
        prev,
        prev_chain: chain::EMPTY,
        commit: Index(2),
        quiet,
        entries: Vec::new().into(),
    };
    let with_chain = |solo: &Solo, body| match body {
        Body::Append {
            inflight,
            round,
            prev,
            commit,
            quiet,
            entries,
            ..
        } => Body::Append {
            inflight,
            round,
            prev,
            prev_chain: solo.raft.chain_at(prev.index).unwrap_or(chain::EMPTY),
            commit,
            quiet,
            entries,
        },
        other => other,
    };
    let loud = with_chain(&solo, news(at(1, 1), false));
    solo.hears(2, 1, loud);
    solo.answer();
    assert_eq!(solo.raft.committed(), Index(1));
    let fits = with_chain(&solo, news(at(1, 2), true));
    solo.hears(2, 1, fits);
    assert!(solo.sent().is_empty());
    assert_eq!(solo.raft.committed(), Index(2));
    solo.hears(2, 1, news(at(1, 5), true));
    let Body::AppendReply { result, .. } = solo.answer().body else {
        panic!("an answer to an Append");
    };
    assert!(matches!(result, AppendResult::Reject { .. }));
}
