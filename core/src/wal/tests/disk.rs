//! A disk that forgets, tears, lies and rots, and a generator to steer it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::io::{FileError, FileName, FileOp, FileResult};
use crate::limits::SECTOR_BYTES;

/// splitmix64 (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// One file: what survives a crash for sure, and what a read returns now.
#[derive(Debug, Clone, Default)]
pub struct File {
    pub stable: Vec<u8>,
    pub cached: Vec<u8>,
    pub dirty: BTreeSet<usize>,
}

/// What happens to the next write to a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteFault {
    /// It lands somewhere else.
    Misdirect(FileName, usize),
    /// It is confirmed and never carried out.
    Lose,
}

#[derive(Debug, Clone, Default)]
pub struct Disk {
    pub files: BTreeMap<FileName, File>,
    /// Removed, but the directory is not synced yet.
    removed: Vec<(FileName, File)>,
    /// Blocks of 4 KiB that cannot be read.
    pub unreadable: BTreeSet<(FileName, usize)>,
    /// The sync after this many further ones fails, and drops what it should
    /// have written.
    pub failing_sync: Option<usize>,
    /// The operation after this many further ones fails.
    pub failing_op: Option<usize>,
    pub write_fault: Option<WriteFault>,
}

impl Disk {
    pub fn execute(&mut self, op: &FileOp) -> FileResult {
        if let Some(left) = self.failing_op.as_mut() {
            if *left == 0 {
                self.failing_op = None;
                return FileResult::Failed(FileError::Full);
            }
            *left -= 1;
        }
        match op {
            FileOp::List => FileResult::Listed(
                self.files
                    .iter()
                    .map(|(name, file)| (*name, file.cached.len() as u64))
                    .collect(),
            ),
            FileOp::Create { file, len } => self.create(*file, *len),
            FileOp::Write { file, offset, data } => self.write(*file, *offset, data),
            FileOp::Sync { file } => self.sync(*file),
            FileOp::Read { file, offset, len } => self.read(*file, *offset, *len),
            FileOp::Remove { file } => {
                if let Some(content) = self.files.remove(file) {
                    self.removed.push((*file, content));
                }
                FileResult::Done
            }
        }
    }

    fn create(&mut self, name: FileName, len: u64) -> FileResult {
        if self.files.contains_key(&name) {
            return FileResult::Failed(FileError::Exists);
        }
        let file = File {
            stable: vec![0; len as usize],
            cached: vec![0; len as usize],
            dirty: BTreeSet::new(),
        };
        self.files.insert(name, file);
        // The directory is synced.
        self.removed.clear();
        FileResult::Done
    }

    fn write(&mut self, name: FileName, offset: u64, data: &Bytes) -> FileResult {
        let (mut name, mut offset) = (name, offset as usize);
        let mut misdirected = false;
        if matches!(name, FileName::Segment(_)) {
            misdirected = self.write_fault.is_some();
            match self.write_fault.take() {
                Some(WriteFault::Misdirect(to, at)) => (name, offset) = (to, at),
                Some(WriteFault::Lose) => return FileResult::Done,
                None => {}
            }
        }
        let Some(file) = self.files.get_mut(&name) else {
            assert!(misdirected, "write to a missing file");
            return FileResult::Done;
        };
        let end = (offset + data.len()).min(file.cached.len());
        assert!(
            !data.is_empty() && offset % SECTOR_BYTES == 0,
            "a write begins with a sector"
        );
        file.cached[offset..end].copy_from_slice(&data[..end - offset]);
        file.dirty
            .extend(offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES));
        FileResult::Done
    }

    fn sync(&mut self, name: FileName) -> FileResult {
        let file = self.files.get_mut(&name).expect("sync of a missing file");
        if let Some(left) = self.failing_sync.as_mut() {
            if *left == 0 {
                self.failing_sync = None;
                file.dirty.clear();
                file.cached.clone_from(&file.stable);
                return FileResult::Failed(FileError::Io);
            }
            *left -= 1;
        }
        file.dirty.clear();
        file.stable.clone_from(&file.cached);
        FileResult::Done
    }

    fn read(&mut self, name: FileName, offset: u64, len: u64) -> FileResult {
        let Some(file) = self.files.get(&name) else {
            return FileResult::Failed(FileError::Missing);
        };
        let begin = (offset as usize).min(file.cached.len());
        let end = (begin + len as usize).min(file.cached.len());
        if (begin / 4096..end.div_ceil(4096)).any(|b| self.unreadable.contains(&(name, b))) {
            return FileResult::Failed(FileError::Io);
        }
        FileResult::Data(Bytes::copy_from_slice(&file.cached[begin..end]))
    }

    /// The power fails: each unsynced sector is kept, dropped or torn, each on
    /// its own; a file removed last may be back.
    pub fn crash(&mut self, rng: &mut Rng) {
        self.failing_op = None;
        self.failing_sync = None;
        self.write_fault = None;
        for (name, file) in core::mem::take(&mut self.removed) {
            if rng.chance(30) {
                self.files.insert(name, file);
            }
        }
        // Some crashes keep nearly all, some nearly nothing.
        let keep = [0, 30, 70, 95][rng.below(4)];
        for file in self.files.values_mut() {
            for sector in core::mem::take(&mut file.dirty) {
                let begin = sector * SECTOR_BYTES;
                let end = (begin + SECTOR_BYTES).min(file.cached.len());
                let torn_at = if rng.chance(keep) {
                    end
                } else if rng.chance(20) {
                    begin + rng.below(end - begin)
                } else {
                    begin
                };
                let kept = file.cached[begin..torn_at].to_vec();
                file.stable[begin..torn_at].copy_from_slice(&kept);
            }
            file.cached.clone_from(&file.stable);
        }
    }

    /// Changes bytes behind the log's back.
    pub fn rot(&mut self, name: FileName, begin: usize, end: usize, rng: &mut Rng) {
        let file = self.files.get_mut(&name).expect("rot in a missing file");
        let end = end.min(file.cached.len());
        for byte in &mut file.cached[begin..end] {
            *byte ^= (rng.next() as u8) | 1;
        }
        file.stable[begin..end].copy_from_slice(&file.cached[begin..end]);
    }

    /// All places where `needle` is in a file.
    pub fn find(&self, name: FileName, needle: &[u8]) -> Vec<usize> {
        let bytes = &self.files[&name].cached;
        let first = needle[0];
        let hits = (0..bytes.len()).filter(|at| bytes[*at] == first);
        hits.filter(|at| bytes[*at..].starts_with(needle)).collect()
    }
}
