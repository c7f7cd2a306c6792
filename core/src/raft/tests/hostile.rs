//! Peers that say anything: the node never panics, keeps its invariants, and
//! never changes what it has committed.

use alloc::vec::Vec;

use bytes::Bytes;
use proptest::prelude::*;

use super::cluster::{CLUSTER, id};
use super::solo::{Solo, at, entries_after};
use crate::raft::{
    AppendResult, Base, Body, CampaignId, Entry, EntryKind, Incarnation, InflightId, Membership,
    RoundId, SnapshotMeta, SnapshotResult, chain,
};
use crate::types::{Chain, Index, LogId, Span, Term};

/// Small numbers collide with what the node knows; huge ones overflow.
fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0_u64..8, 1 => Just(u64::MAX), 1 => Just(u64::MAX >> 1), 1 => any::<u64>()]
}

fn places() -> impl Strategy<Value = LogId> {
    (numbers(), numbers()).prop_map(|(term, index)| at(term, index))
}

fn memberships() -> impl Strategy<Value = Membership> {
    let ids = || prop::collection::vec(0_u128..6, 0..4);
    (ids(), ids(), ids()).prop_map(|(voters, outgoing, learners)| Membership {
        voters: voters.into_iter().map(id).collect(),
        outgoing: outgoing.into_iter().map(id).collect(),
        learners: learners.into_iter().map(id).collect(),
    })
}

/// Entries that follow each other with sound chains but wild terms and content,
/// or that are not even that.
fn entries() -> impl Strategy<Value = (LogId, Chain, Vec<Entry>)> {
    let content = prop_oneof![
        3 => Just((EntryKind::App, Bytes::from_static(b"x"))),
        1 => Just((EntryKind::Noop, Bytes::new())),
        1 => Just((EntryKind::Membership, Bytes::from_static(b"garbage"))),
        1 => memberships().prop_map(|members| {
            (EntryKind::Membership, crate::codec::Encode::to_bytes(&members))
        }),
    ];
    let wild = prop::collection::vec((places(), content), 0..4).prop_map(|list| {
        let make = |(place, (kind, data))| chain::seal(CLUSTER, chain::EMPTY, place, kind, data);
        (
            LogId::ZERO,
            chain::EMPTY,
            list.into_iter().map(make).collect(),
        )
    });
    let sound = (0_u64..4, prop::collection::vec(1_u64..4, 0..5)).prop_map(|(skip, mut terms)| {
        terms.sort_unstable();
        let all = entries_after(LogId::ZERO, chain::EMPTY, &terms);
        let skip = usize::try_from(skip).expect("small").min(all.len());
        let (prev, before) = match skip.checked_sub(1) {
            Some(last) => (all[last].id, all[last].chain),
            None => (LogId::ZERO, chain::EMPTY),
        };
        (prev, before, all[skip..].to_vec())
    });
    let elsewhere =
        (places(), any::<[u8; 16]>()).prop_map(|(prev, before)| (prev, Chain(before), Vec::new()));
    prop_oneof![2 => wild, 3 => sound, 1 => elsewhere]
}

fn bodies() -> impl Strategy<Value = Body> {
    let three = || (numbers(), numbers(), numbers());
    let results = prop_oneof![
        numbers().prop_map(|upto| AppendResult::Match { upto: Index(upto) }),
        (numbers(), places()).prop_map(|(prev, hint)| AppendResult::Reject {
            prev: Index(prev),
            hint,
        }),
        Just(AppendResult::Busy),
    ];
    let staged = prop_oneof![
        numbers().prop_map(|chunk| SnapshotResult::Next { chunk }),
        numbers().prop_map(|upto| SnapshotResult::Installed { upto: Index(upto) }),
        Just(SnapshotResult::Refused),
    ];
    let campaign = || numbers().prop_map(|number| CampaignId(number.wrapping_add(1 << 32)));
    prop_oneof![
        (campaign(), places()).prop_map(|(campaign, last)| Body::PreVote { campaign, last }),
        (campaign(), any::<bool>())
            .prop_map(|(campaign, granted)| Body::PreVoteReply { campaign, granted }),
        (campaign(), places(), any::<bool>()).prop_map(|(campaign, last, transfer)| Body::Vote {
            campaign,
            last,
            transfer
        }),
        (campaign(), any::<bool>())
            .prop_map(|(campaign, granted)| Body::VoteReply { campaign, granted }),
        (three(), entries()).prop_map(|((a, b, c), (prev, prev_chain, entries))| Body::Append {
            inflight: InflightId(a),
            round: RoundId(b),
            prev,
            prev_chain,
            commit: Index(c),
            quiet: c.is_multiple_of(2),
            entries: entries.into(),
        }),
        (three(), results).prop_map(|((a, b, c), result)| Body::AppendReply {
            inflight: InflightId(a),
            round: RoundId(b),
            incarnation: Incarnation(c),
            result,
        }),
        (three(), places(), memberships(), any::<bool>()).prop_map(
            |((a, b, chunk), place, membership, last)| Body::Snapshot {
                inflight: InflightId(a),
                round: RoundId(b),
                meta: alloc::boxed::Box::new(SnapshotMeta {
                    base: Base {
                        id: place,
                        chain: chain::EMPTY,
                        membership,
                    },
                    digest: [0; 32],
                    metadata: bytes::Bytes::new(),
                }),
                chunk,
                data: Bytes::from_static(b"data"),
                last,
            }
        ),
        (three(), staged).prop_map(|((a, b, c), result)| Body::SnapshotReply {
            inflight: InflightId(a),
            round: RoundId(b),
            incarnation: Incarnation(c),
            result,
        }),
        Just(Body::TimeoutNow),
    ]
}

/// One message of a stranger or a member, in some term, after some time.
fn words() -> impl Strategy<Value = (u128, u64, Body, u64)> {
    (2_u128..6, numbers(), bodies(), 0_u64..700)
}

fn survives(mut solo: Solo, words: Vec<(u128, u64, Body, u64)>) -> Result<(), TestCaseError> {
    let mut committed: Vec<(Index, Term)> = Vec::new();
    for (from, term, body, pause) in words {
        solo.elapse(Span::from_millis(pause));
        solo.hears(from, term, body);
        for (index, term) in &committed {
            let now = solo.raft.term_at(*index);
            prop_assert!(
                now.is_none() || now == Some(*term),
                "a committed entry changed"
            );
        }
        let index = solo.raft.committed();
        if let Some(term) = solo.raft.term_at(index) {
            committed.push((index, term));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_follower_survives_anything(words in prop::collection::vec(words(), 1..24)) {
        survives(Solo::with(2, &[1, 1, 2]), words)?;
    }

    #[test]
    fn a_leader_survives_anything(words in prop::collection::vec(words(), 1..24)) {
        let mut solo = Solo::with(1, &[1, 1]);
        solo.lead_and_commit();
        survives(solo, words)?;
    }

    #[test]
    fn a_candidate_survives_anything(words in prop::collection::vec(words(), 1..24)) {
        let mut solo = Solo::with(1, &[1, 1]);
        solo.stand();
        survives(solo, words)?;
    }
}
