//! A store without a disk.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Bound;

use bytes::Bytes;
use decube_core::store::{Page, Store, StoreBatch, StoreOp};

/// Keeps everything in memory and loses it when dropped.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    pairs: BTreeMap<Bytes, Bytes>,
}

impl Store for MemoryStore {
    type Error = Infallible;

    fn commit(&mut self, batch: &StoreBatch) -> Result<(), Infallible> {
        for op in &batch.ops {
            match op {
                StoreOp::Put { key, value } => {
                    self.pairs.insert(key.clone(), value.clone());
                }
                StoreOp::Delete { key } => {
                    self.pairs.remove(key);
                }
                StoreOp::DeleteRange { from, to } if from < to => {
                    let doomed = self.pairs.range(from.clone()..to.clone());
                    for key in doomed.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
                        self.pairs.remove(&key);
                    }
                }
                StoreOp::DeleteRange { .. } => {}
            }
        }
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Infallible> {
        Ok(self.pairs.get(key).cloned())
    }

    fn scan(&self, from: &[u8], to: Option<&[u8]>, bytes_max: usize) -> Result<Page, Infallible> {
        let range = (Bound::Included(from), Bound::Unbounded);
        let pairs = self.pairs.range::<[u8], _>(range);
        let wanted = pairs.take_while(|(key, _)| to.is_none_or(|to| key[..] < *to));
        let wanted = wanted.map(|(key, value)| Ok((key.clone(), value.clone())));
        Page::collect(wanted, bytes_max)
    }
}
