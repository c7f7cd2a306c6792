//! Reads of the state.

use alloc::vec::Vec;

use bytes::Bytes;

use super::command::LeaseId;
use super::command::LogTime;
use super::layout::{DATA, data_pair};
use super::query::{Answer, Found, Query};
use super::state::{Kv, image_key};

impl Kv {
    /// Answers a read from the state as it is. Total: a key that could never be
    /// written is simply not found.
    ///
    /// A range stops at the reader's limit, at `range_pairs_max` pairs or when
    /// `range_bytes_max` bytes would be passed (but not before its first pair),
    /// and then says where to go on. The list of a lease's keys is cut by the same
    /// two limits.
    pub fn query(&self, query: &Query) -> Answer {
        let found = match query {
            Query::Get { key } => Found::One(self.pair(key)),
            Query::Range {
                from,
                to,
                limit,
                keys_only,
            } => self.range(from, to.as_deref(), *limit, *keys_only),
            Query::Lease { lease } => Found::Lease(self.lease(*lease)),
            Query::Lock { name } => Found::Lock(self.lock(name)),
        };
        Answer {
            revision: self.revision,
            found,
        }
    }

    fn range(&self, from: &[u8], to: Option<&[u8]>, limit: u32, keys_only: bool) -> Found {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let limit = limit.min(self.config.range_pairs_max);
        let end = match to {
            Some(to) => image_key(DATA, to),
            None => Vec::from([DATA + 1]),
        };
        let mut pairs = Vec::new();
        let mut bytes: usize = 0;
        let mut next = None;
        for (key, value) in self.image.map.range(&image_key(DATA, from), &end) {
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
