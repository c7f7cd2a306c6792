//! The key-value engine under the state, with prefix durability.
//!
//! A crash of the machine keeps a prefix of the batches since the last synced
//! one: never a part of a batch, never one without those before it. A crash of
//! the process alone loses nothing that was committed.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;

use bytes::Bytes;
use decube_core::store::{Page, Store, StoreBatch, StoreOp};

use crate::rng::{Domain, Keyed};

/// The simulated engine. It outlives the node's processes.
#[derive(Debug, Clone)]
pub struct SimStore {
    entity: u64,
    crash: Keyed,
    crashes: u64,
    current: BTreeMap<Bytes, Bytes>,
    /// For each batch that is not stable yet, what to set to take it back.
    unsynced: VecDeque<Undo>,
    /// Batches that crashes took back.
    pub batches_lost: u64,
}

/// The pairs that a batch replaced, in its order; `None` where there was none.
type Undo = Vec<(Bytes, Option<Bytes>)>;

/// Batches that may wait before the oldest are flushed in the background.
const UNSYNCED_MAX: usize = 64;

impl SimStore {
    /// An empty engine of a slot.
    pub fn new(seed: u64, entity: u64) -> Self {
        Self {
            entity,
            crash: Keyed::new(seed, Domain::CrashStore),
            crashes: 0,
            current: BTreeMap::new(),
            unsynced: VecDeque::new(),
            batches_lost: 0,
        }
    }

    /// The process died; with `power` lost, so did a suffix of what was not synced.
    pub fn crash(&mut self, power: bool) {
        self.crashes += 1;
        if !power {
            return;
        }
        let draw = self.crash.at(self.entity, self.crashes);
        let kept = draw.index(self.unsynced.len() + 1);
        self.batches_lost += u64::try_from(self.unsynced.len() - kept).expect("a small count");
        for undo in self.unsynced.drain(kept..).rev() {
            take_back(&mut self.current, undo);
        }
        self.unsynced.clear();
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.current.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.current.is_empty()
    }
}

impl Store for SimStore {
    type Error = Infallible;

    fn commit(&mut self, batch: &StoreBatch) -> Result<(), Self::Error> {
        let undo = apply(&mut self.current, batch);
        if batch.sync {
            self.unsynced.clear();
            return Ok(());
        }
        self.unsynced.push_back(undo);
        if self.unsynced.len() > UNSYNCED_MAX {
            self.unsynced.pop_front();
        }
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Self::Error> {
        Ok(self.current.get(key).cloned())
    }

    fn scan(&self, from: &[u8], to: Option<&[u8]>, bytes_max: usize) -> Result<Page, Self::Error> {
        let pairs = self.current.range(Bytes::copy_from_slice(from)..);
        let wanted = pairs.take_while(|(key, _)| to.is_none_or(|to| key.as_ref() < to));
        let wanted = wanted.map(|(key, value)| Ok((key.clone(), value.clone())));
        Page::collect(wanted, bytes_max)
    }
}

fn apply(map: &mut BTreeMap<Bytes, Bytes>, batch: &StoreBatch) -> Undo {
    let mut undo = Vec::with_capacity(batch.ops.len());
    for op in &batch.ops {
        match op {
            StoreOp::Put { key, value } => {
                let before = map.insert(key.clone(), value.clone());
                undo.push((key.clone(), before));
            }
            StoreOp::Delete { key } => undo.extend(map.remove_entry(key).map(restored)),
            StoreOp::DeleteRange { from, to } if from < to => {
                let doomed = map.range(from.clone()..to.clone());
                let doomed: Vec<Bytes> = doomed.map(|(key, _)| key.clone()).collect();
                let removed = doomed.iter().filter_map(|key| map.remove_entry(key));
                undo.extend(removed.map(restored));
            }
            StoreOp::DeleteRange { .. } => {}
        }
    }
    undo
}

fn restored((key, value): (Bytes, Bytes)) -> (Bytes, Option<Bytes>) {
    (key, Some(value))
}

fn take_back(map: &mut BTreeMap<Bytes, Bytes>, undo: Undo) {
    for (key, before) in undo.into_iter().rev() {
        match before {
            Some(value) => map.insert(key, value),
            None => map.remove(&key),
        };
    }
}

#[cfg(test)]
#[path = "tests/store.rs"]
mod tests;
