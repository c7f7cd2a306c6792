//! The Merkle tree of RFC 6962 §2 (RFC 9162 §2) over SHA-256, and strict
//! verifiers.
//!
//! **Purpose.** One tree format everywhere: a leaf is hashed with `0x00` in
//! front, an inner node with `0x01`, odd nodes are promoted and never
//! duplicated. A proof always says which position of which tree size it is
//! about, and is checked against a [`TreeHead`] that the caller trusts already.
//!
//! **Deviations.** From the RFC: none in the format; a consistency proof from
//! the empty tree is the empty proof. From the whitepaper: its
//! `VerifyMerkleProof` takes a hash for a leaf, any index and any depth, and so
//! accepts forged positions and inner nodes; [`plain`] keeps its JSON shape with
//! the harm removed, and nothing else of the system uses it.
//!
//! **Invariants.**
//! - M1: size, index and the number of hashes are checked before any hashing: a
//!   proof has exactly the length that its position dictates, so equal proofs
//!   have equal bytes and nothing in them is ignored.
//! - M2: verifiers return what was proven ([`ProvenLeaf`], [`ProvenRange`],
//!   [`ProvenExtension`]), never a bare `bool`.
//! - M3: the size comes from the trusted head, never from the proof.
//! - M4: equal content of a map has an equal root, whatever the order in which it
//!   came; leaves and inner nodes of maps and of lists have four different prefixes.
//!
//! **Adversary.** Writes every byte of a proof. A path has at most 64 hashes
//! ([`MERKLE_PATH_MAX`](crate::limits::MERKLE_PATH_MAX)), a range proof at most
//! twice as many; decoders refuse more before they allocate.
//!
//! | file | holds |
//! |---|---|
//! | `hash.rs` | [`LeafHash`], [`node_hash`], [`LeafIndex`], [`TreeSize`], [`TreeHead`] |
//! | `error.rs` | [`MerkleError`] |
//! | `tree.rs` | [`Tree`]: the leaves behind a frontier in memory, makes proofs |
//! | `frontier.rs` | [`Frontier`]: append and root in `O(log n)` memory |
//! | `inclusion.rs` | [`Inclusion`] of one leaf |
//! | `range.rs` | [`RangeProof`] of consecutive leaves |
//! | `consistency.rs` | [`Consistency`] of an older with a newer tree |
//! | `state_tree.rs` | [`StateTree`]: an authenticated map, cheap to copy |
//! | `state_proof.rs` | [`StateProof`]: what it holds under a key, or that it holds nothing |
//! | `plain.rs` | the whitepaper's format, bounded |

pub mod consistency;
pub mod error;
pub mod frontier;
pub mod hash;
pub mod inclusion;
pub mod plain;
pub mod range;
pub mod state_proof;
pub mod state_tree;
pub mod tree;

#[cfg(test)]
mod tests;

pub use consistency::{Consistency, ProvenExtension};
pub use error::MerkleError;
pub use frontier::Frontier;
pub use hash::{LeafHash, LeafIndex, TreeHead, TreeSize, empty_root, node_hash};
pub use inclusion::{Inclusion, ProvenLeaf};
pub use range::{ProvenRange, RangeProof};
pub use state_proof::{ProvenState, StateProof, StateProofError, Step};
pub use state_tree::{StateTree, empty_state_root};
pub use tree::Tree;
