//! Reads of the state. They never change it.

use alloc::vec::Vec;

use bytes::Bytes;

use super::command::{FencingToken, LeaseId};
use crate::replica::LogTime;
use crate::types::Revision;

/// A read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// One key.
    Get {
        /// The key.
        key: Bytes,
    },
    /// Pairs with `from <= key`, and `key < to` if `to` is given, in key order.
    Range {
        /// The first key.
        from: Bytes,
        /// The first key not wanted.
        to: Option<Bytes>,
        /// At most so many pairs; the server's own limits hold as well.
        limit: u32,
        /// Only keys and revisions.
        keys_only: bool,
    },
    /// A lease.
    Lease {
        /// The lease.
        lease: LeaseId,
    },
    /// A lock.
    Lock {
        /// The lock.
        name: Bytes,
    },
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The key.
    pub key: Bytes,
    /// The value, empty if only keys were asked for.
    pub value: Bytes,
    /// The revision that made the key.
    pub created: Revision,
    /// The revision that last changed it.
    pub modified: Revision,
    /// The lease that it ends with.
    pub lease: Option<LeaseId>,
}

/// The answer to a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The revision of the state that was read.
    pub revision: Revision,
    /// What was found.
    pub found: Found,
}

/// What a read found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// For `Get`: the pair, if the key exists.
    One(Option<Pair>),
    /// For `Range`.
    Many {
        /// The pairs, in key order.
        pairs: Vec<Pair>,
        /// Where to go on, if a limit cut the answer.
        next: Option<Bytes>,
    },
    /// For `Lease`: when it ends and its keys, if it exists.
    Lease(Option<(LogTime, Vec<Bytes>)>),
    /// For `Lock`: token and holder, if it is held.
    Lock(Option<(FencingToken, LeaseId)>),
}

/// A change as a watcher sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The revision that made the change.
    pub revision: Revision,
    /// The key.
    pub key: Bytes,
    /// The new pair, or `None` if the key was removed.
    pub pair: Option<Pair>,
}
