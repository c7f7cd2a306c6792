//! What the module can be asked to do, and what it answers.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::replica::{LogTime, SessionId, Verdict};
use crate::types::{ModuleId, Revision, Span};

/// A lease: the index of the log entry that granted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LeaseId(pub u64);

/// A fencing token: the index of the log entry that gave the lock away. Whoever
/// guards a resource refuses tokens lower than the highest it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FencingToken(pub u64);

/// What must hold of a key for a change to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    Always,
    /// The key does not exist.
    Absent,
    /// The key exists.
    Exists,
    /// The key was last changed at this revision.
    Revision(Revision),
    /// The key has this value.
    Value(Bytes),
}

/// One change of keys, leases or locks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Sets a key.
    Put {
        /// The key.
        key: Bytes,
        /// The value.
        value: Bytes,
        /// Required first.
        condition: Condition,
        /// The key is deleted when this lease ends.
        lease: Option<LeaseId>,
    },
    /// Removes a key.
    Delete {
        /// The key.
        key: Bytes,
        /// Required first.
        condition: Condition,
    },
    /// Removes all keys in `from..to`, at most
    /// [`KV_RANGE_PAIRS_MAX`](crate::limits::KV_RANGE_PAIRS_MAX).
    DeleteRange {
        /// The first key removed.
        from: Bytes,
        /// The first key kept.
        to: Bytes,
    },
    /// All conditions hold and then all changes happen, at one revision, or
    /// nothing does.
    Txn {
        /// Keys and what is required of them.
        conditions: Vec<(Bytes, Condition)>,
        /// `Put` and `Delete` with condition `Always`, and `DeleteRange`.
        ops: Vec<Op>,
    },
    /// Grants a lease.
    LeaseGrant {
        /// How long it lasts without renewal, in log time.
        ttl: Span,
    },
    /// Begins a lease's time anew.
    LeaseRenew {
        /// The lease.
        lease: LeaseId,
    },
    /// Ends a lease and deletes its keys.
    LeaseRevoke {
        /// The lease.
        lease: LeaseId,
    },
    /// Takes a lock if it is free, held until its lease ends or it is released.
    /// Taking a lock that the same lease holds gives the same token again.
    LockAcquire {
        /// The lock.
        name: Bytes,
        /// The holder.
        lease: LeaseId,
    },
    /// Gives a lock back.
    LockRelease {
        /// The lock.
        name: Bytes,
        /// The token it was given with; another one changes nothing.
        token: FencingToken,
    },
}

/// How a command ended. Every variant but the refusals changed the state. What the
/// state itself can say ([`Verdict`]) stands among the module's own outcomes, because
/// their encodings share one row of tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The session is open.
    SessionOpened(SessionId),
    /// The session is closed.
    SessionClosed,
    /// Put, deleted, or the whole transaction.
    Changed {
        /// The revision that the change made.
        revision: Revision,
        /// How many keys were removed.
        deleted: u64,
    },
    /// The lease is granted or renewed.
    Lease {
        /// The lease.
        lease: LeaseId,
        /// When it ends, in log time.
        expires_at: LogTime,
    },
    /// The lease has ended and its keys are gone.
    LeaseEnded,
    /// The lock is held.
    Locked {
        /// To be shown wherever the lock protects something.
        token: FencingToken,
    },
    /// The lock is free.
    Unlocked,
    /// Log time has passed.
    Ticked,
    /// The module is on, by this command or before it.
    ModuleOn {
        /// Which.
        module: ModuleId,
    },
    /// Refused, nothing changed: a condition does not hold.
    ConditionFailed {
        /// The key it was required of.
        key: Bytes,
        /// The key's revision, `None` if it does not exist.
        revision: Option<Revision>,
        /// The key's value, if it exists.
        value: Option<Bytes>,
    },
    /// Refused, nothing changed: no such session; it expired or never was.
    NoSession,
    /// Refused: this answer was confirmed as received and is gone.
    AnswerGone,
    /// Refused, nothing changed: no such lease; it ended or never was.
    NoLease,
    /// Refused, nothing changed: another lease holds the lock.
    LockHeld {
        /// The token of the holder.
        token: FencingToken,
    },
    /// Refused, nothing changed: the lock is not held with this token.
    LockNotHeld,
    /// Refused, nothing changed: a limit would be passed.
    LimitExceeded {
        /// Which.
        limit: &'static str,
    },
    /// Refused, nothing changed: the command breaks a rule.
    Invalid {
        /// Which.
        rule: &'static str,
    },
    /// Refused, nothing changed: the module that was asked is not on.
    ModuleOff {
        /// Which.
        module: ModuleId,
    },
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::SessionOpened(session) => Self::SessionOpened(session),
            Verdict::SessionClosed => Self::SessionClosed,
            Verdict::Ticked => Self::Ticked,
            Verdict::ModuleOn { module } => Self::ModuleOn { module },
            Verdict::ModuleOff { module } => Self::ModuleOff { module },
            Verdict::NoSession => Self::NoSession,
            Verdict::AnswerGone => Self::AnswerGone,
            Verdict::LimitExceeded { limit } => Self::LimitExceeded { limit },
            Verdict::Invalid { rule } => Self::Invalid { rule },
        }
    }
}
