//! One leaf at one position (RFC 6962 §2.1.1, RFC 9162 §2.1.3.2).

use alloc::vec::Vec;

use super::error::MerkleError;
use super::hash::{
    LeafHash, LeafIndex, TreeHead, TreeSize, bit_length, hash_count, node_hash, split_point,
};
use crate::codec::{Decode, Encode};
use crate::crypto::Digest;
use crate::limits::MERKLE_PATH_MAX;

/// A claim that a leaf stands at a position, with the hashes that prove it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Inclusion {
    /// The position.
    pub index: LeafIndex,
    /// The size of the tree that the proof is about.
    pub size: TreeSize,
    /// The siblings from the leaf up to the root.
    #[codec(max = MERKLE_PATH_MAX)]
    pub path: Vec<Digest>,
}

/// A leaf that was proven to stand at a position of a tree. Only
/// [`Inclusion::verify`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvenLeaf {
    leaf: LeafHash,
    index: LeafIndex,
    head: TreeHead,
}

impl Inclusion {
    /// Believes the claim if the path has exactly the length of its position and
    /// leads from the leaf to the root of the trusted head.
    pub fn verify(&self, head: &TreeHead, leaf: &LeafHash) -> Result<ProvenLeaf, MerkleError> {
        if self.size != head.size {
            return Err(MerkleError::OtherSize {
                expected: head.size,
                found: self.size,
            });
        }
        if self.index.0 >= head.size.0 {
            return Err(MerkleError::IndexBeyondSize {
                index: self.index,
                size: head.size,
            });
        }
        let (inner, border) = path_shape(self.index.0, head.size.0);
        let expected = inner + border;
        let found = self.path.len();
        if found != expected {
            return Err(MerkleError::WrongLength { expected, found });
        }
        let (lower, upper) = self.path.split_at(inner);
        let hash = climb(*leaf.digest(), lower, self.index.0);
        let root = climb_border(hash, upper);
        if root != head.root {
            return Err(MerkleError::RootMismatch);
        }
        Ok(ProvenLeaf {
            leaf: *leaf,
            index: self.index,
            head: *head,
        })
    }
}

impl ProvenLeaf {
    /// The hash of the leaf.
    pub const fn leaf(&self) -> &LeafHash {
        &self.leaf
    }

    /// Its position.
    pub const fn index(&self) -> LeafIndex {
        self.index
    }

    /// The tree in which it stands.
    pub const fn head(&self) -> &TreeHead {
        &self.head
    }
}

/// The subtrees beside a leaf as `begin..end`, from the leaf up: what an
/// inclusion proof holds the roots of.
pub(super) fn subtrees_beside(index: u64, size: u64) -> Vec<(u64, u64)> {
    assert!(index < size);
    let mut beside = Vec::new();
    let (mut begin, mut end) = (0, size);
    while end - begin > 1 {
        let middle = begin + split_point(end - begin);
        if index < middle {
            beside.push((middle, end));
            end = middle;
        } else {
            beside.push((begin, middle));
            begin = middle;
        }
    }
    // The walk went down; a path is read from the leaf up.
    beside.reverse();
    beside
}

/// How many hashes a path from `index` has below and above the point where it
/// joins the right edge of the tree. Below, the bits of the index say on which
/// side the sibling is; above, it is always on the left, once for each one-bit.
pub(super) fn path_shape(index: u64, size: u64) -> (usize, usize) {
    assert!(index < size);
    let inner = bit_length(index ^ (size - 1));
    let border = index.checked_shr(inner).unwrap_or(0).count_ones();
    assert!(inner + border <= u64::BITS);
    (hash_count(inner), hash_count(border))
}

/// Combines a hash with siblings whose side the bits of `index` tell.
pub(super) fn climb(hash: Digest, siblings: &[Digest], index: u64) -> Digest {
    assert!(siblings.len() <= MERKLE_PATH_MAX);
    let mut index = index;
    siblings.iter().fold(hash, |hash, sibling| {
        let is_right = index & 1 == 1;
        index >>= 1;
        if is_right {
            node_hash(sibling, &hash)
        } else {
            node_hash(&hash, sibling)
        }
    })
}

/// Combines a hash with siblings that are all on its left.
pub(super) fn climb_border(hash: Digest, siblings: &[Digest]) -> Digest {
    siblings
        .iter()
        .fold(hash, |hash, sibling| node_hash(sibling, &hash))
}
