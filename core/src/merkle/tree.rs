//! The leaves behind a frontier in memory: roots of every size from there on, and
//! proofs.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::consistency::{Consistency, subtrees_of_extension};
use super::error::MerkleError;
use super::frontier::Frontier;
use super::hash::{
    LeafHash, LeafIndex, TreeHead, TreeSize, bit_length, empty_root, hash_count, node_hash,
    split_point,
};
use super::inclusion::{Inclusion, subtrees_beside};
use super::range::RangeProof;
use crate::crypto::Digest;

/// A tree that keeps the hash of every complete subtree: 64 bytes a leaf. Append
/// is `O(1)` amortised; the root of any size and any proof take `O(log n)`
/// hashes.
///
/// It may begin behind a [`Frontier`], and forget what lies before a size: then
/// it proves only leaves from there on, and extensions of trees of at least that
/// size. What such proofs need of the leaves before are the frontier's subtrees.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    /// The number of leaves that are forgotten.
    begin: u64,
    /// `levels[k][i]` is the root over the leaves `j * 2^k .. (j + 1) * 2^k` where
    /// `j` is `first_kept(begin, k) + i`.
    levels: Vec<VecDeque<Digest>>,
}

impl Tree {
    /// The tree without leaves.
    pub const fn new() -> Self {
        Self {
            begin: 0,
            levels: Vec::new(),
        }
    }

    /// The tree with the leaves that the frontier sums up, all of them forgotten.
    pub fn after(frontier: &Frontier) -> Self {
        let begin = frontier.size().0;
        let depth = hash_count(bit_length(begin));
        let mut levels = Vec::new();
        levels.resize_with(depth, VecDeque::new);
        for (level, root) in frontier.peaks() {
            levels[hash_count(level)].push_back(*root);
        }
        let tree = Self { begin, levels };
        assert_eq!(tree.size(), frontier.size());
        tree
    }

    /// Appends a leaf and returns its position.
    pub fn append(&mut self, leaf: LeafHash) -> LeafIndex {
        let index = LeafIndex(self.size().0);
        let mut hash = *leaf.digest();
        for level in 0.. {
            if level == self.levels.len() {
                self.levels.push(VecDeque::new());
            }
            let nodes = &mut self.levels[level];
            nodes.push_back(hash);
            // A node without a partner yet completes no larger subtree. The
            // first kept node is a left one, so partners stand side by side.
            if nodes.len() % 2 == 1 {
                break;
            }
            hash = node_hash(&nodes[nodes.len() - 2], &hash);
        }
        assert_eq!(self.size().0, index.0 + 1);
        index
    }

    /// Forgets the leaves before a size that the tree has reached. What it
    /// forgets twice it forgets once.
    pub fn forget_before(&mut self, size: TreeSize) -> Result<(), MerkleError> {
        self.check_size(size)?;
        if size.0 <= self.begin {
            return Ok(());
        }
        for (level, nodes) in (0..).zip(&mut self.levels) {
            let gone = first_kept(size.0, level) - first_kept(self.begin, level);
            let gone = usize::try_from(gone).unwrap_or(usize::MAX);
            drop(nodes.drain(..gone.min(nodes.len())));
        }
        self.begin = size.0;
        assert!(self.size() >= size);
        Ok(())
    }

    /// How many leaves are forgotten: the smallest size that the tree knows, and
    /// the position of the first leaf that it proves.
    pub const fn begin(&self) -> TreeSize {
        TreeSize(self.begin)
    }

    /// The sum over the first `size` leaves, from which another tree can go on.
    pub fn frontier_at(&self, size: TreeSize) -> Result<Frontier, MerkleError> {
        self.check_size(size)?;
        self.check_kept(size.0)?;
        let levels = (0..bit_length(size.0)).rev();
        let peaks = levels.filter(|level| size.0 >> level & 1 == 1);
        let nodes = peaks.map(|level| self.node(level, (size.0 >> level) - 1));
        Ok(Frontier::from_peaks(size, nodes.collect()))
    }

    /// The number of leaves, forgotten ones included.
    pub fn size(&self) -> TreeSize {
        let kept = self.levels.first().map_or(0, VecDeque::len);
        let kept = u64::try_from(kept).expect("a count fits 64 bits");
        TreeSize(first_kept(self.begin, 0) + kept)
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

    /// The root over the first `size` leaves, or `None` if there are fewer, or
    /// more of them are forgotten.
    pub fn root_at(&self, size: TreeSize) -> Option<Digest> {
        if size > self.size() || size.0 < self.begin {
            return None;
        }
        Some(match size.0 {
            0 => empty_root(),
            size => self.subtree(0, size),
        })
    }

    /// The hash of one leaf, or `None` if it does not exist or is forgotten.
    pub fn leaf(&self, index: LeafIndex) -> Option<LeafHash> {
        if index.0 < self.begin || index.0 >= self.size().0 {
            return None;
        }
        Some(LeafHash::assume(self.node(0, index.0)))
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
        self.check_kept(index.0)?;
        let beside = subtrees_beside(index.0, size.0).into_iter();
        let path = beside.map(|(begin, end)| self.subtree(begin, end));
        let path = path.collect();
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
        // Nothing has to be shown of equal trees, nor of the empty one.
        if old.0 > 0 && old < new {
            self.check_kept(old.0)?;
        }
        let subtrees = subtrees_of_extension(old.0, new.0).into_iter();
        let path = subtrees.map(|(begin, end)| self.subtree(begin, end));
        let path = path.collect();
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
        // The range is checked as a whole before anything of it is looked up.
        RangeProof::visit_outside(first, count, size, &mut |_, _| {})?;
        self.check_kept(first.0)?;
        let mut path = Vec::new();
        RangeProof::visit_outside(first, count, size, &mut |begin, end| {
            path.push(self.subtree(begin, end));
        })?;
        Ok(RangeProof { first, size, path })
    }

    /// The root over the leaves `begin..end`, where `begin` is a multiple of the
    /// smallest power of two that is not below the length: true of every node of
    /// the tree.
    fn subtree(&self, begin: u64, end: u64) -> Digest {
        assert!(begin < end && end <= self.size().0);
        let length = end - begin;
        if length.is_power_of_two() {
            assert!(begin.is_multiple_of(length));
            return self.node(length.ilog2(), begin / length);
        }
        let middle = begin + split_point(length);
        node_hash(&self.subtree(begin, middle), &self.subtree(middle, end))
    }

    /// The root over the leaves `node * 2^level .. (node + 1) * 2^level`. The
    /// caller has checked that the tree has them and did not forget it.
    fn node(&self, level: u32, node: u64) -> Digest {
        let first = first_kept(self.begin, level);
        assert!(node >= first, "the callers check what is forgotten");
        let place = usize::try_from(node - first).expect("the node is in memory");
        self.levels[hash_count(level)][place]
    }

    /// Refuses positions and sizes of which too much is forgotten.
    fn check_kept(&self, position: u64) -> Result<(), MerkleError> {
        if position < self.begin {
            return Err(MerkleError::Forgotten {
                begin: TreeSize(self.begin),
            });
        }
        Ok(())
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

/// The first node of a level that is needed of a tree whose first `begin` leaves
/// are forgotten. If the level's bit of `begin` is set, that is the frontier's
/// subtree there; if not, the first one that reaches beyond `begin`. Either way
/// its number is even: it is a left node.
const fn first_kept(begin: u64, level: u32) -> u64 {
    (begin >> level) & !1
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
