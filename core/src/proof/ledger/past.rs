//! That a block stands in the history below a final one.

use super::finality::ProvenHeader;
use crate::bft::Header;
use crate::codec::{Decode, Encode};
use crate::merkle::{Inclusion, LeafHash, LeafIndex, MerkleError, TreeSize};

/// A block below a final one, of whatever epoch. Its own certificate is not
/// needed, and neither are the validators of its time: the final block commits to
/// the hashes of all blocks before it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Past {
    /// The header of the block.
    pub header: Header,
    /// That its hash stands in the history, at its height.
    pub inclusion: Inclusion,
}

/// Why a block was not believed to stand in a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PastError {
    /// The header is one of another ledger.
    #[error("the earlier block is one of another ledger")]
    WrongChain,
    /// The proof speaks of another height than the header.
    #[error("the earlier block is proven at another height than its own")]
    WrongHeight,
    /// The hash is not proven to stand in the history.
    #[error("the earlier block is not proven to stand in the history: {0}")]
    Merkle(#[from] MerkleError),
}

impl Past {
    /// Believes that the block is final if the history of a final block holds it.
    ///
    /// # Errors
    /// See [`PastError`]. Nothing of the claim may be used then.
    pub fn verify(&self, head: &ProvenHeader) -> Result<ProvenHeader, PastError> {
        if self.header.chain != head.header().chain {
            return Err(PastError::WrongChain);
        }
        if self.inclusion.index.0 != self.header.height.0 {
            return Err(PastError::WrongHeight);
        }
        let leaf = LeafHash::assume(self.header.hash());
        self.inclusion.verify(&head.history(), &leaf)?;
        assert!(self.header.height < head.header().height, "it is earlier");
        Ok(ProvenHeader::of(self.header))
    }

    /// A claim about a block in the history of another, still without the hashes.
    pub(crate) fn unproven(header: &Header, head: &Header) -> Self {
        assert!(header.height < head.height, "only earlier blocks");
        Self {
            header: *header,
            inclusion: Inclusion {
                index: LeafIndex(header.height.0),
                size: TreeSize(head.height.0),
                path: alloc::vec::Vec::new(),
            },
        }
    }
}
