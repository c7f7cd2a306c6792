//! Group commit: from queued batches to one write and one sync.

use sha2::{Digest, Sha256};

use super::config::{BLOCK_BYTES, GROUP_BYTES_MAX, blocks, in_memory, length};
use super::effect::Effect;
use super::frame::{HEADER_BYTES, Header, Kind, SegmentStart, checksum};
use super::record::{Batch, Record, RecordKind, WalSeq};
use super::state::{Active, Extent, Item, Job, Purpose, Spare, Wal, records_bytes};
use crate::codec::Writer;
use crate::io::{FileName, FileOp};
use crate::machine::Outbox;
use crate::types::Time;

/// Bytes of the first record of a segment.
const START_BYTES: usize = HEADER_BYTES + SegmentStart::BYTES;

impl Wal {
    /// Writes what is queued, as far as it fits one group, and asks for its sync.
    /// Does nothing when nothing is queued or the next segment is not yet there.
    pub(super) fn flush(&mut self, out: &mut Outbox<Effect>) {
        assert!(self.job.is_none(), "one write and sync at a time");
        self.settle();
        let Some(first) = self.first_bytes() else {
            return;
        };
        let roll = !self.active_fits(first);
        if roll && !self.roll(first, out) {
            return;
        }
        let active = self.active.expect("the roll made one");
        let mut writer = Writer::with_capacity(self.group_capacity(active, roll));
        if roll {
            self.write_start(&mut writer);
        }
        let seq = self.write_queue(&mut writer, active);
        self.send_group(writer, active, seq, out);
        if roll {
            self.mark_wanted = true;
            self.create_spare(self.config.segment_bytes, out);
        }
    }

    /// Whether the next thing to write fits the active segment or the spare one.
    pub(super) fn next_fits(&self) -> bool {
        self.first_bytes().is_none_or(|first| {
            let rolled = self.roll_bytes().saturating_add(first);
            self.active_fits(first) || self.spare.is_some_and(|spare| spare.len >= rolled)
        })
    }

    /// The most that a head may take, so that a segment has room behind it.
    pub(super) const fn head_bytes_max(&self) -> u64 {
        self.config.segment_bytes / 2
    }

    /// Takes requests from the front of the queue that need no writing.
    fn settle(&mut self) {
        while let Some(item) = self.queue.items.front() {
            match item {
                Item::Batch(_) => return,
                Item::Prune(below) if self.removable(*below).next().is_some() => return,
                Item::Prune(_) | Item::Head(_) => {}
            }
            if let Some(Item::Head(head)) = self.queue.items.pop_front() {
                self.head = head;
            }
        }
    }

    /// Bytes of the first thing to write. A prune writes the head, so that the
    /// state in the segments that go is there once more.
    fn first_bytes(&self) -> Option<u64> {
        self.queue.items.front().map(|item| match item {
            Item::Batch(batch) => records_bytes(&batch.records),
            Item::Prune(_) | Item::Head(_) => records_bytes(&self.head),
        })
    }

    fn roll_bytes(&self) -> u64 {
        length(START_BYTES).saturating_add(records_bytes(&self.head))
    }

    fn active_fits(&self, bytes: u64) -> bool {
        self.active
            .is_some_and(|active| active.len - active.offset >= bytes)
    }

    /// The segments that no entry from `below` on lies in, oldest first.
    fn removable(&self, below: u64) -> impl Iterator<Item = u64> + '_ {
        let active = self.active.map(|active| active.number);
        self.segments
            .iter()
            .take_while(move |(number, extent)| {
                Some(**number) != active && extent.entry_max < below
            })
            .map(|(number, _)| *number)
    }

    /// Makes the spare segment the active one, or asks for one that is large
    /// enough and returns `false`.
    fn roll(&mut self, first: u64, out: &mut Outbox<Effect>) -> bool {
        if self.creating {
            return false;
        }
        let need = blocks(self.roll_bytes().saturating_add(first));
        match self.spare.take() {
            Some(spare) if spare.len >= need => {
                self.activate(spare);
                true
            }
            too_small => {
                if let Some(spare) = too_small {
                    let file = FileName::Segment(spare.number);
                    self.ask(FileOp::Remove { file }, Purpose::Part, out);
                }
                self.create_spare(need.max(self.config.segment_bytes), out);
                false
            }
        }
    }

    fn activate(&mut self, spare: Spare) {
        assert!(
            spare.number > self.tail.segment,
            "segments are numbered upwards"
        );
        self.active = Some(Active {
            number: spare.number,
            len: spare.len,
            offset: 0,
            salt: salt(&self.tail.link, spare.number, self.now),
        });
        let extent = Extent {
            entry_max: 0,
            after_lsn: self.tail.lsn,
        };
        let before = self.segments.insert(spare.number, extent);
        assert!(before.is_none(), "segment numbers are never reused");
    }

    fn create_spare(&mut self, len: u64, out: &mut Outbox<Effect>) {
        assert!(self.spare.is_none() && !self.creating);
        assert!(len.is_multiple_of(BLOCK_BYTES));
        let number = self.next_segment;
        self.next_segment = number.checked_add(1).expect("counts stay below COUNT_MAX");
        self.creating = true;
        let file = FileName::Segment(number);
        let purpose = Purpose::Spare(Spare { number, len });
        self.ask(FileOp::Create { file, len }, purpose, out);
    }

    /// The bytes of the coming group, so that its buffer is allocated once.
    fn group_capacity(&self, active: Active, roll: bool) -> usize {
        let mut bytes = if roll { self.roll_bytes() } else { 0 };
        if let Some(Item::Prune(_)) = self.queue.items.front() {
            bytes = bytes.saturating_add(records_bytes(&self.head));
        }
        for item in &self.queue.items {
            if let Item::Batch(batch) = item {
                let more = bytes.saturating_add(records_bytes(&batch.records));
                if more > active.len - active.offset || (bytes > 0 && more > GROUP_BYTES_MAX) {
                    break;
                }
                bytes = more;
            }
        }
        in_memory(blocks(bytes))
    }

    fn write_start(&mut self, writer: &mut Writer) {
        let start = SegmentStart {
            after_segment: self.tail.segment,
            after_lsn: self.tail.last_record,
        };
        self.write_record(writer, Kind::Segment, 0, &start.encode(), true);
        self.write_head(writer);
    }

    fn write_head(&mut self, writer: &mut Writer) {
        let head = core::mem::take(&mut self.head);
        self.write_records(writer, &head);
        self.head = head;
    }

    /// Writes queued batches while they fit; returns the number of the last one.
    fn write_queue(&mut self, writer: &mut Writer, active: Active) -> Option<WalSeq> {
        let room = active.len - active.offset;
        let mut seq = None;
        let mut first = true;
        while let Some(item) = self.queue.items.front() {
            match item {
                Item::Batch(batch) => {
                    let bytes = records_bytes(&batch.records);
                    let end = length(writer.len()).saturating_add(bytes);
                    if end > room || (!first && end > GROUP_BYTES_MAX) {
                        break;
                    }
                    self.queue.bytes -= bytes;
                }
                Item::Head(_) => {}
                Item::Prune(_) if first => {}
                // It waits until what was appended before it is durable.
                Item::Prune(_) => break,
            }
            first = false;
            match self.queue.items.pop_front() {
                Some(Item::Batch(batch)) => seq = Some(self.write_batch(writer, batch)),
                Some(Item::Head(head)) => self.head = head,
                Some(Item::Prune(below)) => self.write_prune(writer, below),
                None => {}
            }
        }
        seq
    }

    fn write_batch(&mut self, writer: &mut Writer, batch: Batch) -> WalSeq {
        self.write_records(writer, &batch.records);
        for record in batch.records {
            self.carry(record);
        }
        batch.seq
    }

    /// Keeps the head from repeating what is older than what was appended: a vote
    /// that a head takes back would be cast twice.
    fn carry(&mut self, record: Record) {
        match record.kind {
            RecordKind::State => {
                self.holds_vote = true;
                self.head.retain(|old| old.kind != RecordKind::State);
                self.head.push(record);
            }
            RecordKind::Base => self
                .head
                .retain(|old| old.kind != RecordKind::Base || old.index >= record.index),
            RecordKind::Entry | RecordKind::Truncate => {}
        }
    }

    fn write_prune(&mut self, writer: &mut Writer, below: u64) {
        let covers = |record: &Record| {
            record.kind == RecordKind::Base && record.index.saturating_add(1) >= below
        };
        assert!(
            self.head.iter().any(covers),
            "the head holds a base that the pruned entries are behind"
        );
        let repeats_vote = self.head.iter().any(|r| r.kind == RecordKind::State);
        assert!(
            repeats_vote || !self.holds_vote,
            "the head holds the state: the segments that go may hold the only one"
        );
        self.write_head(writer);
        assert!(self.to_remove.is_empty());
        self.to_remove = self.removable(below).collect();
    }

    fn write_records(&mut self, writer: &mut Writer, records: &[Record]) {
        for (at, record) in records.iter().enumerate() {
            let kind = Kind::Owner(record.kind);
            let batch_end = at + 1 == records.len();
            self.write_record(writer, kind, record.index, &record.payload, batch_end);
        }
    }

    /// Appends one record to the group; the payload is copied here and nowhere else.
    fn write_record(
        &mut self,
        writer: &mut Writer,
        kind: Kind,
        index: u64,
        payload: &[u8],
        batch_end: bool,
    ) {
        let active = self.active.expect("a group has a segment");
        let lsn = self
            .tail
            .lsn
            .checked_add(1)
            .expect("counts stay below COUNT_MAX");
        assert!(self.durable < lsn);
        let header = Header {
            payload_sum: checksum(payload),
            payload_bytes: payload.len(),
            kind,
            batch_end,
            salt: active.salt,
            lsn,
            index,
            segment: active.number,
            offset: active.offset.saturating_add(length(writer.len())),
            synced: self.durable,
            state: self.tail.state,
            link: self.tail.link,
        };
        self.tail.link = header.write(writer, payload);
        self.tail.lsn = lsn;
        self.tail.last_record = lsn;
        self.tail.segment = active.number;
        if kind.is_state() {
            self.tail.state = lsn;
        }
        if kind == Kind::Owner(RecordKind::Entry) {
            let extent = self.segments.entry(active.number).or_default();
            extent.entry_max = extent.entry_max.max(index);
        }
    }

    /// Pads the group to whole blocks and asks for its write and sync.
    fn send_group(
        &mut self,
        writer: Writer,
        active: Active,
        seq: Option<WalSeq>,
        out: &mut Outbox<Effect>,
    ) {
        let mut group = writer.into_vec();
        group.resize(in_memory(blocks(length(group.len()))), 0);
        let end = active.offset.saturating_add(length(group.len()));
        assert!(
            !group.is_empty() && end <= active.len,
            "a group fits its segment"
        );
        self.active = Some(Active {
            offset: end,
            ..active
        });
        self.job = Some(Job::Flush {
            lsn: self.tail.lsn,
            seq,
        });
        let file = FileName::Segment(active.number);
        let write = FileOp::Write {
            file,
            offset: active.offset,
            data: group.into(),
        };
        self.ask(write, Purpose::Part, out);
        self.ask(FileOp::Sync { file }, Purpose::Sync, out);
    }
}

/// A number that depends on the whole log so far and on the time.
fn salt(link: &[u8], segment: u64, now: Time) -> u64 {
    let mut hash = Sha256::new();
    hash.update(link);
    hash.update(segment.to_be_bytes());
    hash.update(now.0.to_be_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
