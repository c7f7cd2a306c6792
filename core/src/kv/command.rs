//! What the module can be asked to do, and what it answers.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::codec::{Decode, Encode};
use crate::limits::{KV_KEY_BYTES_MAX, KV_TXN_OPS_MAX, KV_VALUE_BYTES_MAX};
use crate::replica::{LogTime, SessionId, Verdict, rules};
use crate::types::{ModuleId, Revision, Span};

/// The tag of a transaction.
const TXN: u8 = 3;

/// Tags of outcomes that the state itself gives. The sixteen in front were in use when
/// these came, and those behind them may be other modules'.
pub(super) const MODULE_ON: u8 = 0xf0;
pub(super) const MODULE_OFF: u8 = 0xf1;

/// A lease: the index of the log entry that granted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct LeaseId(pub u64);

/// A fencing token: the index of the log entry that gave the lock away. Whoever
/// guards a resource refuses tokens lower than the highest it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct FencingToken(pub u64);

/// What must hold of a key for a change to happen.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Condition {
    /// Nothing.
    #[codec(tag = 0)]
    Always,
    /// The key does not exist.
    #[codec(tag = 1)]
    Absent,
    /// The key exists.
    #[codec(tag = 2)]
    Exists,
    /// The key was last changed at this revision.
    #[codec(tag = 3)]
    Revision(Revision),
    /// The key has this value.
    #[codec(tag = 4)]
    Value(#[codec(max = KV_VALUE_BYTES_MAX)] Bytes),
}

/// One change of keys, leases or locks.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[codec(check = Op::check)]
pub enum Op {
    /// Sets a key.
    #[codec(tag = 0)]
    Put {
        #[codec(max = KV_KEY_BYTES_MAX)]
        key: Bytes,
        #[codec(max = KV_VALUE_BYTES_MAX)]
        value: Bytes,
        /// Required first.
        condition: Condition,
        /// The key is deleted when this lease ends.
        lease: Option<LeaseId>,
    },
    /// Removes a key.
    #[codec(tag = 1)]
    Delete {
        #[codec(max = KV_KEY_BYTES_MAX)]
        key: Bytes,
        /// Required first.
        condition: Condition,
    },
    /// Removes all keys in `from..to`, at most
    /// [`KV_RANGE_PAIRS_MAX`](crate::limits::KV_RANGE_PAIRS_MAX).
    #[codec(tag = 2)]
    DeleteRange {
        /// The first key removed.
        #[codec(max = KV_KEY_BYTES_MAX)]
        from: Bytes,
        /// The first key kept.
        #[codec(max = KV_KEY_BYTES_MAX)]
        to: Bytes,
    },
    /// All conditions hold and then all changes happen, at one revision, or
    /// nothing does.
    #[codec(tag = TXN)]
    Txn {
        /// Keys and what is required of them.
        #[codec(max = [KV_TXN_OPS_MAX, [KV_KEY_BYTES_MAX, _]])]
        conditions: Vec<(Bytes, Condition)>,
        /// `Put` and `Delete` with condition `Always`, and `DeleteRange`.
        #[codec(with = flat)]
        ops: Vec<Op>,
    },
    /// Grants a lease.
    #[codec(tag = 4)]
    LeaseGrant {
        /// How long it lasts without renewal, in log time.
        ttl: Span,
    },
    /// Begins a lease's time again.
    #[codec(tag = 5)]
    LeaseRenew { lease: LeaseId },
    /// Ends a lease and deletes its keys.
    #[codec(tag = 6)]
    LeaseRevoke { lease: LeaseId },
    /// Takes a lock if it is free, held until its lease ends or it is released.
    /// Taking a lock that the same lease holds gives the same token again.
    #[codec(tag = 7)]
    LockAcquire {
        /// The lock.
        #[codec(max = KV_KEY_BYTES_MAX)]
        name: Bytes,
        /// The holder.
        lease: LeaseId,
    },
    /// Gives a lock back.
    #[codec(tag = 8)]
    LockRelease {
        /// The lock.
        #[codec(max = KV_KEY_BYTES_MAX)]
        name: Bytes,
        /// The token it was given with; another one changes nothing.
        token: FencingToken,
    },
}

impl Op {
    /// What a transaction has is read by code of its own (`flat`), and checked here for
    /// those who make one.
    fn check(&self) -> Result<(), &'static str> {
        let Self::Txn { ops, .. } = self else {
            return Ok(());
        };
        let is_simple = |op: &Self| !matches!(op, Self::Txn { .. }) && op.is_readable();
        if ops.len() > KV_TXN_OPS_MAX || !ops.iter().all(is_simple) {
            return Err("transaction");
        }
        Ok(())
    }
}

/// The operations of a transaction. A transaction among them is refused before it is read,
/// so that no input can make the decoder recurse.
mod flat {
    use alloc::vec::Vec;

    use super::{KV_TXN_OPS_MAX, Op, TXN};
    use crate::codec::{Decode as _, DecodeError, Encode as _, Field, Reader, Writer};

    const FIELD: Field = Field {
        what: "op",
        name: "Txn.ops",
    };

    pub(super) fn encode(ops: &Vec<Op>, writer: &mut Writer) {
        ops.encode(writer);
    }

    pub(super) fn size_hint(ops: &Vec<Op>) -> usize {
        ops.size_hint()
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Vec<Op>, DecodeError> {
        let what = "transaction inside a transaction";
        reader.list(KV_TXN_OPS_MAX, &FIELD, |reader| {
            match reader.clone().u8()? {
                TXN => Err(DecodeError::Invalid { what }),
                _ => Op::decode(reader),
            }
        })
    }
}

/// How a command ended. Every variant but the refusals changed the state. What the
/// state itself can say ([`Verdict`]) stands among the module's own outcomes, because
/// their encodings share one row of tags.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Outcome {
    /// The session is open.
    #[codec(tag = 0)]
    SessionOpened(SessionId),
    /// The session is closed.
    #[codec(tag = 1)]
    SessionClosed,
    /// Put, deleted, or the whole transaction.
    #[codec(tag = 2)]
    Changed {
        /// The revision that the change made.
        revision: Revision,
        /// How many keys were removed.
        deleted: u64,
    },
    /// The lease is granted or renewed.
    #[codec(tag = 3)]
    Lease {
        lease: LeaseId,
        /// When it ends, in log time.
        expires_at: LogTime,
    },
    /// The lease has ended and its keys are gone.
    #[codec(tag = 4)]
    LeaseEnded,
    /// The lock is held.
    #[codec(tag = 5)]
    Locked {
        /// To be shown wherever the lock protects something.
        token: FencingToken,
    },
    /// The lock is free.
    #[codec(tag = 6)]
    Unlocked,
    /// Log time has passed.
    #[codec(tag = 7)]
    Ticked,
    /// The module is on, by this command or before it.
    #[codec(tag = MODULE_ON)]
    ModuleOn {
        /// Which.
        module: ModuleId,
    },
    /// Refused, nothing changed: a condition does not hold.
    #[codec(tag = 8)]
    ConditionFailed {
        /// The key it was required of.
        #[codec(max = KV_KEY_BYTES_MAX)]
        key: Bytes,
        /// The key's revision, `None` if it does not exist.
        revision: Option<Revision>,
        /// The key's value, if it exists.
        #[codec(max = KV_VALUE_BYTES_MAX)]
        value: Option<Bytes>,
    },
    /// Refused, nothing changed: no such session; it expired or never was.
    #[codec(tag = 9)]
    NoSession,
    /// Refused: this answer was confirmed as received and is gone.
    #[codec(tag = 10)]
    AnswerGone,
    /// Refused, nothing changed: no such lease; it ended or never was.
    #[codec(tag = 11)]
    NoLease,
    /// Refused, nothing changed: another lease holds the lock.
    #[codec(tag = 12)]
    LockHeld {
        /// The token of the holder.
        token: FencingToken,
    },
    /// Refused, nothing changed: the lock is not held with this token.
    #[codec(tag = 13)]
    LockNotHeld,
    /// Refused, nothing changed: a limit would be passed.
    #[codec(tag = 14)]
    LimitExceeded {
        /// Which.
        #[codec(with = rules::limit)]
        limit: &'static str,
    },
    /// Refused, nothing changed: the command breaks a rule.
    #[codec(tag = 15)]
    Invalid {
        /// Which.
        #[codec(with = rules::rule)]
        rule: &'static str,
    },
    /// Refused, nothing changed: the module that was asked is not on.
    #[codec(tag = MODULE_OFF)]
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
