//! The whitepaper's plain tree, for its JSON interface alone.
//!
//! An inner node is `SHA-256(left ‖ right)` without a prefix, and the last node
//! of an odd level is paired with itself. As printed, `VerifyMerkleProof` accepts
//! an inner node or the root itself for a leaf, a leaf at every position that is
//! congruent to its own, and cannot tell `[a, b, c]` from `[a, b, c, c]`
//! (the shape of CVE-2012-2459). The format cannot be made sound by itself, so
//! the missing facts are bound from outside:
//!
//! - a [`PlainRoot`] knows the number of its leaves and comes only from this
//!   node's own data ([`PlainRoot::of`]) or records ([`PlainRoot::published`]);
//! - the depth is exactly `ceil(log2(leaves))` and the index is below the number
//!   of leaves, so no inner node can stand at a leaf's depth;
//! - a leaf is its *data*, hashed here with `0x00` in front. The compatible form
//!   that takes a 32-byte leaf hash is a function of its own.
//!
//! Consensus, ledger and snapshots never use this module.

use alloc::vec::Vec;

use super::error::MerkleError;
use super::hash::{LeafHash, LeafIndex, TreeSize, bit_length, hash_count};
use crate::crypto::{Digest, Hasher};
use crate::limits::MERKLE_PATH_MAX;

/// The root of a plain tree together with the number of its leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainRoot {
    root: Digest,
    num_leaves: TreeSize,
}

/// A proof in the whitepaper's shape. The number of leaves is not in it: it
/// comes with the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainProof {
    /// The position of the leaf.
    pub index: LeafIndex,
    /// The siblings from the leaf up to the root.
    pub hashes: Vec<Digest>,
}

impl PlainRoot {
    /// The root over leaf hashes that this node holds, or `None` without leaves.
    pub fn of(leaves: &[Digest]) -> Option<Self> {
        let num_leaves = TreeSize(u64::try_from(leaves.len()).ok()?);
        let mut level = leaves.to_vec();
        while level.len() > 1 {
            level = pair_up(&level);
        }
        level.pop().map(|root| Self { root, num_leaves })
    }

    /// A root that this node published earlier. The caller answers for both
    /// values: they come from its own records, never from a request.
    pub const fn published(root: Digest, num_leaves: TreeSize) -> Self {
        Self { root, num_leaves }
    }

    /// The root.
    pub const fn root(&self) -> &Digest {
        &self.root
    }

    /// The number of leaves.
    pub const fn num_leaves(&self) -> TreeSize {
        self.num_leaves
    }
}

impl PlainProof {
    /// Proves a leaf of these leaf hashes.
    pub fn prove(leaves: &[Digest], index: LeafIndex) -> Result<Self, MerkleError> {
        let beyond = MerkleError::IndexBeyondSize {
            index,
            size: TreeSize(u64::try_from(leaves.len()).expect("a count fits 64 bits")),
        };
        let mut position = usize::try_from(index.0).map_err(|_| beyond)?;
        if position >= leaves.len() {
            return Err(beyond);
        }
        let mut hashes = Vec::new();
        let mut level = leaves.to_vec();
        while level.len() > 1 {
            let sibling = level.get(position ^ 1).or(level.last());
            hashes.push(*sibling.expect("a level has a node"));
            level = pair_up(&level);
            position /= 2;
        }
        Ok(Self { index, hashes })
    }

    /// Whether the leaf with this data stands at the proof's position. The data
    /// is hashed with `0x00` in front, as [`LeafHash::of`] does.
    pub fn verify_padded(&self, root: &PlainRoot, data: &[u8]) -> Result<(), MerkleError> {
        self.verify_leaf_hash(root, LeafHash::of(data).digest())
    }

    /// The compatible form (the whitepaper's `VerifyMerkleProof`): takes the leaf
    /// as a hash. It says that this hash stands at this position of a tree that
    /// we published, and nothing about what the hash is of.
    pub fn verify_leaf_hash(&self, root: &PlainRoot, leaf: &Digest) -> Result<(), MerkleError> {
        let size = root.num_leaves;
        if self.index.0 >= size.0 {
            return Err(MerkleError::IndexBeyondSize {
                index: self.index,
                size,
            });
        }
        let expected = hash_count(bit_length(size.0 - 1));
        let found = self.hashes.len();
        if found != expected {
            return Err(MerkleError::WrongLength { expected, found });
        }
        let mut hash = *leaf;
        let (mut position, mut level_size) = (self.index.0, size.0);
        for sibling in &self.hashes {
            // A node without a partner is paired with itself, not with a hash of
            // the prover's choice.
            let is_alone = position.is_multiple_of(2) && position + 1 == level_size;
            if is_alone && *sibling != hash {
                return Err(MerkleError::RootMismatch);
            }
            hash = if position.is_multiple_of(2) {
                plain_node(&hash, sibling)
            } else {
                plain_node(sibling, &hash)
            };
            position /= 2;
            level_size = level_size.div_ceil(2);
        }
        assert!(position == 0 && level_size == 1);
        if hash == root.root {
            Ok(())
        } else {
            Err(MerkleError::RootMismatch)
        }
    }
}

/// The next level up.
fn pair_up(level: &[Digest]) -> Vec<Digest> {
    let pair = |pair: &[Digest]| match pair {
        [left, right] => plain_node(left, right),
        [alone] => plain_node(alone, alone),
        _ => unreachable!("pairs have one or two nodes"),
    };
    level.chunks(2).map(pair).collect()
}

/// An inner node as the whitepaper hashes it.
fn plain_node(left: &Digest, right: &Digest) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(&left.0);
    hasher.update(&right.0);
    hasher.finish()
}

const _: () = assert!(
    MERKLE_PATH_MAX == 64,
    "a u64 number of leaves has at most 64 levels"
);
