//! One test per sentence of the Raft paper (extended version), section 5. The
//! later sections are in `paper_later.rs`.

use alloc::vec::Vec;

use super::cluster::{Cluster, id};
use super::solo::{Solo, at, log_of};
use crate::raft::{AppendResult, Body, CampaignId, Event, Role};
use crate::types::{Index, Span, Term};

/// A request for a vote by a candidate with this log.
pub fn vote(last_term: u64, last_index: u64) -> Body {
    Body::Vote {
        campaign: CampaignId(1),
        last: at(last_term, last_index),
        transfer: false,
    }
}

/// Whether an answer grants.
pub fn granted(message: &crate::raft::Message) -> bool {
    match message.body {
        Body::VoteReply { granted, .. } | Body::PreVoteReply { granted, .. } => granted,
        _ => panic!("not an answer to a vote: {message:?}"),
    }
}

// §5.1

#[test]
fn s5_1_if_a_term_is_smaller_it_is_updated_to_the_larger_value() {
    for role in [Role::Follower, Role::Candidate, Role::Leader] {
        let mut solo = Solo::new();
        match role {
            Role::Candidate => solo.stand(),
            Role::Leader => {
                solo.lead();
            }
            _ => {}
        }
        solo.appended(9, at(0, 0), Vec::new(), 0);
        assert_eq!(solo.raft.term(), Term(9));
    }
}

#[test]
fn s5_1_a_candidate_or_leader_with_an_old_term_reverts_to_follower() {
    let mut solo = Solo::new();
    let term = solo.lead();
    solo.appended(term + 1, at(0, 0), Vec::new(), 0);
    assert_eq!(solo.raft.role(), Role::Follower);
    let mut solo = Solo::new();
    solo.stand();
    let campaign = CampaignId(0);
    let granted = false;
    solo.hears(3, 8, Body::VoteReply { campaign, granted });
    assert_eq!(solo.raft.role(), Role::Follower);
    assert_eq!(solo.raft.term(), Term(8));
}

#[test]
fn s5_1_a_request_with_a_stale_term_is_rejected() {
    let mut solo = Solo::with(5, &[1]);
    solo.appended(4, at(1, 1), Vec::new(), 1);
    let answer = solo.answer();
    assert_eq!(answer.term, Term(5));
    assert_eq!(solo.raft.committed(), Index(0));
    solo.hears(3, 4, vote(4, 9));
    assert!(!granted(&solo.answer()));
}

// §5.2

#[test]
fn s5_2_servers_start_up_as_followers() {
    assert_eq!(Solo::new().raft.role(), Role::Follower);
    assert_eq!(Solo::with(7, &[1, 7]).raft.role(), Role::Follower);
}

#[test]
fn s5_2_a_leader_sends_periodic_heartbeats_to_all_followers() {
    let mut solo = Solo::new();
    solo.lead_and_commit();
    solo.acknowledged_by(3);
    for _ in 0..3 {
        solo.effects.clear();
        let before = solo.now;
        solo.until_deadline();
        assert!(solo.now.saturating_since(before) <= Span::from_millis(100));
        let mut to: Vec<_> = solo.sent().into_iter().map(|(to, _)| to).collect();
        to.sort_unstable();
        assert_eq!(to, [id(2), id(3)]);
    }
}

#[test]
fn s5_2_a_follower_without_communication_begins_an_election() {
    let mut solo = Solo::new();
    solo.stand();
    assert_eq!(solo.raft.term(), Term(1), "it increments its current term");
    assert_eq!(
        solo.raft.hard_state().voted_for,
        Some(id(1)),
        "votes for itself"
    );
    let asked = solo.sent();
    assert_eq!(
        asked.len(),
        2,
        "and issues RequestVote to each other server"
    );
    assert!(
        asked
            .iter()
            .all(|(_, message)| matches!(message.body, Body::Vote { .. }))
    );
}

#[test]
fn s5_2_a_candidate_wins_with_votes_of_a_majority() {
    let mut solo = Solo::new();
    solo.stand();
    let (campaign, term) = solo.campaign();
    let granted = true;
    solo.hears(3, term, Body::VoteReply { campaign, granted });
    assert_eq!(solo.raft.role(), Role::Leader);
}

#[test]
fn s5_2_a_server_votes_for_at_most_one_candidate_first_come_first_served() {
    let mut solo = Solo::new();
    solo.hears(2, 4, vote(0, 0));
    assert!(granted(&solo.answer()));
    solo.hears(3, 4, vote(0, 0));
    assert!(!granted(&solo.answer()));
    solo.hears(2, 4, vote(0, 0));
    assert!(granted(&solo.answer()), "the same candidate may ask again");
}

#[test]
fn s5_2_a_candidate_recognises_a_leader_of_its_own_term() {
    let mut solo = Solo::new();
    solo.stand();
    let term = solo.raft.term().0;
    solo.appended(term, at(0, 0), Vec::new(), 0);
    assert_eq!(solo.raft.role(), Role::Follower);
    assert_eq!(solo.raft.leader(), Some(id(2)));
    assert_eq!(
        solo.raft.hard_state().voted_for,
        Some(id(1)),
        "its vote stands"
    );
}

#[test]
fn s5_2_a_candidate_rejects_a_leader_of_an_older_term() {
    let mut solo = Solo::with(5, &[]);
    solo.stand();
    solo.appended(5, at(0, 0), Vec::new(), 0);
    assert_eq!(solo.raft.role(), Role::Candidate);
}

#[test]
fn s5_2_on_a_split_vote_a_candidate_times_out_and_starts_a_new_election() {
    let mut solo = Solo::new();
    solo.stand();
    assert_eq!(solo.raft.term(), Term(1));
    solo.stand();
    assert_eq!(solo.raft.term(), Term(2));
}

#[test]
fn s5_2_election_timeouts_are_chosen_anew_from_a_fixed_interval() {
    let mut solo = Solo::new();
    let mut spans: Vec<u64> = Vec::new();
    for _ in 0..64 {
        let before = solo.now;
        solo.until_deadline();
        let span = solo.now.saturating_since(before);
        assert!((500..1000).contains(&span.as_millis()), "{span}");
        spans.push(span.as_millis());
    }
    spans.sort_unstable();
    spans.dedup();
    assert!(spans.len() > 32, "they are spread out");
}

#[test]
fn s5_2_timeouts_of_nodes_that_share_a_seed_differ() {
    let cluster = Cluster::new(5, 4);
    let mut deadlines: Vec<_> = (1..=5)
        .map(|node| {
            let mut raft = cluster.raft(id(node)).clone();
            let mut out = crate::machine::Outbox::new();
            crate::machine::Machine::step(&mut raft, cluster.now, Event::Wake, &mut out);
            crate::machine::Machine::deadline(&raft)
        })
        .collect();
    deadlines.sort_unstable();
    deadlines.dedup();
    assert_eq!(deadlines.len(), 5);
}

// §5.3

#[test]
fn s5_3_the_leader_appends_a_command_and_sends_it_to_each_server() {
    let mut solo = Solo::new();
    solo.lead_and_commit();
    solo.acknowledged_by(3);
    solo.effects.clear();
    solo.propose(1, b"command");
    assert!(solo.sent().is_empty(), "the iteration is not over");
    solo.wake();
    for (_, message) in solo.sent() {
        let Body::Append { prev, entries, .. } = message.body else {
            panic!("an Append")
        };
        assert_eq!(prev, at(1, 1));
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].id, at(1, 2));
        assert_eq!(entries[0].data, "command");
    }
}

#[test]
fn s5_3_an_entry_is_committed_once_a_majority_has_replicated_it() {
    let mut solo = Solo::new();
    solo.lead_and_commit();
    solo.acknowledged_by(3);
    solo.effects.clear();
    solo.propose(1, b"command");
    solo.settle();
    assert_eq!(solo.raft.committed(), Index(1));
    solo.acknowledged_by(3);
    assert_eq!(solo.raft.committed(), Index(2));
    assert_eq!(solo.applied(), [2]);
}

#[test]
fn s5_3_committing_an_entry_commits_all_preceding_ones() {
    for log in [&[1, 2][..], &[1, 1, 2, 3], &[2]] {
        let mut solo = Solo::with(3, log);
        solo.lead_and_commit();
        let count = u64::try_from(log.len()).expect("short") + 1;
        assert_eq!(solo.applied(), (1..=count).collect::<Vec<_>>());
    }
}

#[test]
fn s5_3_the_leader_includes_its_commit_index_in_future_appends() {
    let mut solo = Solo::new();
    solo.lead();
    solo.acknowledged_by(2);
    let told = solo.sent_to(2);
    let told = told.last().expect("followers learn of the commit at once");
    assert!(matches!(
        told.body,
        Body::Append {
            commit: Index(1),
            ..
        }
    ));
}

#[test]
fn s5_3_a_follower_applies_an_entry_once_it_learns_that_it_is_committed() {
    let mut solo = Solo::new();
    let entries = log_of(&[1, 1, 1]);
    solo.appended(1, at(0, 0), entries, 2);
    assert_eq!(solo.applied(), [1, 2]);
    solo.appended(1, at(1, 3), Vec::new(), 3);
    assert_eq!(solo.applied(), [3]);
}

#[test]
fn s5_3_the_leader_retries_appends_forever() {
    let mut solo = Solo::new();
    solo.lead_and_commit();
    for _ in 0..20 {
        solo.acknowledged_by(2);
        solo.effects.clear();
        solo.until_deadline();
        assert!(!solo.sent_to(3).is_empty() || solo.raft.role() == Role::Leader);
        solo.until_deadline();
    }
    assert_eq!(solo.raft.role(), Role::Leader);
}

#[test]
fn s5_3_a_follower_refuses_entries_whose_predecessor_it_does_not_have() {
    let mut solo = Solo::with(2, &[1, 2]);
    for (prev, hint) in [
        (at(2, 3), at(2, 2)),
        (at(1, 2), at(1, 1)),
        (at(2, 9), at(2, 2)),
    ] {
        solo.appended(3, prev, Vec::new(), 0);
        let Body::AppendReply { result, .. } = solo.answer().body else {
            panic!("an answer")
        };
        let prev = prev.index;
        assert_eq!(result, AppendResult::Reject { prev, hint });
    }
}

#[test]
fn s5_3_conflicting_entries_are_overwritten_with_the_leaders() {
    // Figure 7: (f) and others, against a leader with 1 1 1 4 4 5 5 6 6 6.
    let leader = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    let followers: [&[u64]; 6] = [
        &[1, 1, 1, 4, 4, 5, 5, 6, 6],
        &[1, 1, 1, 4],
        &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
        &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
        &[1, 1, 1, 4, 4, 4, 4],
        &[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
    ];
    for follower in followers {
        let mut solo = Solo::with(8, follower);
        let entries = log_of(&leader);
        let shared = follower
            .iter()
            .zip(&leader)
            .take_while(|(a, b)| a == b)
            .count();
        let prev = at(leader[shared - 1], u64::try_from(shared).expect("short"));
        let rest = entries[shared..].to_vec();
        let replaced = !rest.is_empty() && follower.len() > shared;
        solo.appended(8, prev, rest, 0);
        if replaced {
            assert_eq!(solo.terms(), leader);
        } else {
            assert!(solo.terms().starts_with(&leader));
        }
    }
}

#[test]
fn s5_3_the_leader_finds_where_a_log_agrees_and_brings_it_to_its_own() {
    let mut cluster = Cluster::new(3, 8);
    let leader = cluster.elect();
    cluster.isolate(leader);
    for _ in 0..5 {
        cluster.propose(leader, b"lost");
    }
    let other = cluster.elect_other(leader);
    for _ in 0..7 {
        cluster.propose(other, b"kept");
    }
    cluster.run(Span::from_millis(200));
    cluster.heal();
    cluster.run(Span::from_secs(2));
    let states: Vec<_> = cluster
        .nodes
        .values()
        .map(|node| &node.state.commands)
        .collect();
    assert!(
        states
            .iter()
            .all(|state| state.len() == 7 && state[0] == "kept")
    );
}

#[test]
fn s5_3_a_refusal_skips_a_whole_term() {
    let mut solo = Solo::with(6, &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6]);
    solo.lead();
    let (inflight, round) = solo.last_append(2);
    solo.effects.clear();
    // The follower's log is 1 1 1 2 2 2 3 3 3 3: its last entry before term 6.
    let (prev, hint) = (Index(10), at(3, 10));
    solo.replies(2, inflight, round, AppendResult::Reject { prev, hint });
    let sent = solo.sent_to(2);
    let Body::Append { prev, .. } = &sent[0].body else {
        panic!("an Append")
    };
    assert_eq!(*prev, at(1, 3), "one message later they agree");
}

#[test]
fn s5_3_a_leader_never_overwrites_its_own_entries() {
    let mut solo = Solo::new();
    let term = solo.lead();
    let entries = log_of(&[term]);
    let before = solo.terms();
    solo.appended(term, at(0, 0), entries, 1);
    assert_eq!(solo.terms(), before);
    assert_eq!(solo.raft.role(), Role::Leader);
}

// §5.4

#[test]
fn s5_4_1_a_voter_denies_its_vote_if_its_own_log_is_more_up_to_date() {
    let cases = [
        (&[1][..], at(1, 1), true),
        (&[1], at(1, 2), true),
        (&[1, 1], at(1, 1), false),
        (&[1], at(2, 1), true),
        (&[1], at(2, 2), true),
        (&[1, 1], at(2, 1), true),
        (&[2], at(1, 1), false),
        (&[2], at(1, 2), false),
        (&[2, 1 + 1], at(1, 9), false),
    ];
    for (log, last, expected) in cases {
        let mut solo = Solo::with(2, log);
        solo.hears(2, 3, vote(last.term.0, last.index.0));
        assert_eq!(granted(&solo.answer()), expected, "{log:?} against {last}");
    }
}

#[test]
fn s5_4_2_only_entries_of_the_current_term_are_committed_by_counting() {
    let mut solo = Solo::with(2, &[1, 2]);
    let term = solo.lead();
    assert_eq!(term, 3);
    let (inflight, round) = solo.last_append(2);
    for upto in [1, 2] {
        let upto = Index(upto);
        solo.replies(2, inflight, round, AppendResult::Match { upto });
        assert_eq!(solo.raft.committed(), Index(0), "of an older term");
    }
    let upto = Index(3);
    solo.replies(2, inflight, round, AppendResult::Match { upto });
    assert_eq!(solo.raft.committed(), Index(3));
}

// §5.5, §5.6

#[test]
fn s5_5_requests_are_idempotent() {
    let mut solo = Solo::new();
    for _ in 0..3 {
        solo.appended(1, at(0, 0), log_of(&[1, 1]), 1);
    }
    assert_eq!(solo.terms(), [1, 1]);
    assert_eq!(solo.applied(), [1]);
}

#[test]
fn s5_5_a_crashed_follower_catches_up_after_its_restart() {
    let mut cluster = Cluster::new(3, 5);
    let leader = cluster.elect();
    let follower = cluster.another(leader);
    cluster.crash(follower);
    for _ in 0..40 {
        cluster.propose(leader, b"while down");
    }
    cluster.run(Span::from_secs(1));
    cluster.start(follower);
    cluster.run(Span::from_secs(1));
    assert_eq!(cluster.nodes[&follower].state.commands.len(), 40);
}
