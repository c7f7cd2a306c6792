//! The changes of the last revisions, for watches.
//!
//! History is not part of the state: it is neither stored nor in the digest, and
//! nodes that started at different times keep different amounts of it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::query::Change;
use crate::types::Revision;

/// What a change costs besides its key and value.
const CHANGE_BYTES: usize = 160;

/// A bounded run of changes; revisions are dropped whole, oldest first.
#[derive(Debug, Clone)]
pub(super) struct History {
    changes: VecDeque<Change>,
    bytes: usize,
    revisions: usize,
    /// The oldest revision that is complete.
    oldest: Revision,
    /// How many changes at the end were made in the current iteration and not taken.
    untaken: usize,
}

impl History {
    /// An empty history that is complete from `oldest` on.
    pub(super) const fn new(oldest: Revision) -> Self {
        Self {
            changes: VecDeque::new(),
            bytes: 0,
            revisions: 0,
            oldest,
            untaken: 0,
        }
    }

    pub(super) fn begin_turn(&mut self) {
        self.untaken = 0;
    }

    pub(super) fn push(&mut self, change: Change) {
        let last = self.changes.back().map(|change| change.revision);
        assert!(last <= Some(change.revision), "changes come in order");
        assert!(change.revision >= self.oldest);
        self.revisions += usize::from(last != Some(change.revision));
        self.bytes += cost(&change);
        self.untaken += 1;
        self.changes.push_back(change);
    }

    /// Drops whole revisions until the limits hold, but never the last one.
    pub(super) fn end_turn(&mut self, revisions_max: usize, bytes_max: usize) {
        while self.revisions > 1 && (self.revisions > revisions_max || self.bytes > bytes_max) {
            let front = self.changes.front().expect("a revision has changes");
            let dropped = front.revision;
            while let Some(change) = self.changes.pop_front_if(|c| c.revision == dropped) {
                self.bytes -= cost(&change);
            }
            self.revisions -= 1;
            self.oldest = Revision(dropped.0 + 1);
        }
        assert!(self.untaken <= self.changes.len());
    }

    /// The changes of the current iteration, once.
    pub(super) fn take_last(&mut self) -> Vec<Change> {
        let first = self.changes.len() - self.untaken;
        self.untaken = 0;
        self.changes.range(first..).cloned().collect()
    }

    pub(super) fn since(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        since: Revision,
    ) -> Result<Vec<Change>, Revision> {
        if since == Revision(0) {
            return Ok(Vec::new());
        }
        if since < self.oldest {
            return Err(self.oldest);
        }
        let first = self
            .changes
            .partition_point(|change| change.revision < since);
        let wanted = |change: &&Change| {
            change.key.as_ref() >= from && to.is_none_or(|to| change.key.as_ref() < to)
        };
        Ok(self
            .changes
            .range(first..)
            .filter(wanted)
            .cloned()
            .collect())
    }

    pub(super) const fn revisions(&self) -> usize {
        self.revisions
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

fn cost(change: &Change) -> usize {
    let value = change.pair.as_ref().map_or(0, |pair| pair.value.len());
    CHANGE_BYTES + change.key.len() + value
}
