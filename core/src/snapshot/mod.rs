//! The formats of snapshots. Pure data: the bytes of files never enter this
//! module, shells read, hash and ship them.
//!
//! **Source.** Whitepaper, "Snapshot Lifecycle Data Flow": data is cut into
//! 64 MiB segments with SHA-256 hashes; RFC 6962 §2.1 for the Merkle tree.
//!
//! **Model.** A snapshot is two byte streams, each cut into segments of one fixed
//! size (only the last of a stream is shorter; [`crate::limits::SEGMENT_BYTES`]
//! by default):
//!
//! - the *data* stream: the contents of the regular files, holes left out, in the
//!   order in which the tree is walked;
//! - the *metadata* stream: the pages of the directories, children before
//!   parents, so that a page refers to pages by place and hash.
//!
//! A segment is named by the SHA-256 of its bytes and holds one kind only. The
//! [`Manifest`] lists the segments (data, then metadata), the roots of the trees
//! and the Merkle root over the segments; a leaf binds the index and the length.
//! The manifest is stored like a segment: its SHA-256 is the snapshot's hash.
//!
//! **Walk order.** Depth first, entries by raw name, a directory's content right
//! after the directory itself. Link groups are numbered in this order; the first
//! name of a group carries the file, later ones are [`Item::HardLink`].
//!
//! **Deviations.** Segments are cut at fixed offsets (`fixed:64MiB`), as the
//! whitepaper says. Content-defined chunks, compression and encryption are not
//! part of version 1: a byte inserted early in a large file changes every
//! later segment.
//!
//! **Invariants.**
//! - F1 every accepted manifest and page re-encodes to the same bytes.
//! - F2 names hold no `/` and no NUL and are not `.` or `..`: a tree cannot
//!   point outside of itself.
//! - F3 every place in a stream that an accepted tree names is checked against
//!   the stream's length before it is read ([`Layout::pieces`]).
//!
//! **Adversary.** Whoever can write to the store or the catalog. Pages and
//! manifests are untrusted until their hash matches, and are decoded strictly
//! even then: the author of a snapshot may be malicious.
//!
//! **Bounds.** `SNAPSHOT_*` and `TREE_*` in [`crate::limits`].
//!
//! | file | holds |
//! |---|---|
//! | `id.rs` | [`SegmentId`], [`SnapshotId`] |
//! | `tree.rs` | [`Page`], [`Entry`], [`Item`], [`Node`]: one directory entry |
//! | `attributes.rs` | [`Attributes`]: permissions, owner, times |
//! | `builder.rs` | [`PageBuilder`]: entries to encoded pages |
//! | `summary.rs` | [`TreeSummary`]: what a reader checks over a whole tree |
//! | `manifest.rs` | [`Manifest`] |
//! | `layout.rs` | [`Layout`]: from a place in a stream to pieces of segments |
//! | `root.rs` | [`segments_root`], [`segment_leaf`]: the Merkle root over segments |

mod attributes;
mod builder;
mod id;
mod layout;
mod manifest;
mod root;
mod summary;
mod tree;

#[cfg(test)]
mod tests;

pub use attributes::{Attributes, Timestamp, Xattr};
pub use builder::PageBuilder;
pub use id::{InvalidSegmentId, InvalidSnapshotId, SegmentId, SnapshotId};
pub use layout::{Layout, OutOfStream, Piece};
pub use manifest::{Manifest, Omission, Root, SegmentKind, SegmentRef, Totals};
pub use root::{segment_leaf, segments_root};
pub use summary::{BadTree, TreeSummary};
pub use tree::{Entry, Extent, Item, Kind, Node, Page, PageRef, name_is_valid};
