//! What survives a crash: files as they were synced, and the store as of its last
//! synced batch or any later one.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::io::{Done, FileError, FileName, FileOp, FileResult, Io};
use crate::store::{Page, StoreBatch, StoreOp};

/// The disk of one node.
#[derive(Debug, Default, Clone)]
pub struct Disk {
    files: BTreeMap<FileName, Vec<u8>>,
    synced: BTreeMap<FileName, Vec<u8>>,
    store: BTreeMap<Bytes, Bytes>,
    synced_store: BTreeMap<Bytes, Bytes>,
    /// Batches after the last synced one.
    unsynced: VecDeque<StoreBatch>,
}

impl Disk {
    pub fn carry_out(&mut self, io: Io) -> Done {
        match io {
            Io::File { id, op } => {
                let result = self.execute(op);
                Done::File { id, result }
            }
            Io::Commit(batch) => {
                let seq = batch.seq;
                self.commit(batch);
                Done::Committed { seq }
            }
            Io::Read(read) => {
                let to = read.to.expect("the ledger reads ranges");
                let pairs = self.read(&read.from, &to, read.bytes_max);
                let last = pairs.last().map(|(key, _)| key);
                let is_last = last == self.store.range(read.from..to).next_back().map(|(k, _)| k);
                let page = Page { pairs, is_last };
                Done::Read { id: read.id, page }
            }
        }
    }

    pub fn execute(&mut self, op: FileOp) -> FileResult {
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
                self.synced.insert(file, vec![0; at(len)]);
                FileResult::Done
            }
            FileOp::Write { file, offset, data } => {
                let content = self.files.get_mut(&file).expect("written files exist");
                content[at(offset)..][..data.len()].copy_from_slice(&data);
                FileResult::Done
            }
            FileOp::Sync { file } => {
                self.synced.insert(file, self.files[&file].clone());
                FileResult::Done
            }
            FileOp::Read { file, offset, len } => {
                let content = self.files.get(&file).expect("read files exist");
                let end = at(offset + len).min(content.len());
                FileResult::Data(Bytes::copy_from_slice(&content[at(offset).min(end)..end]))
            }
            FileOp::Remove { file } => {
                self.files.remove(&file);
                self.synced.remove(&file);
                FileResult::Done
            }
        }
    }

    pub fn commit(&mut self, batch: StoreBatch) {
        batch.ops.iter().for_each(|op| change(&mut self.store, op));
        let sync = batch.sync;
        self.unsynced.push_back(batch);
        if sync {
            self.synced_store.clone_from(&self.store);
            self.unsynced.clear();
        }
    }

    pub fn read(&self, from: &Bytes, to: &Bytes, bytes_max: usize) -> Vec<(Bytes, Bytes)> {
        let mut pairs = Vec::new();
        let mut bytes = 0_usize;
        for (key, value) in self.store.range(from.clone()..to.clone()) {
            pairs.push((key.clone(), value.clone()));
            bytes = bytes.saturating_add(key.len() + value.len());
            if bytes >= bytes_max {
                break;
            }
        }
        pairs
    }

    /// Loses what was not synced; of the store, `kept` later batches survive.
    pub fn crash(&mut self, kept: usize) {
        self.files.clone_from(&self.synced);
        let mut store = core::mem::take(&mut self.synced_store);
        for batch in self.unsynced.iter().take(kept) {
            batch.ops.iter().for_each(|op| change(&mut store, op));
        }
        self.unsynced.clear();
        self.store.clone_from(&store);
        self.synced_store = store;
    }

    /// How many pairs the store has whose keys begin with this letter.
    pub fn pairs_of(&self, kind: u8) -> usize {
        self.keys(kind).len()
    }

    /// Damages every pair of a kind in the store.
    pub fn damage_all(&mut self, kind: u8) {
        for store in [&mut self.store, &mut self.synced_store] {
            for (key, value) in store.iter_mut().filter(|(key, _)| key[0] == kind) {
                let mut bytes = value.to_vec();
                bytes.push(key[key.len() - 1]);
                *value = bytes.into();
            }
        }
    }

    /// Flips a bit in the middle of what the log has synced.
    pub fn rot(&mut self) {
        let segment = |(name, data): (&FileName, &mut Vec<u8>)| {
            let is_segment = matches!(name, FileName::Segment(_));
            let written = data.iter().rposition(|byte| *byte != 0)?;
            is_segment.then_some((*name, written))
        };
        let found = self.synced.iter_mut().find_map(segment);
        let (name, written) = found.expect("something was written");
        for files in [&mut self.synced, &mut self.files] {
            files.get_mut(&name).expect("in both")[written / 2] ^= 1;
        }
    }

    /// Takes the store of another node.
    pub fn copy_store(&mut self, other: &Self) {
        self.store.clone_from(&other.store);
        self.synced_store.clone_from(&other.store);
        self.unsynced.clear();
    }

    /// Alters the last byte of a value of the store.
    pub fn damage(&mut self, key: &[u8]) {
        let key = Bytes::copy_from_slice(key);
        for store in [&mut self.store, &mut self.synced_store] {
            if let Some(value) = store.get_mut(&key) {
                let mut bytes = value.to_vec();
                *bytes.last_mut().expect("values have bytes") ^= 1;
                *value = bytes.into();
            }
        }
    }

    /// Removes a pair of the store.
    pub fn forget(&mut self, key: &Bytes) {
        for store in [&mut self.store, &mut self.synced_store] {
            store.remove(key);
        }
    }

    /// The keys of the store that begin with a letter.
    pub fn keys(&self, kind: u8) -> Vec<Bytes> {
        let keys = self.store.keys().filter(|key| key[0] == kind);
        keys.cloned().collect()
    }

    /// How many files the log has, superblocks included.
    pub fn files(&self) -> usize {
        self.files.len()
    }

    /// Bytes of the log.
    pub fn log_bytes(&self) -> usize {
        self.files.values().map(Vec::len).sum()
    }
}

fn change(store: &mut BTreeMap<Bytes, Bytes>, op: &StoreOp) {
    match op {
        StoreOp::Put { key, value } => {
            store.insert(key.clone(), value.clone());
        }
        StoreOp::Delete { key } => {
            store.remove(key);
        }
        StoreOp::DeleteRange { from, to } => {
            store.retain(|key, _| key < from || key >= to);
        }
    }
}
