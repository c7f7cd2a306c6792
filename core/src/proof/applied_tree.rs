//! What a voter has applied behind a base, ready to be proven.
//!
//! An [`AppliedLog`] can sum up and no more. An [`AppliedTree`] begins with such a
//! sum at the base of the kept log and holds the leaves behind it: so it has the
//! head of every size from the base on, and proves the entries behind it. When
//! the log is compacted, the sum moves along with its base.
//!
//! **Persistence.** [`AppliedTree::sum_at`] the base is stored with the base and
//! travels inside a state snapshot. The leaves are rebuilt from the kept log.

use alloc::collections::VecDeque;
use core::hash::{Hash, Hasher};

use super::applied::{AppliedError, AppliedLog};
use super::head::LogHead;
use super::leaf::{entry_hash, entry_leaf};
use crate::merkle::{Tree, TreeSize};
use crate::raft::{Entry, EntryKind, chain};
use crate::types::{Chain, ClusterId, Index, LogId};

/// The tree over a cluster's applied log, of which the leaves before a base are
/// forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedTree {
    cluster: ClusterId,
    tree: Tree,
    last: LogId,
    chain: Chain,
    /// The position of the membership in force at the base.
    first_epoch: Index,
    /// The positions of the memberships behind the base.
    epochs: VecDeque<Index>,
}

/// By the chain, which commits to every leaf.
impl Hash for AppliedTree {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            cluster,
            tree: _,
            last,
            chain,
            first_epoch,
            epochs,
        } = self;
        (cluster, self.begin(), last, chain, first_epoch, epochs).hash(state);
    }
}

impl AppliedTree {
    /// The tree that goes on after what `sum` covers.
    pub fn after(sum: &AppliedLog) -> Self {
        Self {
            cluster: sum.cluster(),
            tree: Tree::after(sum.frontier()),
            last: sum.last(),
            chain: sum.chain(),
            first_epoch: sum.membership_epoch(),
            epochs: VecDeque::new(),
        }
    }

    /// Takes the next entry. Its chain is checked again, so that an entry that
    /// was damaged after it was received is noticed before it is attested.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), AppliedError> {
        let last = self.last;
        if entry.id.index != last.index.next() || entry.id.term < last.term {
            return Err(AppliedError::OutOfOrder {
                last,
                found: entry.id,
            });
        }
        if !chain::follows(self.cluster, self.chain, entry) {
            return Err(AppliedError::ChainMismatch(entry.id));
        }
        let hash = entry_hash(self.cluster, entry.id, entry.kind, &entry.data);
        let leaf = self.tree.append(entry_leaf(hash));
        assert_eq!(leaf.0 + 1, entry.id.index.0);
        self.chain = entry.chain;
        self.last = entry.id;
        if entry.kind == EntryKind::Membership {
            self.epochs.push_back(entry.id.index);
        }
        Ok(())
    }

    /// The last entry that was applied.
    pub const fn last(&self) -> LogId {
        self.last
    }

    /// The smallest size that it knows: the base.
    pub const fn begin(&self) -> Index {
        Index(self.tree.begin().0)
    }

    /// The leaves.
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The head of the log whose last entry is `at`, or `None` if it is empty,
    /// forgotten or not applied yet. The caller takes `at` from the kept log.
    pub fn head_at(&self, at: LogId) -> Option<LogHead> {
        if at.index == Index::ZERO || (at.index == self.last.index && at != self.last) {
            return None;
        }
        Some(LogHead {
            cluster: self.cluster,
            membership_epoch: self.epoch_at(at.index),
            size: at.index,
            root: self.tree.root_at(TreeSize(at.index.0))?,
            commit_term: at.term,
        })
    }

    /// The sum over the log up to `at`, as [`head_at`](Self::head_at); `chain` is
    /// Raft's there.
    pub fn sum_at(&self, at: LogId, chain: Chain) -> Option<AppliedLog> {
        if at.index == Index::ZERO {
            return (self.begin() == Index::ZERO).then(|| AppliedLog::new(self.cluster));
        }
        let frontier = self.tree.frontier_at(TreeSize(at.index.0)).ok()?;
        let epoch = self.epoch_at(at.index);
        Some(AppliedLog::from_parts(
            self.cluster,
            frontier,
            chain,
            at.term,
            epoch,
        ))
    }

    /// Forgets the leaves up to `index`, as far as there are any.
    pub fn forget_upto(&mut self, index: Index) {
        let size = index.min(self.last.index).max(self.begin());
        self.tree
            .forget_before(TreeSize(size.0))
            .expect("the tree has that size");
        while let Some(epoch) = self.epochs.pop_front_if(|epoch| *epoch <= size) {
            self.first_epoch = epoch;
        }
        assert!(self.begin() == size && self.first_epoch <= size);
    }

    /// The position of the membership in force at a size that is not forgotten.
    fn epoch_at(&self, size: Index) -> Index {
        let behind = self.epochs.iter().rev().find(|epoch| **epoch <= size);
        behind.copied().unwrap_or(self.first_epoch)
    }
}
