//! What an object is made of, as the replicated state keeps it.

use bytes::Bytes;
use decube_core::crypto::Digest;
use decube_core::limits::SEGMENT_BYTES;
use decube_core::merkle::{Frontier, LeafHash};
use serde_json::{Value, json};

use super::error::{ApiError, ApiResult, Code};
use super::text;
use crate::blobs::SegmentId;

/// Segments that are named in the manifest itself. A longer list is a segment of
/// its own, because a value of the replicated state is at most 512 KiB.
pub const INLINE_MAX: usize = 1024;
/// Segments of an object: their list must fit one segment.
pub const SEGMENTS_MAX: u64 = SEGMENT_BYTES / 32;

/// What an object is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Its length in bytes.
    pub size: u64,
    /// The SHA-256 of all its bytes.
    pub sha256: SegmentId,
    /// Its segments in order, all of [`SEGMENT_BYTES`] but the last.
    pub segments: Segments,
    /// The RFC 6962 root over the digests of the segments.
    pub merkle_root: Digest,
    /// What the client said it is.
    pub content_type: String,
    /// When it was stored, in nanoseconds since the Unix epoch.
    pub uploaded_ns: u64,
}

/// The list of segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segments {
    /// Here.
    Inline(Vec<SegmentId>),
    /// In a segment of its own: 32 bytes for each.
    Listed {
        /// That segment.
        list: SegmentId,
    },
}

impl Manifest {
    /// How many segments it has.
    pub fn count(&self) -> u64 {
        self.size.div_ceil(SEGMENT_BYTES)
    }

    /// The strong entity tag.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.sha256)
    }

    /// As it is stored.
    pub fn encode(&self) -> Bytes {
        let mut value = json!({
            "v": 1,
            "size": self.size,
            "sha256": self.sha256.to_string(),
            "merkle_root": self.merkle_root.to_string(),
            "content_type": self.content_type,
            "uploaded_ns": self.uploaded_ns,
        });
        match &self.segments {
            Segments::Inline(ids) => {
                value["segments"] = ids.iter().map(|id| Value::from(id.to_string())).collect();
            }
            Segments::Listed { list } => value["list"] = list.to_string().into(),
        }
        value.to_string().into()
    }

    /// From what is stored.
    pub fn decode(bytes: &[u8]) -> ApiResult<Self> {
        let read = || {
            let value: Value = serde_json::from_slice(bytes).ok()?;
            if value["v"].as_u64()? != 1 {
                return None;
            }
            let id = |value: &Value| value.as_str()?.parse().ok();
            let segments = match value.get("list") {
                Some(list) => Segments::Listed { list: id(list)? },
                None => {
                    let ids = value["segments"].as_array()?.iter().map(id);
                    Segments::Inline(ids.collect::<Option<Vec<SegmentId>>>()?)
                }
            };
            let manifest = Self {
                size: value["size"].as_u64()?,
                sha256: id(&value["sha256"])?,
                segments,
                merkle_root: value["merkle_root"].as_str()?.parse().ok()?,
                content_type: value["content_type"].as_str()?.to_owned(),
                uploaded_ns: value["uploaded_ns"].as_u64()?,
            };
            let whole = match &manifest.segments {
                Segments::Inline(ids) => ids.len() as u64 == manifest.count(),
                Segments::Listed { .. } => manifest.count() <= SEGMENTS_MAX,
            };
            whole.then_some(manifest)
        };
        read().ok_or_else(|| {
            ApiError::new(
                Code::Internal,
                "the stored manifest of the object cannot be read",
            )
        })
    }

    /// For people and programs.
    pub fn show(&self, id: &str) -> Value {
        json!({
            "object_id": id,
            "sha256": self.sha256.to_string(),
            "cid": self.sha256.to_string(),
            "size": self.size,
            "chunks": self.count(),
            "merkle_root": self.merkle_root.to_string(),
            "content_type": self.content_type,
            "uploaded": text::rfc3339(self.uploaded_ns),
        })
    }
}

/// The root over the segments of an object, so that one of them can be proven.
pub fn merkle_root(segments: &[SegmentId]) -> Digest {
    let mut tree = Frontier::new();
    for id in segments {
        tree.append(LeafHash::of(&id.0));
    }
    tree.root()
}
