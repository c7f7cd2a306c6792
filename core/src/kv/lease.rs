//! Leases: keys and locks that end with their holder.

use bytes::Bytes;

use super::command::{LeaseId, Outcome};
use super::data::exceeded;
use super::layout::{LEASE, lease_value};
use super::rules;
use super::state::{Holder, Kv, Lease, Turn, after, lease_name};
use crate::types::Span;

/// Bytes that a lease adds to the state: space, id, time to live, end.
const LEASE_BYTES: u64 = 1 + 8 + 16;

impl Kv {
    pub(super) fn grant_lease(&mut self, turn: &mut Turn<'_>, ttl: Span) -> Outcome {
        if self.derived.leases.len() >= self.config.leases_max {
            return exceeded(rules::LEASES);
        }
        if !self.has_room(LEASE_BYTES) {
            return exceeded(rules::STATE_BYTES);
        }
        let lease = LeaseId(turn.index.0);
        let state = Lease {
            ttl,
            expires_at: turn.now,
            keys: Default::default(),
            locks: Default::default(),
        };
        let before = self.derived.leases.insert(lease, state);
        assert!(before.is_none(), "an entry grants at most one lease");
        self.start_lease(turn, lease)
    }

    pub(super) fn renew_lease(&mut self, turn: &mut Turn<'_>, lease: LeaseId) -> Outcome {
        match self.derived.leases.get(&lease) {
            None => Outcome::NoLease,
            Some(state) => {
                let entry = (state.expires_at, Holder::lease(lease));
                let removed = self.derived.expiry.remove(&entry);
                assert!(removed, "every lease has its end");
                self.start_lease(turn, lease)
            }
        }
    }

    pub(super) fn revoke_lease(&mut self, turn: &mut Turn<'_>, lease: LeaseId) -> Outcome {
        if !self.derived.leases.contains_key(&lease) {
            return Outcome::NoLease;
        }
        self.end_lease(turn, lease);
        Outcome::LeaseEnded
    }

    /// Ends a lease, deletes its keys in key order and frees its locks.
    pub(super) fn end_lease(&mut self, turn: &mut Turn<'_>, lease: LeaseId) {
        let state = self.derived.leases.get_mut(&lease);
        let state = state.expect("the caller has seen the lease");
        let expires_at = state.expires_at;
        let keys = core::mem::take(&mut state.keys);
        let locks = core::mem::take(&mut state.locks);
        for key in &keys {
            let removed = self.remove_key(turn, key);
            assert!(removed, "a bound key exists");
        }
        for name in &locks {
            self.free_lock(turn, name);
        }
        self.derived.leases.remove(&lease);
        let ended = self
            .derived
            .expiry
            .remove(&(expires_at, Holder::lease(lease)));
        assert!(ended, "every lease has its end");
        let stored = self.unset(turn, LEASE, &lease_name(lease));
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
    fn start_lease(&mut self, turn: &mut Turn<'_>, lease: LeaseId) -> Outcome {
        let state = self.derived.leases.get_mut(&lease);
        let state = state.expect("the caller has the lease");
        state.expires_at = after(turn.now, state.ttl);
        let (ttl, expires_at) = (state.ttl, state.expires_at);
        let added = self
            .derived
            .expiry
            .insert((expires_at, Holder::lease(lease)));
        assert!(added, "a lease has one end");
        self.set(
            turn,
            LEASE,
            &lease_name(lease),
            lease_value(ttl, expires_at),
        );
        Outcome::Lease { lease, expires_at }
    }
}
