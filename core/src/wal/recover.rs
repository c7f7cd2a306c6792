//! Recovery: read everything, judge it, and open a fresh segment.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::config::{BLOCK_BYTES, COUNT_MAX, SEGMENT_FILE_BYTES_MAX, in_memory, length};
use super::effect::{Effect, Recovered};
use super::mark::next_superblock;
use super::record::RecordKind;
use super::scan::{SegmentScan, scan_segment};
use super::state::{Extent, Phase, Purpose, Spare, Tail, Wal};
use super::stitch::{Log, stitch};
use super::superblock::Superblock;
use crate::io::{FileError, FileName, FileOp, FileResult};
use crate::limits::WAL_READ_BYTES;
use crate::machine::Outbox;

/// What recovery knows so far.
#[derive(Debug, Default, Hash)]
pub(super) struct Recovery {
    stage: Stage,
    /// Our files and their lengths.
    listed: BTreeMap<FileName, u64>,
    /// The newest valid superblock.
    superblock: Option<Superblock>,
    /// Whether a superblock holds anything that is not zero.
    superblock_used: bool,
    scans: Vec<SegmentScan>,
    /// What is left to do once all is read.
    opening: VecDeque<FileOp>,
    /// What will be reported then.
    found: Option<Recovered>,
}

#[derive(Debug, Default, Hash)]
enum Stage {
    #[default]
    Listing,
    Superblock(u8),
    Segment(Reading),
    Opening,
}

/// The reading of one segment.
#[derive(Debug, Hash)]
struct Reading {
    number: u64,
    len: u64,
    data: Vec<u8>,
    /// Up to here the file is read block by block: a larger read has failed.
    fine_until: u64,
    /// The end of the last block that could not be read.
    unreadable_end: u64,
}

impl Reading {
    fn next_len(&self) -> u64 {
        let at = length(self.data.len());
        let most = if at < self.fine_until {
            BLOCK_BYTES
        } else {
            WAL_READ_BYTES
        };
        most.min(self.len.saturating_sub(at))
    }

    /// Takes the answer to a read of `next_len` bytes.
    fn take(&mut self, result: FileResult) -> Result<(), &'static str> {
        let asked = self.next_len();
        let at = length(self.data.len());
        match result {
            FileResult::Data(bytes) => {
                let kept = bytes.len().min(in_memory(asked));
                self.data.extend_from_slice(&bytes[..kept]);
                if length(kept) < asked {
                    // The file is shorter than its listing said.
                    self.len = length(self.data.len());
                }
            }
            FileResult::Failed(FileError::Missing) => self.len = at,
            FileResult::Failed(_) if asked > BLOCK_BYTES => {
                self.fine_until = at.saturating_add(asked);
            }
            FileResult::Failed(_) => {
                let end = at.saturating_add(asked);
                self.data.resize(in_memory(end), 0);
                self.unreadable_end = end;
            }
            FileResult::Done | FileResult::Listed(_) => return Err("a read has no data"),
        }
        Ok(())
    }
}

impl Wal {
    pub(super) fn start(&mut self, out: &mut Outbox<Effect>) {
        assert!(matches!(self.phase, Phase::New), "a log starts once");
        self.phase = Phase::Recovering(Box::default());
        self.ask(FileOp::List, Purpose::Recovery, out);
    }

    /// Takes the answer to recovery's one open operation and asks for the next.
    pub(super) fn on_recovery(&mut self, result: FileResult, out: &mut Outbox<Effect>) {
        let mut recovery = match core::mem::replace(&mut self.phase, Phase::New) {
            Phase::Recovering(recovery) => recovery,
            phase => panic!("recovery is not under way: {phase:?}"),
        };
        let next = match recovery.take(result) {
            Ok(()) => self.next_op(&mut recovery),
            Err(reason) => Err(reason),
        };
        match next {
            Ok(Some(op)) => {
                self.phase = Phase::Recovering(recovery);
                self.ask(op, Purpose::Recovery, out);
            }
            Ok(None) => {
                let found = recovery.found.expect("judged before the opening");
                self.phase = Phase::Open;
                out.push(Effect::Recovered(found));
            }
            Err(reason) => self.fail(reason, out),
        }
    }

    fn next_op(&mut self, recovery: &mut Recovery) -> Result<Option<FileOp>, &'static str> {
        if let Some(read) = recovery.next_read(self.config.mutant) {
            return Ok(Some(read));
        }
        if recovery.found.is_none() {
            self.judge(recovery)?;
        }
        Ok(recovery.opening.pop_front())
    }

    /// Everything is read: decides what the log is and plans the opening.
    fn judge(&mut self, recovery: &mut Recovery) -> Result<(), &'static str> {
        let scans = core::mem::take(&mut recovery.scans);
        let blank: Vec<u64> = scans
            .iter()
            .filter(|scan| scan.is_blank())
            .map(|scan| scan.number)
            .collect();
        let unknown_end = recovery.superblock.is_none() && !recovery.is_fresh(&scans);
        let log = stitch(
            scans,
            recovery.superblock.as_ref(),
            unknown_end,
            self.config.mutant,
        );
        self.adopt(&log, recovery)?;
        recovery.plan(self, &log, &blank);
        for info in &log.segments {
            let extent = Extent {
                entry_max: info.entry_max,
                after_lsn: info.after_lsn,
            };
            self.segments.insert(info.number, extent);
        }
        for number in blank.iter().filter(|number| **number > log.end.segment) {
            self.segments.remove(number);
        }
        recovery.stage = Stage::Opening;
        recovery.found = Some(Recovered {
            records: log.records,
            damage: log.damage,
            torn_bytes: log.torn_bytes,
        });
        Ok(())
    }

    /// Takes over where the log ends. Appends will go to a segment of their own,
    /// so nothing that is left behind the end can ever touch them.
    fn adopt(&mut self, log: &Log, recovery: &Recovery) -> Result<(), &'static str> {
        let mut block = recovery.superblock.unwrap_or_default();
        let listed = recovery.segments().last().map_or(0, |(number, _)| number);
        let next = listed.max(block.open_segment).saturating_add(1);
        if next >= COUNT_MAX || log.synced >= COUNT_MAX {
            return Err("the numbers of the log are used up");
        }
        let first = log.segments.first();
        if recovery.superblock.is_none() {
            block.first_segment = first.map_or(next, |info| info.number);
            block.first_after_lsn = first.map_or(0, |info| info.after_lsn);
        }
        block.open_segment = next;
        block.cut_segment = log.end.segment;
        block.cut_lsn = log.end.lsn;
        block.synced = log.synced;
        block.state = log.state;
        self.superblock = block;
        self.holds_vote = log.records.iter().any(|r| r.kind == RecordKind::State);
        self.durable = log.synced;
        self.durable_at = self.now;
        self.tail = Tail {
            segment: log.end.segment,
            lsn: log.synced,
            last_record: log.end.lsn,
            link: log.end.link,
            state: log.state,
        };
        self.next_segment = next.saturating_add(1);
        self.spare = Some(Spare {
            number: next,
            len: self.config.segment_bytes,
        });
        Ok(())
    }
}

impl Recovery {
    /// Our segments, oldest first, with the bytes to read of them.
    fn segments(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.listed.iter().filter_map(|(file, len)| match file {
            FileName::Segment(number) => Some((*number, (*len).min(SEGMENT_FILE_BYTES_MAX))),
            FileName::Superblock(_) => None,
        })
    }

    fn first_segment(&self) -> u64 {
        self.superblock.map_or(0, |block| block.first_segment)
    }

    fn take(&mut self, result: FileResult) -> Result<(), &'static str> {
        match &mut self.stage {
            Stage::Listing => self.take_list(result),
            Stage::Superblock(slot) => {
                let slot = *slot;
                self.take_superblock(slot, result)
            }
            Stage::Segment(reading) => reading.take(result),
            Stage::Opening if result == FileResult::Done => Ok(()),
            Stage::Opening => Err("the log cannot be opened for writing"),
        }
    }

    fn take_list(&mut self, result: FileResult) -> Result<(), &'static str> {
        let FileResult::Listed(files) = result else {
            return Err("the files of the log cannot be listed");
        };
        self.listed = files
            .into_iter()
            .filter(|(file, _)| match file {
                FileName::Superblock(slot) => *slot <= 1,
                FileName::Segment(number) => (1..COUNT_MAX).contains(number),
            })
            .collect();
        Ok(())
    }

    fn take_superblock(&mut self, slot: u8, result: FileResult) -> Result<(), &'static str> {
        let bytes = match result {
            FileResult::Data(bytes) => bytes,
            FileResult::Failed(_) => {
                self.superblock_used = true;
                return Ok(());
            }
            FileResult::Done | FileResult::Listed(_) => return Err("a read has no data"),
        };
        self.superblock_used |= bytes.iter().any(|byte| *byte != 0);
        if let Ok(block) = Superblock::decode(&bytes, slot)
            && self
                .superblock
                .is_none_or(|best| best.generation < block.generation)
        {
            self.superblock = Some(block);
        }
        Ok(())
    }

    /// The next read, or `None` when everything is read.
    fn next_read(&mut self, mutant: crate::mutant::Mutant) -> Option<FileOp> {
        loop {
            let next_slot = match &mut self.stage {
                Stage::Listing => Some(0),
                Stage::Superblock(slot) => Some(*slot + 1),
                Stage::Segment(reading) => {
                    let len = reading.next_len();
                    if len > 0 {
                        return Some(FileOp::Read {
                            file: FileName::Segment(reading.number),
                            offset: length(reading.data.len()),
                            len,
                        });
                    }
                    let end = reading.unreadable_end;
                    let scan = scan_segment(reading.number, &reading.data, end, mutant);
                    self.scans.push(scan);
                    None
                }
                Stage::Opening => return None,
            };
            self.stage = match next_slot {
                Some(slot) if slot <= 1 => Stage::Superblock(slot),
                _ => Stage::Segment(self.next_segment()?),
            };
            if let Stage::Superblock(slot) = self.stage
                && self.listed.contains_key(&FileName::Superblock(slot))
            {
                return Some(FileOp::Read {
                    file: FileName::Superblock(slot),
                    offset: 0,
                    len: BLOCK_BYTES,
                });
            }
        }
    }

    /// The next segment to read. What lies before the first one is left over from
    /// a prune that a crash interrupted.
    fn next_segment(&self) -> Option<Reading> {
        let from = match self.scans.last() {
            Some(scan) => scan.number.saturating_add(1),
            None => self.first_segment(),
        };
        let (number, len) = self.segments().find(|(number, _)| *number >= from)?;
        Some(Reading {
            number,
            len,
            data: Vec::new(),
            fine_until: 0,
            unreadable_end: 0,
        })
    }

    /// Without a valid superblock: whether the log can only be new. Its first
    /// segment is created before the first superblock is written, and nothing is
    /// written into any segment before both superblocks are durable; so a start
    /// that crashed leaves blank segments and whatever superblocks.
    fn is_fresh(&self, scans: &[SegmentScan]) -> bool {
        let blank = scans.iter().all(SegmentScan::is_blank);
        blank && (!scans.is_empty() || !self.superblock_used)
    }

    /// Plans what is to be done before appends are taken.
    fn plan(&mut self, wal: &mut Wal, log: &Log, blank: &[u64]) {
        for slot in [0, 1] {
            let file = FileName::Superblock(slot);
            let len = self.listed.get(&file).copied();
            if len.is_some_and(|len| len >= BLOCK_BYTES) {
                continue;
            }
            if len.is_some() {
                self.opening.push_back(FileOp::Remove { file });
            }
            self.opening.push_back(FileOp::Create {
                file,
                len: BLOCK_BYTES,
            });
        }
        // After a mere restart the tail may have been read from a cache. A segment without
        // a record is not synced: see `FileOp::makes_records_durable`.
        let end = FileName::Segment(log.end.segment);
        if log.end.lsn > 0 && self.listed.contains_key(&end) {
            self.opening.push_back(FileOp::Sync { file: end });
        }
        let spare = wal.spare.expect("adopted");
        self.opening.push_back(FileOp::Create {
            file: FileName::Segment(spare.number),
            len: spare.len,
        });
        // Twice, so that both superblocks are valid and know the cut.
        for _ in 0..2 {
            self.opening.extend(next_superblock(&mut wal.superblock));
        }
        let first = wal.superblock.first_segment;
        let before = self.segments().map(|(number, _)| number);
        let leftover = before.filter(|number| *number < first);
        let unused = blank.iter().copied().filter(|n| *n > log.end.segment);
        let removes: Vec<u64> = leftover.chain(unused).collect();
        for number in removes {
            let file = FileName::Segment(number);
            self.opening.push_back(FileOp::Remove { file });
        }
    }
}
