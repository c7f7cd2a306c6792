//! A remote in memory that can be told to fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use decube_core::snapshot::{SegmentId, SnapshotId};

use super::super::remote::{Record, Remote, RemoteError};

#[derive(Default)]
pub struct State {
    pub segments: BTreeMap<SegmentId, Bytes>,
    pub records: BTreeMap<String, Record>,
    /// Puts of segments, those that failed included.
    pub puts: usize,
    /// The put, counted from 0, from which on all are refused.
    pub refuse_puts_from: Option<usize>,
    /// How many of the next calls say that the remote is unavailable.
    pub unavailable: usize,
    /// Registers the record, but answers as if the connection had broken.
    pub lose_register_answer: bool,
}

#[derive(Default)]
pub struct MemoryRemote {
    state: Mutex<State>,
}

impl MemoryRemote {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The state, unless the remote is to be unavailable.
    fn available(&self) -> Result<MutexGuard<'_, State>, RemoteError> {
        let mut state = self.state();
        match state.unavailable.checked_sub(1) {
            Some(left) => {
                state.unavailable = left;
                Err(RemoteError::Unavailable("try again".to_owned()))
            }
            None => Ok(state),
        }
    }
}

impl Remote for MemoryRemote {
    async fn has_segment(&self, id: SegmentId, length: u64) -> Result<bool, RemoteError> {
        let state = self.available()?;
        let found = state.segments.get(&id);
        Ok(found.is_some_and(|bytes| bytes.len() as u64 == length))
    }

    async fn put_segment(&self, id: SegmentId, bytes: Bytes) -> Result<(), RemoteError> {
        let mut state = self.available()?;
        let put = state.puts;
        state.puts += 1;
        if state.refuse_puts_from.is_some_and(|from| put >= from) {
            return Err(RemoteError::Refused("the disk is full".to_owned()));
        }
        assert_eq!(SegmentId::of(&bytes), id);
        assert!(!bytes.is_empty());
        state.segments.insert(id, bytes);
        Ok(())
    }

    async fn get_segment(
        &self,
        id: SegmentId,
        bytes_max: u64,
    ) -> Result<Option<Bytes>, RemoteError> {
        let found = self.available()?.segments.get(&id).cloned();
        if found
            .as_ref()
            .is_some_and(|bytes| bytes.len() as u64 > bytes_max)
        {
            return Err(RemoteError::Refused("too long".to_owned()));
        }
        Ok(found)
    }

    async fn register(&self, record: &Record) -> Result<(), RemoteError> {
        let mut state = self.available()?;
        if state.records.contains_key(&record.id) {
            return Err(RemoteError::Conflict);
        }
        state.records.insert(record.id.clone(), record.clone());
        match state.lose_register_answer {
            true => Err(RemoteError::Unavailable("connection reset".to_owned())),
            false => Ok(()),
        }
    }

    async fn lookup(&self, id: &SnapshotId) -> Result<Option<Record>, RemoteError> {
        Ok(self.available()?.records.get(id.as_str()).cloned())
    }

    async fn list(&self) -> Result<Vec<Record>, RemoteError> {
        Ok(self.available()?.records.values().cloned().collect())
    }

    async fn unregister(&self, id: &SnapshotId) -> Result<bool, RemoteError> {
        Ok(self.available()?.records.remove(id.as_str()).is_some())
    }
}
