//! A volume in memory: files and pairs as they are seen, and as a loss of power leaves them.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::io::{Done, FileError, FileName, FileOp, FileResult, Io, Read};
use crate::store::{Page, StoreBatch, StoreOp};

/// What a crash takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The process is gone; the system has what it was given.
    Process,
    /// Power is gone, and with it what was not synced.
    Power {
        /// How many batches behind the last synced one the store had written all the same.
        batches_kept: usize,
    },
}

type Files = BTreeMap<FileName, Vec<u8>>;
type Pairs = BTreeMap<Bytes, Bytes>;

/// One log and one store.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    files: Files,
    synced_files: Files,
    pairs: Pairs,
    synced_pairs: Pairs,
    /// Batches behind the last synced one.
    unsynced: VecDeque<StoreBatch>,
    /// Whether a record of the log was made durable ever.
    is_used: bool,
    /// How many pairs a read finds at most, whatever it has room for.
    page_pairs: Option<usize>,
}

impl Disk {
    /// An empty one that answers reads by so few pairs that a small state takes several.
    pub fn of_pages(pairs: usize) -> Self {
        Self {
            page_pairs: Some(pairs),
            ..Self::default()
        }
    }

    /// Whether it was used before: the mark that a shell keeps beside the keys.
    pub const fn is_used(&self) -> bool {
        self.is_used
    }

    /// Does at once what it is asked for.
    pub fn carry_out(&mut self, io: Io) -> Done {
        match io {
            Io::File { id, op } => {
                let result = self.file(op);
                Done::File { id, result }
            }
            Io::Commit(batch) => {
                let seq = batch.seq;
                self.commit(batch);
                Done::Committed { seq }
            }
            Io::Read(read) => {
                let (id, page) = (read.id, self.read(read));
                Done::Read { id, page }
            }
        }
    }

    fn file(&mut self, op: FileOp) -> FileResult {
        self.is_used |= op.makes_records_durable();
        let at = |offset: u64| usize::try_from(offset).expect("small files");
        match op {
            FileOp::List => {
                let files = self.files.iter();
                let listed = files.map(|(name, data)| (*name, data.len() as u64));
                FileResult::Listed(listed.collect())
            }
            FileOp::Create { file, len } => {
                if self.files.contains_key(&file) {
                    return FileResult::Failed(FileError::Exists);
                }
                self.files.insert(file, vec![0; at(len)]);
                self.synced_files.insert(file, vec![0; at(len)]);
                FileResult::Done
            }
            FileOp::Write { file, offset, data } => {
                let content = self.files.get_mut(&file).expect("written files exist");
                content[at(offset)..][..data.len()].copy_from_slice(&data);
                FileResult::Done
            }
            FileOp::Sync { file } => {
                self.synced_files.insert(file, self.files[&file].clone());
                FileResult::Done
            }
            FileOp::Read { file, offset, len } => {
                let content = self.files.get(&file).expect("read files exist");
                let end = at(offset + len).min(content.len());
                FileResult::Data(Bytes::copy_from_slice(&content[at(offset).min(end)..end]))
            }
            FileOp::Remove { file } => {
                self.files.remove(&file);
                self.synced_files.remove(&file);
                FileResult::Done
            }
        }
    }

    fn commit(&mut self, batch: StoreBatch) {
        batch.ops.iter().for_each(|op| change(&mut self.pairs, op));
        let is_synced = batch.sync;
        self.unsynced.push_back(batch);
        if is_synced {
            self.synced_pairs.clone_from(&self.pairs);
            self.unsynced.clear();
        }
    }

    fn read(&self, read: Read) -> Page {
        let pairs = self.pairs.range(read.from..);
        let pairs = pairs.take_while(|(key, _)| read.to.as_ref().is_none_or(|to| *key < to));
        let pairs = pairs.map(|(key, value)| Ok::<_, ()>((key.clone(), value.clone())));
        let mut page = Page::collect(pairs, read.bytes_max).expect("memory does not fail");
        let most = self.page_pairs.unwrap_or(page.pairs.len());
        page.is_last &= page.pairs.len() <= most;
        page.pairs.truncate(most);
        page
    }

    /// Loses what a crash takes away.
    pub fn crash(&mut self, loss: Loss) {
        let Loss::Power { batches_kept } = loss else {
            return;
        };
        self.files.clone_from(&self.synced_files);
        for batch in self.unsynced.drain(..).take(batches_kept) {
            let ops = batch.ops.iter();
            ops.for_each(|op| change(&mut self.synced_pairs, op));
        }
        self.pairs.clone_from(&self.synced_pairs);
    }

    /// Everything is gone. The mark that it was used is kept elsewhere.
    pub fn lose_all(&mut self) {
        *self = Self {
            is_used: self.is_used,
            page_pairs: self.page_pairs,
            ..Self::default()
        };
    }

    /// The pairs of the store, as they are seen.
    pub const fn pairs(&self) -> &BTreeMap<Bytes, Bytes> {
        &self.pairs
    }

    /// The keys of the store that begin with a letter.
    pub fn keys(&self, kind: u8) -> Vec<Bytes> {
        let keys = self.pairs.keys().filter(|key| key[0] == kind);
        keys.cloned().collect()
    }

    /// Puts durable pairs in the place of all that the store has.
    pub fn replace_pairs(&mut self, pairs: BTreeMap<Bytes, Bytes>) {
        self.synced_pairs.clone_from(&pairs);
        self.pairs = pairs;
        self.unsynced.clear();
    }

    /// Changes the pairs, durable or not.
    fn alter(&mut self, change: impl Fn(&mut Pairs)) {
        change(&mut self.pairs);
        change(&mut self.synced_pairs);
    }

    /// Alters the last byte of a value of the store.
    pub fn damage(&mut self, key: &Bytes) {
        self.alter(|pairs| {
            if let Some(value) = pairs.get_mut(key) {
                let mut bytes = value.to_vec();
                *bytes.last_mut().expect("values have bytes") ^= 1;
                *value = bytes.into();
            }
        });
    }

    /// Damages every pair of a kind in the store.
    pub fn damage_all(&mut self, kind: u8) {
        self.alter(|pairs| {
            for (key, value) in pairs.iter_mut().filter(|(key, _)| key[0] == kind) {
                let mut bytes = value.to_vec();
                bytes.push(key[key.len() - 1]);
                *value = bytes.into();
            }
        });
    }

    /// Removes a pair of the store.
    pub fn forget(&mut self, key: &Bytes) {
        self.alter(|pairs| {
            pairs.remove(key);
        });
    }

    /// The names of the files of the log, superblocks included.
    pub fn files(&self) -> impl Iterator<Item = FileName> {
        self.files.keys().copied()
    }

    /// Bytes of the log.
    pub fn log_bytes(&self) -> usize {
        self.files.values().map(Vec::len).sum()
    }

    /// Flips a bit in the middle of what the log has synced.
    pub fn rot(&mut self) {
        let segment = |(name, data): (&FileName, &Vec<u8>)| {
            let is_segment = matches!(name, FileName::Segment(_));
            let written = data.iter().rposition(|byte| *byte != 0)?;
            is_segment.then_some((*name, written))
        };
        let found = self.synced_files.iter().find_map(segment);
        let (name, written) = found.expect("something was written");
        for files in [&mut self.synced_files, &mut self.files] {
            files.get_mut(&name).expect("in both")[written / 2] ^= 1;
        }
    }
}

fn change(pairs: &mut Pairs, op: &StoreOp) {
    match op {
        StoreOp::Put { key, value } => {
            pairs.insert(key.clone(), value.clone());
        }
        StoreOp::Delete { key } => {
            pairs.remove(key);
        }
        StoreOp::DeleteRange { from, to } => pairs.retain(|key, _| key < from || key >= to),
    }
}
