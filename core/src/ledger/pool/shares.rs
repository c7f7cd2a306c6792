//! How much of the pool each cluster takes up, and who has to make room.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::ledger_types::AccountId;
use crate::limits::LEDGER_POOL_BYTES_MAX;
use crate::types::ClusterId;

/// By whom a transaction came: the cluster of the node that handed it in. Nodes
/// that are not listed in any share one place.
pub(super) type Origin = Option<ClusterId>;

/// Bytes that wait, by origin.
#[derive(Debug, Default)]
pub(super) struct Shares {
    origins: BTreeMap<Origin, Waiting>,
    /// The same, smallest first.
    by_bytes: BTreeSet<(usize, Origin)>,
}

/// What waits of one origin.
#[derive(Debug, Default)]
struct Waiting {
    bytes: usize,
    accounts: BTreeMap<AccountId, usize>,
    by_bytes: BTreeSet<(usize, AccountId)>,
}

impl Shares {
    /// Bytes that wait of an origin.
    pub(super) fn of(&self, origin: Origin) -> usize {
        self.origins.get(&origin).map_or(0, |waiting| waiting.bytes)
    }

    /// What one of so many clusters may take up: its equal part and an eighth of
    /// everything, so that a pool with few senders is not left empty.
    pub(super) fn most(clusters: usize) -> usize {
        let equal = LEDGER_POOL_BYTES_MAX / clusters.saturating_add(1);
        equal
            .saturating_add(LEDGER_POOL_BYTES_MAX / 8)
            .min(LEDGER_POOL_BYTES_MAX)
    }

    /// The origin that takes up the most, and its account that does.
    pub(super) fn largest(&self) -> Option<(usize, Origin, AccountId)> {
        let (bytes, origin) = self.by_bytes.last().copied()?;
        let (_, account) = self.origins[&origin].by_bytes.last().copied()?;
        Some((bytes, origin, account))
    }

    pub(super) fn add(&mut self, origin: Origin, account: AccountId, bytes: usize) {
        self.change(origin, account, |held| held.saturating_add(bytes));
    }

    pub(super) fn remove(&mut self, origin: Origin, account: AccountId, bytes: usize) {
        let counted = |held: usize| held.checked_sub(bytes);
        self.change(origin, account, |held| {
            counted(held).expect("G6: what leaves was counted")
        });
    }

    /// G6 The sums of origins and accounts add up to what waits, which is `bytes`.
    pub(super) fn check_sums(&self, bytes: usize) {
        let sum: usize = self.origins.values().map(|waiting| waiting.bytes).sum();
        assert_eq!(sum, bytes, "G6: the shares add up to the pool");
        assert_eq!(
            self.by_bytes.len(),
            self.origins.len(),
            "G6: each origin has its rank"
        );
        for waiting in self.origins.values() {
            let sum: usize = waiting.accounts.values().sum();
            assert_eq!(sum, waiting.bytes, "G6: accounts add up to their share");
            assert_eq!(
                waiting.by_bytes.len(),
                waiting.accounts.len(),
                "G6: each account has its rank"
            );
        }
    }

    fn change(&mut self, origin: Origin, account: AccountId, change: impl Fn(usize) -> usize) {
        let waiting = self.origins.entry(origin).or_default();
        let held = waiting.accounts.get(&account).copied().unwrap_or(0);
        let after = change(held);
        waiting.by_bytes.remove(&(held, account));
        if after > 0 {
            waiting.accounts.insert(account, after);
            waiting.by_bytes.insert((after, account));
        } else {
            waiting.accounts.remove(&account);
        }
        self.by_bytes.remove(&(waiting.bytes, origin));
        waiting.bytes = change(waiting.bytes);
        if waiting.bytes > 0 {
            self.by_bytes.insert((waiting.bytes, origin));
        } else {
            assert!(waiting.accounts.is_empty(), "the sum of nothing");
            self.origins.remove(&origin);
        }
    }
}

#[cfg(test)]
#[path = "../tests/asserts_pool.rs"]
mod tests;
