//! That an operation stands on the ledger, and how it ended.

use alloc::vec::Vec;

use bytes::Bytes;

use super::epoch::{EpochEnd, EpochError, TrustedEpoch};
use super::finality::{Finality, FinalityError, ProvenHeader};
use super::past::{Past, PastError};
use crate::codec::{Decode, Encode};
use crate::crypto::{Digest, Verifier};
use crate::ledger_types::{
    Checked, OpResult, Operation, Outcome, ResultsHead, Transaction, TxError, TxId,
};
use crate::limits::{LEDGER_EPOCHS_ANSWERED_MAX, LEDGER_TX_BYTES_MAX};
use crate::merkle::{Inclusion, LeafHash, MerkleError, TreeHead, TreeSize};

/// Everything that proves an operation to somebody who trusts one epoch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Receipt {
    /// From the trusted epoch to that of the final block; empty if it is the same.
    #[codec(max = LEDGER_EPOCHS_ANSWERED_MAX)]
    pub epochs: Vec<EpochEnd>,
    /// That a block is final: that of the transaction, or a later one.
    pub finality: Finality,
    /// The block of the transaction, if `finality` speaks of a later one.
    pub past: Option<Past>,
    /// That the transaction stands in the block.
    pub inclusion: Inclusion,
    /// The transaction as it was signed.
    #[codec(max = LEDGER_TX_BYTES_MAX)]
    pub transaction: Bytes,
    /// Which of its operations is meant.
    pub operation: u32,
    /// How the operation ended, if `finality` speaks of a later block.
    pub outcome: Option<OutcomeProof>,
}

/// How an operation ended: the child of its block commits to the results. The child
/// of the last block of an epoch is the first one of the next.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct OutcomeProof {
    /// The child, if the final block of the receipt is a later one.
    pub child: Option<Past>,
    /// The result of the operation.
    pub result: OpResult,
    /// The tree over the results of the block.
    pub results: ResultsHead,
    /// That the result stands in it.
    pub inclusion: Inclusion,
}

/// An operation that was proven to be final. Only [`Receipt::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenOperation {
    head: ProvenHeader,
    block: ProvenHeader,
    transaction: Checked,
    place: usize,
    id: TxId,
    outcome: Option<Outcome>,
}

/// Why a receipt was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// A hand-over between epochs does not hold.
    #[error("epoch {0}: {1}")]
    Epoch(u64, EpochError),
    /// The block is not proven to be final.
    #[error(transparent)]
    Finality(#[from] FinalityError),
    /// A block is not proven to stand in the history of the final one.
    #[error(transparent)]
    Past(#[from] PastError),
    /// The transaction is not proven to stand in the block.
    #[error("the transaction is not proven to stand in the block: {0}")]
    Inclusion(#[from] MerkleError),
    /// The transaction itself does not hold.
    #[error("the transaction does not hold: {0}")]
    Transaction(#[from] TxError),
    /// The transaction has no such operation.
    #[error("the transaction has no operation {0}")]
    NoOperation(u32),
    /// The outcome is not that of the operation.
    #[error("the outcome is not proven")]
    Outcome,
}

impl Receipt {
    /// Believes the receipt if every step from the trusted epoch to the operation
    /// holds.
    ///
    /// # Errors
    /// See [`ReceiptError`]. Nothing of the receipt may be used then.
    pub fn verify(
        &self,
        trusted: &TrustedEpoch,
        verifier: &(impl Verifier + ?Sized),
    ) -> Result<ProvenOperation, ReceiptError> {
        let trusted = trusted.follow_all(&self.epochs, verifier)?;
        let final_block = self.finality.verify(&trusted, verifier)?;
        let block = match &self.past {
            None => final_block,
            Some(past) => past.verify(&final_block)?,
        };
        let content = &block.header().content;
        let head = TreeHead {
            size: TreeSize(u64::from(content.items_count)),
            root: content.items_root,
        };
        let leaf = LeafHash::of(&self.transaction);
        self.inclusion.verify(&head, &leaf)?;
        let transaction = Transaction::check(&self.transaction, trusted.chain(), verifier)?;
        let place = usize::try_from(self.operation).unwrap_or(usize::MAX);
        let id = transaction.ids().get(place).copied();
        let id = id.ok_or(ReceiptError::NoOperation(self.operation))?;
        let outcome = match &self.outcome {
            None => None,
            Some(proof) => Some(proof.verify(&block, id, &final_block)?),
        };
        Ok(ProvenOperation {
            head: final_block,
            block,
            transaction,
            place,
            id,
            outcome,
        })
    }
}

impl OutcomeProof {
    fn verify(
        &self,
        block: &ProvenHeader,
        id: TxId,
        head: &ProvenHeader,
    ) -> Result<Outcome, ReceiptError> {
        let child = match &self.child {
            None => *head,
            Some(child) => child.verify(head)?,
        };
        let content = &child.header().content;
        let speaks_of_it = child.header().parent == block.header().hash()
            && content.parent_receipts == self.results.root()
            && self.result.id == id;
        if !speaks_of_it {
            return Err(ReceiptError::Outcome);
        }
        let leaf = LeafHash::of(&self.result.to_bytes());
        self.inclusion.verify(&self.results.tree(), &leaf)?;
        Ok(self.result.outcome)
    }
}

impl ProvenOperation {
    /// The block whose certificate proves it all: that in which it stands, or a
    /// later one.
    pub const fn head(&self) -> &ProvenHeader {
        &self.head
    }

    /// The block in which it stands.
    pub const fn block(&self) -> &ProvenHeader {
        &self.block
    }

    /// What names it.
    pub const fn id(&self) -> TxId {
        self.id
    }

    /// The transaction that holds it.
    pub const fn transaction(&self) -> &Checked {
        &self.transaction
    }

    /// What it asks for.
    pub fn operation(&self) -> &Operation {
        &self.transaction.intent().operations[self.place]
    }

    /// How it ended, if the receipt proves that.
    pub const fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// The hash of the block.
    pub fn block_hash(&self) -> Digest {
        self.block.header().hash()
    }
}
