//! A store without a disk.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Bound;

use bytes::Bytes;
use decube_core::store::{Store, StoreBatch, StoreOp};

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

    fn scan(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        bytes_max: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Infallible> {
        let mut page = Vec::new();
        let mut bytes = 0_usize;
        let range = (Bound::Included(from), Bound::Unbounded);
        for (key, value) in self.pairs.range::<[u8], _>(range) {
            if to.is_some_and(|to| key[..] >= *to) {
                break;
            }
            bytes = bytes.saturating_add(key.len() + value.len());
            page.push((key.clone(), value.clone()));
            if bytes >= bytes_max {
                break;
            }
        }
        Ok(page)
    }
}
