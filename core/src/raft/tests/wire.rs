//! The encoding: round trips, canonical form, and bytes from anywhere.

use alloc::vec::Vec;

use bytes::Bytes;
use proptest::prelude::*;

use super::cluster::id;
use super::solo::log_of;
use crate::codec::{Decode, DecodeError, Encode, Writer};
use crate::raft::{
    AppendResult, Base, Body, CampaignId, Entry, HardState, Incarnation, InflightId, Membership,
    Message, RoundId, SnapshotMeta, SnapshotResult, chain,
};
use crate::types::{Chain, Index, LogId, NodeId, Term};

fn log_ids() -> impl Strategy<Value = LogId> {
    (any::<u64>(), any::<u64>()).prop_map(|(term, index)| LogId::new(Term(term), Index(index)))
}

fn chains() -> impl Strategy<Value = Chain> {
    any::<[u8; 16]>().prop_map(Chain)
}

fn payloads() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..64).prop_map(Bytes::from)
}

fn memberships() -> impl Strategy<Value = Membership> {
    let ids = || prop::collection::btree_set(1_u128..50, 1..=7);
    let few = prop::collection::btree_set(50_u128..99, 0..=32);
    (ids(), prop::option::of(ids()), few).prop_map(|(voters, outgoing, learners)| {
        let list = |set: alloc::collections::BTreeSet<u128>| -> Vec<NodeId> {
            set.into_iter().map(NodeId).collect()
        };
        Membership {
            voters: list(voters),
            outgoing: outgoing.map(list).unwrap_or_default(),
            learners: list(learners),
        }
    })
}

fn bases() -> impl Strategy<Value = Base> {
    (log_ids(), chains(), memberships()).prop_map(|(id, chain, membership)| Base {
        id,
        chain,
        membership,
    })
}

fn hard_states() -> impl Strategy<Value = HardState> {
    let vote = prop::option::of(any::<u128>().prop_map(NodeId));
    let repair = prop::option::of(any::<u64>().prop_map(Index));
    (any::<u64>(), vote, any::<u64>(), any::<u64>(), repair).prop_map(
        |(term, voted_for, commit, incarnation, repair_upto)| HardState {
            term: Term(term),
            voted_for,
            commit: Index(commit),
            incarnation,
            repair_upto,
        },
    )
}

fn append_results() -> impl Strategy<Value = AppendResult> {
    prop_oneof![
        any::<u64>().prop_map(|upto| AppendResult::Match { upto: Index(upto) }),
        (any::<u64>(), log_ids()).prop_map(|(prev, hint)| AppendResult::Reject {
            prev: Index(prev),
            hint,
        }),
        Just(AppendResult::Busy),
    ]
}

fn snapshot_results() -> impl Strategy<Value = SnapshotResult> {
    prop_oneof![
        any::<u64>().prop_map(|chunk| SnapshotResult::Next { chunk }),
        any::<u64>().prop_map(|upto| SnapshotResult::Installed { upto: Index(upto) }),
        Just(SnapshotResult::Refused),
    ]
}

fn elections() -> impl Strategy<Value = Body> {
    let campaigns = || any::<u64>().prop_map(CampaignId);
    prop_oneof![
        (campaigns(), log_ids()).prop_map(|(campaign, last)| Body::PreVote { campaign, last }),
        (campaigns(), any::<bool>())
            .prop_map(|(campaign, granted)| Body::PreVoteReply { campaign, granted }),
        (campaigns(), log_ids(), any::<bool>()).prop_map(|(campaign, last, transfer)| {
            Body::Vote {
                campaign,
                last,
                transfer,
            }
        }),
        (campaigns(), any::<bool>())
            .prop_map(|(campaign, granted)| Body::VoteReply { campaign, granted }),
        Just(Body::TimeoutNow),
    ]
}

fn appends() -> impl Strategy<Value = Body> {
    let heads = (any::<u64>(), any::<u64>(), any::<u64>());
    let steps = prop::collection::vec(0_u64..3, 0..8);
    (heads, chains(), 0_u64..1000, steps).prop_map(|(head, prev_chain, start, steps)| {
        let prev = LogId::new(Term(start), Index(start));
        let mut terms = Vec::new();
        for step in steps {
            terms.push(terms.last().unwrap_or(&start) + step);
        }
        Body::Append {
            inflight: InflightId(head.0),
            round: RoundId(head.1),
            prev,
            prev_chain,
            commit: Index(head.2),
            quiet: head.2.is_multiple_of(2),
            entries: super::solo::entries_after(prev, prev_chain, &terms).into(),
        }
    })
}

fn bodies() -> impl Strategy<Value = Body> {
    let numbers = || (any::<u64>(), any::<u64>(), any::<u64>());
    let metas = (bases(), any::<[u8; 32]>());
    prop_oneof![
        elections(),
        appends(),
        (numbers(), append_results()).prop_map(|((a, b, c), result)| Body::AppendReply {
            inflight: InflightId(a),
            round: RoundId(b),
            incarnation: Incarnation(c),
            result,
        }),
        (numbers(), metas, payloads(), any::<bool>()).prop_map(
            |((a, b, chunk), (base, digest), data, last)| Body::Snapshot {
                inflight: InflightId(a),
                round: RoundId(b),
                meta: alloc::boxed::Box::new(SnapshotMeta {
                    base,
                    digest,
                    metadata: data.slice(..data.len().min(9)),
                }),
                chunk,
                data,
                last,
            }
        ),
        (numbers(), snapshot_results()).prop_map(|((a, b, c), result)| Body::SnapshotReply {
            inflight: InflightId(a),
            round: RoundId(b),
            incarnation: Incarnation(c),
            result,
        }),
    ]
}

/// Whatever is accepted is the one encoding of what it means.
fn is_canonical<T: Encode + Decode>(bytes: &[u8]) -> bool {
    T::from_slice(bytes).map_or(true, |value| value.to_bytes() == bytes)
}

proptest! {
    #[test]
    fn messages_round_trip(term in any::<u64>(), body in bodies()) {
        let message = Message { term: Term(term), body };
        let bytes = message.to_bytes();
        prop_assert_eq!(Message::from_bytes(&bytes), Ok(message));
    }

    #[test]
    fn stored_types_round_trip(hard in hard_states(), base in bases()) {
        prop_assert_eq!(HardState::from_bytes(&hard.to_bytes()), Ok(hard));
        prop_assert_eq!(Base::from_bytes(&base.to_bytes()), Ok(base));
    }

    #[test]
    fn a_cut_message_is_refused(body in bodies(), cut in any::<prop::sample::Index>()) {
        let bytes = Message { term: Term(1), body }.to_bytes();
        let short = bytes.slice(..cut.index(bytes.len()));
        prop_assert!(Message::from_bytes(&short).is_err());
    }

    #[test]
    fn a_changed_message_is_refused_or_canonical(
        body in bodies(),
        place in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let mut bytes = Message { term: Term(1), body }.to_bytes().to_vec();
        let place = place.index(bytes.len());
        bytes[place] = value;
        prop_assert!(is_canonical::<Message>(&bytes));
    }

    #[test]
    fn any_bytes_are_refused_or_canonical(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(is_canonical::<Message>(&bytes));
        prop_assert!(is_canonical::<Entry>(&bytes));
        prop_assert!(is_canonical::<HardState>(&bytes));
        prop_assert!(is_canonical::<Membership>(&bytes));
        prop_assert!(is_canonical::<SnapshotMeta>(&bytes));
    }
}

#[test]
fn unsorted_or_doubled_members_are_refused() {
    for voters in [[3, 2], [2, 2]] {
        let membership = Membership {
            voters: voters.map(id).to_vec(),
            ..Membership::default()
        };
        let decoded = Membership::from_bytes(&membership.to_bytes());
        assert!(matches!(decoded, Err(DecodeError::Invalid { .. })));
    }
}

#[test]
fn too_many_voters_are_refused_before_they_are_read() {
    let membership = Membership::of_voters((1..=8).map(id));
    let decoded = Membership::from_bytes(&Writer::lax(&membership));
    assert!(matches!(
        decoded,
        Err(DecodeError::TooLong {
            what: "membership",
            field: "voters",
            length: 8,
            limit: 7
        })
    ));
}

#[test]
fn entries_with_a_gap_between_them_are_refused() {
    let mut entries = log_of(&[1, 1, 1]);
    entries.remove(1);
    let body = Body::Append {
        inflight: InflightId(1),
        round: RoundId(1),
        prev: LogId::ZERO,
        prev_chain: chain::EMPTY,
        commit: Index(0),
        quiet: false,
        entries: entries.into(),
    };
    let bytes = Message {
        term: Term(1),
        body,
    }
    .to_bytes();
    let what = "order of entries";
    assert_eq!(
        Message::from_bytes(&bytes),
        Err(DecodeError::Invalid { what })
    );
}
