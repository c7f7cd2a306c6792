//! From the valid records of all segments to one log: what is void, what is a
//! torn tail, and what is damage.

use alloc::vec::Vec;

use super::frame::{Kind, Link};
use super::record::{Damage, Record, RecordKind};
use super::scan::{Frame, SegmentScan};
use super::superblock::Superblock;
use crate::mutant::Mutant;

/// What the files say, put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Log {
    /// The owner's readable records, in log order.
    pub records: Vec<Record>,
    /// Holes in the synced part.
    pub damage: Vec<Damage>,
    /// Bytes behind the end of the log that a crash left.
    pub torn_bytes: u64,
    /// The last record of the log: segment, end of the record, lsn, link.
    pub end: End,
    /// The lsn of the last state record up to `synced`, as far as is known.
    pub state: u64,
    /// The highest lsn that is known to have been synced, at least `end.lsn`.
    pub synced: u64,
    /// What pruning has to know about each segment, oldest first.
    pub segments: Vec<SegmentInfo>,
}

/// Where a log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct End {
    /// The segment of its last record.
    pub segment: u64,
    /// The offset behind that record.
    pub offset: u64,
    /// The lsn of that record.
    pub lsn: u64,
    /// The link to that record.
    pub link: Link,
}

/// What pruning has to know about a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentInfo {
    pub number: u64,
    /// The highest index of its readable entries, 0 if it has none.
    pub entry_max: u64,
    /// The last lsn before it.
    pub after_lsn: u64,
}

/// Joins the segments, oldest first. `superblock` is the newest valid one. With
/// `unknown_end` what is behind the last readable record is reported as damage.
pub(super) fn stitch(
    mut scans: Vec<SegmentScan>,
    superblock: Option<&Superblock>,
    unknown_end: bool,
    mutant: Mutant,
) -> Log {
    let evidence = Evidence::gather(&scans, superblock);
    drop_void(&mut scans, superblock);
    let first = first_after_lsn(&scans, superblock);
    let mark = if mutant.is(Mutant::WalTruncatesSynced) {
        0
    } else {
        evidence.synced
    };
    let mut walk = Walk::new(first, mark, mutant);
    walk.run(&scans);
    let torn_bytes = torn_bytes(&scans, walk.complete);
    walk.finish(&evidence, unknown_end, torn_bytes)
}

/// The highest lsn that any intact record or superblock knows to be synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Evidence {
    synced: u64,
    /// The last state record up to there, or a later one.
    state: u64,
}

impl Evidence {
    fn gather(scans: &[SegmentScan], superblock: Option<&Superblock>) -> Self {
        let frames = scans.iter().flat_map(|scan| &scan.frames);
        let marks = frames.map(|frame| (frame.header.synced, frame.header.state));
        let block = superblock.map(|block| (block.synced, block.state));
        let (synced, state) = marks
            .chain(block)
            .max_by_key(|mark| mark.0)
            .unwrap_or((0, 0));
        Self { synced, state }
    }
}

/// Removes the frames that a later recovery has cut off, as the first record of
/// the segment that it opened declares (the superblock declares the last one).
fn drop_void(scans: &mut [SegmentScan], superblock: Option<&Superblock>) {
    // Segments after `after` are void, those up to it end with `limit`.
    let mut cut: Option<(u64, u64, u64)> =
        superblock.map(|block| (block.open_segment, block.cut_segment, block.cut_lsn));
    for scan in scans.iter_mut().rev() {
        if let Some((opened, after, limit)) = cut
            && scan.number < opened
        {
            if scan.number > after {
                scan.frames.clear();
                scan.used = 0;
                continue;
            }
            let kept = scan.frames.partition_point(|f| f.header.lsn <= limit);
            if kept < scan.frames.len() || scan.number == after {
                scan.frames.truncate(kept);
                scan.used = scan.frames.last().map_or(0, |frame| frame.end);
            }
        }
        if let Some(start) = scan.start() {
            cut = Some((scan.number, start.after_segment, start.after_lsn));
        }
    }
}

/// The lsn before the first one that must be there.
fn first_after_lsn(scans: &[SegmentScan], superblock: Option<&Superblock>) -> u64 {
    let readable = || {
        let first = scans.iter().find(|scan| !scan.is_blank())?;
        first.start()?;
        let lsn = first.frames.first()?.header.lsn;
        lsn.checked_sub(1)
    };
    match superblock {
        Some(block) => block.first_after_lsn,
        None => readable().unwrap_or(0),
    }
}

fn torn_bytes(scans: &[SegmentScan], end: End) -> u64 {
    let behind = scans.iter().filter(|scan| scan.number >= end.segment);
    let sizes = behind.map(|scan| {
        let from = if scan.number == end.segment {
            end.offset
        } else {
            0
        };
        scan.used.saturating_sub(from)
    });
    sizes.fold(0, u64::saturating_add)
}

/// A hole in the synced part, with its place in the list of records.
struct Hole {
    at_record: usize,
    may_hide_state: bool,
    segment: u64,
    offset: u64,
}

/// Goes through the log once, record by record.
struct Walk {
    mark: u64,
    mutant: Mutant,
    records: Vec<Record>,
    holes: Vec<Hole>,
    segments: Vec<SegmentInfo>,
    /// The last readable record.
    last: End,
    /// Whether `last.link` is known.
    linked: bool,
    /// The end of the last complete batch, or of the synced part if that is later.
    complete: End,
    /// How many of the records lie before `complete`.
    complete_records: usize,
    /// The lsn of the last state record seen, and of the last before `complete`.
    state: u64,
    complete_state: u64,
}

impl Walk {
    fn new(first_after_lsn: u64, mark: u64, mutant: Mutant) -> Self {
        let end = End {
            lsn: first_after_lsn,
            ..End::default()
        };
        Self {
            mark,
            mutant,
            records: Vec::new(),
            holes: Vec::new(),
            segments: Vec::new(),
            last: end,
            linked: false,
            complete: end,
            complete_records: 0,
            state: 0,
            complete_state: 0,
        }
    }

    fn run(&mut self, scans: &[SegmentScan]) {
        let mut torn = false;
        for scan in scans {
            let first = scan.frames.first().filter(|_| scan.start().is_some());
            let after_lsn = first.map_or(self.last.lsn, |frame| frame.header.lsn - 1);
            self.segments.push(SegmentInfo {
                number: scan.number,
                entry_max: 0,
                after_lsn,
            });
            if torn {
                continue;
            }
            torn = !scan
                .frames
                .iter()
                .all(|frame| self.take(scan.number, frame));
        }
    }

    /// Takes the next record. `false`: the log ended before it.
    fn take(&mut self, segment: u64, frame: &Frame) -> bool {
        let lsn = frame.header.lsn;
        let follows = lsn == self.last.lsn.saturating_add(1)
            && (!self.linked || frame.header.link == self.last.link);
        if follows && frame.intact {
            self.accept(segment, frame);
            return true;
        }
        // Records before this one are missing, or it is damaged itself. Behind the
        // synced mark that is what a crash leaves. A hole that reaches beyond the
        // mark ends the log too: nothing behind it can have been reported durable
        // without raising the mark.
        let lost = if frame.intact {
            lsn.saturating_sub(1)
        } else {
            lsn
        };
        if self.mutant.is(Mutant::WalReadsPastTear) && frame.intact {
            self.accept(segment, frame);
            return true;
        }
        if lost > self.mark || lsn <= self.last.lsn {
            return false;
        }
        let hidden_before = frame.header.state > self.last.lsn;
        self.open_hole(hidden_before || (!frame.intact && frame.header.kind.is_state()));
        if frame.intact {
            self.accept(segment, frame);
        }
        true
    }

    /// Notes a hole behind the last readable record, or widens the one there.
    fn open_hole(&mut self, may_hide_state: bool) {
        let at_record = self.records.len();
        let (segment, offset) = (self.last.segment, self.last.offset);
        match self.holes.last_mut() {
            Some(hole) if (hole.segment, hole.offset) == (segment, offset) => {
                hole.may_hide_state |= may_hide_state;
            }
            _ => self.holes.push(Hole {
                at_record,
                may_hide_state,
                segment,
                offset,
            }),
        }
    }

    fn accept(&mut self, segment: u64, frame: &Frame) {
        assert!(frame.intact);
        self.last = End {
            segment,
            offset: frame.end,
            lsn: frame.header.lsn,
            link: frame.link,
        };
        self.linked = true;
        self.state = if frame.header.kind.is_state() {
            frame.header.lsn
        } else {
            self.state.max(frame.header.state)
        };
        if let Some(record) = &frame.record {
            let info = self.segments.last_mut().expect("pushed before its frames");
            if frame.header.kind == Kind::Owner(RecordKind::Entry) {
                info.entry_max = info.entry_max.max(record.index);
            }
            self.records.push(record.clone());
        }
        if frame.header.batch_end || frame.header.lsn <= self.mark {
            self.complete = self.last;
            self.complete_records = self.records.len();
            self.complete_state = self.state;
        }
    }

    fn finish(mut self, evidence: &Evidence, unknown_end: bool, torn_bytes: u64) -> Log {
        assert!(self.complete.lsn <= self.last.lsn);
        self.records.truncate(self.complete_records);
        self.last = self.complete;
        let mut synced = self.mark.max(self.last.lsn);
        let mut state = evidence.state;
        if unknown_end {
            // At least one number is given up, so that the hole stays visible.
            synced = synced.max(self.last.lsn.saturating_add(1));
            state = synced;
        }
        if self.last.lsn < synced {
            self.open_hole(state > self.last.lsn);
        }
        let damage = self.holes.iter().map(|hole| self.damage(hole)).collect();
        Log {
            damage,
            torn_bytes,
            end: self.last,
            state: state.max(self.complete_state).min(synced),
            synced,
            segments: self.segments,
            records: self.records,
        }
    }

    fn damage(&self, hole: &Hole) -> Damage {
        let (before, behind) = self.records.split_at(hole.at_record);
        let is_entry = |record: &&Record| record.kind == RecordKind::Entry;
        // A readable state behind the hole is younger than any inside it.
        let state_behind = behind.iter().any(|r| r.kind == RecordKind::State);
        Damage {
            after_index: before.iter().rfind(is_entry).map_or(0, |r| r.index),
            before_index: behind.iter().find(is_entry).map(|r| r.index),
            may_hide_state: hole.may_hide_state && !state_behind,
            segment: hole.segment,
            offset: hole.offset,
        }
    }
}
