//! The catalog record of a snapshot, as JSON.

use decube_core::snapshot::{Manifest, SegmentId, SnapshotId, Totals};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A record as the catalog keeps it. Metadata that this program does not know is
/// kept and shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The name.
    pub id: String,
    /// Everything else.
    pub metadata: Map<String, Value>,
}

/// What this program writes into a record and reads from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registration {
    /// The snapshot's hash: the segment that holds the manifest.
    pub manifest: SegmentId,
    /// The Merkle root over the segments.
    pub merkle_root: [u8; 32],
}

impl Registration {
    /// The registration that a record holds; `None` if the record was made by
    /// another program and names no manifest.
    pub fn of(record: &Record) -> Option<Self> {
        let text = |key| record.metadata.get(key).and_then(Value::as_str);
        let merkle_root: SegmentId = text("merkle_root")?.parse().ok()?;
        Some(Self {
            manifest: text("manifest")?.parse().ok()?,
            merkle_root: merkle_root.0,
        })
    }
}

impl Record {
    /// The record of a finished upload.
    pub fn new(manifest: &Manifest, hash: SegmentId) -> Self {
        let Totals {
            files,
            directories,
            symlinks,
            hard_links,
            specials,
            file_bytes,
            data_bytes,
        } = manifest.totals;
        let stored_bytes: u64 = manifest.segments.iter().map(|segment| segment.length).sum();
        let sources = manifest.roots.iter();
        let sources: Vec<_> = sources
            .map(|root| String::from_utf8_lossy(&root.source).into_owned())
            .collect();
        let metadata = json!({
            "format": "decube-snapshot/1",
            "status": if manifest.is_partial() { "partial" } else { "ready" },
            "created": created_text(manifest.created_unix_ns),
            "size": file_bytes,
            "data_bytes": data_bytes,
            "stored_bytes": stored_bytes,
            "segment_bytes": manifest.segment_bytes,
            "segment_count": manifest.segments.len(),
            "merkle_root": SegmentId(manifest.merkle_root).to_string(),
            "manifest": hash.to_string(),
            "sources": sources,
            "files": files,
            "directories": directories,
            "symlinks": symlinks,
            "hard_links": hard_links,
            "specials": specials,
            "omitted": manifest.omissions.len(),
        });
        let Value::Object(metadata) = metadata else {
            unreachable!("the literal above is an object")
        };
        Self {
            id: manifest.id.to_string(),
            metadata,
        }
    }

    /// The record in the form that the catalog takes.
    pub fn to_json(&self) -> Value {
        json!({ "id": self.id, "metadata": self.metadata })
    }

    /// Reads a record; fields beside `id` and `metadata` are the catalog's own.
    pub fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            id: value.get("id")?.as_str()?.to_owned(),
            metadata: match value.get("metadata") {
                Some(Value::Object(metadata)) => metadata.clone(),
                None | Some(Value::Null) => Map::new(),
                Some(_) => return None,
            },
        })
    }

    /// The name, if it is one that this program could have given.
    pub fn snapshot_id(&self) -> Option<SnapshotId> {
        self.id.parse().ok()
    }
}

/// A time as RFC 3339 in UTC, to the second.
fn created_text(unix_ns: u64) -> String {
    let seconds = i64::try_from(unix_ns / 1_000_000_000).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("@{seconds}"))
}
