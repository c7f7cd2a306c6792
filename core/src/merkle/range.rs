//! Consecutive leaves under one root, with the hashes of everything beside them.
//!
//! The tree is walked from the root. A subtree without any of the leaves is one
//! hash of the proof; the walk goes into every other subtree. So the number and
//! the order of the hashes follow from the positions alone, from left to right.

use alloc::vec::Vec;

use super::error::MerkleError;
use super::hash::{LeafHash, LeafIndex, TreeHead, TreeSize, node_hash, split_point};
use crate::codec::{Decode, Encode};
use crate::crypto::Digest;
use crate::limits::MERKLE_PATH_MAX;

/// A claim that leaves stand in a row from a position on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RangeProof {
    /// The position of the first leaf.
    pub first: LeafIndex,
    /// The size of the tree that the proof is about.
    pub size: TreeSize,
    /// The subtrees beside the range, from left to right.
    #[codec(max = 2 * MERKLE_PATH_MAX)]
    pub path: Vec<Digest>,
}

/// A range that was proven. Only [`RangeProof::verify`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvenRange {
    first: LeafIndex,
    count: usize,
    head: TreeHead,
}

impl RangeProof {
    /// Believes the claim if the proof has exactly the hashes of its range and
    /// leads from the leaves to the root of the trusted head.
    pub fn verify(&self, head: &TreeHead, leaves: &[LeafHash]) -> Result<ProvenRange, MerkleError> {
        if self.size != head.size {
            return Err(MerkleError::OtherSize {
                expected: head.size,
                found: self.size,
            });
        }
        let mut expected = 0;
        let range = Self::visit_outside(self.first, leaves.len(), self.size, &mut |_, _| {
            expected += 1;
        })?;
        let found = self.path.len();
        if found != expected {
            return Err(MerkleError::WrongLength { expected, found });
        }
        let mut walk = Walk {
            range,
            leaves: leaves.iter(),
            path: self.path.iter(),
        };
        let root = walk.root(0, self.size.0);
        assert!(walk.leaves.next().is_none() && walk.path.next().is_none());
        if root != head.root {
            return Err(MerkleError::RootMismatch);
        }
        Ok(ProvenRange {
            first: self.first,
            count: leaves.len(),
            head: *head,
        })
    }

    /// Visits the subtrees beside a range as `begin..end`, from left to right,
    /// and returns the range itself. At most two per level of the tree.
    pub(super) fn visit_outside(
        first: LeafIndex,
        count: usize,
        size: TreeSize,
        visit: &mut dyn FnMut(u64, u64),
    ) -> Result<(u64, u64), MerkleError> {
        let end = u64::try_from(count)
            .ok()
            .and_then(|count| first.0.checked_add(count))
            .filter(|end| count > 0 && *end <= size.0)
            .ok_or(MerkleError::BadRange { first, count, size })?;
        outside(0, size.0, (first.0, end), visit);
        Ok((first.0, end))
    }
}

impl ProvenRange {
    /// The position of the first leaf.
    pub const fn first(&self) -> LeafIndex {
        self.first
    }

    /// How many leaves, at least one.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// The tree in which they stand.
    pub const fn head(&self) -> &TreeHead {
        &self.head
    }
}

/// The walk that recomputes the root. Leaves and hashes are used up in order.
struct Walk<'a> {
    range: (u64, u64),
    leaves: core::slice::Iter<'a, LeafHash>,
    path: core::slice::Iter<'a, Digest>,
}

impl Walk<'_> {
    /// The root over `begin..end`. The depth of the recursion is that of the
    /// tree, at most 64.
    fn root(&mut self, begin: u64, end: u64) -> Digest {
        if is_apart(begin, end, self.range) {
            return *self.path.next().expect("the number of hashes was checked");
        }
        if end - begin == 1 {
            return *self
                .leaves
                .next()
                .expect("the range has a leaf here")
                .digest();
        }
        let middle = begin + split_point(end - begin);
        let left = self.root(begin, middle);
        let right = self.root(middle, end);
        node_hash(&left, &right)
    }
}

/// Visits the subtrees of `begin..end` that have nothing of the range. Subtrees
/// that lie inside the range as a whole have no such part.
fn outside(begin: u64, end: u64, range: (u64, u64), visit: &mut dyn FnMut(u64, u64)) {
    assert!(begin < end);
    if is_apart(begin, end, range) {
        visit(begin, end);
    } else if begin < range.0 || range.1 < end {
        let middle = begin + split_point(end - begin);
        outside(begin, middle, range, visit);
        outside(middle, end, range, visit);
    }
}

/// Whether `begin..end` has nothing of the range.
const fn is_apart(begin: u64, end: u64, range: (u64, u64)) -> bool {
    end <= range.0 || range.1 <= begin
}
