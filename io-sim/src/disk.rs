//! The disk under the write-ahead log, sector by sector.
//!
//! Operations are carried out one at a time, in order, as the log's contract
//! says. A write goes to a volatile cache; only a sync makes it stable. When the
//! machine loses power each unsynced sector survives, is lost, or is torn,
//! independently of all others. When only the process dies the cache survives,
//! so a restarted process can read bytes that are *not* stable yet.
//!
//! Damage to what was synced (bit rot, a write that landed elsewhere) is applied
//! by the world within its fault budget, and only to sectors that later syncs
//! have left behind: the very last ones can not be told from a torn tail by any
//! log, so their loss is the failure of a device that lies, which no single node
//! can survive.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use decube_core::limits::SECTOR_BYTES;
use decube_core::wal::{FileError, FileName, FileOp, FileOpId, FileResult};

use crate::config::SimConfig;
use crate::network::ppm;
use crate::rng::{Domain, Draw, Keyed};

/// What the disks have suffered so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DiskStats {
    /// Syncs that succeeded.
    pub syncs: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Unsynced sectors lost at a power loss.
    pub sectors_lost: u64,
    /// Unsynced sectors torn.
    pub sectors_torn: u64,
    /// Operations that failed.
    pub failures: u64,
    /// Sectors that rotted or were overwritten by a misdirected write.
    pub damaged: u64,
}

/// One node's disk. It outlives the node's processes.
#[derive(Debug, Clone)]
pub struct Disk {
    entity: u64,
    files: BTreeMap<FileName, File>,
    queue: VecDeque<(FileOpId, FileOp)>,
    operations: u64,
    syncs: u64,
    delay: Keyed,
    fault: Keyed,
    crash: Keyed,
    crashes: u64,
    /// The next sync fails.
    fail_next_sync: bool,
    stalled_until: u64,
    /// What happened so far.
    pub stats: DiskStats,
}

#[derive(Debug, Clone, Default)]
struct File {
    /// What reads return: stable content overlaid with unsynced writes.
    current: Vec<u8>,
    /// For each unsynced sector, its stable content.
    undo: BTreeMap<usize, [u8; SECTOR_BYTES]>,
    /// For each sector, the number of the sync that last made it stable.
    stable_since: Vec<u64>,
    /// The latest writes, for misdirection: offset, length, sync count then.
    writes: VecDeque<(usize, usize, u64)>,
}

/// Writes that a file remembers for misdirection.
const WRITES_REMEMBERED: usize = 256;
/// Syncs of the disk after which a sector counts as left behind.
const SETTLED_SYNCS: u64 = 8;

impl Disk {
    /// An empty disk of a slot.
    pub fn new(seed: u64, entity: u64) -> Self {
        Self {
            entity,
            files: BTreeMap::new(),
            queue: VecDeque::new(),
            operations: 0,
            syncs: 0,
            delay: Keyed::new(seed, Domain::DiskDelay),
            fault: Keyed::new(seed, Domain::DiskFault),
            crash: Keyed::new(seed, Domain::CrashDisk),
            crashes: 0,
            fail_next_sync: false,
            stalled_until: 0,
            stats: DiskStats::default(),
        }
    }

    /// Queues an operation. Returns whether the disk was idle, in which case the
    /// caller schedules its completion.
    pub fn submit(&mut self, id: FileOpId, op: FileOp) -> bool {
        self.queue.push_back((id, op));
        self.queue.len() == 1
    }

    /// How many operations wait or are under way.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// When the first operation of the queue completes, if it starts now.
    pub fn completes_at(&self, config: &SimConfig, now: u64) -> Option<u64> {
        let (_, op) = self.queue.front()?;
        let draw = self.delay.at(self.entity, self.operations);
        let mean = match op {
            FileOp::Sync { .. } | FileOp::Create { .. } => config.sync_mean_us,
            _ => config.file_mean_us,
        };
        Some(now.max(self.stalled_until) + draw.exponential(mean * 1_000))
    }

    /// Whether the operation under way changes files: then its failure is final.
    pub fn is_changing(&self) -> bool {
        let reads = |op: &FileOp| matches!(op, FileOp::Read { .. } | FileOp::List);
        self.queue.front().is_some_and(|(_, op)| !reads(op))
    }

    /// Completes the first operation of the queue.
    pub fn complete(&mut self, config: &SimConfig) -> (FileOpId, FileResult) {
        let (id, op) = self.queue.pop_front().expect("an operation was under way");
        let draw = self.fault.at(self.entity, self.operations);
        self.operations += 1;
        let result = self.execute(config, op, draw);
        if matches!(result, FileResult::Failed(_)) {
            self.stats.failures += 1;
        }
        (id, result)
    }

    /// The process died. Some of the operations that it had queued reached the
    /// disk; with `power` lost, unsynced sectors are at the mercy of chance.
    pub fn crash(&mut self, config: &SimConfig, power: bool) {
        self.crashes += 1;
        let calm = SimConfig::default();
        let draw = self.crash.at(self.entity, self.crashes << 20);
        let reached = draw.index(self.queue.len() + 1);
        let queue = std::mem::take(&mut self.queue);
        for (_, op) in queue.into_iter().take(reached) {
            // A sync under way may or may not have worked; nobody was told.
            let skip = matches!(op, FileOp::Sync { .. }) && draw.again().coin();
            if !skip {
                self.execute(&calm, op, draw);
            }
        }
        self.fail_next_sync = false;
        self.stalled_until = 0;
        if power {
            self.lose_power(config);
        }
    }

    /// The next sync fails.
    pub fn arm_sync_failure(&mut self) {
        self.fail_next_sync = true;
    }

    /// Nothing completes before `until`.
    pub fn stall(&mut self, until: u64) {
        self.stalled_until = self.stalled_until.max(until);
    }

    /// Ends all faults that are still to come.
    pub fn heal(&mut self) {
        self.fail_next_sync = false;
        self.stalled_until = 0;
    }

    /// Flips one bit of a settled sector of a segment. Returns a description, or
    /// `None` if no sector is settled.
    pub fn rot(&mut self, draw: Draw) -> Option<String> {
        let (name, sectors) = self.pick_settled(draw)?;
        let sector = sectors[draw.again().index(sectors.len())];
        let bit = draw.again().again().index(SECTOR_BYTES * 8);
        let file = self.files.get_mut(&name).expect("picked from the files");
        file.current[sector * SECTOR_BYTES + bit / 8] ^= 1 << (bit % 8);
        self.stats.damaged += 1;
        Some(format!("{name:?} sector {sector} bit {bit}"))
    }

    /// Repeats an old write at the place of another old write of the same file.
    pub fn misdirect(&mut self, draw: Draw) -> Option<String> {
        let (name, _) = self.pick_settled(draw)?;
        let settled = self.syncs.saturating_sub(SETTLED_SYNCS);
        let file = self.files.get_mut(&name).expect("picked from the files");
        let old: Vec<(usize, usize)> = file
            .writes
            .iter()
            .filter(|(offset, len, since)| {
                *since < settled
                    && !file.is_dirty(*offset, *len)
                    && file.is_settled(*offset, settled)
            })
            .map(|(offset, len, _)| (*offset, *len))
            .collect();
        if old.len() < 2 {
            return None;
        }
        let (source, len) = old[draw.again().index(old.len())];
        let (target, room) = old[draw.again().again().index(old.len())];
        if source == target {
            return None;
        }
        let len = len.min(room);
        let data = file.current[source..source + len].to_vec();
        file.current[target..target + len].copy_from_slice(&data);
        self.stats.damaged += 1;
        Some(format!("{name:?} {len} bytes from {source} to {target}"))
    }

    fn pick_settled(&self, draw: Draw) -> Option<(FileName, Vec<usize>)> {
        let settled = self.syncs.saturating_sub(SETTLED_SYNCS);
        let mut candidates: Vec<(FileName, Vec<usize>)> = Vec::new();
        for (name, file) in &self.files {
            let sectors = file.settled_sectors(settled);
            if matches!(name, FileName::Segment(_)) && !sectors.is_empty() {
                candidates.push((*name, sectors));
            }
        }
        if candidates.is_empty() {
            return None;
        }
        let at = draw.index(candidates.len());
        Some(candidates.swap_remove(at))
    }

    fn execute(&mut self, config: &SimConfig, op: FileOp, draw: Draw) -> FileResult {
        match op {
            FileOp::List => FileResult::Listed(self.list()),
            FileOp::Create { file, len } => self.create(config, file, len, draw),
            FileOp::Write { file, offset, data } => self.write(config, file, offset, &data, draw),
            FileOp::Sync { file } => self.sync(config, file, draw),
            FileOp::Read { file, offset, len } => self.read(config, file, offset, len, draw),
            FileOp::Remove { file } => {
                self.files.remove(&file);
                FileResult::Done
            }
        }
    }

    fn list(&self) -> Vec<(FileName, u64)> {
        let length = |file: &File| u64::try_from(file.current.len()).expect("lengths fit 64 bits");
        self.files
            .iter()
            .map(|(name, file)| (*name, length(file)))
            .collect()
    }

    fn create(&mut self, config: &SimConfig, name: FileName, len: u64, draw: Draw) -> FileResult {
        if draw.chance(ppm(config.full_ppm)) {
            return FileResult::Failed(FileError::Full);
        }
        if self.files.contains_key(&name) {
            return FileResult::Failed(FileError::Exists);
        }
        let len = usize::try_from(len).expect("simulated files are small");
        let file = File {
            current: vec![0; len],
            stable_since: vec![0; len.div_ceil(SECTOR_BYTES)],
            ..File::default()
        };
        self.files.insert(name, file);
        FileResult::Done
    }

    fn write(
        &mut self,
        config: &SimConfig,
        name: FileName,
        offset: u64,
        data: &Bytes,
        draw: Draw,
    ) -> FileResult {
        let syncs = self.syncs;
        let Some(file) = self.files.get_mut(&name) else {
            return FileResult::Failed(FileError::Missing);
        };
        let offset = usize::try_from(offset).expect("simulated files are small");
        assert!(
            offset + data.len() <= file.current.len(),
            "the log writes inside its files: {name:?} {offset} + {}",
            data.len()
        );
        if draw.chance(ppm(config.write_fail_ppm)) {
            let reached = draw.again().index(data.len() + 1);
            file.write(offset, &data[..reached], syncs);
            return FileResult::Failed(FileError::Io);
        }
        file.write(offset, data, syncs);
        self.stats.bytes_written += u64::try_from(data.len()).expect("lengths fit 64 bits");
        FileResult::Done
    }

    fn sync(&mut self, config: &SimConfig, name: FileName, draw: Draw) -> FileResult {
        if std::mem::take(&mut self.fail_next_sync) || draw.chance(ppm(config.sync_fail_ppm)) {
            return FileResult::Failed(FileError::Io);
        }
        self.syncs += 1;
        let Some(file) = self.files.get_mut(&name) else {
            return FileResult::Failed(FileError::Missing);
        };
        file.settle(self.syncs);
        self.stats.syncs += 1;
        FileResult::Done
    }

    fn read(
        &self,
        config: &SimConfig,
        name: FileName,
        offset: u64,
        len: u64,
        draw: Draw,
    ) -> FileResult {
        if draw.chance(ppm(config.read_fail_ppm)) {
            return FileResult::Failed(FileError::Io);
        }
        let Some(file) = self.files.get(&name) else {
            return FileResult::Failed(FileError::Missing);
        };
        let clip = |at: u64| {
            usize::try_from(at)
                .unwrap_or(usize::MAX)
                .min(file.current.len())
        };
        let (start, end) = (clip(offset), clip(offset.saturating_add(len)));
        FileResult::Data(Bytes::copy_from_slice(&file.current[start..end]))
    }

    fn lose_power(&mut self, config: &SimConfig) {
        let mut number = self.crashes << 20;
        for file in self.files.values_mut() {
            for (sector, stable) in std::mem::take(&mut file.undo) {
                number += 1;
                let draw = self.crash.at(self.entity, number);
                let start = sector * SECTOR_BYTES;
                let end = (start + SECTOR_BYTES).min(file.current.len());
                let width = end - start;
                if draw.chance(ppm(config.crash_drop_ppm)) {
                    file.current[start..end].copy_from_slice(&stable[..width]);
                    self.stats.sectors_lost += 1;
                } else if draw.again().chance(ppm(config.crash_tear_ppm)) {
                    let tear = draw.again().again().index(width);
                    file.current[start + tear..end].copy_from_slice(&stable[tear..width]);
                    self.stats.sectors_torn += 1;
                }
                // What survived the power loss is on the medium.
                file.stable_since[sector] = file.stable_since[sector].max(self.syncs);
            }
        }
    }
}

impl File {
    fn write(&mut self, offset: usize, data: &[u8], syncs: u64) {
        if data.is_empty() {
            return;
        }
        let first = offset / SECTOR_BYTES;
        let last = (offset + data.len() - 1) / SECTOR_BYTES;
        for sector in first..=last {
            let start = sector * SECTOR_BYTES;
            let end = (start + SECTOR_BYTES).min(self.current.len());
            self.undo.entry(sector).or_insert_with(|| {
                let mut stable = [0; SECTOR_BYTES];
                stable[..end - start].copy_from_slice(&self.current[start..end]);
                stable
            });
        }
        self.current[offset..offset + data.len()].copy_from_slice(data);
        if self.writes.len() == WRITES_REMEMBERED {
            self.writes.pop_front();
        }
        self.writes.push_back((offset, data.len(), syncs));
    }

    fn settle(&mut self, sync: u64) {
        for (sector, _) in std::mem::take(&mut self.undo) {
            self.stable_since[sector] = sync;
        }
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

    fn settled_sectors(&self, settled: u64) -> Vec<usize> {
        let candidates = self.stable_since.iter().enumerate();
        candidates
            .filter(|(sector, since)| {
                **since > 0 && **since < settled && !self.undo.contains_key(sector)
            })
            .map(|(sector, _)| sector)
            .collect()
    }
}

#[cfg(test)]
#[path = "tests/disk.rs"]
mod tests;
