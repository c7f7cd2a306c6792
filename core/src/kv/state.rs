//! The module: its limits, and what it computes from its pairs.

use alloc::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::command::LeaseId;
use super::config::Config;
use super::history::History;
use crate::replica::LogTime;
use crate::types::{Revision, Span};

/// The keys, leases and locks of a cluster. Its pairs are kept by the
/// [`Replica`](crate::replica::Replica).
#[derive(Debug, Clone)]
pub struct Kv {
    pub(super) config: Config,
    pub(super) history: History,
    pub(super) derived: Derived,
}

/// How much there is of everything, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Keys of users.
    pub keys: usize,
    /// Leases alive.
    pub leases: usize,
    /// Locks held.
    pub locks: usize,
    /// Revisions kept for watches.
    pub history_revisions: usize,
    /// Bytes kept for watches.
    pub history_bytes: usize,
}

/// What can be computed from the pairs and is kept for speed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Derived {
    pub(super) leases: BTreeMap<LeaseId, Lease>,
    pub(super) keys: usize,
    pub(super) locks: usize,
}

/// A lease and what ends with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) ttl: Span,
    pub(super) expires_at: LogTime,
    /// Keys of users.
    pub(super) keys: BTreeSet<Bytes>,
    /// Names of locks.
    pub(super) locks: BTreeSet<Bytes>,
}

impl Kv {
    /// A module with nothing in it, before the first entry.
    ///
    /// Panics on a configuration outside [`crate::limits`].
    pub fn new(config: Config) -> Self {
        config.check();
        Self {
            config,
            history: History::new(Revision(1)),
            derived: Derived::default(),
        }
    }

    /// How much there is of everything.
    pub fn counts(&self) -> Counts {
        Counts {
            keys: self.derived.keys,
            leases: self.derived.leases.len(),
            locks: self.derived.locks,
            history_revisions: self.history.revisions(),
            history_bytes: self.history.bytes(),
        }
    }
}

impl Lease {
    /// A lease that nothing is bound to.
    pub(super) const fn new(ttl: Span, expires_at: LogTime) -> Self {
        Self {
            ttl,
            expires_at,
            keys: BTreeSet::new(),
            locks: BTreeSet::new(),
        }
    }

    /// How many keys and locks end with the lease.
    pub(super) fn bound(&self) -> usize {
        self.keys.len() + self.locks.len()
    }
}

/// The name of a lease's pair.
pub(super) const fn lease_name(lease: LeaseId) -> [u8; 8] {
    lease.0.to_be_bytes()
}
