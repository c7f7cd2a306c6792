//! Authenticated data over SHA-256, and strict verifiers: lists, by the Merkle tree
//! of RFC 6962 §2 (RFC 9162 §2), and maps, by a radix tree.
//!
//! **Purpose of the list.** One format for everything that only grows (logs,
//! segments, the history of blocks): a leaf is hashed with `0x00` in front, an
//! inner node with `0x01`, odd nodes are promoted and never duplicated. A proof
//! always says which position of which tree size it is about, and is checked
//! against a [`TreeHead`] that the caller trusts already.
//!
//! There are three ways to hold such a list: a [`Frontier`] can only grow, a
//! [`Tree`] has its leaves in memory, and a [`TileWriter`] leaves them in a store
//! as [`Tile`]s, for a history that never ends: a node with it needs no more
//! memory than `O(log n)` and proves from the few tiles that it reads.
//!
//! **Purpose of the map.** [`StateTree`] is the state of a ledger: it is cloned in
//! `O(1)`, changed on trial, and its root goes into the header of a block. A
//! [`StateProof`] shows under such a root that a key has a value, or that it is
//! absent. It is the crit-bit form of Morrison's PATRICIA tree (1968) over the
//! hashes of the keys; its hash functions (`state_hash.rs`) begin with `0x10` and
//! above, so nothing of the one tree is anything of the other.
//!
//! **Deviations.** From the RFC: none in the format; a consistency proof from
//! the empty tree is the empty proof. From the whitepaper: its
//! `VerifyMerkleProof` takes a hash for a leaf, any index and any depth, and so
//! accepts forged positions and inner nodes; [`plain`] keeps its JSON shape with
//! the harm removed, and nothing else of the system uses it.
//!
//! **Invariants.**
//! - M1: size, index and the number of hashes are checked before any hashing: a
//!   proof about a list has exactly the length that its position dictates, so equal
//!   proofs have equal bytes and nothing in them is ignored.
//! - M2: verifiers return what was proven ([`ProvenLeaf`], [`ProvenRange`],
//!   [`ProvenExtension`], [`ProvenState`]), never a bare `bool`.
//! - M3: the size comes from the trusted head, never from the proof.
//! - M4: the root of a [`StateTree`] is a function of its content: each inner node
//!   has two children and names the first bit in which they differ, so there is
//!   one shape for a set of keys, and no trace of the order of changes.
//! - M5: no change to a [`StateTree`] is seen by its clones, and within one batch
//!   of changes no node is hashed twice.
//! - M6: a walk through a tree for a key is the only one: each node's bit is
//!   hashed, bits ascend on the way down, and the leaf at the end agrees with the
//!   key in each of them. So the leaf of another key at the end proves absence.
//! - M7: the hashes of a tile are fixed once they stand there. A tile as it is now
//!   serves every size from which on it has the hashes that are needed, and those
//!   that are beyond the size are never looked at.
//! - M8: proofs from tiles are those of the [`Tree`], byte for byte. Tiles that are
//!   missing, too narrow or out of place are errors.
//!
//! **Adversary.** Writes every byte of a proof, and chooses the keys of the map. A
//! path has at most 64 hashes ([`MERKLE_PATH_MAX`](crate::limits::MERKLE_PATH_MAX)),
//! a range proof at most twice as many, a proof about a state at most 256
//! ([`STATE_PATH_MAX`](crate::limits::STATE_PATH_MAX)); decoders refuse more before
//! they allocate. To make a path of the map `d` nodes long takes about `2^d` hashes
//! of keys. Tiles come from a node's own store, which may be damaged: they have at
//! most 256 hashes, and are checked against a trusted root when a writer resumes
//! and when a proof that is made of them is verified.
//!
//! | file | holds |
//! |---|---|
//! | `hash.rs` | [`LeafHash`], [`node_hash`], [`LeafIndex`], [`TreeSize`], [`TreeHead`] |
//! | `error.rs` | [`MerkleError`] |
//! | `tree.rs` | [`Tree`]: the leaves behind a frontier in memory, makes proofs |
//! | `frontier.rs` | [`Frontier`]: append and root in `O(log n)` memory |
//! | `tiles.rs` | [`TileWriter`], [`Tile`]: the list in a store, and proofs from it |
//! | `inclusion.rs` | [`Inclusion`] of one leaf |
//! | `range.rs` | [`RangeProof`] of consecutive leaves |
//! | `consistency.rs` | [`Consistency`] of an older with a newer tree |
//! | `state_tree.rs` | [`StateTree`]: a map with a root; cloned in `O(1)`, makes proofs |
//! | `state_proof.rs` | [`StateProof`] that a key has a value or is absent |
//! | `state_hash.rs` | [`KeyHash`], the hash functions of the map |
//! | `plain.rs` | the whitepaper's format, bounded |

pub mod consistency;
pub mod error;
pub mod frontier;
pub mod hash;
pub mod inclusion;
pub mod plain;
pub mod range;
pub mod state_hash;
pub mod state_proof;
pub mod state_tree;
pub mod tiles;
pub mod tree;

#[cfg(test)]
mod tests;

pub use consistency::{Consistency, ProvenExtension};
pub use error::MerkleError;
pub use frontier::Frontier;
pub use hash::{LeafHash, LeafIndex, TreeHead, TreeSize, empty_root, node_hash};
pub use inclusion::{Inclusion, ProvenLeaf};
pub use range::{ProvenRange, RangeProof};
pub use state_hash::KeyHash;
pub use state_proof::{
    ProvenAbsence, ProvenEntry, ProvenState, StateEnd, StateProof, StateProofError, StateStep,
};
pub use state_tree::{StateEntry, StateIter, StateTree};
pub use tiles::{
    Tile, TileError, TileId, TileWriter, open_tiles, prove_consistency, prove_inclusion, root_at,
    tiles_for_consistency, tiles_for_inclusion,
};
pub use tree::Tree;
