//! The Merkle root over the segments of a snapshot.

use super::manifest::SegmentRef;
use crate::merkle::{Frontier, LeafHash, LeafIndex};

/// Bytes of the data of a leaf: index, length, name.
const LEAF_BYTES: usize = 8 + 8 + 32;

/// The root of the RFC 6962 tree over segments in the order of the manifest.
pub fn segments_root(segments: &[SegmentRef]) -> [u8; 32] {
    let mut tree = Frontier::new();
    for segment in segments {
        let index = LeafIndex(tree.size().0);
        let appended = tree.append(segment_leaf(index, segment));
        assert_eq!(appended, index);
    }
    tree.root().0
}

/// The leaf of a segment: `SHA-256(0x00 ‖ index ‖ length ‖ id)` with big-endian
/// 64-bit numbers. A proof for one place cannot be passed off for another, and a
/// segment cannot be presented with another length.
pub fn segment_leaf(index: LeafIndex, segment: &SegmentRef) -> LeafHash {
    let mut data = [0; LEAF_BYTES];
    data[..8].copy_from_slice(&index.0.to_be_bytes());
    data[8..16].copy_from_slice(&segment.length.to_be_bytes());
    data[16..].copy_from_slice(&segment.id.0);
    LeafHash::of(&data)
}
