//! Reads of the state. They never change it.

use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

use bytes::Bytes;

use super::command::{FencingToken, LeaseId};
use crate::codec::{Decode, Encode};
use crate::limits::{
    KV_KEY_BYTES_MAX, KV_LEASE_KEYS_MAX, KV_RANGE_END_BYTES_MAX, KV_RANGE_PAIRS_MAX,
    KV_VALUE_BYTES_MAX,
};
use crate::replica::LogTime;
use crate::types::Revision;

/// A read.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Query {
    /// One key.
    #[codec(tag = 0)]
    Get {
        #[codec(max = KV_KEY_BYTES_MAX)]
        key: Bytes,
    },
    /// Pairs with `from <= key`, and `key < to` if `to` is given, in key order.
    #[codec(tag = 1)]
    Range {
        /// The first key.
        #[codec(max = KV_KEY_BYTES_MAX)]
        from: Bytes,
        /// The first key not wanted.
        #[codec(max = KV_RANGE_END_BYTES_MAX)]
        to: Option<Bytes>,
        /// At most so many pairs; the server's own limits hold as well.
        limit: u32,
        /// Only keys and revisions.
        keys_only: bool,
    },
    #[codec(tag = 2)]
    Lease { lease: LeaseId },
    #[codec(tag = 3)]
    Lock {
        /// The lock.
        #[codec(max = KV_KEY_BYTES_MAX)]
        name: Bytes,
    },
}

impl Hash for Query {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.to_bytes().hash(state);
    }
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Pair {
    #[codec(max = KV_KEY_BYTES_MAX)]
    pub key: Bytes,
    /// The value, empty if only keys were asked for.
    #[codec(max = KV_VALUE_BYTES_MAX)]
    pub value: Bytes,
    /// The revision that made the key.
    pub created: Revision,
    /// The revision that last changed it.
    pub modified: Revision,
    /// The lease that it ends with.
    pub lease: Option<LeaseId>,
}

/// The answer to a read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Answer {
    /// The revision of the state that was read.
    pub revision: Revision,
    /// What was found.
    pub found: Found,
}

/// What a read found.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Found {
    /// For `Get`: the pair, if the key exists.
    #[codec(tag = 0)]
    One(Option<Pair>),
    /// For `Range`.
    #[codec(tag = 1)]
    Many {
        /// The pairs, in key order.
        #[codec(max = KV_RANGE_PAIRS_MAX)]
        pairs: Vec<Pair>,
        /// Where to go on, if a limit cut the answer.
        #[codec(max = KV_KEY_BYTES_MAX)]
        next: Option<Bytes>,
    },
    /// For `Lease`: when it ends and its keys, if it exists.
    #[codec(tag = 2)]
    Lease(#[codec(max = [_, [KV_LEASE_KEYS_MAX, KV_KEY_BYTES_MAX]])] Option<(LogTime, Vec<Bytes>)>),
    /// For `Lock`: token and holder, if it is held.
    #[codec(tag = 3)]
    Lock(Option<(FencingToken, LeaseId)>),
}

/// A change as a watcher sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Change {
    /// The revision that made the change.
    pub revision: Revision,
    #[codec(max = KV_KEY_BYTES_MAX)]
    pub key: Bytes,
    /// The new pair, or `None` if the key was removed.
    pub pair: Option<Pair>,
}
