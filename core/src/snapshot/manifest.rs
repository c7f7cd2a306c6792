//! The manifest: everything that a snapshot is, in one canonical record.

use alloc::vec::Vec;

use bytes::Bytes;

use super::id::{SegmentId, SnapshotId};
use super::root::segments_root;
use super::tree::{Item, name_is_valid};
use crate::codec::{Decode, Encode};
use crate::limits::{
    SEGMENT_BYTES, SEGMENT_BYTES_MIN, SNAPSHOT_OMISSIONS_MAX, SNAPSHOT_PATH_BYTES_MAX,
    SNAPSHOT_ROOTS_MAX, SNAPSHOT_SEGMENTS_MAX,
};

/// The domain tag in front of every manifest: the SHA-256 of the stored bytes is
/// thereby a hash that no other kind of record can have.
const MAGIC: &[u8; 19] = b"decube/manifest/v1\0";

/// Everything that a snapshot is. Stored like a segment, under the SHA-256 of its
/// encoding, which is the snapshot's hash.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[codec(version = *MAGIC, asserted_check = Manifest::check)]
pub struct Manifest {
    /// The name the user gave it.
    pub id: SnapshotId,
    /// When it was made: nanoseconds since the Unix epoch by the maker's clock.
    pub created_unix_ns: u64,
    /// The size that the streams were cut at; `fixed:64MiB` is 67 108 864.
    pub segment_bytes: u64,
    /// The source paths with the trees found there.
    #[codec(max = SNAPSHOT_ROOTS_MAX)]
    pub roots: Vec<Root>,
    /// What is in the trees.
    pub totals: Totals,
    /// The segments of the data stream, then those of the metadata stream.
    #[codec(max = SNAPSHOT_SEGMENTS_MAX)]
    pub segments: Vec<SegmentRef>,
    /// The [`segments_root`] over `segments`.
    pub merkle_root: [u8; 32],
    /// Paths that could not be stored. A snapshot that has any is `PARTIAL`.
    #[codec(max = SNAPSHOT_OMISSIONS_MAX)]
    pub omissions: Vec<Omission>,
}

/// A source path of a snapshot and the tree found there.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Root {
    /// The path as the user gave it, raw.
    #[codec(max = SNAPSHOT_PATH_BYTES_MAX)]
    pub source: Bytes,
    /// Where a restore puts it below its target: valid names joined by `/`, or
    /// empty for the target itself. No root lies inside another.
    #[codec(max = SNAPSHOT_PATH_BYTES_MAX)]
    pub path: Bytes,
    /// The tree.
    pub item: Item,
}

/// A segment in the order of the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct SegmentRef {
    /// The SHA-256 of its bytes.
    pub id: SegmentId,
    /// Its length in bytes, not zero.
    pub length: u64,
    /// Which stream it belongs to.
    pub kind: SegmentKind,
}

/// Which stream a segment belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum SegmentKind {
    /// Contents of files.
    #[codec(tag = 0)]
    Data,
    /// Pages of directories.
    #[codec(tag = 1)]
    Metadata,
}

/// What is in the trees of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct Totals {
    /// Regular files, each counted once.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Further names of files.
    pub hard_links: u64,
    /// Pipes, sockets and devices.
    pub specials: u64,
    /// The lengths of all regular files, holes included.
    pub file_bytes: u64,
    /// The data of all regular files, holes left out.
    pub data_bytes: u64,
}

/// A path that could not be stored.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Omission {
    /// The path, as the walk reached it, raw.
    #[codec(max = SNAPSHOT_PATH_BYTES_MAX)]
    pub path: Bytes,
    /// Why, for people.
    #[codec(max = SNAPSHOT_PATH_BYTES_MAX)]
    pub reason: Bytes,
}

impl Manifest {
    /// Whether the snapshot lacks some of what was asked for.
    pub const fn is_partial(&self) -> bool {
        !self.omissions.is_empty()
    }

    /// Whether the manifest keeps the rules of the format. The encoder asserts
    /// it, the decoder refuses what breaks it.
    pub fn is_valid(&self) -> bool {
        let counts_fit = !self.roots.is_empty()
            && self.roots.len() <= SNAPSHOT_ROOTS_MAX
            && self.segments.len() <= SNAPSHOT_SEGMENTS_MAX
            && self.omissions.len() <= SNAPSHOT_OMISSIONS_MAX;
        counts_fit
            && (SEGMENT_BYTES_MIN..=SEGMENT_BYTES).contains(&self.segment_bytes)
            && self.roots.iter().all(|root| root_path_is_valid(&root.path))
            && roots_are_apart(&self.roots)
            && segments_are_full(&self.segments, self.segment_bytes)
            && self.merkle_root == segments_root(&self.segments)
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.is_valid() {
            Ok(())
        } else {
            Err("manifest")
        }
    }
}

/// Empty, or valid names joined by single slashes.
fn root_path_is_valid(path: &[u8]) -> bool {
    let parts_are_valid = path.split(|byte| *byte == b'/').all(name_is_valid);
    path.len() <= SNAPSHOT_PATH_BYTES_MAX && (path.is_empty() || parts_are_valid)
}

/// No root is, or lies inside, another: a restore would write one place twice.
fn roots_are_apart(roots: &[Root]) -> bool {
    let inside = |outer: &[u8], inner: &[u8]| match inner.strip_prefix(outer) {
        Some(rest) => outer.is_empty() || rest.is_empty() || rest.first() == Some(&b'/'),
        None => false,
    };
    roots.iter().enumerate().all(|(at, root)| {
        let others = roots.iter().enumerate().filter(|(other, _)| *other != at);
        others
            .into_iter()
            .all(|(_, other)| !inside(&root.path, &other.path))
    })
}

/// Data comes before metadata, and only the last segment of each is short, so
/// that a place in a stream follows from arithmetic alone.
fn segments_are_full(segments: &[SegmentRef], segment_bytes: u64) -> bool {
    let ordered = segments.is_sorted_by_key(|segment| segment.kind);
    let within = |segment: &SegmentRef| segment.length > 0 && segment.length <= segment_bytes;
    let full = segments.windows(2).all(|pair| match pair {
        [one, next] => one.kind != next.kind || one.length == segment_bytes,
        _ => true,
    });
    ordered && full && segments.iter().all(within)
}
