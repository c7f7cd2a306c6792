//! What a voter has applied, summed up so that it can sign it.
//!
//! A voter feeds every entry to an [`AppliedLog`] when the state machine has
//! applied it, in order, and signs [`AppliedLog::head`] when a head is due. The
//! head is a function of the log alone, so all voters sign the same bytes, and an
//! honest voter cannot sign two heads of one size, whatever it forgets.
//!
//! **Persistence.** The sum belongs to the applied state: it is stored with it,
//! in one batch, and travels inside a state snapshot. It takes at most 2 KiB.

use super::head::LogHead;
use super::leaf::{entry_hash, entry_leaf};
use crate::codec::{Decode, Encode};
use crate::merkle::Frontier;
use crate::raft::{Entry, EntryKind, chain};
use crate::types::{Chain, ClusterId, Index, LogId, Term};

/// The sum over a prefix of a cluster's log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
#[codec(what = "sum of an applied log", check = AppliedLog::check)]
pub struct AppliedLog {
    cluster: ClusterId,
    frontier: Frontier,
    /// Raft's chain there, to check what follows against. In no head.
    chain: Chain,
    term: Term,
    membership_epoch: Index,
}

/// Why an entry does not follow. Nothing was changed. It is corruption or a bug,
/// never an ordinary condition: the node halts and keeps both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppliedError {
    /// The entry is not the next one, or its term is below the last one's.
    #[error("entry {found} does not follow entry {last}")]
    OutOfOrder {
        /// The last entry that was applied.
        last: LogId,
        /// The entry that was given.
        found: LogId,
    },
    /// The chain that the entry carries is not the chain of this log.
    #[error("entry {0} carries another chain than the log before it")]
    ChainMismatch(LogId),
}

impl AppliedLog {
    /// The sum over the empty log of a cluster.
    pub fn new(cluster: ClusterId) -> Self {
        Self {
            cluster,
            frontier: Frontier::new(),
            chain: Chain::default(),
            term: Term(0),
            membership_epoch: Index::ZERO,
        }
    }

    /// Takes the next entry. Its chain is checked again, so that an entry that
    /// was damaged after it was received is noticed before it is attested.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), AppliedError> {
        let last = self.last();
        let follows = entry.id.index == last.index.next() && entry.id.term >= last.term;
        if !follows {
            return Err(AppliedError::OutOfOrder {
                last,
                found: entry.id,
            });
        }
        if !chain::follows(self.cluster, self.chain, entry) {
            return Err(AppliedError::ChainMismatch(entry.id));
        }
        let hash = entry_hash(self.cluster, entry.id, entry.kind, &entry.data);
        let leaf = self.frontier.append(entry_leaf(hash));
        assert_eq!(leaf.0 + 1, entry.id.index.0);
        self.chain = entry.chain;
        self.term = entry.id.term;
        if entry.kind == EntryKind::Membership {
            self.membership_epoch = entry.id.index;
        }
        Ok(())
    }

    /// The cluster.
    pub const fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// Raft's chain up to the last entry.
    pub const fn chain(&self) -> Chain {
        self.chain
    }

    /// The sum over the entry hashes.
    pub(super) const fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// The position of the membership in force after the last entry.
    pub(super) const fn membership_epoch(&self) -> Index {
        self.membership_epoch
    }

    /// The sum with these parts.
    pub(super) fn from_parts(
        cluster: ClusterId,
        frontier: Frontier,
        chain: Chain,
        term: Term,
        membership_epoch: Index,
    ) -> Self {
        assert!(membership_epoch.0 <= frontier.size().0);
        Self {
            cluster,
            frontier,
            chain,
            term,
            membership_epoch,
        }
    }

    /// The last entry that was applied.
    pub const fn last(&self) -> LogId {
        LogId::new(self.term, Index(self.frontier.size().0))
    }

    /// The head to sign, or `None` while the log is empty.
    pub fn head(&self) -> Option<LogHead> {
        let last = self.last();
        if last.index == Index::ZERO {
            return None;
        }
        assert!(self.membership_epoch <= last.index);
        Some(LogHead {
            cluster: self.cluster,
            membership_epoch: self.membership_epoch,
            size: last.index,
            root: self.frontier.root(),
            commit_term: last.term,
        })
    }

    /// Whether the parts can be of one log.
    fn check(&self) -> Result<(), &'static str> {
        let last = self.last().index;
        let is_consistent = if last == Index::ZERO {
            *self == Self::new(self.cluster)
        } else {
            self.membership_epoch <= last
        };
        if is_consistent {
            Ok(())
        } else {
            Err("sum of an applied log")
        }
    }
}
