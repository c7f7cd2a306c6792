//! One file of a simulated disk, kept sparse.
//!
//! Most of a log is padding, so a sector of zeros takes no memory: that is what
//! keeps a long run in the cache of the machine that simulates it.

use std::collections::{BTreeMap, VecDeque};

use decube_core::limits::SECTOR_BYTES;

use crate::rng::Draw;

/// The content of a sector; `None` for zeros.
type Sector = Option<Box<[u8; SECTOR_BYTES]>>;

static ZEROS: [u8; SECTOR_BYTES] = [0; SECTOR_BYTES];

/// Writes that a file remembers for misdirection.
const WRITES_REMEMBERED: usize = 256;

/// One file: what reads return, and what the medium holds.
#[derive(Debug, Clone, Default)]
pub(super) struct File {
    len: usize,
    /// What reads return: stable content overlaid with unsynced writes.
    current: Vec<Sector>,
    /// For each unsynced sector, its stable content.
    undo: BTreeMap<usize, Sector>,
    /// For each sector that a sync only claimed to have made stable, what the
    /// medium still holds.
    falsely_synced: BTreeMap<usize, Sector>,
    /// For each sector, the number of the sync that last made it stable.
    stable_since: Vec<u64>,
    /// The latest writes, for misdirection: offset, length, sync count then.
    writes: VecDeque<(usize, usize, u64)>,
}

/// What a power loss did to an unsynced sector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtPowerLoss {
    Kept,
    Lost,
    /// Only the bytes before this position were written.
    Torn(usize),
}

impl File {
    pub(super) fn new(len: usize) -> Self {
        let sectors = len.div_ceil(SECTOR_BYTES);
        Self {
            len,
            current: vec![None; sectors],
            stable_since: vec![0; sectors],
            ..Self::default()
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn read(&self, start: usize, end: usize) -> Vec<u8> {
        let mut data = vec![0; end - start];
        for (sector, part) in parts(start, end) {
            if let Some(content) = &self.current[sector] {
                let from = sector * SECTOR_BYTES + part.start - start;
                data[from..from + part.len()].copy_from_slice(&content[part]);
            }
        }
        data
    }

    pub(super) fn write(&mut self, offset: usize, data: &[u8], syncs: u64) {
        if data.is_empty() {
            return;
        }
        let first = offset / SECTOR_BYTES;
        let last = (offset + data.len() - 1) / SECTOR_BYTES;
        for sector in first..=last {
            let stable = &self.current[sector];
            self.undo.entry(sector).or_insert_with(|| stable.clone());
        }
        self.overwrite(offset, data);
        if self.writes.len() == WRITES_REMEMBERED {
            self.writes.pop_front();
        }
        self.writes.push_back((offset, data.len(), syncs));
    }

    /// Whether the stable content holds these bytes, which are not all zeros and no longer
    /// than a sector. Looked for from the end, where a log was written last.
    pub(super) fn holds_stable(&self, bytes: &[u8]) -> bool {
        assert!(
            (1..=SECTOR_BYTES).contains(&bytes.len()),
            "they begin in one sector and end there or in the next"
        );
        let stable = |sector: usize| {
            let undone = self
                .undo
                .get(&sector)
                .or_else(|| self.falsely_synced.get(&sector));
            let content = undone.or_else(|| self.current.get(sector));
            content.and_then(|content| content.as_deref())
        };
        let overlap = bytes.len() - 1;
        let mut window = Vec::with_capacity(SECTOR_BYTES + overlap);
        (0..self.current.len()).rev().any(|sector| {
            let (here, next) = (stable(sector), stable(sector + 1));
            if here.is_none() && next.is_none() {
                return false;
            }
            window.clear();
            window.extend_from_slice(here.unwrap_or(&ZEROS));
            window.extend_from_slice(&next.unwrap_or(&ZEROS)[..overlap]);
            memchr::memmem::find(&window, bytes).is_some()
        })
    }

    /// Changes what the medium holds, behind everybody's back.
    pub(super) fn overwrite(&mut self, offset: usize, data: &[u8]) {
        for (sector, part) in parts(offset, offset + data.len()) {
            let from = sector * SECTOR_BYTES + part.start - offset;
            let new = &data[from..from + part.len()];
            let content = &mut self.current[sector];
            if *new == ZEROS {
                *content = None;
            } else if content.is_some() || *new != ZEROS[..new.len()] {
                content.get_or_insert_with(|| Box::new(ZEROS))[part].copy_from_slice(new);
            }
        }
    }

    pub(super) fn flip(&mut self, sector: usize, bit: usize) {
        let content = self.current[sector].get_or_insert_with(|| Box::new(ZEROS));
        content[bit / 8] ^= 1 << (bit % 8);
    }

    /// A sync: everything written is on the medium.
    pub(super) fn settle(&mut self, sync: u64) {
        for (sector, _) in std::mem::take(&mut self.undo) {
            self.stable_since[sector] = sync;
            self.falsely_synced.remove(&sector);
        }
    }

    /// A sync that lies: it reports success, and the medium holds what it held.
    pub(super) fn sync_falsely(&mut self, sync: u64) {
        for (sector, stable) in std::mem::take(&mut self.undo) {
            self.stable_since[sector] = sync;
            self.falsely_synced.entry(sector).or_insert(stable);
        }
    }

    /// The device writes what it had only claimed to have written.
    pub(super) fn come_true(&mut self) {
        self.falsely_synced.clear();
    }

    /// Lets each unsynced sector be kept, lost or torn.
    pub(super) fn lose_power(&mut self, sync: u64, mut fate: impl FnMut(usize) -> AtPowerLoss) {
        for (sector, stable) in std::mem::take(&mut self.undo) {
            let start = sector * SECTOR_BYTES;
            let width = (start + SECTOR_BYTES).min(self.len) - start;
            match fate(width) {
                AtPowerLoss::Kept => {}
                AtPowerLoss::Lost => self.current[sector] = stable,
                AtPowerLoss::Torn(tear) => {
                    let stable = stable.as_deref().unwrap_or(&ZEROS);
                    self.overwrite(start + tear, &stable[tear..width]);
                }
            }
            // What survived the power loss is on the medium.
            self.stable_since[sector] = self.stable_since[sector].max(sync);
            self.falsely_synced.remove(&sector);
        }
    }

    /// At a power loss lies come out, if later syncs have left their sectors
    /// behind; all others come true. Returns how many sectors went back to what
    /// the medium held.
    pub(super) fn reveal(&mut self, settled: u64, mut lost: impl FnMut() -> bool) -> u64 {
        let mut revealed = 0;
        for (sector, medium) in std::mem::take(&mut self.falsely_synced) {
            let behind = self.stable_since[sector] < settled;
            if behind && medium != self.current[sector] && lost() {
                self.current[sector] = medium;
                revealed += 1;
            }
        }
        revealed
    }

    /// Two different old writes, if there are any: where the first begins and its
    /// length, and where the second begins.
    pub(super) fn two_old_writes(&self, settled: u64, draw: Draw) -> Option<(usize, usize, usize)> {
        let old: Vec<(usize, usize)> = self
            .writes
            .iter()
            .filter(|(offset, len, since)| {
                *since < settled
                    && !self.is_dirty(*offset, *len)
                    && self.is_settled(*offset, settled)
            })
            .map(|(offset, len, _)| (*offset, *len))
            .collect();
        if old.len() < 2 {
            return None;
        }
        let (source, len) = old[draw.again().index(old.len())];
        let (target, room) = old[draw.again().again().index(old.len())];
        (source != target).then_some((source, len.min(room), target))
    }

    /// Sectors that hold data and that later syncs have left behind.
    pub(super) fn settled_sectors(&self, settled: u64) -> Vec<usize> {
        let candidates = self.stable_since.iter().enumerate();
        candidates
            .filter(|(sector, since)| {
                **since > 0 && **since < settled && !self.undo.contains_key(sector)
            })
            .map(|(sector, _)| sector)
            .collect()
    }

    fn is_dirty(&self, offset: usize, len: usize) -> bool {
        let last = (offset + len.max(1) - 1) / SECTOR_BYTES;
        self.undo
            .range(offset / SECTOR_BYTES..=last)
            .next()
            .is_some()
    }

    fn is_settled(&self, offset: usize, settled: u64) -> bool {
        self.stable_since[offset / SECTOR_BYTES] < settled
    }
}

/// The sectors that `start..end` touches, each with the part of it that it covers.
fn parts(start: usize, end: usize) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> {
    (start / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES)).map(move |sector| {
        let begin = sector * SECTOR_BYTES;
        let from = start.max(begin) - begin;
        let to = end.min(begin + SECTOR_BYTES) - begin;
        (sector, from..to)
    })
}
