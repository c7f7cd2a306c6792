//! The disk under the write-ahead log, sector by sector.
//!
//! Operations are carried out one at a time, in order, as the log's contract
//! says. A write goes to a volatile cache; only a sync makes it stable. When the
//! machine loses power each unsynced sector survives, is lost, or is torn,
//! independently of all others. When only the process dies the cache survives,
//! so a restarted process can read bytes that are *not* stable yet.
//!
//! Damage to what was synced (bit rot, a read or a write that went elsewhere, a
//! sync that lied) is applied within the world's fault budget, and only to sectors
//! that later syncs have left behind: the very last ones cannot be told from a
//! torn tail by any log, so no single node can survive their loss.

mod file;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use decube_core::io::{FileError, FileName, FileOp, FileOpId, FileResult};
use decube_core::limits::SECTOR_BYTES;

use crate::config::DiskSettings;
use crate::network::ppm;
use crate::rng::{Domain, Draw, Keyed};

use file::{AtPowerLoss, File};

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
    /// Sectors that rotted, were read or written elsewhere, or went back to what
    /// they were before a sync that lied.
    pub damaged: u64,
    /// Syncs that reported success and did nothing.
    pub lying_syncs: u64,
    /// Creations that found no space.
    pub full: u64,
    /// Reads that returned another sector.
    pub misread: u64,
}

impl DiskStats {
    /// Adds another disk's counts.
    pub fn add(&mut self, other: &Self) {
        self.syncs += other.syncs;
        self.bytes_written += other.bytes_written;
        self.sectors_lost += other.sectors_lost;
        self.sectors_torn += other.sectors_torn;
        self.failures += other.failures;
        self.damaged += other.damaged;
        self.lying_syncs += other.lying_syncs;
        self.full += other.full;
        self.misread += other.misread;
    }
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
    /// Whether reads may fail: that is damage, so it needs the fault budget.
    may_lose_reads: bool,
    /// The next sync fails.
    fail_next_sync: bool,
    /// So many of the next syncs lie.
    lying_syncs_left: u64,
    /// There is no space for new files.
    full: bool,
    /// How much longer than usual a sync takes.
    sync_factor: u64,
    stalled_until: u64,
    /// What happened so far.
    pub stats: DiskStats,
}

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
            may_lose_reads: false,
            fail_next_sync: false,
            lying_syncs_left: 0,
            full: false,
            sync_factor: 1,
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
    pub fn completes_at(&self, config: &DiskSettings, now: u64) -> Option<u64> {
        let (_, op) = self.queue.front()?;
        let draw = self.delay.at(self.entity, self.operations);
        let mean = match op {
            FileOp::Sync { .. } | FileOp::Create { .. } => config.sync_mean_us * self.sync_factor,
            _ => config.file_mean_us,
        };
        Some(now.max(self.stalled_until) + draw.exponential(mean * 1_000))
    }

    /// Whether the operation under way changes files: then its failure is final.
    pub fn is_changing(&self) -> bool {
        self.queue.front().is_some_and(|(_, op)| op.is_change())
    }

    /// Whether a power loss now would leave these bytes on the disk.
    pub fn holds_stable(&self, bytes: &[u8]) -> bool {
        // What was written last is in the newest file.
        let mut newest_first = self.files.values().rev();
        newest_first.any(|file| file.holds_stable(bytes))
    }

    /// Completes the first operation of the queue.
    pub fn complete(&mut self, config: &DiskSettings) -> (FileOpId, FileResult) {
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
    /// Returns how many sectors turned out to be damaged.
    pub fn crash(&mut self, config: &DiskSettings, power: bool) -> u64 {
        self.crashes += 1;
        let calm = DiskSettings::default();
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
        if !power {
            return 0;
        }
        self.lose_power(config);
        self.reveal_lying_syncs(config)
    }

    /// Reads of this disk may fail.
    pub fn allow_lost_reads(&mut self) {
        self.may_lose_reads = true;
    }

    /// The next sync fails.
    pub fn arm_sync_failure(&mut self) {
        self.fail_next_sync = true;
    }

    /// Nothing completes before `until`.
    pub fn stall(&mut self, until: u64) {
        self.stalled_until = self.stalled_until.max(until);
    }

    /// The next syncs report success without making anything stable.
    pub fn arm_lying_syncs(&mut self, syncs: u64) {
        self.lying_syncs_left = syncs;
    }

    /// Sets whether there is space for new files.
    pub fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// Syncs take so many times as long from now on.
    pub fn slow_down(&mut self, factor: u64) {
        self.sync_factor = factor;
    }

    /// Ends all faults that are still to come.
    pub fn heal(&mut self) {
        self.fail_next_sync = false;
        self.lying_syncs_left = 0;
        self.full = false;
        self.sync_factor = 1;
        self.stalled_until = 0;
        self.files.values_mut().for_each(File::come_true);
    }

    /// Flips one bit of a settled sector of a segment. Returns a description, or
    /// `None` if no sector is settled.
    pub fn rot(&mut self, draw: Draw) -> Option<String> {
        let (name, sectors) = self.pick_settled(draw)?;
        let sector = sectors[draw.again().index(sectors.len())];
        let bit = draw.again().again().index(SECTOR_BYTES * 8);
        let file = self.files.get_mut(&name).expect("picked from the files");
        file.flip(sector, bit);
        self.stats.damaged += 1;
        Some(format!("{name:?} sector {sector} bit {bit}"))
    }

    /// Repeats an old write at the place of another old write of the same file.
    pub fn misdirect(&mut self, draw: Draw) -> Option<String> {
        let (name, _) = self.pick_settled(draw)?;
        let settled = self.syncs.saturating_sub(SETTLED_SYNCS);
        let file = self.files.get_mut(&name).expect("picked from the files");
        let (source, len, target) = file.two_old_writes(settled, draw)?;
        let data = file.read(source, source + len);
        file.overwrite(target, &data);
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

    fn execute(&mut self, config: &DiskSettings, op: FileOp, draw: Draw) -> FileResult {
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
        let length = |file: &File| u64::try_from(file.len()).expect("lengths fit 64 bits");
        self.files
            .iter()
            .map(|(name, file)| (*name, length(file)))
            .collect()
    }

    fn create(
        &mut self,
        config: &DiskSettings,
        name: FileName,
        len: u64,
        draw: Draw,
    ) -> FileResult {
        if self.full || draw.chance(ppm(config.full_ppm)) {
            self.stats.full += 1;
            return FileResult::Failed(FileError::Full);
        }
        if self.files.contains_key(&name) {
            return FileResult::Failed(FileError::Exists);
        }
        let len = usize::try_from(len).expect("simulated files are small");
        self.files.insert(name, File::new(len));
        FileResult::Done
    }

    fn write(
        &mut self,
        config: &DiskSettings,
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
            offset + data.len() <= file.len(),
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

    fn sync(&mut self, config: &DiskSettings, name: FileName, draw: Draw) -> FileResult {
        if std::mem::take(&mut self.fail_next_sync) || draw.chance(ppm(config.sync_fail_ppm)) {
            return FileResult::Failed(FileError::Io);
        }
        self.syncs += 1;
        let Some(file) = self.files.get_mut(&name) else {
            return FileResult::Failed(FileError::Missing);
        };
        if self.lying_syncs_left > 0 && matches!(name, FileName::Segment(_)) {
            self.lying_syncs_left -= 1;
            self.stats.lying_syncs += 1;
            file.sync_falsely(self.syncs);
        } else {
            file.settle(self.syncs);
        }
        self.stats.syncs += 1;
        FileResult::Done
    }

    fn read(
        &mut self,
        config: &DiskSettings,
        name: FileName,
        offset: u64,
        len: u64,
        draw: Draw,
    ) -> FileResult {
        if self.may_lose_reads && draw.chance(ppm(config.read_fail_ppm)) {
            return FileResult::Failed(FileError::Io);
        }
        let Some(file) = self.files.get(&name) else {
            return FileResult::Failed(FileError::Missing);
        };
        let clip = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(file.len());
        let (start, end) = (clip(offset), clip(offset.saturating_add(len)));
        let mut data = file.read(start, end);
        let elsewhere = draw.again();
        if self.may_lose_reads && elsewhere.chance(ppm(config.misread_ppm)) {
            self.misread(name, start, &mut data, elsewhere.again());
        }
        FileResult::Data(Bytes::from(data))
    }

    /// Replaces one settled sector of what was read by another one of the file.
    fn misread(&mut self, name: FileName, start: usize, data: &mut [u8], draw: Draw) {
        let settled = self.syncs.saturating_sub(SETTLED_SYNCS);
        let file = &self.files[&name];
        let sectors = file.settled_sectors(settled);
        let range = start..start + data.len();
        let inside = |sector: &&usize| {
            let first = **sector * SECTOR_BYTES;
            range.contains(&first) && first + SECTOR_BYTES <= range.end
        };
        let read: Vec<usize> = sectors.iter().filter(inside).copied().collect();
        if read.is_empty() || !matches!(name, FileName::Segment(_)) {
            return;
        }
        let wanted = read[draw.index(read.len())];
        let source = sectors[draw.again().index(sectors.len())] * SECTOR_BYTES;
        let at = wanted * SECTOR_BYTES - start;
        let content = file.read(source, (source + SECTOR_BYTES).min(file.len()));
        if data[at..at + content.len()] != content[..] {
            data[at..at + content.len()].copy_from_slice(&content);
            self.stats.misread += 1;
            self.stats.damaged += 1;
        }
    }

    fn lose_power(&mut self, config: &DiskSettings) {
        let mut number = self.crashes << 20;
        let stats = &mut self.stats;
        for file in self.files.values_mut() {
            file.lose_power(self.syncs, |width| {
                number += 1;
                let draw = self.crash.at(self.entity, number);
                if draw.chance(ppm(config.crash_drop_ppm)) {
                    stats.sectors_lost += 1;
                    AtPowerLoss::Lost
                } else if draw.again().chance(ppm(config.crash_tear_ppm)) {
                    stats.sectors_torn += 1;
                    AtPowerLoss::Torn(draw.again().again().index(width))
                } else {
                    AtPowerLoss::Kept
                }
            });
        }
    }

    fn reveal_lying_syncs(&mut self, config: &DiskSettings) -> u64 {
        let settled = self.syncs.saturating_sub(SETTLED_SYNCS);
        let mut number = (self.crashes << 20) | (1 << 19);
        let mut revealed = 0;
        for file in self.files.values_mut() {
            revealed += file.reveal(settled, || {
                number += 1;
                let draw = self.crash.at(self.entity, number);
                draw.chance(ppm(config.crash_drop_ppm.max(500_000)))
            });
        }
        self.stats.damaged += revealed;
        revealed
    }
}

#[cfg(test)]
#[path = "../tests/disk.rs"]
mod tests;
