//! Segments: the bytes of objects and snapshots, named by their SHA-256, kept in
//! this node's store and copied to other members before a write is acknowledged.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod` | the traits of a store and of the way to peers |
//! | `replicated` | the composition: copies on writes, repair on reads |

mod replicated;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::str::FromStr;

use decube_core::types::NodeId;
use futures::future::BoxFuture;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncRead;

pub use replicated::ReplicatedBlobs;

/// The name of a segment: the SHA-256 of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub [u8; 32]);

impl SegmentId {
    /// The name of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SegmentId {
    type Err = &'static str;

    /// 64 hexadecimal digits, bare or after `sha256:` or `0x`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = "a SHA-256 is 64 hexadecimal digits";
        let bare = text
            .strip_prefix("sha256:")
            .or_else(|| text.strip_prefix("0x"))
            .unwrap_or(text);
        if bare.len() != 64 || !bare.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refused);
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(bare.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| refused)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| refused)?;
        }
        Ok(Self(digest))
    }
}

/// Bytes on their way.
pub type Body = Pin<Box<dyn AsyncRead + Send>>;

/// A segment that is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub id: SegmentId,
    /// Its length in bytes.
    pub length: u64,
}

/// The store of one node.
pub trait Blobs: Send + Sync + 'static {
    /// Stores a body under its announced name, or under the name it turns out to
    /// have. Acknowledges what is durable; keeps nothing on an error.
    fn put(
        &self,
        id: Option<SegmentId>,
        body: Body,
        bytes_max: u64,
    ) -> BoxFuture<'_, Result<Stored, BlobError>>;

    /// Opens a range of a segment that must lie within it. The bytes are not
    /// checked.
    fn get(
        &self,
        id: SegmentId,
        range: Range<u64>,
    ) -> BoxFuture<'_, Result<Option<Body>, BlobError>>;

    /// The length of a segment that is present and durable.
    fn stat(&self, id: SegmentId) -> BoxFuture<'_, Result<Option<u64>, BlobError>>;

    /// Hashes a segment where it lies; its length. A damaged one is set aside and
    /// is an error.
    fn verify(&self, id: SegmentId) -> BoxFuture<'_, Result<Option<u64>, BlobError>>;
}

/// The way to the stores of the other members.
pub trait PeerBlobs: Send + Sync + 'static {
    /// All other members of the cluster, reachable or not.
    fn members(&self) -> Vec<NodeId>;

    /// The length of a segment that a member has.
    fn stat(&self, peer: NodeId, id: SegmentId) -> BoxFuture<'_, Result<Option<u64>, PeerFailed>>;

    /// Sends a segment; done when the member has it on stable storage.
    fn put(
        &self,
        peer: NodeId,
        stored: Stored,
        body: Body,
    ) -> BoxFuture<'_, Result<(), PeerFailed>>;

    /// Opens a whole segment of a member.
    fn get(&self, peer: NodeId, id: SegmentId) -> BoxFuture<'_, Result<Option<Body>, PeerFailed>>;
}

/// A member did not do what was asked: unreachable, too slow, or refusing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerFailed(pub String);

/// Why an operation on segments failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// The bytes do not have their announced name; nothing was kept.
    #[error("the bytes hash to {found}, not to {expected}")]
    Mismatch {
        /// The announced name.
        expected: SegmentId,
        /// What the bytes hash to.
        found: SegmentId,
    },
    /// More bytes than allowed; nothing was kept.
    #[error("more than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// The disk is too full; nothing was kept.
    #[error("too little free disk space")]
    NoSpace,
    /// The bytes no longer have their name, here and wherever else they were
    /// looked for.
    #[error("segment {id} is damaged")]
    Damaged {
        /// The segment.
        id: SegmentId,
    },
    /// No reachable member has the segment.
    #[error("segment {id} is on no member that can be reached")]
    Missing {
        /// The segment.
        id: SegmentId,
    },
    /// The segment is stored here, but too few other members took a copy.
    #[error("{copies} of {wanted} copies could be made: {reasons}")]
    TooFewCopies {
        /// Copies that exist.
        copies: usize,
        /// Copies required.
        wanted: usize,
        /// What the members said.
        reasons: String,
    },
    /// The body ended with an error; nothing was kept.
    #[error("the body could not be read: {0}")]
    Body(String),
    /// The disk failed.
    #[error("the disk failed: {0}")]
    Disk(String),
}
