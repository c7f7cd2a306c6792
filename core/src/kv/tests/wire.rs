//! Encodings: canonical, total, bounded.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::codec::{Decode, DecodeError, Encode, Writer};
use crate::kv::{Answer, Change};
use crate::replica::rules;
use crate::types::ModuleId;

fn round_trip<T: Encode + Decode + PartialEq + core::fmt::Debug>(value: &T) {
    let bytes = value.to_bytes();
    assert_eq!(&T::from_bytes(&bytes).unwrap(), value);
    for cut in 0..bytes.len() {
        assert!(
            T::from_slice(&bytes[..cut]).is_err(),
            "a prefix is not a value"
        );
    }
}

/// Whatever decodes has exactly the encoding it was decoded from.
fn canonical<T: Encode + Decode>(bytes: &Bytes) {
    if let Ok(value) = T::from_bytes(bytes) {
        assert_eq!(value.to_bytes(), bytes);
    }
}

fn outcomes() -> Vec<Outcome> {
    let token = FencingToken(3);
    vec![
        Outcome::SessionOpened(SessionId(1)),
        Outcome::SessionClosed,
        changed(7, 2),
        Outcome::Lease {
            lease: LeaseId(1),
            expires_at: LogTime(2),
        },
        Outcome::LeaseEnded,
        Outcome::Locked { token },
        Outcome::Unlocked,
        Outcome::Ticked,
        Outcome::ModuleOn {
            module: ModuleId::FIRST,
        },
        Outcome::ModuleOff {
            module: ModuleId::FIRST,
        },
        Outcome::ConditionFailed {
            key: "k".into(),
            revision: Some(Revision(1)),
            value: Some("v".into()),
        },
        Outcome::ConditionFailed {
            key: "k".into(),
            revision: None,
            value: None,
        },
        Outcome::NoSession,
        Outcome::AnswerGone,
        Outcome::NoLease,
        Outcome::LockHeld { token },
        Outcome::LockNotHeld,
        Outcome::LimitExceeded {
            limit: rules::LEASE_KEYS,
        },
        Outcome::Invalid {
            rule: rules::SEQUENCE_AHEAD,
        },
    ]
}

#[test]
fn every_outcome_survives_the_wire() {
    outcomes().iter().for_each(round_trip);
}

#[test]
fn every_rule_and_limit_has_its_own_code() {
    for code in 1..13 {
        assert_eq!(rules::rule_code(rules::rule_name(code).unwrap()), code);
    }
    for code in 1..5 {
        assert_eq!(rules::limit_code(rules::limit_name(code).unwrap()), code);
    }
    assert_eq!(rules::rule_name(13), None);
    assert_eq!(rules::limit_name(5), None);
    let foreign = Outcome::Invalid { rule: "made up" };
    let read = Outcome::from_bytes(&foreign.to_bytes()).unwrap();
    assert_eq!(read, Outcome::Invalid { rule: "other" });
}

#[test]
fn every_query_and_answer_survives_the_wire() {
    let queries = [
        Query::Get { key: "k".into() },
        Query::Range {
            from: "a".into(),
            to: Some("b".into()),
            limit: 3,
            keys_only: true,
        },
        Query::Lease { lease: LeaseId(4) },
        Query::Lock { name: "l".into() },
    ];
    queries.iter().for_each(round_trip);
    let pair = Pair {
        key: "k".into(),
        value: "v".into(),
        created: Revision(1),
        modified: Revision(2),
        lease: Some(LeaseId(3)),
    };
    let found = [
        Found::One(None),
        Found::One(Some(pair.clone())),
        Found::Many {
            pairs: vec![pair.clone(); 2],
            next: Some("n".into()),
        },
        Found::Lease(None),
        Found::Lease(Some((LogTime(1), vec!["k".into(), "l".into()]))),
        Found::Lock(None),
        Found::Lock(Some((FencingToken(1), LeaseId(2)))),
    ];
    for found in found {
        let revision = Revision(9);
        round_trip(&Answer { revision, found });
    }
    round_trip(&Change {
        revision: Revision(5),
        key: "k".into(),
        pair: Some(pair),
    });
}

#[test]
fn a_transaction_inside_a_transaction_is_refused_before_it_is_read() {
    let nested = Op::Txn {
        conditions: vec![],
        ops: vec![Op::Txn {
            conditions: vec![],
            ops: vec![],
        }],
    };
    let refused = DecodeError::Invalid {
        what: "transaction inside a transaction",
    };
    assert_eq!(Op::from_bytes(&nested.to_bytes()), Err(refused));
}

#[test]
fn lengths_over_the_limits_are_refused_before_anything_is_allocated() {
    let long_key = delete(&"k".repeat(crate::limits::KV_KEY_BYTES_MAX + 1));
    let long_value = put("k", &"v".repeat(crate::limits::KV_VALUE_BYTES_MAX + 1));
    let long_txn = Op::Txn {
        conditions: vec![],
        ops: vec![delete("k"); crate::limits::KV_TXN_OPS_MAX + 1],
    };
    for op in [long_key, long_value, long_txn] {
        let refused = Op::from_bytes(&Writer::lax(&op));
        assert!(matches!(refused, Err(DecodeError::TooLong { .. })));
    }
}

proptest! {
    #[test]
    fn every_command_survives_the_wire(command in any_command(), at in any::<u64>()) {
        round_trip(&Envelope { proposed_at: LogTime(at), command });
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_decode_canonically(
        bytes in proptest::collection::vec(prop_oneof![3 => 0u8..6, 1 => any::<u8>()], 0..80),
    ) {
        let bytes = Bytes::from(bytes);
        canonical::<Envelope>(&bytes);
        canonical::<Command>(&bytes);
        canonical::<Op>(&bytes);
        canonical::<Outcome>(&bytes);
        canonical::<Query>(&bytes);
        canonical::<Answer>(&bytes);
        canonical::<Change>(&bytes);
    }

    #[test]
    fn a_flipped_bit_never_panics(command in any_command(), bit in any::<proptest::sample::Index>()) {
        let mut bytes = command.to_bytes().to_vec();
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        canonical::<Command>(&Bytes::from(bytes));
    }
}
