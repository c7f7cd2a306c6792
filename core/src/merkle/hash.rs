//! The two hash functions of the tree, its root, and positions as types.

use core::fmt;

use crate::codec::{Decode, Encode};
use crate::crypto::{Digest, Hasher, sha256};

/// The hash of a leaf. It is a type of its own so that an inner node or a root
/// cannot be handed to a verifier as if it were a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeafHash(Digest);

/// A position among the leaves, from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct LeafIndex(pub u64);

/// A number of leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct TreeSize(pub u64);

/// A tree: its size and its root. Verifiers take one that the caller trusts,
/// because it was signed or computed by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[codec(check = TreeHead::check)]
pub struct TreeHead {
    /// The number of leaves.
    pub size: TreeSize,
    /// The root over them.
    pub root: Digest,
}

impl LeafHash {
    /// The hash of a leaf's data: `SHA-256(0x00 ‖ data)`.
    pub fn of(data: &[u8]) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(&[0x00]);
        hasher.update(data);
        Self(hasher.finish())
    }

    /// Takes a digest that is known to be of the form `SHA-256(0x00 ‖ …)`. The
    /// caller answers for the form: with a digest from an untrusted source the
    /// separation of leaves and inner nodes is lost.
    pub const fn assume(digest: Digest) -> Self {
        Self(digest)
    }

    /// The hash.
    pub const fn digest(&self) -> &Digest {
        &self.0
    }
}

impl TreeHead {
    /// The tree without leaves.
    pub fn empty() -> Self {
        Self {
            size: TreeSize(0),
            root: empty_root(),
        }
    }

    /// The empty tree has one root.
    fn check(&self) -> Result<(), &'static str> {
        if self.size == TreeSize(0) && self.root != empty_root() {
            return Err("root of an empty tree");
        }
        Ok(())
    }
}

/// The hash of an inner node: `SHA-256(0x01 ‖ left ‖ right)`.
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(&[0x01]);
    hasher.update(&left.0);
    hasher.update(&right.0);
    hasher.finish()
}

/// The root of the tree without leaves: `SHA-256("")`.
pub fn empty_root() -> Digest {
    sha256(b"")
}

/// The size of the left subtree of `size > 1` leaves: the largest power of two
/// below `size` (RFC 6962 §2.1).
pub(super) fn split_point(size: u64) -> u64 {
    assert!(size > 1, "a single leaf has no subtrees");
    let left = 1 << (size - 1).ilog2();
    assert!(left < size && size - left <= left);
    left
}

/// The number of bits of a number; zero for zero.
pub(super) fn bit_length(number: u64) -> u32 {
    u64::BITS - number.leading_zeros()
}

/// A number of hashes, which is at most 128.
pub(super) fn hash_count(count: u32) -> usize {
    usize::try_from(count).expect("a number of bits fits in memory")
}

impl fmt::Display for LeafIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for TreeSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
