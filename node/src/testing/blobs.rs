//! Stores in memory.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use decube_core::types::NodeId;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::AsyncReadExt;

use crate::blobs::{BlobError, Blobs, Body, PeerBlobs, PeerFailed, SegmentId, Stored};

/// A store in memory, whose bytes a test can damage.
#[derive(Clone, Default)]
pub struct MemoryBlobs {
    pub segments: Arc<Mutex<BTreeMap<SegmentId, Bytes>>>,
}

impl MemoryBlobs {
    /// What is stored under a name.
    pub fn bytes(&self, id: SegmentId) -> Option<Bytes> {
        self.segments.lock().expect("held").get(&id).cloned()
    }

    /// Replaces what is stored under a name.
    pub fn set(&self, id: SegmentId, bytes: impl Into<Bytes>) {
        self.segments.lock().expect("held").insert(id, bytes.into());
    }

    pub fn remove(&self, id: SegmentId) {
        self.segments.lock().expect("held").remove(&id);
    }

    pub fn count(&self) -> usize {
        self.segments.lock().expect("held").len()
    }
}

impl Blobs for MemoryBlobs {
    fn put(
        &self,
        id: Option<SegmentId>,
        body: Body,
        bytes_max: u64,
    ) -> BoxFuture<'_, Result<Stored, BlobError>> {
        async move {
            let mut bytes = Vec::new();
            let read = body.take(bytes_max + 1).read_to_end(&mut bytes).await;
            read.map_err(|error| BlobError::Body(error.to_string()))?;
            if bytes.len() as u64 > bytes_max {
                return Err(BlobError::TooLarge { bytes_max });
            }
            let found = SegmentId::of(&bytes);
            if let Some(expected) = id.filter(|id| *id != found) {
                return Err(BlobError::Mismatch { expected, found });
            }
            let length = bytes.len() as u64;
            self.set(found, bytes);
            Ok(Stored { id: found, length })
        }
        .boxed()
    }

    fn get(
        &self,
        id: SegmentId,
        range: Range<u64>,
    ) -> BoxFuture<'_, Result<Option<Body>, BlobError>> {
        let found = self.bytes(id).map(|bytes| {
            let body = bytes.slice(range.start as usize..range.end as usize);
            Box::pin(std::io::Cursor::new(body)) as Body
        });
        async move { Ok(found) }.boxed()
    }

    fn stat(&self, id: SegmentId) -> BoxFuture<'_, Result<Option<u64>, BlobError>> {
        let found = self.bytes(id).map(|bytes| bytes.len() as u64);
        async move { Ok(found) }.boxed()
    }

    fn verify(&self, id: SegmentId) -> BoxFuture<'_, Result<Option<u64>, BlobError>> {
        let result = match self.bytes(id) {
            None => Ok(None),
            Some(bytes) if SegmentId::of(&bytes) == id => Ok(Some(bytes.len() as u64)),
            Some(_) => {
                self.remove(id);
                Err(BlobError::Damaged { id })
            }
        };
        async move { result }.boxed()
    }
}

/// Other members with stores in memory, each up or down.
#[derive(Clone, Default)]
pub struct MockPeers {
    pub peers: Arc<Mutex<BTreeMap<NodeId, (bool, MemoryBlobs)>>>,
}

impl MockPeers {
    /// Members with these numbers, all up.
    pub fn up(ids: impl IntoIterator<Item = u128>) -> Self {
        let mock = Self::default();
        for id in ids {
            mock.set_up(NodeId(id), true);
        }
        mock
    }

    pub fn set_up(&self, id: NodeId, up: bool) {
        self.peers.lock().expect("held").entry(id).or_default().0 = up;
    }

    pub fn store(&self, id: u128) -> MemoryBlobs {
        self.peers.lock().expect("held")[&NodeId(id)].1.clone()
    }

    fn reach(&self, id: NodeId) -> Result<MemoryBlobs, PeerFailed> {
        match self.peers.lock().expect("held").get(&id) {
            Some((true, store)) => Ok(store.clone()),
            _ => Err(PeerFailed("not connected".to_owned())),
        }
    }
}

impl PeerBlobs for MockPeers {
    fn members(&self) -> Vec<NodeId> {
        self.peers.lock().expect("held").keys().copied().collect()
    }

    fn stat(&self, peer: NodeId, id: SegmentId) -> BoxFuture<'_, Result<Option<u64>, PeerFailed>> {
        async move {
            let found = self.reach(peer)?.stat(id).await;
            found.map_err(|error| PeerFailed(error.to_string()))
        }
        .boxed()
    }

    fn put(
        &self,
        peer: NodeId,
        stored: Stored,
        body: Body,
    ) -> BoxFuture<'_, Result<(), PeerFailed>> {
        async move {
            let put = self
                .reach(peer)?
                .put(Some(stored.id), body, stored.length)
                .await;
            put.map(|_| ())
                .map_err(|error| PeerFailed(error.to_string()))
        }
        .boxed()
    }

    fn get(&self, peer: NodeId, id: SegmentId) -> BoxFuture<'_, Result<Option<Body>, PeerFailed>> {
        async move {
            let store = self.reach(peer)?;
            let Some(bytes) = store.bytes(id) else {
                return Ok(None);
            };
            let body = store.get(id, 0..bytes.len() as u64).await;
            body.map_err(|error| PeerFailed(error.to_string()))
        }
        .boxed()
    }
}
