//! Leases: keys and locks that end with their holder.

use bytes::Bytes;

use super::command::{LeaseId, Outcome};
use super::data::exceeded;
use super::layout::{LEASE, lease_value};
use super::state::{Kv, Lease, lease_name};
use crate::replica::{Ctx, Holder, after, rules};
use crate::types::Span;

/// Bytes that a lease adds to the state: space, id, time to live, end.
const LEASE_BYTES: u64 = 1 + 8 + 16;

impl Kv {
    pub(super) fn grant_lease(&mut self, ctx: &mut Ctx<'_>, ttl: Span) -> Outcome {
        if self.derived.leases.len() >= self.config.leases_max {
            return exceeded(rules::LEASES);
        }
        if !ctx.has_room(LEASE_BYTES) {
            return exceeded(rules::STATE_BYTES);
        }
        let lease = LeaseId(ctx.index().0);
        let state = Lease::new(ttl, ctx.now());
        let before = self.derived.leases.insert(lease, state);
        assert!(before.is_none(), "an entry grants at most one lease");
        self.start_lease(ctx, lease)
    }

    pub(super) fn renew_lease(&mut self, ctx: &mut Ctx<'_>, lease: LeaseId) -> Outcome {
        match self.derived.leases.get(&lease) {
            None => Outcome::NoLease,
            Some(state) => {
                ctx.forget_expiry(state.expires_at, holder(lease));
                self.start_lease(ctx, lease)
            }
        }
    }

    pub(super) fn revoke_lease(&mut self, ctx: &mut Ctx<'_>, lease: LeaseId) -> Outcome {
        if !self.derived.leases.contains_key(&lease) {
            return Outcome::NoLease;
        }
        self.end_lease(ctx, lease);
        Outcome::LeaseEnded
    }

    /// Ends a lease, deletes its keys in key order and frees its locks.
    pub(super) fn end_lease(&mut self, ctx: &mut Ctx<'_>, lease: LeaseId) {
        let state = self.derived.leases.get_mut(&lease);
        let state = state.expect("the caller has seen the lease");
        let expires_at = state.expires_at;
        let keys = core::mem::take(&mut state.keys);
        let locks = core::mem::take(&mut state.locks);
        for key in &keys {
            let removed = self.remove_key(ctx, key);
            assert!(removed, "a bound key exists");
        }
        for name in &locks {
            self.free_lock(ctx, name);
        }
        self.derived.leases.remove(&lease);
        ctx.forget_expiry(expires_at, holder(lease));
        let stored = ctx.unset(LEASE, &lease_name(lease));
        assert!(stored.is_some(), "every lease is stored");
    }

    pub(super) fn bind_key(&mut self, lease: LeaseId, key: Bytes) {
        let state = self.derived.leases.get_mut(&lease);
        let state = state.expect("admission has seen the lease");
        let added = state.keys.insert(key);
        assert!(added, "a key is bound once");
    }

    /// Takes a key from its lease. The lease may be ending: then its keys are
    /// taken already.
    pub(super) fn unbind_key(&mut self, lease: LeaseId, key: &[u8]) {
        let state = self.derived.leases.get_mut(&lease);
        let state = state.expect("a bound key's lease exists");
        state.keys.remove(key);
    }

    /// Begins a lease's time now.
    fn start_lease(&mut self, ctx: &mut Ctx<'_>, lease: LeaseId) -> Outcome {
        let state = self.derived.leases.get_mut(&lease);
        let state = state.expect("the caller has the lease");
        state.expires_at = after(ctx.now(), state.ttl);
        let (ttl, expires_at) = (state.ttl, state.expires_at);
        ctx.expire_at(expires_at, holder(lease));
        ctx.set(LEASE, &lease_name(lease), lease_value(ttl, expires_at));
        Outcome::Lease { lease, expires_at }
    }
}

const fn holder(lease: LeaseId) -> Holder {
    Holder {
        id: lease.0,
        space: LEASE,
    }
}
