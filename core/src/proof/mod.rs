//! Pure verifiers of portable proofs: what anybody can check without asking the
//! cluster again.
//!
//! **Purpose.** A cluster's log, attested. Each voter signs the [`LogHead`] of
//! what it has applied; a majority of signatures makes a [`SignedHead`]; a
//! [`LogProof`] shows entries under such a head.
//!
//! **Sources.** Raft paper §5.3 (Log Matching: equal index and term mean equal
//! prefix), RFC 6962 for the tree. The whitepaper's `LogProof` and
//! `VerifyLogProof` compare a checksum that the prover chose with itself and
//! prove nothing; the names stay, the meaning is [`LogProof`] and
//! [`verify_log_proof`].
//!
//! **What a log proof says.** Raft tolerates crashes, not Byzantine faults, so a proof says
//! *who attested*: a majority of the voters that the verifier trusts. In the
//! tiers of the documentation it is *majority-attested*: more than the claim of
//! one leader, less than the finality of the global ledger.
//!
//! **Invariants.**
//! - L1: signers are distinct members of the trusted set, and the majority is
//!   counted over the trusted set; nothing about it comes from the message.
//! - L2: every field of a proof is either signed or leads to something signed;
//!   nothing is ignored. All of it rests on SHA-256; Raft's chained checksum, for
//!   which collisions can be made, is in no proof.
//! - L3: cheap checks come before signatures, signatures before hashing of many
//!   entries; all counts are bounded by [`crate::limits`].
//!
//! **Adversary.** Writes every byte of a proof and holds the keys of fewer than
//! a majority of the trusted voters.
//!
//! | file | holds |
//! |---|---|
//! | `leaf.rs` | [`entry_hash`]: the leaves of the log tree |
//! | `applied.rs` | [`AppliedLog`]: what a voter has applied, ready to sign |
//! | `applied_tree.rs` | [`AppliedTree`]: the same with the leaves behind a base, to prove them |
//! | `voters.rs` | [`TrustedVoters`] |
//! | `head.rs` | [`LogHead`], [`SignedHead`], [`ProvenHead`], [`verify_head_extension`] |
//! | `log.rs` | [`LogProof`], [`verify_log_proof`], [`ProvenEntries`] |
//! | `ledger/` | the same for the global ledger: a light client |
//! | `split_view.rs` | [`SplitView`]: evidence that a cluster forked its log |

pub mod applied;
pub mod applied_tree;
pub mod head;
pub mod leaf;
pub mod ledger;
pub mod log;
pub mod split_view;
pub mod voters;

#[cfg(test)]
mod tests;

pub use applied::{AppliedError, AppliedLog};
pub use applied_tree::AppliedTree;
pub use head::{HeadError, HeadSignature, LogHead, ProvenHead, SignedHead, verify_head_extension};
pub use leaf::{entry_hash, entry_hash_of};
pub use log::{LogProof, LogProofError, Payload, ProofEntry, ProvenEntries, verify_log_proof};
pub use split_view::{ProvenSplitView, SplitView, SplitViewError};
pub use voters::{TrustedVoters, VotersError};
