//! All leaves in memory: roots of every size, and proofs.

use alloc::vec::Vec;

use super::consistency::Consistency;
use super::error::MerkleError;
use super::hash::{LeafHash, LeafIndex, TreeHead, TreeSize, empty_root, node_hash, split_point};
use super::inclusion::Inclusion;
use super::range::RangeProof;
use crate::crypto::Digest;

/// A tree that keeps the hash of every complete subtree: 64 bytes a leaf. Append
/// is `O(1)` amortised; the root of any size and any proof take `O(log n)`
/// hashes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    /// `levels[k][i]` is the root over the leaves `i * 2^k .. (i + 1) * 2^k`.
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    /// The tree without leaves.
    pub const fn new() -> Self {
        Self { levels: Vec::new() }
    }

    /// Appends a leaf and returns its position.
    pub fn append(&mut self, leaf: LeafHash) -> LeafIndex {
        let index = LeafIndex(self.size().0);
        let mut hash = *leaf.digest();
        for level in 0.. {
            if level == self.levels.len() {
                self.levels.push(Vec::new());
            }
            let nodes = &mut self.levels[level];
            nodes.push(hash);
            // A node without a partner yet completes no larger subtree.
            if nodes.len() % 2 == 1 {
                break;
            }
            hash = node_hash(&nodes[nodes.len() - 2], &hash);
        }
        assert_eq!(self.size().0, index.0 + 1);
        index
    }

    /// The number of leaves.
    pub fn size(&self) -> TreeSize {
        let leaves = self.levels.first().map_or(0, Vec::len);
        TreeSize(u64::try_from(leaves).expect("a count fits 64 bits"))
    }

    /// The root over all leaves.
    pub fn root(&self) -> Digest {
        self.root_at(self.size())
            .expect("the tree has its own size")
    }

    /// Size and root.
    pub fn head(&self) -> TreeHead {
        TreeHead {
            size: self.size(),
            root: self.root(),
        }
    }

    /// The root over the first `size` leaves, or `None` if there are fewer.
    pub fn root_at(&self, size: TreeSize) -> Option<Digest> {
        if size > self.size() {
            return None;
        }
        Some(match size.0 {
            0 => empty_root(),
            size => self.subtree(0, size),
        })
    }

    /// The hash of one leaf.
    pub fn leaf(&self, index: LeafIndex) -> Option<LeafHash> {
        let index = usize::try_from(index.0).ok()?;
        self.levels
            .first()?
            .get(index)
            .copied()
            .map(LeafHash::assume)
    }

    /// Proves that a leaf stands at `index` of the first `size` leaves
    /// (RFC 6962 §2.1.1).
    pub fn prove_inclusion(
        &self,
        index: LeafIndex,
        size: TreeSize,
    ) -> Result<Inclusion, MerkleError> {
        self.check_size(size)?;
        if index.0 >= size.0 {
            return Err(MerkleError::IndexBeyondSize { index, size });
        }
        let mut path = Vec::new();
        let (mut begin, mut end) = (0, size.0);
        while end - begin > 1 {
            let middle = begin + split_point(end - begin);
            if index.0 < middle {
                path.push(self.subtree(middle, end));
                end = middle;
            } else {
                path.push(self.subtree(begin, middle));
                begin = middle;
            }
        }
        // The walk went down; a path is read from the leaf up.
        path.reverse();
        Ok(Inclusion { index, size, path })
    }

    /// Proves that the first `old` leaves are the beginning of the first `new`
    /// leaves (RFC 6962 §2.1.2).
    pub fn prove_consistency(
        &self,
        old: TreeSize,
        new: TreeSize,
    ) -> Result<Consistency, MerkleError> {
        self.check_size(new)?;
        if old > new {
            return Err(MerkleError::Shrinks { old, new });
        }
        let mut path = Vec::new();
        if old.0 > 0 && old < new {
            self.consistency_path(old.0, new.0, &mut path);
        }
        Ok(Consistency { old, new, path })
    }

    /// Proves `count` leaves from `first` on, in the first `size` leaves.
    pub fn prove_range(
        &self,
        first: LeafIndex,
        count: usize,
        size: TreeSize,
    ) -> Result<RangeProof, MerkleError> {
        self.check_size(size)?;
        let mut path = Vec::new();
        RangeProof::visit_outside(first, count, size, &mut |begin, end| {
            path.push(self.subtree(begin, end));
        })?;
        Ok(RangeProof { first, size, path })
    }

    /// The nodes of a consistency proof, lowest first.
    fn consistency_path(&self, old: u64, new: u64, path: &mut Vec<Digest>) {
        let (mut begin, mut end) = (0, new);
        while old < end {
            let middle = begin + split_point(end - begin);
            if old <= middle {
                path.push(self.subtree(middle, end));
                end = middle;
            } else {
                path.push(self.subtree(begin, middle));
                begin = middle;
            }
        }
        // The older tree's last complete subtree; if it is the whole older tree
        // the verifier knows it already.
        if begin > 0 {
            path.push(self.subtree(begin, end));
        }
        path.reverse();
    }

    /// The root over the leaves `begin..end`, where `begin` is a multiple of the
    /// smallest power of two that is not below the length: true of every node of
    /// the tree.
    fn subtree(&self, begin: u64, end: u64) -> Digest {
        assert!(begin < end && end <= self.size().0);
        let length = end - begin;
        if length.is_power_of_two() {
            assert!(begin.is_multiple_of(length));
            let level = super::hash::hash_count(length.ilog2());
            let node = usize::try_from(begin / length).expect("the node is in memory");
            return self.levels[level][node];
        }
        let middle = begin + split_point(length);
        node_hash(&self.subtree(begin, middle), &self.subtree(middle, end))
    }

    /// Refuses sizes that the tree has not reached.
    fn check_size(&self, size: TreeSize) -> Result<(), MerkleError> {
        if size > self.size() {
            return Err(MerkleError::OtherSize {
                expected: self.size(),
                found: size,
            });
        }
        Ok(())
    }
}

impl FromIterator<LeafHash> for Tree {
    fn from_iter<I: IntoIterator<Item = LeafHash>>(leaves: I) -> Self {
        let mut tree = Self::new();
        for leaf in leaves {
            tree.append(leaf);
        }
        tree
    }
}
