//! Clients that hold leases and locks.

use std::collections::BTreeMap;

use decube_core::kv::{Condition, FencingToken, LeaseId, Op, Outcome};
use decube_core::types::Span;

use super::{Clients, Current};
use crate::check::Finding;
use crate::check::guards::Shown;
use crate::workload::{Action, Planned, held_key_name, lock_name, lock_number, value_bytes};

/// What a client believes to hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Holdings {
    lease: Option<(LeaseId, Span)>,
    tokens: BTreeMap<u64, FencingToken>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Grant { ttl: Span },
    Renew { lease: LeaseId, ttl: Span },
    Revoke { lease: LeaseId },
    Bind { lease: LeaseId },
    Acquire { lock: u64, lease: LeaseId },
    Release { lock: u64, token: FencingToken },
}

impl Holdings {
    /// What a planned action comes to: who has no lease asks for one first.
    pub(super) fn asks(&self, planned: &Planned) -> Option<Asked> {
        let lock = lock_number(planned.key);
        let (lease, ttl) = match (planned.action, self.lease) {
            (
                Action::Lease | Action::Revoke | Action::Bind | Action::Acquire | Action::Release,
                None,
            ) => {
                let ttl = Span::from_millis(300 * (1 + planned.padding % 16));
                return Some(Asked::Grant { ttl });
            }
            (_, None) => return None,
            (_, Some(held)) => held,
        };
        match planned.action {
            Action::Lease => Some(Asked::Renew { lease, ttl }),
            Action::Revoke => Some(Asked::Revoke { lease }),
            Action::Bind => Some(Asked::Bind { lease }),
            Action::Acquire => Some(Asked::Acquire { lock, lease }),
            Action::Release => Some(match self.tokens.get(&lock) {
                Some(token) => Asked::Release {
                    lock,
                    token: *token,
                },
                None => Asked::Acquire { lock, lease },
            }),
            _ => None,
        }
    }
}

impl Asked {
    pub(super) fn op(self, planned: &Planned, id: u64) -> Op {
        match self {
            Self::Grant { ttl } => Op::LeaseGrant { ttl },
            Self::Renew { lease, .. } => Op::LeaseRenew { lease },
            Self::Revoke { lease } => Op::LeaseRevoke { lease },
            Self::Bind { lease } => Op::Put {
                key: held_key_name(planned.key),
                value: value_bytes(id, planned.padding),
                condition: Condition::Always,
                lease: Some(lease),
            },
            Self::Acquire { lock, lease } => Op::LockAcquire {
                name: lock_name(lock),
                lease,
            },
            Self::Release { lock, token } => Op::LockRelease {
                name: lock_name(lock),
                token,
            },
        }
    }
}

impl Holdings {
    /// What an answer shows, and what the client makes of it. An error if it is no
    /// answer to this.
    fn take(&mut self, asked: Asked, outcome: &Outcome) -> Result<Option<Shown>, ()> {
        Ok(Some(match (asked, outcome) {
            (
                Asked::Grant { ttl } | Asked::Renew { ttl, .. },
                Outcome::Lease { lease, expires_at },
            ) => {
                self.lease = Some((*lease, ttl));
                Shown::Lease {
                    lease: lease.0,
                    ttl: ttl.0,
                    expires_at: expires_at.0,
                }
            }
            (Asked::Revoke { lease }, Outcome::LeaseEnded) => {
                *self = Self::default();
                Shown::Revoked { lease: lease.0 }
            }
            (Asked::Bind { lease }, Outcome::Changed { .. }) => Shown::Bound { lease: lease.0 },
            (
                Asked::Renew { lease, .. }
                | Asked::Revoke { lease }
                | Asked::Bind { lease }
                | Asked::Acquire { lease, .. },
                Outcome::NoLease,
            ) => {
                *self = Self::default();
                Shown::Gone { lease: lease.0 }
            }
            (Asked::Acquire { lock, lease }, Outcome::Locked { token }) => {
                self.tokens.insert(lock, *token);
                let (lease, token) = (lease.0, token.0);
                Shown::Taken { lock, lease, token }
            }
            (Asked::Acquire { lock, .. }, Outcome::LockHeld { token }) => {
                self.tokens.remove(&lock);
                let token = token.0;
                Shown::Held { lock, token }
            }
            (Asked::Release { lock, token }, Outcome::Unlocked) => {
                self.tokens.remove(&lock);
                let token = token.0;
                Shown::Released { lock, token }
            }
            // Its lease may have ended meanwhile.
            (Asked::Release { lock, .. }, Outcome::LockNotHeld) => {
                self.tokens.remove(&lock);
                return Ok(None);
            }
            _ => return Err(()),
        }))
    }
}

impl Clients {
    /// An answer to something asked. The answer to a call that was repeated in a
    /// session may stand at the place of either, so it is believed and not judged.
    pub(super) fn guarded(
        &mut self,
        at: usize,
        current: &Current,
        asked: Asked,
        place: u64,
        outcome: &Outcome,
    ) -> Result<(), Finding> {
        if let Outcome::Changed { revision, .. } = outcome {
            self.in_order(current, revision.0, true)?;
        }
        let shown = self.clients[at].held.take(asked, outcome);
        let shown = shown.map_err(|()| {
            let message = format!("client {at}: {asked:?} ended with {outcome:?}");
            ("outcome", message)
        })?;
        if current.uncertain {
            self.not_judged(asked);
            return Ok(());
        }
        shown.map_or(Ok(()), |shown| {
            self.records.borrow_mut().guards.add(place, shown)
        })
    }

    /// No answer came to something asked: it may still take effect.
    pub(super) fn unanswered(&mut self, at: usize, asked: Asked) {
        let held = &mut self.clients[at].held;
        match asked {
            Asked::Revoke { .. } => *held = Holdings::default(),
            Asked::Release { lock, .. } => drop(held.tokens.remove(&lock)),
            _ => {}
        }
        self.not_judged(asked);
    }

    /// It is not known where in the log this took effect, if it did.
    fn not_judged(&mut self, asked: Asked) {
        match asked {
            Asked::Grant { .. } | Asked::Acquire { .. } | Asked::Bind { .. } => {}
            Asked::Renew { lease, .. } => self.records.borrow_mut().guards.maybe_renewed(lease.0),
            Asked::Revoke { lease } => self.records.borrow_mut().guards.maybe_ended(lease.0),
            Asked::Release { token, .. } => {
                self.records.borrow_mut().guards.maybe_released(token.0)
            }
        }
    }
}
