//! That one history continues another.

use super::checkpoint::{Checkpoint, ProvenHistory};
use super::epoch::TrustedEpoch;
use super::receipt::ReceiptError;
use crate::codec::{Decode, Encode};
use crate::crypto::Verifier;
use crate::merkle::{Consistency, MerkleError, TreeHead};

/// The history of a final block begins with an older history.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Extension {
    /// The older history.
    pub old: TreeHead,
    /// The newer one, with why it is final.
    pub checkpoint: Checkpoint,
    /// That the newer one begins with the older one.
    pub consistency: Consistency,
}

/// Two histories of which one was proven to continue the other, and to be final.
/// So the older one is final as well. Only [`Extension::verify`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvenContinuation {
    old: TreeHead,
    history: ProvenHistory,
}

/// Why an extension was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExtensionError {
    /// The newer history is not proven to be final.
    #[error(transparent)]
    Checkpoint(#[from] ReceiptError),
    /// The newer history does not begin with the older one.
    #[error("the newer history is not proven to begin with the older one: {0}")]
    Consistency(#[from] MerkleError),
}

impl Extension {
    /// Believes both histories if a quorum signed the newer one and it begins with
    /// the older one.
    ///
    /// Whoever kept a head compares it with [`ProvenContinuation::old`]: another
    /// root of the same size is a ledger that was rewritten.
    ///
    /// # Errors
    /// See [`ExtensionError`]. Nothing of the claim may be used then.
    pub fn verify(
        &self,
        trusted: &TrustedEpoch,
        verifier: &(impl Verifier + ?Sized),
    ) -> Result<ProvenContinuation, ExtensionError> {
        let history = self.checkpoint.verify(trusted, verifier)?;
        self.consistency.verify(&self.old, &history.head())?;
        let old = self.old;
        Ok(ProvenContinuation { old, history })
    }
}

impl ProvenContinuation {
    /// The older history.
    pub const fn old(&self) -> &TreeHead {
        &self.old
    }

    /// The newer one.
    pub const fn history(&self) -> &ProvenHistory {
        &self.history
    }
}
