//! Who is trusted to finalise, and how trust passes on.

use alloc::sync::Arc;

use super::finality::{Finality, FinalityError};
use super::receipt::ReceiptError;
use crate::bft::{Epoch, EpochStart, Height, ValidatorSet};
use crate::codec::{Decode, Encode};
use crate::crypto::{ChainId, Verifier};
use crate::ledger_types::{Genesis, GenesisError, TimeMs};

/// An epoch whose validators are trusted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TrustedEpoch {
    chain: ChainId,
    epoch: Epoch,
    root_height: Height,
    root_time: TimeMs,
    validators: Arc<ValidatorSet>,
}

/// The end of an epoch: its last block is final, and names the next set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct EpochEnd {
    /// The last block.
    pub finality: Finality,
    /// Who votes next.
    pub next: ValidatorSet,
}

/// Why an end of an epoch was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EpochError {
    /// The block is not proven to be final.
    #[error(transparent)]
    Finality(#[from] FinalityError),
    /// The block is not the last one of its epoch.
    #[error("the epoch does not end with this block")]
    NotTheEnd,
    /// The block names other validators.
    #[error("the block names other validators for the next epoch")]
    OtherSet,
}

impl TrustedEpoch {
    /// The first epoch of a ledger: who trusts the genesis trusts its validators.
    ///
    /// # Errors
    /// The genesis makes no ledger.
    pub fn genesis(genesis: &Genesis) -> Result<Self, GenesisError> {
        let start = genesis.epoch()?;
        Ok(Self {
            chain: genesis.chain(),
            epoch: start.epoch,
            root_height: start.root_height,
            root_time: genesis.time,
            validators: start.validators,
        })
    }

    /// An epoch that this node takes part in, which had begun at this time.
    pub(crate) fn running(chain: ChainId, start: &EpochStart, begun: TimeMs) -> Self {
        Self {
            chain,
            epoch: start.epoch,
            root_height: start.root_height,
            root_time: begun,
            validators: start.validators.clone(),
        }
    }

    /// Goes on to the next epoch.
    ///
    /// # Errors
    /// See [`EpochError`]; the epoch stays as it was.
    pub fn follow(
        &mut self,
        end: &EpochEnd,
        verifier: &(impl Verifier + ?Sized),
    ) -> Result<(), EpochError> {
        let content = &end.finality.header.content;
        if !content.ends_epoch {
            return Err(EpochError::NotTheEnd);
        }
        if content.next_validators != end.next.hash() {
            return Err(EpochError::OtherSet);
        }
        let proven = end.finality.verify(self, verifier)?;
        let header = proven.header();
        *self = Self {
            chain: self.chain,
            epoch: Epoch(self.epoch.0.saturating_add(1)),
            root_height: header.height,
            root_time: TimeMs(header.content.time_ms),
            validators: Arc::new(end.next.clone()),
        };
        Ok(())
    }

    /// An epoch that whoever asks has proven before, and kept where nobody else
    /// writes.
    pub fn kept(
        chain: ChainId,
        epoch: Epoch,
        root_height: Height,
        root_time: TimeMs,
        validators: ValidatorSet,
    ) -> Self {
        Self {
            chain,
            epoch,
            root_height,
            root_time,
            validators: Arc::new(validators),
        }
    }

    /// The epoch at the end of these hand-overs, which begin with this one.
    ///
    /// # Errors
    /// Which epoch did not hand over, and why.
    pub fn follow_all(
        &self,
        ends: &[EpochEnd],
        verifier: &(impl Verifier + ?Sized),
    ) -> Result<Self, ReceiptError> {
        let mut trusted = self.clone();
        for end in ends {
            let epoch = trusted.epoch.0;
            trusted
                .follow(end, verifier)
                .map_err(|error| ReceiptError::Epoch(epoch, error))?;
        }
        Ok(trusted)
    }

    /// Whether the epoch began at most `period_ms` before `now`. Validators that
    /// have left may lose their keys one day; a set is trusted only for as long as
    /// they are answerable for them.
    pub const fn is_fresh(&self, now: TimeMs, period_ms: u64) -> bool {
        now.0.saturating_sub(self.root_time.0) <= period_ms
    }

    /// The ledger.
    pub const fn chain(&self) -> ChainId {
        self.chain
    }

    /// The epoch.
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The height of the block that it rests on.
    pub const fn root_height(&self) -> Height {
        self.root_height
    }

    /// When the block was made that it rests on.
    pub const fn root_time(&self) -> TimeMs {
        self.root_time
    }

    /// Who votes in it.
    pub fn validators(&self) -> &ValidatorSet {
        &self.validators
    }
}
