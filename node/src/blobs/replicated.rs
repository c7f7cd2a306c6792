//! Copies on writes, repair on reads.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use decube_core::limits::SEGMENT_BYTES;
use decube_core::types::NodeId;

use super::{BlobError, Blobs, Body, PeerBlobs, SegmentId, Stored};

/// How long a verification is believed, so that many small ranges of one segment
/// do not hash it again and again.
const VERIFIED_FOR: Duration = Duration::from_secs(60);
/// How many verifications are remembered.
const VERIFIED_MAX: usize = 4096;

/// This node's store together with the other members'.
#[derive(Clone)]
pub struct ReplicatedBlobs {
    inner: Arc<Inner>,
}

struct Inner {
    me: NodeId,
    local: Arc<dyn Blobs>,
    peers: Arc<dyn PeerBlobs>,
    replicas: Option<usize>,
    verified: Mutex<BTreeMap<SegmentId, Instant>>,
}

impl ReplicatedBlobs {
    /// Joins the stores. `replicas` is the number of copies before a write is
    /// acknowledged; without it 2. Never more than there are members.
    pub fn new(
        me: NodeId,
        local: Arc<dyn Blobs>,
        peers: Arc<dyn PeerBlobs>,
        replicas: Option<usize>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                me,
                local,
                peers,
                replicas,
                verified: Mutex::default(),
            }),
        }
    }

    /// Stores a body here. Nothing may be acknowledged before [`Self::replicate`].
    pub async fn put_local(
        &self,
        id: Option<SegmentId>,
        body: Body,
        bytes_max: u64,
    ) -> Result<Stored, BlobError> {
        self.inner.local.put(id, body, bytes_max).await
    }

    /// Copies a segment of this node to as many members as the configuration
    /// demands. Members that have it already count.
    pub async fn replicate(&self, stored: Stored) -> Result<(), BlobError> {
        let members = self.inner.peers.members();
        let wanted = self.inner.replicas.unwrap_or(2).min(members.len() + 1);
        let mut copies = 1;
        let mut reasons = Vec::new();
        for peer in self.preferred(members, stored.id) {
            if copies >= wanted {
                break;
            }
            match self.copy_to(peer, stored).await {
                Ok(()) => copies += 1,
                Err(reason) => reasons.push(format!("{peer}: {reason}")),
            }
        }
        if copies >= wanted {
            return Ok(());
        }
        Err(BlobError::TooFewCopies {
            copies,
            wanted,
            reasons: reasons.join("; "),
        })
    }

    /// Makes sure that this node has the segment undamaged, from a peer if need
    /// be, and gives its length.
    pub async fn ensure(&self, id: SegmentId) -> Result<u64, BlobError> {
        let damaged = match self.verified_here(id).await {
            Ok(Some(length)) => return Ok(length),
            Ok(None) => false,
            Err(BlobError::Damaged { .. }) => true,
            Err(other) => return Err(other),
        };
        for peer in self.preferred(self.inner.peers.members(), id) {
            let body = match self.inner.peers.get(peer, id).await {
                Ok(Some(body)) => body,
                Ok(None) => continue,
                Err(error) => {
                    tracing::debug!(%peer, segment = %id, error = error.0, "no segment from a peer");
                    continue;
                }
            };
            // The store hashes what comes: a dishonest or broken peer is found out here.
            match self.inner.local.put(Some(id), body, SEGMENT_BYTES).await {
                Ok(stored) => {
                    self.remember(id);
                    tracing::info!(%peer, segment = %id, damaged, "segment fetched from a peer");
                    return Ok(stored.length);
                }
                Err(error @ (BlobError::NoSpace | BlobError::Disk(_))) => return Err(error),
                Err(error) => {
                    tracing::warn!(%peer, segment = %id, %error, "a peer sent a bad segment");
                }
            }
        }
        Err(if damaged {
            BlobError::Damaged { id }
        } else {
            BlobError::Missing { id }
        })
    }

    /// Opens a range of a segment that [`Self::ensure`] has just found here.
    pub async fn open(&self, id: SegmentId, range: Range<u64>) -> Result<Body, BlobError> {
        let body = self.inner.local.get(id, range).await?;
        body.ok_or(BlobError::Missing { id })
    }

    /// The length of a segment, here or on a member that can be reached. Nothing
    /// is hashed or moved.
    pub async fn stat(&self, id: SegmentId) -> Result<Option<u64>, BlobError> {
        if let Some(length) = self.inner.local.stat(id).await? {
            return Ok(Some(length));
        }
        for peer in self.preferred(self.inner.peers.members(), id) {
            if let Ok(Some(length)) = self.inner.peers.stat(peer, id).await {
                return Ok(Some(length));
            }
        }
        Ok(None)
    }

    async fn verified_here(&self, id: SegmentId) -> Result<Option<u64>, BlobError> {
        let fresh = {
            let verified = self.inner.verified.lock().expect("no panic while held");
            verified
                .get(&id)
                .is_some_and(|at| at.elapsed() < VERIFIED_FOR)
        };
        if fresh {
            return self.inner.local.stat(id).await;
        }
        let length = self.inner.local.verify(id).await?;
        if length.is_some() {
            self.remember(id);
        }
        Ok(length)
    }

    fn remember(&self, id: SegmentId) {
        let mut verified = self.inner.verified.lock().expect("no panic while held");
        if verified.len() >= VERIFIED_MAX {
            verified.retain(|_, at| at.elapsed() < VERIFIED_FOR);
        }
        if verified.len() < VERIFIED_MAX {
            verified.insert(id, Instant::now());
        }
    }

    async fn copy_to(&self, peer: NodeId, stored: Stored) -> Result<(), String> {
        match self.inner.peers.stat(peer, stored.id).await {
            Ok(Some(_)) => return Ok(()),
            Ok(None) => {}
            Err(error) => return Err(error.0),
        }
        let body = self.inner.local.get(stored.id, 0..stored.length).await;
        let body = body.map_err(|error| error.to_string())?;
        let body = body.ok_or("the segment has just been deleted here")?;
        self.inner
            .peers
            .put(peer, stored, body)
            .await
            .map_err(|error| error.0)
    }

    /// Members in an order that differs from segment to segment, so that copies
    /// spread, and that every node computes alike.
    fn preferred(&self, mut members: Vec<NodeId>, id: SegmentId) -> Vec<NodeId> {
        let half = id.0.first_chunk().expect("32 bytes hold 16");
        let salt = u128::from_be_bytes(*half);
        members.retain(|member| *member != self.inner.me);
        members.sort_unstable_by_key(|member| member.0 ^ salt);
        members
    }
}
