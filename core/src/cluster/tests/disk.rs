//! A volume in memory that does no harm.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::io::{Done, FileError, FileName, FileOp, FileResult, Io};
use crate::store::{Page, StoreOp};

/// So few that a small state takes several pages.
const PAGE_PAIRS: usize = 10;

/// What survives a restart.
#[derive(Debug, Default, Clone)]
pub(crate) struct Disk {
    pub(crate) files: BTreeMap<FileName, Vec<u8>>,
    pub(crate) store: BTreeMap<Bytes, Bytes>,
}

impl Disk {
    /// Does at once what a volume is asked to do.
    pub(crate) fn carry_out(&mut self, io: Io) -> Done {
        match io {
            Io::File { id, op } => {
                let result = self.execute(op);
                Done::File { id, result }
            }
            Io::Commit(batch) => {
                batch.ops.into_iter().for_each(|op| self.store_op(op));
                Done::Committed { seq: batch.seq }
            }
            Io::Read(read) => {
                let pairs = self.store.range(read.from..).take(PAGE_PAIRS);
                let pairs: Vec<_> = pairs.map(|(k, v)| (k.clone(), v.clone())).collect();
                let is_last = pairs.len() < PAGE_PAIRS;
                Done::Read {
                    id: read.id,
                    page: Page { pairs, is_last },
                }
            }
        }
    }

    fn execute(&mut self, op: FileOp) -> FileResult {
        let at = |offset: u64| usize::try_from(offset).expect("small files");
        match op {
            FileOp::List => FileResult::Listed(
                self.files
                    .iter()
                    .map(|(name, data)| (*name, data.len() as u64))
                    .collect(),
            ),
            FileOp::Create { file, len } => {
                if self.files.contains_key(&file) {
                    return FileResult::Failed(FileError::Exists);
                }
                self.files.insert(file, vec![0; at(len)]);
                FileResult::Done
            }
            FileOp::Write { file, offset, data } => {
                let content = self.files.get_mut(&file).expect("written files exist");
                content[at(offset)..][..data.len()].copy_from_slice(&data);
                FileResult::Done
            }
            FileOp::Sync { .. } => FileResult::Done,
            FileOp::Read { file, offset, len } => {
                let content = self.files.get(&file).expect("read files exist");
                let end = at(offset + len).min(content.len());
                FileResult::Data(Bytes::copy_from_slice(&content[at(offset).min(end)..end]))
            }
            FileOp::Remove { file } => {
                self.files.remove(&file);
                FileResult::Done
            }
        }
    }

    fn store_op(&mut self, op: StoreOp) {
        match op {
            StoreOp::Put { key, value } => {
                self.store.insert(key, value);
            }
            StoreOp::Delete { key } => {
                self.store.remove(&key);
            }
            StoreOp::DeleteRange { from, to } => {
                self.store.retain(|key, _| *key < from || *key >= to);
            }
        }
    }
}
