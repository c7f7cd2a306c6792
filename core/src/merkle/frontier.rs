//! Appending and the root in `O(log n)` memory.

use alloc::vec::Vec;

use super::hash::{LeafHash, LeafIndex, TreeHead, TreeSize, empty_root, hash_count, node_hash};
use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::crypto::Digest;

/// The right edge of a tree: the roots of the complete subtrees that the size's
/// binary digits name, largest first. It is all that appending needs, so a node
/// that compacts its log keeps 32 bytes per bit of the size instead of the
/// leaves. It cannot make proofs; a [`super::Tree`] that begins behind it can.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Frontier {
    size: TreeSize,
    /// One root for each one-bit of `size`.
    nodes: Vec<Digest>,
}

impl Frontier {
    /// The tree without leaves.
    pub const fn new() -> Self {
        Self {
            size: TreeSize(0),
            nodes: Vec::new(),
        }
    }

    /// Appends a leaf and returns its position. More than `u64::MAX` leaves are
    /// a broken invariant.
    pub fn append(&mut self, leaf: LeafHash) -> LeafIndex {
        let index = LeafIndex(self.size.0);
        let mut hash = *leaf.digest();
        // Each one-bit at the end of the size is a subtree that the new leaf
        // makes complete, as in adding one to a binary number.
        for _ in 0..self.size.0.trailing_ones() {
            let left = self.nodes.pop().expect("one node for each one-bit");
            hash = node_hash(&left, &hash);
        }
        self.nodes.push(hash);
        self.size = TreeSize(index.0.checked_add(1).expect("tree size overflow"));
        assert_eq!(self.nodes.len(), hash_count(self.size.0.count_ones()));
        index
    }

    /// The frontier of a tree, from the roots of the complete subtrees that the
    /// size's binary digits name, largest first.
    pub(super) fn from_peaks(size: TreeSize, nodes: Vec<Digest>) -> Self {
        assert_eq!(nodes.len(), hash_count(size.0.count_ones()));
        Self { size, nodes }
    }

    /// The complete subtrees, largest first, each with its level: it has `2^level`
    /// leaves.
    pub(super) fn peaks(&self) -> impl Iterator<Item = (u32, &Digest)> {
        let size = self.size.0;
        let levels = (0..u64::BITS).rev();
        levels
            .filter(move |level| size >> level & 1 == 1)
            .zip(&self.nodes)
    }

    /// The number of leaves.
    pub const fn size(&self) -> TreeSize {
        self.size
    }

    /// The root over all leaves.
    pub fn root(&self) -> Digest {
        let mut nodes = self.nodes.iter().rev();
        let Some(last) = nodes.next() else {
            assert_eq!(self.size, TreeSize(0));
            return empty_root();
        };
        nodes.fold(*last, |right, left| node_hash(left, &right))
    }

    /// Size and root.
    pub fn head(&self) -> TreeHead {
        TreeHead {
            size: self.size,
            root: self.root(),
        }
    }
}

// Not derived: the size says how many nodes follow, and no count is written.
impl Encode for Frontier {
    fn encode(&self, writer: &mut Writer) {
        writer.put(&self.size);
        for node in &self.nodes {
            writer.put(node);
        }
    }

    fn size_hint(&self) -> usize {
        let nodes = self.nodes.len().saturating_mul(Digest::BYTES);
        nodes.saturating_add(size_of::<u64>())
    }
}

impl Decode for Frontier {
    /// At most 64 nodes.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let size: TreeSize = reader.get()?;
        let count = hash_count(size.0.count_ones());
        let mut nodes = Vec::with_capacity(count);
        for _ in 0..count {
            nodes.push(reader.get()?);
        }
        Ok(Self { size, nodes })
    }
}
