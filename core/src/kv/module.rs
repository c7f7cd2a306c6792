//! Keys, leases and locks as a module of the replicated state.

use alloc::vec::Vec;

use super::command::{LeaseId, Op, Outcome};
use super::command::{MODULE_OFF, MODULE_ON};
use super::data::exceeded;
use super::history::History;
use super::layout::{DATA, LEASE, LOCK, Record};
use super::query::Change;
use super::state::{Derived, Kv, Lease};
use crate::replica::{Ctx, Held, Holder, ImageError, Loading, Module, ensure, rules};
use crate::types::{ModuleId, Modules, Revision};

impl Module for Kv {
    type Op = Op;
    type Outcome = Outcome;
    /// The changes that watchers are told.
    type Notice = Change;

    fn ids() -> Modules {
        Modules::of(ModuleId::FIRST)
    }

    fn owner(_: &Op) -> ModuleId {
        ModuleId::FIRST
    }

    fn owns_space(space: u8) -> bool {
        matches!(space, DATA | LEASE | LOCK)
    }

    fn owns_tag(tag: u8) -> bool {
        matches!(tag, 0x00..=0x0f | MODULE_ON | MODULE_OFF)
    }

    fn validate(&self, op: &Op) -> Result<(), Outcome> {
        self.config.validate(op)
    }

    fn apply(&mut self, ctx: &mut Ctx<'_>, op: &Op) -> Outcome {
        match op {
            Op::Put { .. } | Op::Delete { .. } | Op::DeleteRange { .. } => self.change_one(ctx, op),
            Op::Txn { conditions, ops } => self.change_all(ctx, conditions, ops),
            Op::LeaseGrant { ttl } => self.grant_lease(ctx, *ttl),
            Op::LeaseRenew { lease } => self.renew_lease(ctx, *lease),
            Op::LeaseRevoke { lease } => self.revoke_lease(ctx, *lease),
            Op::LockAcquire { name, lease } => self.acquire_lock(ctx, name, *lease),
            Op::LockRelease { name, token } => self.release_lock(ctx, name, *token),
        }
    }

    fn expire(&mut self, ctx: &mut Ctx<'_>, holder: Holder) {
        assert!(holder.space == LEASE, "only leases end by themselves");
        self.end_lease(ctx, LeaseId(holder.id));
    }

    fn for_full_state(outcome: &Outcome) -> Option<Outcome> {
        matches!(outcome, Outcome::ConditionFailed { .. }).then(|| exceeded(rules::STATE_BYTES))
    }

    fn begin_entry(&mut self) {
        self.history.begin_turn();
    }

    fn end_entry(&mut self) {
        self.history.end_turn(
            self.config.history_revisions_max,
            self.config.history_bytes_max,
        );
        // Bounds
        assert!(self.derived.leases.len() <= self.config.leases_max);
    }

    fn take_notices(&mut self) -> Vec<Change> {
        self.history.take_last()
    }

    fn emptied(&self) -> Self {
        Self::new(self.config)
    }

    fn load(&mut self, loading: &mut Loading<'_>) -> Result<(), ImageError> {
        let oldest = Revision(loading.applied().index.next().0);
        self.history = History::new(oldest);
        self.derived = Derived::load(loading)?;
        Ok(())
    }

    fn held(&self) -> Held {
        let Derived {
            leases,
            keys,
            locks,
        } = &self.derived;
        Held {
            pairs: leases.len() + keys + locks,
            holders: leases.len(),
        }
    }

    fn has_indexes_of(&self, other: &Self) -> bool {
        self.derived == other.derived
    }

    fn audit(&self) {
        // LeaseKeysBounded
        for lease in self.derived.leases.values() {
            assert!(lease.bound() <= self.config.lease_keys_max);
        }
    }
}

impl AsRef<Self> for Kv {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl Derived {
    /// Leases first, then what is bound to them.
    fn load(loading: &mut Loading<'_>) -> Result<Self, ImageError> {
        let mut derived = Self::default();
        let spaces = [LEASE, LOCK, DATA].map(|space| loading.pairs(space));
        for (key, value) in spaces.into_iter().flatten() {
            match Record::decode(key, value)? {
                Record::Lease(lease, ttl, expires_at) => {
                    loading.check_id(lease.0)?;
                    loading.expire_at(
                        expires_at,
                        Holder {
                            id: lease.0,
                            space: LEASE,
                        },
                    );
                    derived.leases.insert(lease, Lease::new(ttl, expires_at));
                }
                Record::Lock(name, token, lease) => {
                    loading.check_id(token.0)?;
                    derived.find(lease)?.locks.insert(name);
                    derived.locks += 1;
                }
                Record::Data(pair) => {
                    ensure(
                        pair.created <= pair.modified,
                        "key changed before it was made",
                    )?;
                    ensure(
                        pair.modified <= loading.revision(),
                        "key newer than the revision",
                    )?;
                    derived.keys += 1;
                    if let Some(lease) = pair.lease {
                        derived.find(lease)?.keys.insert(pair.key);
                    }
                }
            }
        }
        Ok(derived)
    }

    fn find(&mut self, lease: LeaseId) -> Result<&mut Lease, ImageError> {
        let state = self.leases.get_mut(&lease);
        state.ok_or(ImageError::Inconsistent(
            "bound to a lease that is not there",
        ))
    }
}
