//! The signed head of a cluster's log.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::voters::TrustedVoters;
use crate::codec::{Decode, Encode};
use crate::crypto::{Digest, Domain, Preimage, Scope, Signature, Signer, Verifier};
use crate::limits::VOTERS_MAX;
use crate::merkle::{Consistency, MerkleError, TreeHead, TreeSize};
use crate::types::{ClusterId, Index, NodeId, Term};

/// The state of a log after `size` entries. All voters that applied so many
/// entries have the equal head, byte for byte, so that their signatures add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct LogHead {
    pub cluster: ClusterId,
    /// The index of the membership entry in force at `size`; zero is the
    /// membership that the cluster was founded with.
    pub membership_epoch: Index,
    /// The number of entries: the index of the last one. Leaf `i` of the tree is
    /// the entry with index `i + 1`.
    pub size: Index,
    /// The RFC 6962 root over the entry hashes.
    pub root: Digest,
    /// The term of the last entry.
    pub commit_term: Term,
}

/// One voter's signature under a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub struct HeadSignature {
    /// The voter.
    pub node: NodeId,
    /// Its signature over [`LogHead::preimage`].
    pub signature: Signature,
}

/// A head as it arrives, with its signatures in ascending order of the voters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct SignedHead {
    pub head: LogHead,
    /// The signatures, one per voter.
    #[codec(max = 2 * VOTERS_MAX)]
    pub signatures: Vec<HeadSignature>,
}

/// A head that a majority of trusted voters signed. Only
/// [`SignedHead::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenHead {
    head: LogHead,
    signers: BTreeSet<NodeId>,
}

/// Why a head was refused. Nothing of it may be believed, and nothing was
/// changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// It is a head of another cluster than the trusted voters'.
    #[error("the head belongs to cluster {found}, not {expected}")]
    OtherCluster {
        /// The cluster of the trusted voters.
        expected: ClusterId,
        /// The cluster of the head.
        found: ClusterId,
    },
    /// It stands under another membership than the trusted one.
    #[error("the head stands under membership {found}, not {expected}")]
    OtherMembership {
        /// The membership of the trusted voters.
        expected: Index,
        /// The membership of the head.
        found: Index,
    },
    /// The head contradicts itself: an empty log, or one that ends before its
    /// membership.
    #[error("the head contradicts itself")]
    Malformed,
    /// A signer is not among the trusted voters.
    #[error("{0} is not a trusted voter")]
    ForeignSigner(NodeId),
    /// A signer appears twice, or the signers are not in ascending order.
    #[error("signer {0} is repeated or out of order")]
    SignerOrder(NodeId),
    /// The signers are no majority of the trusted voters.
    #[error("{found} signers are no majority of the trusted voters")]
    NoMajority {
        /// Distinct trusted signers.
        found: usize,
    },
    /// A signature does not verify. One bad signature refuses the whole head,
    /// even if the others would be enough.
    #[error("the signature of {0} does not verify")]
    BadSignature(NodeId),
    /// The newer head does not continue the older one.
    #[error("the newer head does not continue the older one: {0}")]
    NoExtension(#[source] MerkleError),
    /// The newer head goes back in term or membership, or disagrees with the
    /// older one about the same size.
    #[error("the newer head contradicts the older one")]
    Contradiction,
}

impl LogHead {
    /// What a voter signs: all fields, each of fixed width.
    pub fn preimage(&self) -> Preimage {
        Preimage::new(Domain::LogHead, Scope::Cluster(self.cluster))
            .put(&self.membership_epoch)
            .put(&self.size)
            .put(&self.root)
            .put(&self.commit_term)
    }

    /// Signs as one voter. A voter signs only what it has applied, and never two
    /// different heads of one size: two such signatures are evidence against it.
    pub fn sign(&self, signer: &dyn Signer) -> HeadSignature {
        HeadSignature {
            node: signer.public_key().node_id(),
            signature: signer.sign(&self.preimage()),
        }
    }

    /// The head as a Merkle tree.
    pub const fn tree(&self) -> TreeHead {
        TreeHead {
            size: TreeSize(self.size.0),
            root: self.root,
        }
    }

    /// Whether term and membership of a head of no smaller size can follow this
    /// one's in one log: terms never go down, and a membership that is in force
    /// there and not here was appended in between.
    pub(super) fn may_continue_as(&self, newer: &Self) -> bool {
        self.commit_term <= newer.commit_term
            && (self.membership_epoch == newer.membership_epoch
                || self.size < newer.membership_epoch)
    }

    /// Whether the fields can belong together at all.
    const fn is_well_formed(&self) -> bool {
        self.size.0 > 0 && self.membership_epoch.0 <= self.size.0
    }
}

impl SignedHead {
    /// Joins a head and the signatures that were collected for it.
    pub fn new(head: LogHead, mut signatures: Vec<HeadSignature>) -> Self {
        signatures.sort_by_key(|signature| signature.node);
        Self { head, signatures }
    }

    /// Believes the head if distinct trusted voters signed it and they are a
    /// majority of the trusted set.
    pub fn verify(
        &self,
        verifier: &dyn Verifier,
        trusted: &TrustedVoters,
    ) -> Result<ProvenHead, HeadError> {
        self.check_place(trusted)?;
        let signers = self.check_signers(trusted)?;
        // The costly part comes last and is bounded by the trusted set.
        let preimage = self.head.preimage();
        for HeadSignature { node, signature } in &self.signatures {
            let key = trusted.key(*node).expect("the signers were checked");
            verifier
                .verify(key, &preimage, signature)
                .map_err(|_| HeadError::BadSignature(*node))?;
        }
        Ok(ProvenHead {
            head: self.head,
            signers,
        })
    }

    /// The head must be of the trusted cluster and membership.
    fn check_place(&self, trusted: &TrustedVoters) -> Result<(), HeadError> {
        let (head, cluster) = (&self.head, trusted.cluster());
        if head.cluster != cluster {
            return Err(HeadError::OtherCluster {
                expected: cluster,
                found: head.cluster,
            });
        }
        if head.membership_epoch != trusted.membership_epoch() {
            return Err(HeadError::OtherMembership {
                expected: trusted.membership_epoch(),
                found: head.membership_epoch,
            });
        }
        if head.is_well_formed() {
            Ok(())
        } else {
            Err(HeadError::Malformed)
        }
    }

    /// The signers must be distinct, trusted and a majority.
    fn check_signers(&self, trusted: &TrustedVoters) -> Result<BTreeSet<NodeId>, HeadError> {
        let mut signers = BTreeSet::new();
        for HeadSignature { node, .. } in &self.signatures {
            if trusted.key(*node).is_none() {
                return Err(HeadError::ForeignSigner(*node));
            }
            if signers.last().is_some_and(|last| last >= node) {
                return Err(HeadError::SignerOrder(*node));
            }
            signers.insert(*node);
        }
        assert_eq!(signers.len(), self.signatures.len());
        if trusted.is_majority(&signers) {
            Ok(signers)
        } else {
            Err(HeadError::NoMajority {
                found: signers.len(),
            })
        }
    }
}

impl ProvenHead {
    /// The head.
    pub const fn head(&self) -> &LogHead {
        &self.head
    }

    /// The trusted voters that signed it.
    pub const fn signers(&self) -> &BTreeSet<NodeId> {
        &self.signers
    }
}

/// Whether the newer head continues the older one: nothing that the older head
/// covers was changed or removed, and term and membership did not go back. Both
/// heads are proven already, possibly under different memberships.
pub fn verify_head_extension(
    old: &ProvenHead,
    new: &ProvenHead,
    proof: &Consistency,
) -> Result<(), HeadError> {
    let (old, new) = (&old.head, &new.head);
    if old.cluster != new.cluster {
        return Err(HeadError::OtherCluster {
            expected: old.cluster,
            found: new.cluster,
        });
    }
    proof
        .verify(&old.tree(), &new.tree())
        .map_err(HeadError::NoExtension)?;
    if !old.may_continue_as(new) || (old.size == new.size && old != new) {
        return Err(HeadError::Contradiction);
    }
    Ok(())
}
