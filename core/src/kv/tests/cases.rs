//! Keys: conditions, transactions, ranges, limits, watches.

use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::*;

#[test]
fn a_revision_is_the_index_of_the_entry_that_changed_something() {
    let mut rig = Rig::new(Config::new());
    assert_eq!(rig.once(put("a", "1")), changed(1, 0));
    rig.tick(1);
    assert_eq!(rig.kv.revision(), Revision(1), "a tick changes no key");
    assert_eq!(rig.once(put("a", "2")), changed(3, 0));
    let pair = rig.pair("a").unwrap();
    assert_eq!((pair.created, pair.modified), (Revision(1), Revision(3)));
    assert_eq!(rig.once(delete("a")), changed(4, 1));
    assert_eq!(rig.once(delete("a")), changed(4, 0), "nothing was removed");
    assert_eq!(rig.once(put("a", "3")), changed(6, 0));
    assert_eq!(rig.pair("a").unwrap().created, Revision(6));
}

#[test]
fn a_condition_that_fails_changes_nothing_and_shows_the_pair() {
    let mut rig = Rig::new(Config::new());
    rig.once(put("a", "1"));
    let refused = |rig: &mut Rig, condition| {
        let outcome = rig.once(put_if("a", "2", condition));
        let expected = Outcome::ConditionFailed {
            key: "a".into(),
            revision: Some(Revision(1)),
            value: Some("1".into()),
        };
        assert_eq!(outcome, expected);
    };
    refused(&mut rig, Condition::Absent);
    refused(&mut rig, Condition::Revision(Revision(2)));
    refused(&mut rig, Condition::Value("2".into()));
    assert_eq!(rig.kv.revision(), Revision(1));
    assert_eq!(rig.once(put_if("a", "2", Condition::Exists)), changed(5, 0));
    let revision = Condition::Revision(Revision(5));
    assert_eq!(rig.once(put_if("a", "3", revision)), changed(6, 0));
    let value = Condition::Value("3".into());
    assert_eq!(rig.once(put_if("a", "4", value)), changed(7, 0));
    let absent = Outcome::ConditionFailed {
        key: "b".into(),
        revision: None,
        value: None,
    };
    assert_eq!(rig.once(put_if("b", "1", Condition::Exists)), absent);
    assert_eq!(rig.once(put_if("b", "1", Condition::Absent)), changed(9, 0));
}

#[test]
fn a_transaction_happens_at_one_revision_or_not_at_all() {
    let mut rig = Rig::new(Config::new());
    rig.once(put("a", "1"));
    let txn = |condition| Op::Txn {
        conditions: vec![("a".into(), condition)],
        ops: vec![put("b", "1"), delete("a"), put("c", "1")],
    };
    let refused = rig.once(txn(Condition::Absent));
    assert!(matches!(refused, Outcome::ConditionFailed { .. }));
    assert_eq!(rig.value("b"), None);
    assert_eq!(rig.once(txn(Condition::Exists)), changed(3, 1));
    assert_eq!(rig.pair("b").unwrap().modified, Revision(3));
    assert_eq!(rig.pair("c").unwrap().modified, Revision(3));
    assert_eq!(rig.value("a"), None);
    assert_eq!(rig.kv.take_notices().len(), 3);
    assert_eq!(rig.kv.take_notices(), vec![]);
}

#[test]
fn commands_that_break_a_rule_are_invalid_and_change_nothing() {
    let mut rig = Rig::new(small());
    let long_key = "k".repeat(17);
    let long_value = "v".repeat(65);
    let txn = |ops| Op::Txn {
        conditions: vec![],
        ops,
    };
    let range = |from: &'static str, to: &'static str| Op::DeleteRange {
        from: from.into(),
        to: to.into(),
    };
    let invalid = [
        put("", "1"),
        put(&long_key, "1"),
        put("a", &long_value),
        put_if("a", "1", Condition::Value("v".repeat(65).into())),
        delete(""),
        range("b", "b"),
        range("b", "a"),
        range("", ""),
        txn(vec![put("a", "1"); 2]),
        txn(vec![put_if("a", "1", Condition::Absent)]),
        txn(vec![txn(vec![])]),
        txn(vec![Op::LeaseGrant { ttl: Span(1) }]),
        txn(vec![range("a", "b"); 5]),
        Op::LeaseGrant { ttl: Span(0) },
        Op::LeaseGrant {
            ttl: Span(u64::MAX),
        },
    ];
    for op in invalid {
        let outcome = rig.once(op.clone());
        assert!(
            matches!(outcome, Outcome::Invalid { .. }),
            "{op:?}: {outcome:?}"
        );
    }
    assert_eq!(rig.kv.state_bytes(), 0);
    assert_eq!(rig.kv.revision(), Revision(0));
}

#[test]
fn a_full_state_refuses_growth_and_never_deletion() {
    let mut rig = Rig::new(small());
    let value = "v".repeat(64);
    let mut keys = Vec::new();
    let full = Outcome::LimitExceeded {
        limit: "bytes of the state",
    };
    for number in 10..99 {
        let key = alloc::format!("{number}");
        match rig.once(put(&key, &value)) {
            Outcome::Changed { .. } => keys.push(key),
            outcome => {
                assert_eq!(outcome, full);
                break;
            }
        }
    }
    assert!(rig.kv.state_bytes() <= 1_500);
    assert_eq!(keys.len(), 1_500 / (1 + 2 + 24 + 64));
    let same_size = rig.once(put(&keys[0], &"w".repeat(64)));
    assert!(matches!(same_size, Outcome::Changed { .. }));
    let txn = Op::Txn {
        conditions: vec![],
        ops: vec![put("a", "1"), put("b", &value)],
    };
    assert_eq!(rig.once(txn), full);
    assert_eq!(rig.value("a"), None, "all or nothing");
    for key in &keys {
        assert!(matches!(
            rig.once(delete(key)),
            Outcome::Changed { deleted: 1, .. }
        ));
    }
    assert_eq!(rig.kv.state_bytes(), 0);
}

#[test]
fn a_range_delete_removes_at_most_the_limit_in_key_order() {
    let mut rig = Rig::new(small());
    for key in ["a", "b", "c", "d", "e", "f"] {
        rig.once(put(key, "1"));
    }
    let range = Op::DeleteRange {
        from: "b".into(),
        to: "z".into(),
    };
    assert_eq!(rig.once(range.clone()), changed(7, 4));
    assert_eq!(rig.value("a"), Some("1".into()));
    assert_eq!(rig.value("f"), Some("1".into()));
    assert_eq!(rig.once(range.clone()), changed(8, 1));
    assert_eq!(rig.once(range), changed(8, 0));
}

#[test]
fn a_range_is_cut_by_each_limit_and_says_where_to_go_on() {
    let mut rig = Rig::new(small());
    for key in ["a", "b", "c", "d", "e", "f"] {
        rig.once(put(key, "12"));
    }
    rig.once(put("b", &"v".repeat(64)));
    rig.once(put("c", &"v".repeat(64)));
    let range = |from: &'static str, to: Option<&'static str>, limit, keys_only| {
        let query = Query::Range {
            from: from.into(),
            to: to.map(Into::into),
            limit,
            keys_only,
        };
        match rig.kv.query(&query).found {
            Found::Many { pairs, next } => {
                let keys: Vec<Bytes> = pairs.into_iter().map(|pair| pair.key).collect();
                (keys, next)
            }
            other => panic!("a range finds many, not {other:?}"),
        }
    };
    let keys =
        |text: &str| -> Vec<Bytes> { text.bytes().map(|byte| Bytes::from(vec![byte])).collect() };
    assert_eq!(range("", None, 2, false), (keys("ab"), Some("c".into())));
    assert_eq!(
        range("", None, 9, false),
        (keys("ab"), Some("c".into())),
        "by bytes"
    );
    assert_eq!(
        range("", None, 9, true),
        (keys("abcd"), Some("e".into())),
        "by pairs"
    );
    assert_eq!(range("e", None, 9, false), (keys("ef"), None));
    assert_eq!(range("a", Some("c"), 9, false), (keys("ab"), None));
    assert_eq!(range("c", Some("c"), 9, false), (keys(""), None));
    assert_eq!(range("c", Some("a"), 9, false), (keys(""), None));
    assert_eq!(range("a", None, 0, false), (keys(""), Some("a".into())));
    assert_eq!(range("z", None, 9, false), (keys(""), None));
}

#[test]
fn watches_see_every_change_of_the_kept_revisions_in_order() {
    let mut rig = Rig::new(small());
    for value in 0..6u64 {
        rig.once(put("a", &alloc::format!("{value}")));
        rig.once(put("b", "x"));
    }
    // Eight revisions of twelve are kept: 5 to 12.
    let since = |from: &str, to: Option<&str>, since| {
        let to = to.map(str::as_bytes);
        rig.kv.changes_since(from.as_bytes(), to, Revision(since))
    };
    assert_eq!(since("a", None, 4), Err(Revision(5)));
    assert_eq!(since("a", None, 5).unwrap().len(), 8);
    let changes = since("a", Some("b"), 5).unwrap();
    let revisions: Vec<u64> = changes.iter().map(|change| change.revision.0).collect();
    assert_eq!(revisions, [5, 7, 9, 11]);
    let values: Vec<Bytes> = changes.into_iter().map(|c| c.pair.unwrap().value).collect();
    assert_eq!(values, ["2", "3", "4", "5"]);
    assert_eq!(since("a", None, 13), Ok(vec![]), "the future is empty");
    assert_eq!(since("a", None, 0), Ok(vec![]), "from now on");
}

#[test]
fn history_is_bounded_by_bytes_and_keeps_the_last_revision() {
    let config = Config {
        history_bytes_max: 0,
        ..small()
    };
    let mut rig = Rig::new(config);
    rig.once(put("a", "1"));
    rig.once(put("b", "1"));
    assert_eq!(rig.kv.module().counts().history_revisions, 1);
    assert_eq!(
        rig.kv.changes_since(b"", None, Revision(1)),
        Err(Revision(2))
    );
    assert_eq!(
        rig.kv.changes_since(b"", None, Revision(2)).unwrap().len(),
        1
    );
}

#[test]
fn entries_without_a_command_move_the_position() {
    let mut rig = Rig::new(small());
    rig.once(put("a", "1"));
    let mut ops = Vec::new();
    let at = rig.next_id();
    rig.kv.note_applied(at, &mut ops);
    rig.disk.commit(&ops);
    assert_eq!(rig.kv.applied(), at);
    assert_eq!(ops.len(), 1);
    assert_eq!(rig.kv.take_notices(), vec![]);
    let loaded = rig.disk.load(small()).unwrap().unwrap();
    assert_eq!(loaded.applied(), at);
    assert_eq!(loaded.digest(), rig.kv.digest());
}

#[test]
fn a_group_of_entries_writes_its_position_once() {
    let mut rig = Rig::new(small());
    let mut ops = Vec::new();
    for key in ["a", "b", "c"] {
        let envelope = Envelope {
            proposed_at: LogTime(1),
            command: Command::Once { op: put(key, "1") },
        };
        let at = rig.next_id();
        rig.kv.apply(at, &envelope, &mut ops);
    }
    assert_eq!(ops.len(), 4);
    rig.disk.commit(&ops);
    assert_eq!(
        rig.disk.load(small()).unwrap().unwrap().digest(),
        rig.kv.digest()
    );
}

#[test]
#[should_panic(expected = "without a gap")]
fn an_entry_that_is_applied_twice_stops_the_node() {
    let mut rig = Rig::new(small());
    let at = rig.next_id();
    rig.kv.note_applied(at, &mut Vec::new());
    rig.kv.note_applied(at, &mut Vec::new());
}
