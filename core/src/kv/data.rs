//! Keys of users: conditions, changes, transactions.
//!
//! Every change is decided in full before anything is touched, so that a refusal
//! leaves no trace and no change has to be undone.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;

use super::command::{Condition, LeaseId, Op, Outcome};
use super::layout::{DATA, DATA_PREFIX_BYTES, data_origin, data_pair, data_value};
use super::query::{Change, Pair};
use super::state::Kv;
use crate::replica::{Ctx, Shared, rules, size};
use crate::types::Revision;

impl Kv {
    /// A put, a delete or a range delete.
    pub(super) fn change_one(&mut self, ctx: &mut Ctx<'_>, op: &Op) -> Outcome {
        let required = match op {
            Op::Put { key, condition, .. } | Op::Delete { key, condition } => {
                require(ctx, key, condition)
            }
            _ => Ok(()),
        };
        match required.and_then(|()| self.admit(ctx, core::slice::from_ref(op))) {
            Ok(()) => self.change(ctx, core::slice::from_ref(op)),
            Err(refusal) => refusal,
        }
    }

    /// A transaction.
    pub(super) fn change_all(
        &mut self,
        ctx: &mut Ctx<'_>,
        conditions: &[(Bytes, Condition)],
        ops: &[Op],
    ) -> Outcome {
        let required = conditions
            .iter()
            .try_for_each(|(key, condition)| require(ctx, key, condition));
        match required.and_then(|()| self.admit(ctx, ops)) {
            Ok(()) => self.change(ctx, ops),
            Err(refusal) => refusal,
        }
    }

    /// Removes a user's key, for whatever reason; tells whether it was there.
    pub(super) fn remove_key(&mut self, ctx: &mut Ctx<'_>, key: &[u8]) -> bool {
        let Some((image_key, value)) = ctx.unset(DATA, key) else {
            return false;
        };
        let old = data_pair(&image_key, &value);
        self.derived.keys -= 1;
        if let Some(lease) = old.lease {
            self.unbind_key(lease, key);
        }
        self.note_change(ctx, old.key, None);
        true
    }

    /// Whether leases exist and limits allow all of `ops`. Removals that come first
    /// are not counted as room: the check is on the safe side of the limits.
    fn admit(&self, ctx: &Ctx<'_>, ops: &[Op]) -> Result<(), Outcome> {
        let mut growth: u64 = 0;
        let mut bound: BTreeMap<LeaseId, usize> = BTreeMap::new();
        for op in ops {
            let Op::Put {
                key, value, lease, ..
            } = op
            else {
                continue;
            };
            let old = ctx.get(DATA, key);
            growth = growth.saturating_add(put_growth(key, value, old));
            let Some(lease) = *lease else { continue };
            let state = self.derived.leases.get(&lease).ok_or(Outcome::NoLease)?;
            if state.keys.contains(key) {
                continue;
            }
            let count = bound.entry(lease).or_insert(state.bound());
            *count += 1;
            if *count > self.config.lease_keys_max {
                return Err(exceeded(rules::LEASE_KEYS));
            }
        }
        if ctx.has_room(growth) {
            Ok(())
        } else {
            Err(exceeded(rules::STATE_BYTES))
        }
    }

    /// Carries out operations that are admitted.
    fn change(&mut self, ctx: &mut Ctx<'_>, ops: &[Op]) -> Outcome {
        let mut deleted: u64 = 0;
        for op in ops {
            match op {
                Op::Put {
                    key, value, lease, ..
                } => self.put_key(ctx, key, value, *lease),
                Op::Delete { key, .. } => deleted += u64::from(self.remove_key(ctx, key)),
                Op::DeleteRange { from, to } => deleted += self.remove_range(ctx, from, to),
                Op::Txn { .. }
                | Op::LeaseGrant { .. }
                | Op::LeaseRenew { .. }
                | Op::LeaseRevoke { .. }
                | Op::LockAcquire { .. }
                | Op::LockRelease { .. } => unreachable!("validation lets only changes of keys in"),
            }
        }
        Outcome::Changed {
            revision: ctx.revision(),
            deleted,
        }
    }

    fn put_key(&mut self, ctx: &mut Ctx<'_>, key: &Bytes, value: &Bytes, lease: Option<LeaseId>) {
        let modified = Revision(ctx.index().0);
        let old = ctx.get(DATA, key).map(|(_, value)| data_origin(value));
        let created = old.map_or(modified, |(created, _)| created);
        let stored = data_value(created, modified, lease, value);
        let (image_key, _) = ctx.set(DATA, key, stored.clone());
        let pair = data_pair(&image_key, &stored);
        let before = old.and_then(|(_, lease)| lease);
        if before != lease {
            if let Some(before) = before {
                self.unbind_key(before, key);
            }
            if let Some(lease) = lease {
                self.bind_key(lease, pair.key.clone());
            }
        }
        self.derived.keys += usize::from(old.is_none());
        self.note_change(ctx, pair.key.clone(), Some(pair));
    }

    fn remove_range(&mut self, ctx: &mut Ctx<'_>, from: &[u8], to: &[u8]) -> u64 {
        let keys: Vec<Bytes> = ctx
            .range(DATA, from, Some(to))
            .take(self.config.range_pairs_max)
            .map(|(key, _)| key.slice(1..))
            .collect();
        for key in &keys {
            let removed = self.remove_key(ctx, key);
            assert!(removed, "a key that was just listed exists");
        }
        size(keys.len())
    }

    fn note_change(&mut self, ctx: &mut Ctx<'_>, key: Bytes, pair: Option<Pair>) {
        let revision = ctx.move_revision();
        self.history.push(Change {
            revision,
            key,
            pair,
        });
    }
}

/// The pair of a user's key.
pub(super) fn pair(shared: &Shared, key: &[u8]) -> Option<Pair> {
    shared
        .get(DATA, key)
        .map(|(key, value)| data_pair(key, value))
}

fn require(shared: &Shared, key: &Bytes, condition: &Condition) -> Result<(), Outcome> {
    if *condition == Condition::Always {
        return Ok(());
    }
    let pair = pair(shared, key);
    let holds = match (condition, &pair) {
        (Condition::Always, _) => true,
        (Condition::Absent, pair) => pair.is_none(),
        (Condition::Exists, pair) => pair.is_some(),
        (Condition::Revision(revision), Some(pair)) => pair.modified == *revision,
        (Condition::Value(value), Some(pair)) => pair.value == *value,
        (Condition::Revision(_) | Condition::Value(_), None) => false,
    };
    if holds {
        return Ok(());
    }
    Err(Outcome::ConditionFailed {
        key: key.clone(),
        revision: pair.as_ref().map(|pair| pair.modified),
        value: pair.map(|pair| pair.value),
    })
}

pub(super) const fn exceeded(limit: &'static str) -> Outcome {
    Outcome::LimitExceeded { limit }
}

/// Bytes by which the state grows when a key is set.
fn put_growth(key: &[u8], value: &[u8], old: Option<(&Bytes, &Bytes)>) -> u64 {
    let new = DATA_PREFIX_BYTES + value.len();
    match old {
        None => size(1 + key.len() + new),
        Some((_, old)) => size(new.saturating_sub(old.len())),
    }
}
