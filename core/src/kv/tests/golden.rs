//! The bytes of operations and answers, of a state of this module in the store and in
//! snapshots, and the names that refusals cite.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use super::{Rig, put_leased, small};
use crate::codec::Writer;
use crate::golden::Table;
use crate::golden::samples::{blob, module, number, small as four, wide};
use crate::kv::layout::{DATA, LEASE, LOCK, Record, data_value, lease_value, lock_value};
use crate::kv::state::lease_name;
use crate::kv::*;
use crate::replica::{Command, Generation, LogTime, SessionId, image_key, rules};
use crate::store::StoreOp;
use crate::types::{Revision, Span};

#[test]
fn golden_bytes() {
    let mut table = Table::of("kv");
    table.row(&LeaseId(number(0x02)));
    table.row(&FencingToken(number(0x03)));
    table.rows(conditions());
    table.rows(ops());
    outcomes(&mut table);
    reads(&mut table);
    layout(&mut table);
    state(&mut table);
    table.check();
}

fn conditions() -> [Condition; 5] {
    [
        Condition::Always,
        Condition::Absent,
        Condition::Exists,
        Condition::Revision(Revision(number(0x01))),
        Condition::Value(blob("expected")),
    ]
}

pub(crate) fn ops() -> [Op; 9] {
    let lease = LeaseId(number(0x01));
    let put = Op::Put {
        key: blob("key"),
        value: blob("value"),
        condition: Condition::Absent,
        lease: Some(lease),
    };
    let delete = Op::Delete {
        key: blob("deleted"),
        condition: Condition::Exists,
    };
    let range = Op::DeleteRange {
        from: blob("from"),
        to: blob("to"),
    };
    [
        put.clone(),
        delete.clone(),
        range.clone(),
        Op::Txn {
            conditions: (1..).zip(conditions()).map(named_condition).collect(),
            ops: vec![put, delete, range],
        },
        Op::LeaseGrant {
            ttl: Span(number(0x11)),
        },
        Op::LeaseRenew { lease },
        Op::LeaseRevoke { lease },
        Op::LockAcquire {
            name: blob("lock"),
            lease,
        },
        Op::LockRelease {
            name: blob("lock"),
            token: FencingToken(number(0x21)),
        },
    ]
}

fn named_condition((place, condition): (u8, Condition)) -> (bytes::Bytes, Condition) {
    (vec![b'k', place].into(), condition)
}

fn outcomes(table: &mut Table) {
    table.rows(changes());
    table.rows(failures());
    table.also(
        "nothing",
        &Outcome::ConditionFailed {
            key: blob("key"),
            revision: None,
            value: None,
        },
    );
    let codes = 0..=u8::MAX;
    for (code, rule) in codes
        .clone()
        .map_while(|code| Some((code, rules::rule_name(code)?)))
    {
        table.also(&format!("{code}"), &Outcome::Invalid { rule });
        table.bytes(&format!("rule.{code}"), rule.as_bytes());
    }
    for (code, limit) in codes.map_while(|code| Some((code, rules::limit_name(code)?))) {
        table.also(&format!("{code}"), &Outcome::LimitExceeded { limit });
        table.bytes(&format!("limit.{code}"), limit.as_bytes());
    }
}

fn changes() -> [Outcome; 9] {
    let token = FencingToken(number(0x51));
    [
        Outcome::SessionOpened(SessionId(number(0x01))),
        Outcome::SessionClosed,
        Outcome::Changed {
            revision: Revision(number(0x11)),
            deleted: number(0x21),
        },
        Outcome::Lease {
            lease: LeaseId(number(0x31)),
            expires_at: LogTime(number(0x41)),
        },
        Outcome::LeaseEnded,
        Outcome::Locked { token },
        Outcome::Unlocked,
        Outcome::Ticked,
        Outcome::ModuleOn { module: module() },
    ]
}

fn failures() -> [Outcome; 7] {
    let token = FencingToken(number(0x51));
    [
        Outcome::ConditionFailed {
            key: blob("key"),
            revision: Some(Revision(number(0x61))),
            value: Some(blob("found")),
        },
        Outcome::NoSession,
        Outcome::AnswerGone,
        Outcome::NoLease,
        Outcome::LockHeld { token },
        Outcome::LockNotHeld,
        Outcome::ModuleOff { module: module() },
    ]
}

fn reads(table: &mut Table) {
    table.rows(queries());
    table.also(
        "open",
        &Query::Range {
            from: blob("from"),
            to: None,
            limit: four(0x02),
            keys_only: false,
        },
    );
    table.row(&pair());
    table.also(
        "free",
        &Pair {
            lease: None,
            ..pair()
        },
    );
    table.rows(found());
    let nothing = [Found::One(None), Found::Lease(None), Found::Lock(None)];
    nothing.iter().for_each(|none| table.also("nothing", none));
    table.also(
        "last",
        &Found::Many {
            pairs: vec![],
            next: None,
        },
    );
    table.row(&Answer {
        revision: Revision(number(0x01)),
        found: Found::One(Some(pair())),
    });
    table.row(&Change {
        revision: Revision(number(0x01)),
        key: blob("changed"),
        pair: Some(pair()),
    });
}

fn queries() -> [Query; 4] {
    [
        Query::Get { key: blob("key") },
        Query::Range {
            from: blob("from"),
            to: Some(blob("to")),
            limit: four(0x01),
            keys_only: true,
        },
        Query::Lease {
            lease: LeaseId(number(0x11)),
        },
        Query::Lock { name: blob("lock") },
    ]
}

fn pair() -> Pair {
    Pair {
        key: blob("key"),
        value: blob("value"),
        created: Revision(number(0x01)),
        modified: Revision(number(0x11)),
        lease: Some(LeaseId(number(0x21))),
    }
}

fn found() -> [Found; 4] {
    let lease = LeaseId(number(0x31));
    let expires_at = LogTime(number(0x41));
    [
        Found::One(Some(pair())),
        Found::Many {
            pairs: vec![pair(), pair()],
            next: Some(blob("next")),
        },
        Found::Lease(Some((expires_at, vec![blob("one"), blob("two")]))),
        Found::Lock(Some((FencingToken(number(0x51)), lease))),
    ]
}

/// Keys and values of the image.
fn layout(table: &mut Table) {
    for (space, name, value) in image() {
        let key = image_key(space, &name);
        let record = Record::decode(&key.clone().into(), &value);
        let record = record.unwrap();
        table.inside_bytes(&record, &pair_bytes(&key, &value));
    }
    let free = data_value(Revision(1), Revision(2), None, b"value");
    table.bytes("data_without_lease", &free);
}

type Stored = (u8, Vec<u8>, bytes::Bytes);

fn image() -> [Stored; 3] {
    let (created, modified) = (Revision(number(0x01)), Revision(number(0x11)));
    let (lease, token) = (LeaseId(number(0x21)), FencingToken(number(0x31)));
    let (ttl, expires_at) = (Span(number(0x61)), LogTime(number(0x71)));
    [
        (
            DATA,
            b"key".to_vec(),
            data_value(created, modified, Some(lease), b"value"),
        ),
        (
            LEASE,
            lease_name(lease).to_vec(),
            lease_value(ttl, expires_at),
        ),
        (LOCK, b"lock".to_vec(), lock_value(token, lease)),
    ]
}

pub(crate) fn pair_bytes(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.blob(key);
    writer.blob(value);
    writer.into_vec()
}

/// A state with something in every space: its pairs in the store, its digest, its
/// snapshot, and the batches that put it in the place of another.
fn state(table: &mut Table) {
    let mut rig = Rig::new(small());
    let lease = rig.grant(number(0x01) >> 8);
    rig.once(put_leased("key", "value", lease));
    rig.once(Op::LockAcquire {
        name: blob("lock"),
        lease,
    });
    let session = rig.open(wide(0x11), 5_000);
    rig.run(Command::InSession {
        session,
        sequence: 1,
        answered_upto: 0,
        op: super::put("other", "more"),
    });
    rig.kv.set_generation(Generation(7));
    let digest = rig.kv.digest();
    table.bytes("state.digest", &digest);
    for (place, (key, value)) in rig.disk.0.iter().enumerate() {
        table.bytes(&format!("state.pair.{place}"), &pair_bytes(key, value));
    }
    table.bytes("state.meta", &op_bytes(&rig.kv.shared().meta_op()));
    let mut frozen = rig.kv.freeze();
    let chunks = (0..).map_while(|number| frozen.chunk(number).map(|chunk| (number, chunk)));
    let mut staging = small().staging();
    let mut ended = false;
    for (number, (chunk, last)) in chunks {
        assert!(!ended, "nothing behind the last chunk");
        ended = last;
        staging.push_chunk(&chunk).unwrap();
        table.bytes(&format!("snapshot.chunk.{number}"), &chunk);
    }
    let same = staging.finish(digest, Generation(8)).unwrap();
    for (place, ops) in same.replace_ops().enumerate() {
        let bytes: Vec<u8> = ops.iter().flat_map(op_bytes).collect();
        table.bytes(&format!("snapshot.replace.{place}"), &bytes);
    }
}

/// An operation of a store as bytes that tell the kinds apart.
fn op_bytes(op: &StoreOp) -> Vec<u8> {
    let mut writer = Writer::new();
    let (kind, first, second) = match op {
        StoreOp::Put { key, value } => (0, key, Some(value)),
        StoreOp::Delete { key } => (1, key, None),
        StoreOp::DeleteRange { from, to } => (2, from, Some(to)),
    };
    writer.u8(kind);
    writer.blob(first);
    second.into_iter().for_each(|second| writer.blob(second));
    writer.into_vec()
}
