//! The other candidate: fjall, a log-structured merge tree.

use std::path::Path;

use bytes::Bytes;
use decube_core::store::{Page, Store, StoreBatch, StoreOp};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

pub struct FjallStore {
    database: Database,
    pairs: Keyspace,
}

impl FjallStore {
    pub fn open(path: &Path) -> fjall::Result<Self> {
        let database = Database::builder(path).cache_size(64 << 20).worker_threads(1).open()?;
        let pairs = database.keyspace("pairs", KeyspaceCreateOptions::default)?;
        Ok(Self { database, pairs })
    }
}

impl Store for FjallStore {
    type Error = fjall::Error;

    fn commit(&mut self, batch: &StoreBatch) -> Result<(), fjall::Error> {
        let mode = batch.sync.then_some(PersistMode::SyncAll);
        let mut write = self.database.batch().durability(mode);
        for op in &batch.ops {
            match op {
                StoreOp::Put { key, value } => write.insert(&self.pairs, &key[..], &value[..]),
                StoreOp::Delete { key } => write.remove(&self.pairs, &key[..]),
                StoreOp::DeleteRange { from, to } => {
                    for pair in self.pairs.range(&from[..]..&to[..]) {
                        write.remove(&self.pairs, pair.key()?);
                    }
                }
            }
        }
        write.commit()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, fjall::Error> {
        Ok(self.pairs.get(key)?.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn scan(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        bytes_max: usize,
    ) -> Result<Page, fjall::Error> {
        let pairs = self.pairs.range(from..).map(|pair| {
            let (key, value) = pair.into_inner()?;
            Ok((Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value)))
        });
        let wanted = pairs.take_while(|pair: &Result<(Bytes, Bytes), fjall::Error>| {
            let (Ok((key, _)), Some(to)) = (pair, to) else { return true };
            &key[..] < to
        });
        Page::collect(wanted, bytes_max)
    }
}
