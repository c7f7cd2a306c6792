//! Reads of the state.

use alloc::vec::Vec;

use bytes::Bytes;

use super::command::LeaseId;
use super::data::pair;
use super::layout::{DATA, data_pair};
use super::lock::lock;
use super::query::{Answer, Change, Found, Query};
use super::state::Kv;
use crate::replica::{LogTime, Module, Replica, Shared};
use crate::types::Revision;

impl<M: Module + AsRef<Kv>> Replica<M> {
    /// Answers a read from the state as it is. Total: a key that could never be
    /// written is simply not found.
    ///
    /// A range stops at the reader's limit, at `range_pairs_max` pairs or when
    /// `range_bytes_max` bytes would be passed (but not before its first pair),
    /// and then says where to go on. The list of a lease's keys is cut by the same
    /// two limits.
    pub fn query(&self, query: &Query) -> Answer {
        let (kv, shared) = (self.module().as_ref(), self.shared());
        let found = match query {
            Query::Get { key } => Found::One(pair(shared, key)),
            Query::Range {
                from,
                to,
                limit,
                keys_only,
            } => kv.range(shared, from, to.as_deref(), *limit, *keys_only),
            Query::Lease { lease } => Found::Lease(kv.lease(*lease)),
            Query::Lock { name } => Found::Lock(lock(shared, name)),
        };
        Answer {
            revision: self.revision(),
            found,
        }
    }

    /// The changes of keys with `from <= key`, and `key < to` if `to` is given,
    /// made at `since` or later, in order. `since` 0 asks for none.
    ///
    /// # Errors
    /// The oldest revision that is still complete, if `since` is before it.
    pub fn changes_since(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        since: Revision,
    ) -> Result<Vec<Change>, Revision> {
        self.module().as_ref().history.since(from, to, since)
    }
}

impl Kv {
    fn range(
        &self,
        shared: &Shared,
        from: &[u8],
        to: Option<&[u8]>,
        limit: u32,
        keys_only: bool,
    ) -> Found {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let limit = limit.min(self.config.range_pairs_max);
        let mut pairs = Vec::new();
        let mut bytes: usize = 0;
        let mut next = None;
        for (key, value) in shared.range(DATA, from, to) {
            let mut pair = data_pair(key, value);
            if keys_only {
                pair.value = Bytes::new();
            }
            bytes += pair.key.len() + pair.value.len();
            let over = bytes > self.config.range_bytes_max && !pairs.is_empty();
            if pairs.len() == limit || over {
                next = Some(pair.key);
                break;
            }
            pairs.push(pair);
        }
        assert!(pairs.len() <= limit, "a range keeps its limit");
        Found::Many { pairs, next }
    }

    fn lease(&self, lease: LeaseId) -> Option<(LogTime, Vec<Bytes>)> {
        let state = self.derived.leases.get(&lease)?;
        let mut keys = Vec::new();
        let mut bytes: usize = 0;
        for key in state.keys.iter().take(self.config.range_pairs_max) {
            bytes += key.len();
            if bytes > self.config.range_bytes_max && !keys.is_empty() {
                break;
            }
            keys.push(key.clone());
        }
        Some((state.expires_at, keys))
    }
}
