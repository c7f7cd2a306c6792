//! The state against a model that knows nothing of it: plain maps, scanned from
//! end to end, written from the rules in the documentation. Sizes are left out
//! (the limits on bytes are set out of reach), everything else is compared.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

fn config() -> Config {
    Config {
        state_bytes_max: 1 << 20,
        range_bytes_max: 1 << 20,
        ..small()
    }
}

#[derive(Debug, Clone, Default)]
struct Model {
    index: u64,
    time: u64,
    revision: u64,
    pairs: BTreeMap<Bytes, Pair>,
    /// Time to live and end.
    leases: BTreeMap<u64, (u64, u64)>,
    /// Token and holder.
    locks: BTreeMap<Bytes, (u64, u64)>,
    sessions: BTreeMap<u64, ModelSession>,
}

#[derive(Debug, Clone)]
struct ModelSession {
    nonce: u128,
    ttl: u64,
    end: u64,
    confirmed: u64,
    answers: BTreeMap<u64, Outcome>,
}

fn invalid() -> Outcome {
    Outcome::Invalid { rule: "" }
}

fn limit() -> Outcome {
    Outcome::LimitExceeded { limit: "" }
}

/// Which rule or limit is cited is not modelled.
fn plain(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Invalid { .. } => invalid(),
        Outcome::LimitExceeded { .. } => limit(),
        other => other,
    }
}

impl Model {
    fn apply(&mut self, envelope: &Envelope) -> Outcome {
        self.index += 1;
        self.time = self.time.max(envelope.proposed_at.0);
        self.expire();
        match &envelope.command {
            Command::Tick => Outcome::Ticked,
            Command::Enable { module } => Outcome::ModuleOn { module: *module },
            Command::OpenSession { nonce, ttl } => self.open(*nonce, ttl.0),
            Command::CloseSession { session } => match self.sessions.remove(&session.0) {
                Some(_) => Outcome::SessionClosed,
                None => Outcome::NoSession,
            },
            Command::Once { op } if breaks_a_rule(op) => invalid(),
            Command::Once { op } => self.op(op),
            Command::InSession {
                session,
                sequence,
                answered_upto,
                op,
            } => self.in_session(session.0, *sequence, *answered_upto, op),
        }
    }

    fn expire(&mut self) {
        let mut due: Vec<(u64, u64)> = Vec::new();
        due.extend(self.leases.iter().map(|(id, (_, end))| (*end, *id)));
        due.extend(self.sessions.iter().map(|(id, s)| (s.end, *id)));
        due.retain(|(end, _)| *end <= self.time);
        due.sort();
        for (_, id) in due {
            self.sessions.remove(&id);
            self.end_lease(id);
        }
    }

    fn end_lease(&mut self, id: u64) {
        self.leases.remove(&id);
        let before = self.pairs.len();
        self.pairs.retain(|_, pair| pair.lease != Some(LeaseId(id)));
        self.locks.retain(|_, (_, holder)| *holder != id);
        if self.pairs.len() < before {
            self.revision = self.index;
        }
    }

    fn open(&mut self, nonce: u128, ttl: u64) -> Outcome {
        if ttl == 0 {
            return invalid();
        }
        let time = self.time;
        if let Some((id, session)) = self.sessions.iter_mut().find(|(_, s)| s.nonce == nonce) {
            session.end = time + session.ttl;
            return Outcome::SessionOpened(SessionId(*id));
        }
        if self.sessions.len() == 3 {
            return limit();
        }
        let session = ModelSession {
            nonce,
            ttl,
            end: time + ttl,
            confirmed: 0,
            answers: BTreeMap::new(),
        };
        self.sessions.insert(self.index, session);
        Outcome::SessionOpened(SessionId(self.index))
    }

    fn in_session(&mut self, id: u64, sequence: u64, upto: u64, op: &Op) -> Outcome {
        if sequence <= upto || breaks_a_rule(op) {
            return invalid();
        }
        let time = self.time;
        let Some(session) = self.sessions.get_mut(&id) else {
            return Outcome::NoSession;
        };
        if sequence <= session.confirmed {
            return Outcome::AnswerGone;
        }
        if sequence > session.confirmed.max(upto) + 3 {
            return invalid();
        }
        session.end = time + session.ttl;
        session.confirmed = session.confirmed.max(upto);
        session.answers.retain(|answered, _| *answered > upto);
        if let Some(answer) = session.answers.get(&sequence) {
            return answer.clone();
        }
        let outcome = self.op(op);
        let session = self.sessions.get_mut(&id).expect("it was there");
        session.answers.insert(sequence, outcome.clone());
        outcome
    }

    fn op(&mut self, op: &Op) -> Outcome {
        match op {
            Op::Put { key, condition, .. } | Op::Delete { key, condition } => self.txn(
                &[(key.clone(), condition.clone())],
                core::slice::from_ref(op),
            ),
            Op::DeleteRange { .. } => self.txn(&[], core::slice::from_ref(op)),
            Op::Txn { conditions, ops } => self.txn(conditions, ops),
            Op::LeaseGrant { ttl } => {
                if self.leases.len() == 3 {
                    return limit();
                }
                self.leases.insert(self.index, (ttl.0, 0));
                self.renew(self.index)
            }
            Op::LeaseRenew { lease } => self.renew(lease.0),
            Op::LeaseRevoke { lease } => {
                if !self.leases.contains_key(&lease.0) {
                    return Outcome::NoLease;
                }
                self.end_lease(lease.0);
                Outcome::LeaseEnded
            }
            Op::LockAcquire { name, lease } => self.lock(name, lease.0),
            Op::LockRelease { name, token } => match self.locks.get(name) {
                Some((held, _)) if *held == token.0 => {
                    self.locks.remove(name);
                    Outcome::Unlocked
                }
                _ => Outcome::LockNotHeld,
            },
        }
    }

    fn renew(&mut self, id: u64) -> Outcome {
        let time = self.time;
        let Some((ttl, end)) = self.leases.get_mut(&id) else {
            return Outcome::NoLease;
        };
        *end = time + *ttl;
        Outcome::Lease {
            lease: LeaseId(id),
            expires_at: LogTime(*end),
        }
    }

    fn bound(&self, id: u64) -> usize {
        let keys = self.pairs.values().filter(|p| p.lease == Some(LeaseId(id)));
        let locks = self.locks.values().filter(|(_, holder)| *holder == id);
        keys.count() + locks.count()
    }

    fn lock(&mut self, name: &Bytes, lease: u64) -> Outcome {
        if !self.leases.contains_key(&lease) {
            return Outcome::NoLease;
        }
        if let Some((token, holder)) = self.locks.get(name) {
            let token = FencingToken(*token);
            return match *holder == lease {
                true => Outcome::Locked { token },
                false => Outcome::LockHeld { token },
            };
        }
        if self.bound(lease) == 3 {
            return limit();
        }
        self.locks.insert(name.clone(), (self.index, lease));
        Outcome::Locked {
            token: FencingToken(self.index),
        }
    }

    fn txn(&mut self, conditions: &[(Bytes, Condition)], ops: &[Op]) -> Outcome {
        for (key, condition) in conditions {
            let pair = self.pairs.get(key);
            let holds = match condition {
                Condition::Always => true,
                Condition::Absent => pair.is_none(),
                Condition::Exists => pair.is_some(),
                Condition::Revision(revision) => pair.is_some_and(|p| p.modified == *revision),
                Condition::Value(value) => pair.is_some_and(|p| p.value == *value),
            };
            if !holds {
                return Outcome::ConditionFailed {
                    key: key.clone(),
                    revision: pair.map(|p| p.modified),
                    value: pair.map(|p| p.value.clone()),
                };
            }
        }
        if let Some(refusal) = self.refused(ops) {
            return refusal;
        }
        let mut deleted = 0;
        for op in ops {
            deleted += self.change(op);
        }
        Outcome::Changed {
            revision: Revision(self.revision),
            deleted,
        }
    }

    /// Leases are looked at in the order of the operations, and removals make no
    /// room for what is bound later in the same transaction.
    fn refused(&self, ops: &[Op]) -> Option<Outcome> {
        let mut added: Vec<u64> = Vec::new();
        for op in ops {
            let Op::Put {
                key,
                lease: Some(lease),
                ..
            } = op
            else {
                continue;
            };
            if !self.leases.contains_key(&lease.0) {
                return Some(Outcome::NoLease);
            }
            if self.pairs.get(key).is_none_or(|p| p.lease != Some(*lease)) {
                added.push(lease.0);
                let more = added.iter().filter(|id| **id == lease.0).count();
                if self.bound(lease.0) + more > 3 {
                    return Some(limit());
                }
            }
        }
        None
    }

    fn change(&mut self, op: &Op) -> u64 {
        match op {
            Op::Put {
                key, value, lease, ..
            } => {
                let modified = Revision(self.index);
                let created = self.pairs.get(key).map_or(modified, |p| p.created);
                let pair = Pair {
                    key: key.clone(),
                    value: value.clone(),
                    created,
                    modified,
                    lease: *lease,
                };
                self.pairs.insert(key.clone(), pair);
                self.revision = self.index;
                0
            }
            Op::Delete { key, .. } => self.remove(core::slice::from_ref(key)),
            Op::DeleteRange { from, to } => {
                let range = self.pairs.range(from.clone()..to.clone());
                let keys: Vec<Bytes> = range.take(4).map(|(key, _)| key.clone()).collect();
                self.remove(&keys)
            }
            other => panic!("{other:?} is no change of keys"),
        }
    }

    fn remove(&mut self, keys: &[Bytes]) -> u64 {
        let mut removed = 0;
        for key in keys {
            if self.pairs.remove(key).is_some() {
                self.revision = self.index;
                removed += 1;
            }
        }
        removed
    }
}

fn breaks_a_rule(op: &Op) -> bool {
    let bad_key = |key: &Bytes| key.is_empty() || key.len() > 16;
    let bad_value = |value: &Bytes| value.len() > 64;
    let bad_condition =
        |condition: &Condition| matches!(condition, Condition::Value(v) if v.len() > 64);
    match op {
        Op::Put {
            key,
            value,
            condition,
            ..
        } => bad_key(key) || bad_value(value) || bad_condition(condition),
        Op::Delete { key, condition } => bad_key(key) || bad_condition(condition),
        Op::DeleteRange { from, to } => from.len() > 16 || to.len() > 16 || from >= to,
        Op::Txn { conditions, ops } => {
            let mut put: Vec<&Bytes> = Vec::new();
            conditions.len() > 4
                || ops.len() > 4
                || conditions
                    .iter()
                    .any(|(k, c)| bad_key(k) || bad_condition(c))
                || ops.iter().any(|op| {
                    breaks_a_rule(op)
                        || match op {
                            Op::Put { key, condition, .. } => {
                                let twice = put.contains(&key);
                                put.push(key);
                                twice || *condition != Condition::Always
                            }
                            Op::Delete { condition, .. } => *condition != Condition::Always,
                            Op::DeleteRange { .. } => false,
                            _ => true,
                        }
                })
        }
        Op::LeaseGrant { ttl } => ttl.0 == 0,
        Op::LeaseRenew { .. } | Op::LeaseRevoke { .. } => false,
        Op::LockAcquire { name, .. } | Op::LockRelease { name, .. } => bad_key(name),
    }
}

fn compare(kv: &Replica, model: &Model) {
    assert_eq!(kv.revision().0, model.revision);
    assert_eq!(kv.log_time().0, model.time);
    assert_eq!(kv.module().counts().keys, model.pairs.len());
    assert_eq!(kv.counts().sessions, model.sessions.len());
    assert_eq!(kv.module().counts().leases, model.leases.len());
    assert_eq!(kv.module().counts().locks, model.locks.len());
    let answers: usize = model.sessions.values().map(|s| s.answers.len()).sum();
    assert_eq!(kv.counts().answers, answers);
    for (key, pair) in &model.pairs {
        let found = kv.query(&Query::Get { key: key.clone() }).found;
        assert_eq!(found, Found::One(Some(pair.clone())));
    }
    for (name, (token, lease)) in &model.locks {
        let found = kv.query(&Query::Lock { name: name.clone() }).found;
        let expected = (FencingToken(*token), LeaseId(*lease));
        assert_eq!(found, Found::Lock(Some(expected)));
    }
    for (id, (_, end)) in &model.leases {
        let lease = LeaseId(*id);
        let bound = model.pairs.values().filter(|p| p.lease == Some(lease));
        let keys = bound.map(|p| p.key.clone()).collect();
        let found = kv.query(&Query::Lease { lease }).found;
        assert_eq!(found, Found::Lease(Some((LogTime(*end), keys))));
    }
    let ends = model.leases.values().map(|(_, end)| *end);
    let next = ends.chain(model.sessions.values().map(|s| s.end)).min();
    assert_eq!(kv.next_expiry().map(|time| time.0), next);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_command_ends_as_the_model_says(log in any_log(120)) {
        let mut kv = config().state();
        let mut model = Model::default();
        for envelope in &log {
            let at = LogId::new(Term(1), kv.applied().index.next());
            let outcome = kv.apply(at, envelope, &mut Vec::new());
            let expected = model.apply(envelope);
            prop_assert_eq!(plain(outcome), expected, "{:?}", envelope);
            compare(&kv, &model);
        }
    }
}

#[test]
fn random_logs_reach_every_kind_of_outcome() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut kinds = alloc::collections::BTreeSet::new();
    for _ in 0..200 {
        let log = any_log(120).new_tree(&mut runner).unwrap().current();
        let mut kv = small().state();
        for envelope in &log {
            let at = LogId::new(Term(1), kv.applied().index.next());
            let outcome = kv.apply(at, envelope, &mut Vec::new());
            // The first byte of an outcome's encoding is its kind.
            kinds.insert(crate::codec::Encode::to_bytes(&outcome)[0]);
        }
    }
    assert_eq!(
        kinds.into_iter().collect::<Vec<u8>>(),
        (0..16).collect::<Vec<u8>>()
    );
}
