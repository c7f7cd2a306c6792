//! Encodings of operations, answers and reads.
//!
//! Every decoder is total and bounded: sizes are held against [`crate::limits`]
//! before anything is allocated, and a transaction inside a transaction is
//! refused, so that no input can make a decoder recurse.

use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

use super::command::{Condition, FencingToken, LeaseId, Op, Outcome};
use super::query::{Answer, Change, Found, Pair, Query};
use crate::codec::{Decode, DecodeError, Encode, Reader, Writer, codec_newtype};
use crate::limits::{
    KV_KEY_BYTES_MAX, KV_LEASE_KEYS_MAX, KV_RANGE_PAIRS_MAX, KV_TXN_OPS_MAX, KV_VALUE_BYTES_MAX,
};
use crate::replica::rules;

codec_newtype!(u64: LeaseId, FencingToken);

/// Tags of outcomes that the state itself gives. The sixteen in front were in use when
/// these came, and those behind them may be other modules'.
pub(super) const MODULE_ON: u8 = 0xf0;
pub(super) const MODULE_OFF: u8 = 0xf1;

impl Encode for Condition {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Always => writer.u8(0),
            Self::Absent => writer.u8(1),
            Self::Exists => writer.u8(2),
            Self::Revision(revision) => {
                writer.u8(3);
                writer.put(revision);
            }
            Self::Value(value) => {
                writer.u8(4);
                writer.blob(value);
            }
        }
    }
}

impl Decode for Condition {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::Always,
            1 => Self::Absent,
            2 => Self::Exists,
            3 => Self::Revision(reader.get()?),
            4 => Self::Value(reader.blob(KV_VALUE_BYTES_MAX)?),
            tag => return unknown("condition", tag),
        })
    }
}

impl Encode for Op {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Put {
                key,
                value,
                condition,
                lease,
            } => {
                writer.u8(0);
                writer.blob(key);
                writer.blob(value);
                writer.put(condition);
                writer.put(lease);
            }
            Self::Delete { key, condition } => {
                writer.u8(1);
                writer.blob(key);
                writer.put(condition);
            }
            Self::DeleteRange { from, to } => {
                writer.u8(2);
                writer.blob(from);
                writer.blob(to);
            }
            Self::Txn { conditions, ops } => {
                writer.u8(3);
                writer.length(conditions.len());
                for (key, condition) in conditions {
                    writer.blob(key);
                    writer.put(condition);
                }
                writer.seq(ops);
            }
            Self::LeaseGrant { ttl } => {
                writer.u8(4);
                writer.put(ttl);
            }
            Self::LeaseRenew { lease } => {
                writer.u8(5);
                writer.put(lease);
            }
            Self::LeaseRevoke { lease } => {
                writer.u8(6);
                writer.put(lease);
            }
            Self::LockAcquire { name, lease } => {
                writer.u8(7);
                writer.blob(name);
                writer.put(lease);
            }
            Self::LockRelease { name, token } => {
                writer.u8(8);
                writer.blob(name);
                writer.put(token);
            }
        }
    }
}

impl Decode for Op {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            3 => decode_txn(reader),
            tag => decode_flat_op(tag, reader),
        }
    }
}

fn decode_txn(reader: &mut Reader<'_>) -> Result<Op, DecodeError> {
    let count = reader.length(KV_TXN_OPS_MAX)?;
    let mut conditions = Vec::new();
    for _ in 0..count {
        conditions.push((reader.blob(KV_KEY_BYTES_MAX)?, reader.get()?));
    }
    let count = reader.length(KV_TXN_OPS_MAX)?;
    let mut ops = Vec::new();
    for _ in 0..count {
        match reader.u8()? {
            3 => {
                return Err(DecodeError::Invalid {
                    what: "transaction inside a transaction",
                });
            }
            tag => ops.push(decode_flat_op(tag, reader)?),
        }
    }
    Ok(Op::Txn { conditions, ops })
}

/// Every operation but a transaction.
fn decode_flat_op(tag: u8, reader: &mut Reader<'_>) -> Result<Op, DecodeError> {
    Ok(match tag {
        0 => Op::Put {
            key: reader.blob(KV_KEY_BYTES_MAX)?,
            value: reader.blob(KV_VALUE_BYTES_MAX)?,
            condition: reader.get()?,
            lease: reader.get()?,
        },
        1 => Op::Delete {
            key: reader.blob(KV_KEY_BYTES_MAX)?,
            condition: reader.get()?,
        },
        2 => Op::DeleteRange {
            from: reader.blob(KV_KEY_BYTES_MAX)?,
            to: reader.blob(KV_KEY_BYTES_MAX)?,
        },
        4 => Op::LeaseGrant { ttl: reader.get()? },
        5 => Op::LeaseRenew {
            lease: reader.get()?,
        },
        6 => Op::LeaseRevoke {
            lease: reader.get()?,
        },
        7 => Op::LockAcquire {
            name: reader.blob(KV_KEY_BYTES_MAX)?,
            lease: reader.get()?,
        },
        8 => Op::LockRelease {
            name: reader.blob(KV_KEY_BYTES_MAX)?,
            token: reader.get()?,
        },
        tag => return unknown("op", tag),
    })
}

impl Encode for Outcome {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::SessionOpened(session) => {
                writer.u8(0);
                writer.put(session);
            }
            Self::SessionClosed => writer.u8(1),
            Self::Changed { revision, deleted } => {
                writer.u8(2);
                writer.put(revision);
                writer.u64(*deleted);
            }
            Self::Lease { lease, expires_at } => {
                writer.u8(3);
                writer.put(lease);
                writer.put(expires_at);
            }
            Self::LeaseEnded => writer.u8(4),
            Self::Locked { token } => {
                writer.u8(5);
                writer.put(token);
            }
            Self::Unlocked => writer.u8(6),
            Self::Ticked => writer.u8(7),
            Self::ConditionFailed {
                key,
                revision,
                value,
            } => {
                writer.u8(8);
                writer.blob(key);
                writer.put(revision);
                writer.bool(value.is_some());
                if let Some(value) = value {
                    writer.blob(value);
                }
            }
            Self::NoSession => writer.u8(9),
            Self::AnswerGone => writer.u8(10),
            Self::NoLease => writer.u8(11),
            Self::LockHeld { token } => {
                writer.u8(12);
                writer.put(token);
            }
            Self::LockNotHeld => writer.u8(13),
            Self::LimitExceeded { limit } => {
                writer.u8(14);
                writer.u8(rules::limit_code(limit));
            }
            Self::Invalid { rule } => {
                writer.u8(15);
                writer.u8(rules::rule_code(rule));
            }
            Self::ModuleOn { module } => {
                writer.u8(MODULE_ON);
                writer.put(module);
            }
            Self::ModuleOff { module } => {
                writer.u8(MODULE_OFF);
                writer.put(module);
            }
        }
    }
}

impl Decode for Outcome {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::SessionOpened(reader.get()?),
            1 => Self::SessionClosed,
            2 => Self::Changed {
                revision: reader.get()?,
                deleted: reader.u64()?,
            },
            3 => Self::Lease {
                lease: reader.get()?,
                expires_at: reader.get()?,
            },
            4 => Self::LeaseEnded,
            5 => Self::Locked {
                token: reader.get()?,
            },
            6 => Self::Unlocked,
            7 => Self::Ticked,
            8 => Self::ConditionFailed {
                key: reader.blob(KV_KEY_BYTES_MAX)?,
                revision: reader.get()?,
                value: match reader.bool()? {
                    true => Some(reader.blob(KV_VALUE_BYTES_MAX)?),
                    false => None,
                },
            },
            9 => Self::NoSession,
            10 => Self::AnswerGone,
            11 => Self::NoLease,
            12 => Self::LockHeld {
                token: reader.get()?,
            },
            13 => Self::LockNotHeld,
            14 => Self::LimitExceeded {
                limit: named(rules::limit_name, "limit", reader)?,
            },
            15 => Self::Invalid {
                rule: named(rules::rule_name, "rule", reader)?,
            },
            MODULE_ON => Self::ModuleOn {
                module: reader.get()?,
            },
            MODULE_OFF => Self::ModuleOff {
                module: reader.get()?,
            },
            tag => return unknown("outcome", tag),
        })
    }
}

fn named(
    name: fn(u8) -> Option<&'static str>,
    what: &'static str,
    reader: &mut Reader<'_>,
) -> Result<&'static str, DecodeError> {
    let tag = reader.u8()?;
    name(tag).ok_or(DecodeError::UnknownTag { what, tag })
}

impl Encode for Query {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Get { key } => {
                writer.u8(0);
                writer.blob(key);
            }
            Self::Range {
                from,
                to,
                limit,
                keys_only,
            } => {
                writer.u8(1);
                writer.blob(from);
                writer.bool(to.is_some());
                if let Some(to) = to {
                    writer.blob(to);
                }
                writer.u32(*limit);
                writer.bool(*keys_only);
            }
            Self::Lease { lease } => {
                writer.u8(2);
                writer.put(lease);
            }
            Self::Lock { name } => {
                writer.u8(3);
                writer.blob(name);
            }
        }
    }
}

impl Decode for Query {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::Get {
                key: reader.blob(KV_KEY_BYTES_MAX)?,
            },
            1 => Self::Range {
                from: reader.blob(KV_KEY_BYTES_MAX)?,
                to: match reader.bool()? {
                    true => Some(reader.blob(KV_KEY_BYTES_MAX)?),
                    false => None,
                },
                limit: reader.u32()?,
                keys_only: reader.bool()?,
            },
            2 => Self::Lease {
                lease: reader.get()?,
            },
            3 => Self::Lock {
                name: reader.blob(KV_KEY_BYTES_MAX)?,
            },
            tag => return unknown("query", tag),
        })
    }
}

impl Encode for Pair {
    fn encode(&self, writer: &mut Writer) {
        writer.blob(&self.key);
        writer.blob(&self.value);
        writer.put(&self.created);
        writer.put(&self.modified);
        writer.put(&self.lease);
    }
}

impl Decode for Pair {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            key: reader.blob(KV_KEY_BYTES_MAX)?,
            value: reader.blob(KV_VALUE_BYTES_MAX)?,
            created: reader.get()?,
            modified: reader.get()?,
            lease: reader.get()?,
        })
    }
}

impl Encode for Answer {
    fn encode(&self, writer: &mut Writer) {
        writer.put(&self.revision);
        writer.put(&self.found);
    }
}

impl Decode for Answer {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            revision: reader.get()?,
            found: reader.get()?,
        })
    }
}

impl Encode for Found {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::One(pair) => {
                writer.u8(0);
                writer.put(pair);
            }
            Self::Many { pairs, next } => {
                writer.u8(1);
                writer.seq(pairs);
                writer.bool(next.is_some());
                if let Some(next) = next {
                    writer.blob(next);
                }
            }
            Self::Lease(lease) => {
                writer.u8(2);
                writer.bool(lease.is_some());
                if let Some((expires_at, keys)) = lease {
                    writer.put(expires_at);
                    writer.length(keys.len());
                    keys.iter().for_each(|key| writer.blob(key));
                }
            }
            Self::Lock(lock) => {
                writer.u8(3);
                writer.bool(lock.is_some());
                if let Some((token, lease)) = lock {
                    writer.put(token);
                    writer.put(lease);
                }
            }
        }
    }
}

impl Decode for Found {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::One(reader.get()?),
            1 => Self::Many {
                pairs: reader.seq(KV_RANGE_PAIRS_MAX)?,
                next: match reader.bool()? {
                    true => Some(reader.blob(KV_KEY_BYTES_MAX)?),
                    false => None,
                },
            },
            2 => Self::Lease(match reader.bool()? {
                true => {
                    let expires_at = reader.get()?;
                    let count = reader.length(KV_LEASE_KEYS_MAX)?;
                    let mut keys = Vec::new();
                    for _ in 0..count {
                        keys.push(reader.blob(KV_KEY_BYTES_MAX)?);
                    }
                    Some((expires_at, keys))
                }
                false => None,
            }),
            3 => Self::Lock(match reader.bool()? {
                true => Some((reader.get()?, reader.get()?)),
                false => None,
            }),
            tag => return unknown("found", tag),
        })
    }
}

impl Encode for Change {
    fn encode(&self, writer: &mut Writer) {
        writer.put(&self.revision);
        writer.blob(&self.key);
        writer.put(&self.pair);
    }
}

impl Decode for Change {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            revision: reader.get()?,
            key: reader.blob(KV_KEY_BYTES_MAX)?,
            pair: reader.get()?,
        })
    }
}

fn unknown<T>(what: &'static str, tag: u8) -> Result<T, DecodeError> {
    Err(DecodeError::UnknownTag { what, tag })
}

impl Hash for Query {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.to_bytes().hash(state);
    }
}
