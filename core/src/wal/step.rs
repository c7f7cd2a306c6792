//! The dispatch of events.

use alloc::vec::Vec;

use super::config::IDLE_MARK;
use super::effect::Effect;
use super::event::Event;
use super::record::{Batch, Record, RecordKind, WalSeq};
use super::state::{Item, Job, Phase, Purpose, Wal, records_bytes};
use crate::io::{FileOpId, FileResult};
use crate::limits::{WAL_PENDING_BYTES_MAX, WAL_RECORD_BYTES_MAX};
use crate::machine::{Machine, Outbox};
use crate::mutant::Mutant;
use crate::types::Time;

impl Machine for Wal {
    type Event = Event;
    type Effect = Effect;

    /// Panics when the owner or the shell breaks its side of the contract: an
    /// append before recovery, batches out of order, completions out of order.
    fn step(&mut self, now: Time, event: Event, out: &mut Outbox<Effect>) {
        assert!(now >= self.now, "time never runs backwards");
        self.now = now;
        if matches!(self.phase, Phase::Halted) {
            return;
        }
        match event {
            Event::Start => self.start(out),
            Event::File { id, result } => self.on_file(id, result, out),
            Event::Append(batch) => self.on_append(batch),
            Event::SetHead(records) => self.on_set_head(records),
            Event::Prune { below } => self.on_prune(below),
            Event::Wake => self.on_wake(out),
        }
        self.invariants();
    }

    fn deadline(&self) -> Option<Time> {
        if !self.is_open() || self.job.is_some() {
            return None;
        }
        if self.queue.items.is_empty() {
            let unmarked = self.superblock.synced < self.durable;
            unmarked.then(|| self.durable_at.saturating_add(IDLE_MARK))
        } else if self.creating && !self.next_fits() {
            // The roll waits for its segment; the completion goes on.
            None
        } else {
            Some(self.now)
        }
    }
}

impl Wal {
    fn on_append(&mut self, batch: Batch) {
        assert!(self.is_open(), "appends begin after Recovered");
        assert!(!batch.records.is_empty(), "a batch has records");
        let WalSeq(last) = self.queue.last_seq;
        assert_eq!(batch.seq.0, last + 1, "batches are numbered without gaps");
        check_records(&batch.records);
        let bytes = records_bytes(&batch.records);
        self.queue.bytes = self.queue.bytes.saturating_add(bytes);
        assert!(
            self.queue.bytes <= WAL_PENDING_BYTES_MAX,
            "the owner bounds what it appends"
        );
        self.queue.last_seq = batch.seq;
        self.queue.items.push_back(Item::Batch(batch));
    }

    fn on_set_head(&mut self, records: Vec<Record>) {
        assert!(self.is_open(), "the head is set after Recovered");
        check_records(&records);
        assert!(
            records
                .iter()
                .all(|r| matches!(r.kind, RecordKind::State | RecordKind::Base)),
            "a head repeats state; it is no place for entries"
        );
        assert!(records_bytes(&records) <= self.head_bytes_max());
        // A head that nothing was queued after is replaced: owners may set it often.
        if let Some(Item::Head(last)) = self.queue.items.back_mut() {
            *last = records;
        } else if self.queue.items.is_empty() {
            self.head = records;
        } else {
            self.queue.items.push_back(Item::Head(records));
        }
    }

    fn on_prune(&mut self, below: u64) {
        assert!(self.is_open(), "pruning begins after Recovered");
        self.queue.items.push_back(Item::Prune(below));
    }

    fn on_wake(&mut self, out: &mut Outbox<Effect>) {
        if !self.is_open() || self.job.is_some() {
            return;
        }
        self.flush(out);
        let idle = self.durable_at.saturating_add(IDLE_MARK) <= self.now;
        if self.job.is_none() && idle && self.superblock.synced < self.durable {
            self.mark(out);
        }
    }

    fn on_file(&mut self, id: FileOpId, result: FileResult, out: &mut Outbox<Effect>) {
        let (expected, purpose) = self.inflight.pop_front().expect("an operation is open");
        assert_eq!(id, expected, "operations complete in order");
        if purpose == Purpose::Recovery {
            return self.on_recovery(result, out);
        }
        let ignored =
            self.config.mutant.is(Mutant::WalIgnoresSyncError) && purpose == Purpose::Sync;
        if result != FileResult::Done && !ignored {
            // Never retried: after a failed sync the pages may be marked clean
            // without having been written, and the next sync would lie.
            return self.fail("the log cannot be written", out);
        }
        match purpose {
            Purpose::Recovery | Purpose::Part => {}
            Purpose::Sync => self.on_synced(out),
            Purpose::Spare(spare) => {
                self.creating = false;
                self.spare = Some(spare);
            }
        }
    }

    fn on_synced(&mut self, out: &mut Outbox<Effect>) {
        match self.job.take().expect("a sync completes a job") {
            Job::Flush { lsn, seq } => {
                assert!(lsn > self.durable, "each group has records");
                self.durable = lsn;
                self.durable_at = self.now;
                if let Some(seq) = seq {
                    out.push(Effect::Durable { seq });
                }
            }
            Job::Mark { synced, prune } => {
                assert!(synced <= self.durable);
                self.on_marked(prune, out);
            }
        }
        if self.job.is_none() && (self.mark_wanted || !self.to_remove.is_empty()) {
            self.mark(out);
        }
    }
}

fn check_records(records: &[Record]) {
    for record in records {
        assert!(record.payload.len() <= WAL_RECORD_BYTES_MAX);
        assert!(
            record.kind != RecordKind::Entry || record.index > 0,
            "entries are counted from 1"
        );
    }
}
