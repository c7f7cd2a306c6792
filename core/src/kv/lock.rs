//! Locks with fencing tokens.
//!
//! A token is the index of the entry that gave the lock away, so tokens of a lock
//! rise for ever, with nothing to remember after the lock is free.

use bytes::Bytes;

use super::command::{FencingToken, LeaseId, Outcome};
use super::data::exceeded;
use super::layout::{LOCK, lock_parts, lock_value};
use super::state::Kv;
use crate::mutant::Mutant;
use crate::replica::{Ctx, Shared, rules, size};

impl Kv {
    pub(super) fn acquire_lock(
        &mut self,
        ctx: &mut Ctx<'_>,
        name: &Bytes,
        lease: LeaseId,
    ) -> Outcome {
        let Some(holder) = self.derived.leases.get(&lease) else {
            return Outcome::NoLease;
        };
        match lock(ctx, name) {
            Some((token, by)) if by == lease => return Outcome::Locked { token },
            Some((token, _)) => return Outcome::LockHeld { token },
            None => {}
        }
        if holder.bound() >= self.config.lease_keys_max {
            return exceeded(rules::LEASE_KEYS);
        }
        if !ctx.has_room(size(1 + name.len() + 16)) {
            return exceeded(rules::STATE_BYTES);
        }
        let token = self.new_token(ctx, lease);
        let (image_key, old) = ctx.set(LOCK, name, lock_value(token, lease));
        assert!(old.is_none(), "only a free lock is taken");
        self.derived.locks += 1;
        let holder = self.derived.leases.get_mut(&lease);
        let holder = holder.expect("the lease was found above");
        let added = holder.locks.insert(image_key.slice(1..));
        assert!(added, "a free lock is bound to no lease");
        Outcome::Locked { token }
    }

    pub(super) fn release_lock(
        &mut self,
        ctx: &mut Ctx<'_>,
        name: &Bytes,
        token: FencingToken,
    ) -> Outcome {
        match lock(ctx, name) {
            Some((held, lease)) if held == token => {
                let holder = self.derived.leases.get_mut(&lease);
                let holder = holder.expect("the holder of a lock exists");
                let bound = holder.locks.remove(name);
                assert!(bound, "a held lock is bound to its holder");
                self.free_lock(ctx, name);
                Outcome::Unlocked
            }
            Some(_) | None => Outcome::LockNotHeld,
        }
    }

    /// Frees a lock that is held and no longer bound to its lease.
    pub(super) fn free_lock(&mut self, ctx: &mut Ctx<'_>, name: &[u8]) {
        let stored = ctx.unset(LOCK, name);
        assert!(stored.is_some(), "only a held lock is freed");
        self.derived.locks -= 1;
    }

    fn new_token(&self, ctx: &Ctx<'_>, lease: LeaseId) -> FencingToken {
        if self.config.mutant.is(Mutant::FencingTokenReused) {
            return FencingToken(lease.0);
        }
        FencingToken(ctx.index().0)
    }
}

/// Token and holder of a lock.
pub(super) fn lock(shared: &Shared, name: &[u8]) -> Option<(FencingToken, LeaseId)> {
    shared.get(LOCK, name).map(|(_, value)| lock_parts(value))
}
