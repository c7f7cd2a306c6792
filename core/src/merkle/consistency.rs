//! An older tree is the beginning of a newer one (RFC 6962 §2.1.2, RFC 9162
//! §2.1.4.2).

use alloc::vec::Vec;

use super::error::MerkleError;
use super::hash::{TreeHead, TreeSize, empty_root, node_hash, split_point};
use super::inclusion::{climb, climb_border, path_shape};
use crate::codec::{Decode, Encode};
use crate::crypto::Digest;
use crate::limits::MERKLE_PATH_MAX;

/// A claim that nothing was changed or removed between two sizes, with the
/// hashes that prove it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Consistency {
    /// The older size.
    pub old: TreeSize,
    /// The newer size.
    pub new: TreeSize,
    /// The nodes, lowest first. Empty if the sizes are equal or the older tree
    /// has no leaves.
    #[codec(max = MERKLE_PATH_MAX + 1)]
    pub path: Vec<Digest>,
}

/// Two trees of which one was proven to extend the other. Only
/// [`Consistency::verify`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvenExtension {
    old: TreeHead,
    new: TreeHead,
}

impl Consistency {
    /// Believes the claim if the path has exactly the length that the sizes
    /// dictate and leads to both trusted roots.
    pub fn verify(&self, old: &TreeHead, new: &TreeHead) -> Result<ProvenExtension, MerkleError> {
        self.check_sizes(old, new)?;
        let proven = ProvenExtension {
            old: *old,
            new: *new,
        };
        if old.size == new.size || old.size == TreeSize(0) {
            self.check_length(0)?;
            return if old.size == new.size && old.root != new.root {
                Err(MerkleError::RootMismatch)
            } else {
                Ok(proven)
            };
        }
        let (old_root, new_root) = self.roots(old)?;
        if old_root != old.root {
            return Err(MerkleError::OldRootMismatch);
        }
        if new_root != new.root {
            return Err(MerkleError::RootMismatch);
        }
        Ok(proven)
    }

    /// Both roots that the path leads to, for `0 < old < new`.
    fn roots(&self, old: &TreeHead) -> Result<(Digest, Digest), MerkleError> {
        assert!(self.old.0 > 0 && self.old < self.new);
        // The path begins at the older tree's last complete subtree, that is
        // `level` levels above its last leaf.
        let last = self.old.0 - 1;
        let (inner, border) = path_shape(last, self.new.0);
        let level = self.old.0.trailing_zeros();
        let inner = inner
            .checked_sub(super::hash::hash_count(level))
            .expect("the last leaf joins the newer edge above its complete subtree");
        let old_is_complete = self.old.0.is_power_of_two();
        self.check_length(inner + border + usize::from(!old_is_complete))?;
        // If that subtree is the whole older tree, its hash is the older root.
        let (first, rest) = match self.path.split_first() {
            Some((first, rest)) if !old_is_complete => (*first, rest),
            _ => (old.root, self.path.as_slice()),
        };
        let (lower, upper) = rest.split_at(inner);
        let position = last >> level;
        let old_root = climb_border(climb_left_only(first, lower, position), upper);
        let new_root = climb_border(climb(first, lower, position), upper);
        Ok((old_root, new_root))
    }

    /// Sizes must be those of the trusted heads, in order.
    fn check_sizes(&self, old: &TreeHead, new: &TreeHead) -> Result<(), MerkleError> {
        for (head, found) in [(old, self.old), (new, self.new)] {
            if head.size != found {
                return Err(MerkleError::OtherSize {
                    expected: head.size,
                    found,
                });
            }
            if head.size == TreeSize(0) && head.root != empty_root() {
                return Err(MerkleError::BadEmptyRoot);
            }
        }
        if old.size > new.size {
            return Err(MerkleError::Shrinks {
                old: old.size,
                new: new.size,
            });
        }
        Ok(())
    }

    /// The path must have exactly this length.
    fn check_length(&self, expected: usize) -> Result<(), MerkleError> {
        let found = self.path.len();
        if found == expected {
            Ok(())
        } else {
            Err(MerkleError::WrongLength { expected, found })
        }
    }
}

impl ProvenExtension {
    /// The older tree.
    pub const fn old(&self) -> &TreeHead {
        &self.old
    }

    /// The newer tree.
    pub const fn new_head(&self) -> &TreeHead {
        &self.new
    }
}

/// The subtrees as `begin..end`, lowest first, of whose roots a consistency proof
/// consists. None if the sizes are equal or the older tree has no leaves.
pub(super) fn subtrees_of_extension(old: u64, new: u64) -> Vec<(u64, u64)> {
    assert!(old <= new);
    let mut subtrees = Vec::new();
    if old == 0 || old == new {
        return subtrees;
    }
    let (mut begin, mut end) = (0, new);
    while old < end {
        let middle = begin + split_point(end - begin);
        if old <= middle {
            subtrees.push((middle, end));
            end = middle;
        } else {
            subtrees.push((begin, middle));
            begin = middle;
        }
    }
    // The older tree's last complete subtree; if it is the whole older tree the
    // verifier knows it already.
    if begin > 0 {
        subtrees.push((begin, end));
    }
    subtrees.reverse();
    subtrees
}

/// Combines a hash with those siblings that are on its left: the others did not
/// exist yet in the older tree.
fn climb_left_only(hash: Digest, siblings: &[Digest], position: u64) -> Digest {
    let mut position = position;
    siblings.iter().fold(hash, |hash, sibling| {
        let is_right = position & 1 == 1;
        position >>= 1;
        if is_right {
            node_hash(sibling, &hash)
        } else {
            hash
        }
    })
}
