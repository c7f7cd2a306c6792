//! The whole history in one hash.

use alloc::vec::Vec;

use super::epoch::{EpochEnd, TrustedEpoch};
use super::finality::{Finality, ProvenHeader};
use super::receipt::ReceiptError;
use crate::codec::{Decode, Encode};
use crate::crypto::Verifier;
use crate::limits::LEDGER_EPOCHS_ANSWERED_MAX;
use crate::merkle::TreeHead;

/// The head of the tree over all blocks before a final one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Checkpoint {
    /// From the trusted epoch to that of the block.
    #[codec(max = LEDGER_EPOCHS_ANSWERED_MAX)]
    pub epochs: Vec<EpochEnd>,
    /// That the block is final.
    pub finality: Finality,
}

/// A history that a quorum has signed. Only [`Checkpoint::verify`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvenHistory {
    block: ProvenHeader,
}

impl Checkpoint {
    /// Believes the head if the quorum of the epoch signed the block.
    ///
    /// # Errors
    /// As [`Receipt::verify`](super::Receipt::verify).
    pub fn verify(
        &self,
        trusted: &TrustedEpoch,
        verifier: &(impl Verifier + ?Sized),
    ) -> Result<ProvenHistory, ReceiptError> {
        let trusted = trusted.follow_all(&self.epochs, verifier)?;
        let block = self.finality.verify(&trusted, verifier)?;
        Ok(ProvenHistory { block })
    }
}

impl ProvenHistory {
    /// The block that commits to the history.
    pub const fn block(&self) -> &ProvenHeader {
        &self.block
    }

    /// The tree over the hashes of all blocks before it, block 0 first.
    pub const fn head(&self) -> TreeHead {
        self.block.history()
    }
}
