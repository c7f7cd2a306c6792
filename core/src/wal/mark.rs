//! Writing superblocks, and removing segments behind them.

use super::effect::Effect;
use super::state::{Job, Prune, Purpose, Wal};
use super::superblock::Superblock;
use crate::io::{FileName, FileOp};
use crate::machine::Outbox;

impl Wal {
    /// Writes a superblock with the durable lsn; with segments to remove also
    /// where the log begins then.
    pub(super) fn mark(&mut self, out: &mut Outbox<Effect>) {
        assert!(self.job.is_none(), "one write and sync at a time");
        assert_eq!(self.durable, self.tail.lsn, "everything written is durable");
        self.mark_wanted = false;
        self.superblock.synced = self.durable;
        self.superblock.state = self.tail.state;
        let mut prune = Prune::No;
        if let Some(last) = self.to_remove.last() {
            prune = Prune::First;
            let after = last.saturating_add(1);
            let (first, extent) = self
                .segments
                .range(after..)
                .next()
                .expect("the active segment is never removed");
            self.superblock.first_segment = *first;
            self.superblock.first_after_lsn = extent.after_lsn;
        }
        self.write_superblock(prune, out);
    }

    /// Goes on when a superblock is durable.
    pub(super) fn on_marked(&mut self, prune: Prune, out: &mut Outbox<Effect>) {
        match prune {
            Prune::No => {}
            // Both superblocks must know the new beginning before anything goes:
            // with one of them lost, the other must not miss the old segments.
            Prune::First => self.write_superblock(Prune::Second, out),
            Prune::Second => {
                for number in core::mem::take(&mut self.to_remove) {
                    assert!(number < self.superblock.first_segment);
                    self.segments.remove(&number);
                    let file = FileName::Segment(number);
                    self.ask(FileOp::Remove { file }, Purpose::Part, out);
                }
            }
        }
    }

    fn write_superblock(&mut self, prune: Prune, out: &mut Outbox<Effect>) {
        assert!(self.job.is_none());
        for op in next_superblock(&mut self.superblock) {
            let purpose = match op {
                FileOp::Sync { .. } => Purpose::Sync,
                _ => Purpose::Part,
            };
            self.ask(op, purpose, out);
        }
        self.job = Some(Job::Mark {
            synced: self.superblock.synced,
            prune,
        });
    }
}

/// The operations that write the next generation of a superblock.
pub(super) fn next_superblock(block: &mut Superblock) -> [FileOp; 2] {
    block.generation = block
        .generation
        .checked_add(1)
        .expect("counts stay below COUNT_MAX");
    let file = FileName::Superblock(block.slot());
    let write = FileOp::Write {
        file,
        offset: 0,
        data: block.encode(),
    };
    [write, FileOp::Sync { file }]
}
