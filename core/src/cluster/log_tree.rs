//! The tree over the applied log: where it begins, how it follows, when it is
//! not known.
//!
//! The tree begins at the base of Raft's log. Its accumulator there is stored in the
//! record of the base and travels along with snapshots; the leaves behind it come
//! from the kept entries. It may lag behind the state: the state that a node
//! finds on its disk reaches further than the base, and a log under repair may
//! lack entries that were applied before. A tree that lags, or whose accumulator at the
//! base is not known, says nothing: the node signs no head.
//!
//! A snapshot's accumulator is believed like its state: it must belong to the snapshot's
//! base, and a leader that claims a false one is outside of Raft's faults.

use bytes::Bytes;

use super::state::Cluster;
use crate::codec::{Decode, Encode};
use crate::limits::SNAPSHOT_METADATA_BYTES_MAX;
use crate::proof::{AppliedLog, AppliedTree};
use crate::raft::{Base, Runs};
use crate::types::{ClusterId, LogId};

impl Cluster {
    /// The tree, if it is known up to exactly what is applied.
    pub(super) fn known_log_tree(&self) -> Option<&AppliedTree> {
        let tree = self.log_tree.as_ref()?;
        (tree.last() == self.replica.applied()).then_some(tree)
    }

    /// Recovery or an installed snapshot: the tree begins at the base.
    pub(super) fn begin_log_tree(&mut self, base: &Base, stored: Option<AppliedLog>) {
        let accumulator = accumulator_of(self.config.cluster, base, stored);
        self.log_tree = accumulator.as_ref().map(AppliedTree::after);
        assert!(
            self.log_tree
                .as_ref()
                .is_none_or(|tree| tree.last() == base.id),
            "N5: the tree begins where the log does"
        );
    }

    /// Adds entries that are about to be applied; false if one of them is not
    /// what Raft chained. Nothing is added while the tree lags.
    pub(super) fn extend_log_tree(&mut self, entries: &Runs) -> bool {
        self.follow_log();
        if self.known_log_tree().is_none() {
            return true;
        }
        let tree = self.log_tree.as_mut().expect("just seen");
        entries.iter().all(|entry| tree.apply(entry).is_ok())
    }

    /// Catches up with what is applied, from the kept entries. They are those
    /// that were applied if the last of them has the index and the term of the
    /// last one applied (Raft paper §5.3); a log that was not repaired yet may
    /// hold others.
    pub(super) fn follow_log(&mut self) {
        let applied = self.replica.applied();
        let (Some(tree), Some(raft)) = (&mut self.log_tree, &self.raft) else {
            return;
        };
        let at = tree.last();
        let is_kept = |id: LogId| id == LogId::default() || raft.term_at(id.index) == Some(id.term);
        if at.index >= applied.index || !is_kept(at) || !is_kept(applied) {
            return;
        }
        let mut next = at.index.next();
        while next <= applied.index {
            let followed = raft
                .entry(next)
                .is_some_and(|entry| tree.apply(entry).is_ok());
            if !followed {
                self.log_tree = None;
                return;
            }
            next = next.next();
        }
        assert_eq!(tree.last(), applied);
    }

    /// The log begins at `base` now: the accumulator to be stored with it, and the tree
    /// forgets what lies before. A tree that does not reach the base can never
    /// follow any more.
    pub(super) fn move_log_tree(&mut self, base: &Base) -> Option<AppliedLog> {
        self.follow_log();
        let tree = self.log_tree.as_mut()?;
        let accumulator = tree.sum_at(base.id, base.chain);
        match &accumulator {
            Some(accumulator) => {
                assert_eq!(accumulator.last(), base.id);
                tree.forget_upto(base.id.index);
            }
            None => self.log_tree = None,
        }
        accumulator
    }

    /// What travels along with a snapshot at `base`: empty if it is not known.
    pub(super) fn log_metadata(&mut self, base: &Base) -> Bytes {
        self.follow_log();
        let accumulator = self
            .known_log_tree()
            .and_then(|tree| tree.sum_at(base.id, base.chain));
        let metadata = accumulator.map_or_else(Bytes::new, |accumulator| accumulator.to_bytes());
        assert!(metadata.len() <= SNAPSHOT_METADATA_BYTES_MAX);
        metadata
    }
}

/// The accumulator that came along with a snapshot.
pub(super) fn accumulator_in(metadata: &Bytes) -> Option<AppliedLog> {
    AppliedLog::from_bytes(metadata).ok()
}

/// The accumulator at a base: that of the empty log, or the stored one if it belongs
/// there.
fn accumulator_of(
    cluster: ClusterId,
    base: &Base,
    stored: Option<AppliedLog>,
) -> Option<AppliedLog> {
    if base.id == LogId::default() {
        return Some(AppliedLog::new(cluster));
    }
    stored.filter(|accumulator| {
        accumulator.cluster() == cluster
            && accumulator.last() == base.id
            && accumulator.chain() == base.chain
    })
}
