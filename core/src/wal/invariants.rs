//! What holds after every step.

use super::config::BLOCK_BYTES;
use super::state::{Phase, Wal};
use crate::limits::WAL_PENDING_BYTES_MAX;

impl Wal {
    /// Panics when the log contradicts itself; a log that does must not go on.
    pub(super) fn invariants(&self) {
        assert!(self.queue.bytes <= WAL_PENDING_BYTES_MAX);
        match self.phase {
            Phase::New => assert!(self.inflight.is_empty()),
            Phase::Recovering(_) => assert_eq!(self.inflight.len(), 1, "one read at a time"),
            Phase::Halted => assert!(self.inflight.is_empty() && self.job.is_none()),
            Phase::Open => self.open_invariants(),
        }
    }

    fn open_invariants(&self) {
        assert!(
            self.superblock.synced <= self.durable,
            "a mark is never ahead"
        );
        assert!(self.durable <= self.tail.lsn);
        assert!(self.tail.last_record <= self.tail.lsn && self.tail.state <= self.tail.lsn);
        assert!(
            self.job.is_some() || self.durable == self.tail.lsn,
            "what is written and not durable has a sync under way"
        );
        if let Some(active) = self.active {
            assert!(active.offset.is_multiple_of(BLOCK_BYTES) && active.offset <= active.len);
            assert!(self.segments.contains_key(&active.number));
            assert_eq!(self.tail.segment, active.number);
        }
        if let Some(spare) = self.spare {
            assert!(!self.creating && spare.number < self.next_segment);
            assert!(spare.number > self.tail.segment);
        }
        let first = self.segments.first_key_value();
        assert!(first.is_none_or(|(n, _)| *n < self.next_segment));
    }
}
