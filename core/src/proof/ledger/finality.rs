//! That a block is final.

use alloc::vec::Vec;

use super::epoch::TrustedEpoch;
use crate::bft::{BlockRef, Cert, CertError, Header, VoteKind};
use crate::codec::{Decode, Encode};
use crate::crypto::Verifier;
use crate::limits::PATH_HEADERS_MAX;
use crate::merkle::{TreeHead, TreeSize};

/// A claim that a block is final: it is certified, or an ancestor of a block that
/// is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Finality {
    /// The header of the block.
    pub header: Header,
    /// The headers from its child up to the certified block; empty if it is
    /// certified itself.
    #[codec(max = PATH_HEADERS_MAX)]
    pub path: Vec<Header>,
    pub finalization: Cert,
}

/// The header of a block that was proven to be final. Only [`Finality::verify`] and
/// [`Past::verify`](super::Past::verify) make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvenHeader {
    header: Header,
}

/// Why a claim of finality was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FinalityError {
    /// The header is one of another ledger.
    #[error("the block is one of another ledger")]
    WrongChain,
    /// The header is of another epoch than the trusted set.
    #[error("the block is of another epoch than the trusted validators")]
    WrongEpoch,
    /// The header names another set of validators than the trusted one.
    #[error("the block names other validators than the trusted ones")]
    WrongValidators,
    /// The block is not above the root of the trusted epoch.
    #[error("the block is not above the beginning of its epoch")]
    WrongHeight,
    /// Too many headers lie between the block and the certificate.
    #[error("more than {PATH_HEADERS_MAX} headers up to the certified block")]
    LongPath,
    /// The headers up to the certified block do not follow each other.
    #[error("the headers up to the certified block do not follow each other")]
    BrokenPath,
    /// The certificate does not finalise the block.
    #[error("the certificate does not finalise the block")]
    OtherStatement,
    /// The certificate does not hold.
    #[error(transparent)]
    Cert(#[from] CertError),
}

impl Finality {
    /// Believes the claim if the quorum of the trusted epoch signed it.
    ///
    /// # Errors
    /// See [`FinalityError`]. Nothing of the claim may be used then.
    pub fn verify(
        &self,
        trusted: &TrustedEpoch,
        verifier: &(impl Verifier + ?Sized),
    ) -> Result<ProvenHeader, FinalityError> {
        let header = &self.header;
        if header.chain != trusted.chain() {
            return Err(FinalityError::WrongChain);
        }
        if header.epoch != trusted.epoch() {
            return Err(FinalityError::WrongEpoch);
        }
        if header.content.validators != trusted.validators().hash() {
            return Err(FinalityError::WrongValidators);
        }
        if header.height <= trusted.root_height() {
            return Err(FinalityError::WrongHeight);
        }
        let certified = self.certified()?;
        let statement = &self.finalization.statement;
        if statement.kind != VoteKind::Finalize || statement.block != certified {
            return Err(FinalityError::OtherStatement);
        }
        self.finalization.verify(
            trusted.chain(),
            trusted.epoch(),
            trusted.validators(),
            verifier,
        )?;
        Ok(ProvenHeader::of(*header))
    }

    /// The place of the block that the certificate has to speak of.
    fn certified(&self) -> Result<BlockRef, FinalityError> {
        if self.path.len() > PATH_HEADERS_MAX {
            return Err(FinalityError::LongPath);
        }
        let mut last = self.header.place();
        for header in &self.path {
            let follows = header.stands_on(&last)
                && header.epoch == self.header.epoch
                && header.chain == self.header.chain;
            if !follows {
                return Err(FinalityError::BrokenPath);
            }
            last = header.place();
        }
        Ok(last)
    }
}

impl ProvenHeader {
    pub(super) const fn of(header: Header) -> Self {
        Self { header }
    }

    /// The tree over the hashes of all blocks before it, block 0 first.
    pub const fn history(&self) -> TreeHead {
        TreeHead {
            size: TreeSize(self.header.height.0),
            root: self.header.content.history,
        }
    }

    /// The header.
    pub const fn header(&self) -> &Header {
        &self.header
    }
}
