//! What anybody can check about the ledger without asking a node again.
//!
//! **Purpose.** A light client. It begins with what it trusts, the genesis or a
//! set of validators that it has proven before ([`TrustedEpoch`]), follows the
//! hand-overs between epochs ([`EpochEnd`]), and then believes that a block is
//! final ([`Finality`]), that an operation stands in it and how it ended
//! ([`Receipt`]), and that one history continues another ([`Extension`]).
//!
//! One certificate is enough for everything before it. A final block commits to
//! the hashes of all blocks before it, so an old block is proven under a fresh
//! certificate ([`Past`]) by whoever trusts the present validators only.
//!
//! **Sources.** Chan and Pass, *Simplex Consensus*, for what a finalization means;
//! RFC 6962 for the trees; the whitepaper's `VerifyCommitProof` and
//! `VerifyTransaction` for the purpose. As printed there both are unsound: they
//! count signers that the proof names, compare with a threshold that the proof
//! brings along, and sign neither height nor ledger.
//!
//! **Invariants.**
//! - G1: power and keys come from the trusted set, the quorum from its total;
//!   nothing about it comes from the proof.
//! - G2: every signature is over ledger, kind, epoch, view, height and hash.
//! - G3: verifiers return what was proven, never a bare `bool`; what they return
//!   can be made in no other way.
//! - G4: epochs are followed one by one. Each is believed because a quorum of the
//!   one before has finalised the block that names it.
//! - G5: cheap checks come before signatures; all counts are bounded by
//!   [`crate::limits`].
//!
//! **Adversary.** Writes every byte of a proof, holds the keys of less than a third
//! of the power of every epoch that is followed. A client that was away for longer
//! than validators are answerable for their keys has to take its set from where it
//! trusts again ([`TrustedEpoch::is_fresh`]): old keys may have been stolen since.
//!
//! | file | holds |
//! |---|---|
//! | `finality.rs` | [`Finality`], [`ProvenHeader`], [`FinalityError`] |
//! | `epoch.rs` | [`TrustedEpoch`], [`EpochEnd`] |
//! | `past.rs` | [`Past`]: a block in the history of a final one |
//! | `receipt.rs` | [`Receipt`], [`ProvenOperation`] |
//! | `checkpoint.rs` | [`Checkpoint`], [`ProvenHistory`] |
//! | `extension.rs` | [`Extension`], [`ProvenContinuation`] |

pub mod checkpoint;
pub mod epoch;
pub mod extension;
pub mod finality;
pub mod past;
pub mod receipt;

pub use checkpoint::{Checkpoint, ProvenHistory};
pub use epoch::{EpochEnd, EpochError, TrustedEpoch};
pub use extension::{Extension, ExtensionError, ProvenContinuation};
pub use finality::{Finality, FinalityError, ProvenHeader};
pub use past::{Past, PastError};
pub use receipt::{OutcomeProof, ProvenOperation, Receipt, ReceiptError};
