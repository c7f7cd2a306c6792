//! The tree against two other implementations, published roots and every known
//! attack on Merkle proofs.

mod attacks;
mod forgetting;
mod frontier;
mod golden;
mod known;
mod oracles;
mod plain;
mod props;
mod range;
mod rs_merkle_is_unsound;
mod state_attacks;
mod state_tree;
mod tiles;
mod vectors;

use alloc::vec::Vec;

use super::{LeafHash, Tree};

/// The data of a test leaf.
pub(super) fn data(index: u64) -> [u8; 9] {
    let mut data = [b'L'; 9];
    data[1..].copy_from_slice(&index.to_be_bytes());
    data
}

/// The hash of a test leaf.
pub(super) fn leaf(index: u64) -> LeafHash {
    LeafHash::of(&data(index))
}

/// The tree over the first `size` test leaves.
pub(super) fn tree(size: u64) -> Tree {
    leaves(0..size).into_iter().collect()
}

/// The hashes of test leaves.
pub(super) fn leaves(range: core::ops::Range<u64>) -> Vec<LeafHash> {
    range.map(leaf).collect()
}
