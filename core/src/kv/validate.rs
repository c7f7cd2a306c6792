//! What can be checked of an operation without looking at the state.

use alloc::collections::BTreeSet;

use bytes::Bytes;

use super::command::{Condition, Op, Outcome};
use super::config::Config;
use crate::replica::rules;
use crate::types::Span;

impl Config {
    /// Whether an operation keeps the rules that do not depend on the state.
    ///
    /// # Errors
    /// [`Outcome::Invalid`] with the rule that is broken.
    pub(super) fn validate(&self, op: &Op) -> Result<(), Outcome> {
        match op {
            Op::Put {
                key,
                value,
                condition,
                ..
            } => {
                self.validate_key(key)?;
                require(value.len() <= self.value_bytes_max, rules::VALUE_TOO_LONG)?;
                self.validate_condition(condition)
            }
            Op::Delete { key, condition } => {
                self.validate_key(key)?;
                self.validate_condition(condition)
            }
            Op::DeleteRange { from, to } => {
                require(from.len() <= self.key_bytes_max, rules::KEY_TOO_LONG)?;
                require(to.len() <= self.key_bytes_max, rules::KEY_TOO_LONG)?;
                require(from < to, rules::RANGE_EMPTY)
            }
            Op::Txn { conditions, ops } => self.validate_txn(conditions, ops),
            Op::LeaseGrant { ttl } => check_ttl(*ttl, self.lease_ttl_max),
            Op::LeaseRenew { .. } | Op::LeaseRevoke { .. } => Ok(()),
            Op::LockAcquire { name, .. } | Op::LockRelease { name, .. } => self.validate_key(name),
        }
    }

    fn validate_txn(&self, conditions: &[(Bytes, Condition)], ops: &[Op]) -> Result<(), Outcome> {
        require(conditions.len() <= self.txn_ops_max, rules::TXN_TOO_LONG)?;
        require(ops.len() <= self.txn_ops_max, rules::TXN_TOO_LONG)?;
        for (key, condition) in conditions {
            self.validate_key(key)?;
            self.validate_condition(condition)?;
        }
        let mut put = BTreeSet::new();
        for op in ops {
            match op {
                Op::Put { key, condition, .. } => {
                    require(*condition == Condition::Always, rules::TXN_CONDITION)?;
                    require(put.insert(key), rules::TXN_PUT_TWICE)?;
                }
                Op::Delete { condition, .. } => {
                    require(*condition == Condition::Always, rules::TXN_CONDITION)?;
                }
                Op::DeleteRange { .. } => {}
                Op::Txn { .. }
                | Op::LeaseGrant { .. }
                | Op::LeaseRenew { .. }
                | Op::LeaseRevoke { .. }
                | Op::LockAcquire { .. }
                | Op::LockRelease { .. } => return require(false, rules::TXN_OP),
            }
            // No deeper: a transaction inside was refused above.
            self.validate(op)?;
        }
        Ok(())
    }

    fn validate_key(&self, key: &[u8]) -> Result<(), Outcome> {
        require(!key.is_empty(), rules::KEY_EMPTY)?;
        require(key.len() <= self.key_bytes_max, rules::KEY_TOO_LONG)
    }

    fn validate_condition(&self, condition: &Condition) -> Result<(), Outcome> {
        match condition {
            Condition::Value(value) => {
                require(value.len() <= self.value_bytes_max, rules::VALUE_TOO_LONG)
            }
            Condition::Always | Condition::Absent | Condition::Exists | Condition::Revision(_) => {
                Ok(())
            }
        }
    }
}

fn check_ttl(ttl: Span, ttl_max: Span) -> Result<(), Outcome> {
    require(ttl > Span::ZERO && ttl <= ttl_max, rules::TTL)
}

fn require(holds: bool, rule: &'static str) -> Result<(), Outcome> {
    if holds {
        Ok(())
    } else {
        Err(Outcome::Invalid { rule })
    }
}
