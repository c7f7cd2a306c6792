//! Why a Merkle proof was refused.

use super::hash::{LeafIndex, TreeSize};

/// Why a proof was refused. Nothing of it may be believed, and nothing was
/// changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MerkleError {
    /// The proof is about a tree of another size than the trusted head.
    #[error("the proof is about {found} leaves, the trusted head has {expected}")]
    OtherSize {
        /// The size of the trusted head.
        expected: TreeSize,
        /// The size that the proof names.
        found: TreeSize,
    },
    /// The position does not exist in a tree of this size.
    #[error("leaf {index} does not exist among {size} leaves")]
    IndexBeyondSize {
        /// The position.
        index: LeafIndex,
        /// The size of the tree.
        size: TreeSize,
    },
    /// The range is empty, or ends beyond the tree.
    #[error("{count} leaves from leaf {first} are no range of {size} leaves")]
    BadRange {
        /// The first position.
        first: LeafIndex,
        /// How many leaves.
        count: usize,
        /// The size of the tree.
        size: TreeSize,
    },
    /// The prover does not keep what it needs for this position or size.
    #[error("what lies before leaf {begin} is forgotten")]
    Forgotten {
        /// The first leaf that can be proven, and the smallest size.
        begin: TreeSize,
    },
    /// The newer tree is smaller than the older one.
    #[error("a tree does not shrink from {old} to {new} leaves")]
    Shrinks {
        /// The older size.
        old: TreeSize,
        /// The newer size.
        new: TreeSize,
    },
    /// The proof has more or fewer hashes than its position needs.
    #[error("{found} hashes where the position needs {expected}")]
    WrongLength {
        /// The exact number for this position and size.
        expected: usize,
        /// The number found.
        found: usize,
    },
    /// The hashes do not lead to the root of the trusted head.
    #[error("the proof does not lead to the trusted root")]
    RootMismatch,
    /// The hashes do not lead to the root of the older head.
    #[error("the proof does not lead to the older root")]
    OldRootMismatch,
    /// A head of no leaves whose root is not that of the empty tree.
    #[error("the root of an empty tree is not the empty hash")]
    BadEmptyRoot,
}
