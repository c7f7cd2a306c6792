//! The Merkle root over the segments of a snapshot.

use alloc::vec::Vec;

use sha2::{Digest as _, Sha256};

use super::manifest::SegmentRef;

/// Builds the RFC 6962 §2.1 tree hash over segments that are added in order.
///
/// A leaf is `SHA-256(0x00 ‖ index ‖ length ‖ id)` with big-endian 64-bit
/// numbers: a proof for one place can not be passed off for another, and a
/// segment can not be presented with another length.
#[derive(Debug, Clone, Default)]
pub struct SegmentTree {
    /// Roots of full subtrees with their sizes, from the left: sizes are falling
    /// powers of two, so there are at most 64.
    peaks: Vec<(u64, [u8; 32])>,
    count: u64,
}

impl SegmentTree {
    /// The root over a whole list.
    pub fn root_of(segments: &[SegmentRef]) -> [u8; 32] {
        let mut tree = Self::default();
        for segment in segments {
            tree.push(segment);
        }
        tree.root()
    }

    /// Adds the next segment.
    pub fn push(&mut self, segment: &SegmentRef) {
        let mut size = 1_u64;
        let mut hash = leaf(self.count, segment);
        while let Some((peak_size, peak)) = self.peaks.pop_if(|(peak_size, _)| *peak_size == size) {
            hash = node(&peak, &hash);
            size = size.saturating_add(peak_size);
        }
        self.peaks.push((size, hash));
        self.count = self.count.saturating_add(1);
        assert!(self.peaks.is_sorted_by(|one, next| one.0 > next.0));
        assert!(self.peaks.iter().map(|peak| peak.0).sum::<u64>() == self.count);
    }

    /// The root over what was added; of nothing it is `SHA-256("")`.
    pub fn root(&self) -> [u8; 32] {
        let mut peaks = self.peaks.iter().rev().map(|(_, hash)| *hash);
        match peaks.next() {
            None => Sha256::digest([]).into(),
            Some(last) => peaks.fold(last, |right, left| node(&left, &right)),
        }
    }
}

fn leaf(index: u64, segment: &SegmentRef) -> [u8; 32] {
    Sha256::new()
        .chain_update([0])
        .chain_update(index.to_be_bytes())
        .chain_update(segment.length.to_be_bytes())
        .chain_update(segment.id.0)
        .finalize()
        .into()
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}
