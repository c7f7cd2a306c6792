//! A volume in memory: files and pairs as they are seen, and as a loss of power leaves them.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use decube_core::io::{Done, FileError, FileName, FileOp, FileResult, Io};
use decube_core::store::{Page, StoreBatch, StoreOp};

/// What a crash takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The process is gone; the system has what it was given.
    Process,
    /// Power is gone, and with it all that was not synced.
    Power,
    /// Power is gone; the store had written its batches all the same.
    PowerOfLog,
}

/// One log and one store.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    files: BTreeMap<FileName, Vec<u8>>,
    synced_files: BTreeMap<FileName, Vec<u8>>,
    pairs: BTreeMap<Bytes, Bytes>,
    synced_pairs: BTreeMap<Bytes, Bytes>,
    /// Batches behind the last synced one.
    unsynced: VecDeque<StoreBatch>,
    /// Whether a record of the log was made durable ever.
    is_used: bool,
}

impl Memory {
    /// Whether it was used before.
    pub const fn is_used(&self) -> bool {
        self.is_used
    }

    /// Does what it is asked for.
    pub fn carry_out(&mut self, io: Io) -> Done {
        match io {
            Io::File { id, op } => {
                let result = self.file(op);
                Done::File { id, result }
            }
            Io::Commit(batch) => {
                let seq = batch.seq;
                batch.ops.iter().for_each(|op| change(&mut self.pairs, op));
                let is_synced = batch.sync;
                self.unsynced.push_back(batch);
                if is_synced {
                    self.synced_pairs.clone_from(&self.pairs);
                    self.unsynced.clear();
                }
                Done::Committed { seq }
            }
            Io::Read(read) => {
                let end = read
                    .to
                    .unwrap_or_else(|| Bytes::from_static(&[u8::MAX; 64]));
                let pairs = self.pairs.range(read.from..end);
                let pairs = pairs.map(|(key, value)| Ok::<_, ()>((key.clone(), value.clone())));
                let page = Page::collect(pairs, read.bytes_max).expect("memory does not fail");
                Done::Read { id: read.id, page }
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

    /// Loses what a crash takes away.
    pub fn crash(&mut self, loss: Loss) {
        match loss {
            Loss::Process => {}
            Loss::Power => {
                self.files.clone_from(&self.synced_files);
                self.pairs.clone_from(&self.synced_pairs);
                self.unsynced.clear();
            }
            Loss::PowerOfLog => {
                self.files.clone_from(&self.synced_files);
                self.synced_pairs.clone_from(&self.pairs);
                self.unsynced.clear();
            }
        }
    }
}

fn change(pairs: &mut BTreeMap<Bytes, Bytes>, op: &StoreOp) {
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
