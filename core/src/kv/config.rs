//! What the keys, leases and locks of a cluster are bounded by.

use crate::limits;
use crate::mutant::Mutant;
use crate::types::Span;

/// The limits of the module.
///
/// They decide how commands end, so **every node of a cluster must have the
/// same**: a node with other limits would diverge. Each is at most the constant
/// of [`crate::limits`] that it is initialised with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Bytes of a key or the name of a lock.
    pub key_bytes_max: usize,
    /// Bytes of a value.
    pub value_bytes_max: usize,
    /// Pairs in one range answer, and keys removed by one range deletion.
    pub range_pairs_max: usize,
    /// Bytes in one range answer; one pair is always allowed.
    pub range_bytes_max: usize,
    /// Operations, and likewise conditions, in one transaction.
    pub txn_ops_max: usize,
    /// Revisions of history kept for watches.
    pub history_revisions_max: usize,
    /// Bytes of history kept for watches; the last revision is always kept.
    pub history_bytes_max: usize,
    /// Leases at once.
    pub leases_max: usize,
    /// Keys and locks bound to one lease.
    pub lease_keys_max: usize,
    /// The longest life of a lease without renewal.
    pub lease_ttl_max: Span,
    /// The planted bug, if any.
    pub mutant: Mutant,
}

impl Config {
    /// The defaults: the constants of [`crate::limits`].
    pub const fn new() -> Self {
        Self {
            key_bytes_max: limits::KV_KEY_BYTES_MAX,
            value_bytes_max: limits::KV_VALUE_BYTES_MAX,
            range_pairs_max: limits::KV_RANGE_PAIRS_MAX,
            range_bytes_max: limits::KV_RANGE_BYTES_MAX,
            txn_ops_max: limits::KV_TXN_OPS_MAX,
            history_revisions_max: limits::KV_HISTORY_REVISIONS_MAX,
            history_bytes_max: limits::KV_HISTORY_BYTES_MAX,
            leases_max: limits::KV_LEASES_MAX,
            lease_keys_max: limits::KV_LEASE_KEYS_MAX,
            lease_ttl_max: Span::from_secs(limits::KV_LEASE_TTL_SECS_MAX),
            mutant: Mutant::None,
        }
    }

    /// Panics on a configuration that the codecs or the peers could not serve:
    /// that is a programmer's mistake and must stop the node at its start.
    pub fn check(&self) {
        let top = Self::new();
        assert!(self.key_bytes_max > 0 && self.key_bytes_max <= top.key_bytes_max);
        assert!(self.value_bytes_max <= top.value_bytes_max);
        assert!(self.range_pairs_max > 0 && self.range_pairs_max <= top.range_pairs_max);
        assert!(self.range_bytes_max <= top.range_bytes_max);
        assert!(self.txn_ops_max > 0 && self.txn_ops_max <= top.txn_ops_max);
        assert!(self.history_revisions_max > 0);
        assert!(self.leases_max <= top.leases_max);
        assert!(self.lease_keys_max <= top.lease_keys_max);
        assert!(self.lease_ttl_max <= top.lease_ttl_max);
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}
