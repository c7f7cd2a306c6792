//! Tests of the module and of the state around it: rules one by one (`cases`), laws
//! over random histories (`laws`), a comparison with an independent model (`model`),
//! hostile bytes (`wire`), and planted bugs (`mutants`).

#![allow(clippy::unwrap_used, reason = "a test may panic where it fails")]

mod cases;
pub(crate) mod golden;
mod laws;
mod leases;
mod model;
mod sessions;
mod snapshots;
mod wire;

#[cfg(feature = "mutants")]
mod mutants;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::limits;
use crate::mutant::Mutant;
use crate::replica::{
    self, Command, Envelope, Generation, LoadError, Loader, LogTime, Replica, SessionId, Staging,
};
use crate::store::StoreOp;
use crate::types::{LogId, Revision, Span, Term};

/// All limits in one place: those of the module, and of the state around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Config {
    pub(super) key_bytes_max: usize,
    pub(super) value_bytes_max: usize,
    pub(super) state_bytes_max: u64,
    pub(super) range_pairs_max: usize,
    pub(super) range_bytes_max: usize,
    pub(super) txn_ops_max: usize,
    pub(super) history_revisions_max: usize,
    pub(super) history_bytes_max: usize,
    pub(super) sessions_max: usize,
    pub(super) session_answers_max: usize,
    pub(super) leases_max: usize,
    pub(super) lease_keys_max: usize,
    pub(super) snapshot_chunk_bytes: usize,
    pub(super) mutant: Mutant,
}

impl Config {
    pub(super) const fn new() -> Self {
        Self {
            key_bytes_max: limits::KV_KEY_BYTES_MAX,
            value_bytes_max: limits::KV_VALUE_BYTES_MAX,
            state_bytes_max: limits::KV_STATE_BYTES_MAX,
            range_pairs_max: limits::KV_RANGE_PAIRS_MAX,
            range_bytes_max: limits::KV_RANGE_BYTES_MAX,
            txn_ops_max: limits::KV_TXN_OPS_MAX,
            history_revisions_max: limits::KV_HISTORY_REVISIONS_MAX,
            history_bytes_max: limits::KV_HISTORY_BYTES_MAX,
            sessions_max: limits::KV_SESSIONS_MAX,
            session_answers_max: limits::KV_SESSION_ANSWERS_MAX,
            leases_max: limits::KV_LEASES_MAX,
            lease_keys_max: limits::KV_LEASE_KEYS_MAX,
            snapshot_chunk_bytes: limits::SNAPSHOT_CHUNK_BYTES,
            mutant: Mutant::None,
        }
    }

    pub(super) fn state(self) -> Replica<Kv> {
        Replica::new(self.common(), self.module())
    }

    pub(super) fn loader(self) -> Loader<Kv> {
        Loader::new(self.common(), self.module())
    }

    pub(super) fn staging(self) -> Staging<Kv> {
        Staging::new(self.common(), self.module())
    }

    fn common(self) -> replica::Config {
        replica::Config {
            state_bytes_max: self.state_bytes_max,
            sessions_max: self.sessions_max,
            session_answers_max: self.session_answers_max,
            snapshot_chunk_bytes: self.snapshot_chunk_bytes,
            mutant: self.mutant,
            ..replica::Config::new()
        }
    }

    fn module(self) -> Kv {
        Kv::new(super::Config {
            key_bytes_max: self.key_bytes_max,
            value_bytes_max: self.value_bytes_max,
            range_pairs_max: self.range_pairs_max,
            range_bytes_max: self.range_bytes_max,
            txn_ops_max: self.txn_ops_max,
            history_revisions_max: self.history_revisions_max,
            history_bytes_max: self.history_bytes_max,
            leases_max: self.leases_max,
            lease_keys_max: self.lease_keys_max,
            mutant: self.mutant,
            ..super::Config::new()
        })
    }
}

/// The store as a plain map: what an engine would hold after these operations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Disk(pub(crate) BTreeMap<Bytes, Bytes>);

impl Disk {
    pub(crate) fn commit(&mut self, ops: &[StoreOp]) {
        for op in ops {
            match op.clone() {
                StoreOp::Put { key, value } => {
                    self.0.insert(key, value);
                }
                StoreOp::Delete { key } => {
                    self.0.remove(&key);
                }
                StoreOp::DeleteRange { from, to } => {
                    self.0.retain(|key, _| *key < from || *key >= to);
                }
            }
        }
    }

    pub(super) fn load(&self, config: Config) -> Result<Option<Replica>, LoadError> {
        let mut loader = config.loader();
        loader.push(self.0.clone());
        loader.finish()
    }
}

/// A state with the log that leads to it and the store that mirrors it.
pub(super) struct Rig {
    pub(super) kv: Replica,
    pub(super) disk: Disk,
    pub(super) now: u64,
}

impl Rig {
    pub(super) fn new(config: Config) -> Self {
        Self {
            kv: config.state(),
            disk: Disk::default(),
            now: 1_000,
        }
    }

    pub(super) fn next_id(&self) -> LogId {
        LogId::new(Term(1), self.kv.applied().index.next())
    }

    pub(super) fn run(&mut self, command: Command) -> Outcome {
        let envelope = Envelope {
            proposed_at: LogTime(self.now),
            command,
        };
        let mut ops = Vec::new();
        let outcome = self.kv.apply(self.next_id(), &envelope, &mut ops);
        self.disk.commit(&ops);
        self.kv.audit();
        outcome
    }

    pub(super) fn once(&mut self, op: Op) -> Outcome {
        self.run(Command::Once { op })
    }

    pub(super) fn tick(&mut self, pass: u64) {
        self.now += pass;
        assert_eq!(self.run(Command::Tick), Outcome::Ticked);
    }

    pub(super) fn value(&self, key: &'static str) -> Option<Bytes> {
        self.pair(key).map(|pair| pair.value)
    }

    pub(super) fn pair(&self, key: &'static str) -> Option<Pair> {
        let query = Query::Get { key: key.into() };
        match self.kv.query(&query).found {
            Found::One(pair) => pair,
            other => panic!("a get finds one pair, not {other:?}"),
        }
    }

    pub(super) fn grant(&mut self, ttl: u64) -> LeaseId {
        match self.once(Op::LeaseGrant { ttl: Span(ttl) }) {
            Outcome::Lease { lease, .. } => lease,
            other => panic!("not granted: {other:?}"),
        }
    }

    pub(super) fn open(&mut self, nonce: u128, ttl: u64) -> SessionId {
        let ttl = Span(ttl);
        match self.run(Command::OpenSession { nonce, ttl }) {
            Outcome::SessionOpened(session) => session,
            other => panic!("not opened: {other:?}"),
        }
    }
}

/// Small limits, so that random histories run into them.
pub(super) fn small() -> Config {
    Config {
        key_bytes_max: 16,
        value_bytes_max: 64,
        state_bytes_max: 1_500,
        range_pairs_max: 4,
        range_bytes_max: 96,
        txn_ops_max: 4,
        history_revisions_max: 8,
        history_bytes_max: 4_096,
        sessions_max: 3,
        session_answers_max: 3,
        leases_max: 3,
        lease_keys_max: 3,
        snapshot_chunk_bytes: 100,
        ..Config::new()
    }
}

pub(crate) fn put(key: &str, value: &str) -> Op {
    put_if(key, value, Condition::Always)
}

pub(super) fn put_if(key: &str, value: &str, condition: Condition) -> Op {
    Op::Put {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::copy_from_slice(value.as_bytes()),
        condition,
        lease: None,
    }
}

pub(crate) fn put_leased(key: &str, value: &str, lease: LeaseId) -> Op {
    Op::Put {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::copy_from_slice(value.as_bytes()),
        condition: Condition::Always,
        lease: Some(lease),
    }
}

pub(super) fn delete(key: &str) -> Op {
    Op::Delete {
        key: Bytes::copy_from_slice(key.as_bytes()),
        condition: Condition::Always,
    }
}

pub(super) fn changed(revision: u64, deleted: u64) -> Outcome {
    Outcome::Changed {
        revision: Revision(revision),
        deleted,
    }
}

fn any_key() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        20 => "[a-e]{1,2}".prop_map(|key| Bytes::from(key.into_bytes())),
        1 => Just(Bytes::new()),
        1 => Just(Bytes::from_static(&[b'x'; 17])),
    ]
}

fn any_value() -> impl Strategy<Value = Bytes> {
    (0usize..70).prop_map(|len| Bytes::from([b'v'].repeat(len)))
}

fn any_condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        6 => Just(Condition::Always),
        1 => Just(Condition::Absent),
        1 => Just(Condition::Exists),
        1 => (0u64..60).prop_map(|revision| Condition::Revision(Revision(revision))),
        1 => any_value().prop_map(Condition::Value),
    ]
}

fn any_lease() -> impl Strategy<Value = LeaseId> {
    (0u64..12).prop_map(LeaseId)
}

fn any_change() -> impl Strategy<Value = Op> {
    prop_oneof![
        (
            any_key(),
            any_value(),
            any_condition(),
            proptest::option::of(any_lease())
        )
            .prop_map(|(key, value, condition, lease)| Op::Put {
                key,
                value,
                condition,
                lease
            }),
        (any_key(), any_condition()).prop_map(|(key, condition)| Op::Delete { key, condition }),
        (any_key(), any_key()).prop_map(|(from, to)| Op::DeleteRange { from, to }),
    ]
}

fn any_txn_op() -> impl Strategy<Value = Op> {
    any_change().prop_map(|op| match op {
        // Most operations must be fit for a transaction, or all are refused.
        Op::Put {
            key,
            value,
            lease,
            condition: Condition::Absent,
        } => Op::Put {
            key,
            value,
            lease,
            condition: Condition::Absent,
        },
        Op::Put {
            key, value, lease, ..
        } => Op::Put {
            key,
            value,
            lease,
            condition: Condition::Always,
        },
        Op::Delete { key, .. } => Op::Delete {
            key,
            condition: Condition::Always,
        },
        other => other,
    })
}

pub(super) fn any_op() -> impl Strategy<Value = Op> {
    let conditions = proptest::collection::vec((any_key(), any_condition()), 0..2);
    let ops = proptest::collection::vec(any_txn_op(), 0..6);
    prop_oneof![
        8 => any_change(),
        3 => (conditions, ops).prop_map(|(conditions, ops)| Op::Txn { conditions, ops }),
        3 => (0u64..60).prop_map(|ttl| Op::LeaseGrant { ttl: Span(ttl) }),
        2 => any_lease().prop_map(|lease| Op::LeaseRenew { lease }),
        1 => any_lease().prop_map(|lease| Op::LeaseRevoke { lease }),
        3 => (any_key(), any_lease()).prop_map(|(name, lease)| Op::LockAcquire { name, lease }),
        2 => (any_key(), 0u64..40).prop_map(|(name, token)| Op::LockRelease {
            name,
            token: FencingToken(token)
        }),
    ]
}

pub(super) fn any_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        6 => any_op().prop_map(|op| Command::Once { op }),
        4 => (0u64..10, 0u64..7, 0u64..4, any_op()).prop_map(|(session, sequence, upto, op)| {
            Command::InSession {
                session: SessionId(session),
                sequence,
                answered_upto: upto,
                op,
            }
        }),
        2 => (0u128..5, 0u64..90).prop_map(|(nonce, ttl)| Command::OpenSession {
            nonce,
            ttl: Span(ttl)
        }),
        1 => (0u64..10).prop_map(|session| Command::CloseSession {
            session: SessionId(session)
        }),
        1 => Just(Command::Tick),
    ]
}

/// A log: commands with clocks that mostly rise and sometimes fall, and ids that
/// mostly name what an earlier entry made.
pub(super) fn any_log(entries: usize) -> impl Strategy<Value = Vec<Envelope>> {
    proptest::collection::vec((any_command(), 0u64..12), 1..entries).prop_map(|steps| {
        let mut clock = 50u64;
        let mut made = Made::default();
        let mut log = Vec::new();
        for (mut command, step) in steps {
            clock = if step == 11 { clock - 9 } else { clock + step };
            made.resolve(&mut command);
            made.index += 1;
            made.note(&command);
            log.push(Envelope {
                proposed_at: LogTime(clock),
                command,
            });
        }
        log
    })
}

/// The entries that may have made something, for ids that lead somewhere.
#[derive(Debug, Default)]
struct Made {
    index: u64,
    sessions: Vec<u64>,
    leases: Vec<u64>,
    locks: Vec<(Bytes, u64)>,
}

impl Made {
    fn note(&mut self, command: &Command) {
        match command {
            Command::OpenSession { .. } => self.sessions.push(self.index),
            Command::InSession { op, .. } | Command::Once { op } => match op {
                Op::LeaseGrant { .. } => self.leases.push(self.index),
                Op::LockAcquire { name, .. } => self.locks.push((name.clone(), self.index)),
                _ => {}
            },
            _ => {}
        }
    }

    fn resolve(&self, command: &mut Command) {
        match command {
            Command::CloseSession { session } => session.0 = recent(&self.sessions, session.0),
            Command::InSession { session, op, .. } => {
                session.0 = recent(&self.sessions, session.0);
                self.resolve_op(op);
            }
            Command::Once { op } => self.resolve_op(op),
            Command::OpenSession { .. } | Command::Tick | Command::Enable { .. } => {}
        }
    }

    fn resolve_op(&self, op: &mut Op) {
        match op {
            Op::Put { lease, .. } => {
                *lease = lease.map(|lease| LeaseId(recent(&self.leases, lease.0)));
            }
            Op::Txn { ops, .. } => ops.iter_mut().for_each(|op| self.resolve_op(op)),
            Op::LeaseRenew { lease } | Op::LeaseRevoke { lease } => {
                lease.0 = recent(&self.leases, lease.0);
            }
            Op::LockAcquire { name, lease } => {
                lease.0 = recent(&self.leases, lease.0);
                // Few names, so that holders meet.
                name.truncate(1);
            }
            Op::LockRelease { name, token } => {
                if let Some((held, index)) = self.locks.iter().rev().nth(recent_place(token.0)) {
                    (*name, token.0) = (held.clone(), *index);
                }
            }
            Op::Delete { .. } | Op::DeleteRange { .. } | Op::LeaseGrant { .. } => {}
        }
    }
}

/// Mostly one of the last few, now and then something that never was.
fn recent(made: &[u64], wish: u64) -> u64 {
    let place = recent_place(wish);
    made.iter().rev().nth(place).copied().unwrap_or(wish)
}

fn recent_place(wish: u64) -> usize {
    usize::try_from(wish % 6).expect("below six")
}
