//! Evidence that a cluster showed two histories.
//!
//! Two heads of one size that differ speak for themselves. For heads of different
//! sizes the missing consistency proof cannot be shown, but its opposite can: a
//! consistency proof from *another* root of the older size to the newer head says
//! what the newer log has at that size, and it is not what the older head has. A
//! newer head whose term or membership cannot follow the older one's in any log
//! speaks for itself, too.
//!
//! Anybody can check the evidence offline, and nobody can make it against an
//! honest cluster: it holds two majorities' signatures under statements of which
//! an honest voter signs at most one.

use alloc::vec::Vec;

use super::head::{HeadError, SignedHead};
use super::voters::TrustedVoters;
use crate::codec::{Decode, Encode};
use crate::crypto::{Digest, Verifier};
use crate::merkle::{Consistency, MerkleError, TreeHead};
use crate::types::NodeId;

/// Two signed heads of one cluster that cannot both be true.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SplitView {
    /// The head of the smaller log, or either of two of one size.
    pub older: SignedHead,
    /// The other head.
    pub newer: SignedHead,
    /// What the newer log really has at the older size. Absent if the heads
    /// themselves exclude each other.
    pub prefix: Option<ForkedPrefix>,
}

/// The root that the newer log has at the older size, proven under its head.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ForkedPrefix {
    /// The root, different from the older head's.
    pub root: Digest,
    /// Proves it under the newer head.
    pub proof: Consistency,
}

/// A split view that was proven. Only [`SplitView::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenSplitView {
    culprits: Vec<NodeId>,
}

/// Why evidence was refused: it convicts nobody. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SplitViewError {
    /// One of the heads is not proven.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The heads do not contradict each other, or the evidence for it is missing
    /// or superfluous.
    #[error("the heads do not contradict each other")]
    NoContradiction,
    /// What the newer log is said to have at the older size is not proven.
    #[error("the forked prefix is not proven: {0}")]
    Prefix(#[source] MerkleError),
}

impl SplitView {
    /// Believes the evidence if both heads are signed by majorities that the
    /// caller trusts (they may stand under different memberships) and one of them
    /// must be false.
    pub fn verify(
        &self,
        verifier: &dyn Verifier,
        trusted_older: &TrustedVoters,
        trusted_newer: &TrustedVoters,
    ) -> Result<ProvenSplitView, SplitViewError> {
        self.check_contradiction(trusted_older, trusted_newer)?;
        let older = self.older.verify(verifier, trusted_older)?;
        let newer = self.newer.verify(verifier, trusted_newer)?;
        let culprits: Vec<NodeId> = older
            .signers()
            .intersection(newer.signers())
            .copied()
            .collect();
        // Two majorities of one voter set share a voter.
        assert!(trusted_older != trusted_newer || !culprits.is_empty());
        Ok(ProvenSplitView { culprits })
    }

    /// The heads must exclude each other, whoever signed them.
    fn check_contradiction(
        &self,
        trusted_older: &TrustedVoters,
        trusted_newer: &TrustedVoters,
    ) -> Result<(), SplitViewError> {
        let (older, newer) = (&self.older.head, &self.newer.head);
        if trusted_older.cluster() != trusted_newer.cluster() {
            return Err(SplitViewError::NoContradiction);
        }
        match &self.prefix {
            None if older.size == newer.size && older != newer => Ok(()),
            None if older.size < newer.size && !older.may_continue_as(newer) => Ok(()),
            Some(prefix) if older.size < newer.size && prefix.root != older.root => {
                let real = TreeHead {
                    size: older.tree().size,
                    root: prefix.root,
                };
                prefix
                    .proof
                    .verify(&real, &newer.tree())
                    .map(|_| ())
                    .map_err(SplitViewError::Prefix)
            }
            _ => Err(SplitViewError::NoContradiction),
        }
    }
}

impl ProvenSplitView {
    /// The voters that signed both heads. Under one membership there is at least
    /// one; under two memberships there may be none, and then the cluster as a
    /// whole is convicted.
    pub fn culprits(&self) -> &[NodeId] {
        &self.culprits
    }
}
