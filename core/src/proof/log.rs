//! Entries of a cluster's log under a signed head.
//!
//! The whitepaper's `VerifyLogProof` recomputes a checksum that the prover sent
//! along: whoever invents entries invents the checksum. Here the entries must
//! lead, through an RFC 6962 range proof, to a root that a majority of trusted
//! voters signed.

use alloc::vec::Vec;

use bytes::Bytes;

use super::head::{HeadError, ProvenHead, SignedHead, verify_head_extension};
use super::leaf::{entry_hash, entry_hash_of, entry_leaf};
use super::voters::TrustedVoters;
use crate::codec::{Decode, Encode};
use crate::crypto::{Digest, Verifier, sha256};
use crate::limits::{ENTRY_BYTES_MAX, LOG_PROOF_ENTRIES_MAX, MERKLE_PATH_MAX};
use crate::merkle::{Consistency, LeafHash, LeafIndex, MerkleError, RangeProof, Tree};
use crate::raft::EntryKind;
use crate::types::{ClusterId, Index, LogId, Term};

/// Consecutive entries of a log with the head that covers them (the whitepaper's
/// `LogProof`). It carries everything that a verifier needs besides the trusted
/// voters, so it is checked offline.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct LogProof {
    /// The head and the signatures under it.
    pub head: SignedHead,
    /// The index of the first entry.
    pub first: Index,
    /// The entries, without a gap.
    #[codec(max = LOG_PROOF_ENTRIES_MAX)]
    pub entries: Vec<ProofEntry>,
    /// The subtrees beside the entries; see [`RangeProof`].
    #[codec(max = 2 * MERKLE_PATH_MAX)]
    pub path: Vec<Digest>,
    /// Proves that the head continues an older one that the verifier holds.
    /// Present if and only if the verifier gave such a head.
    pub extension: Option<Consistency>,
}

/// One entry in a proof. Its index follows from its place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct ProofEntry {
    /// The term in which it was created.
    pub term: Term,
    /// What it is for.
    pub kind: EntryKind,
    /// Its data, or what is known of it.
    pub payload: Payload,
}

/// The data of an entry in a proof.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Payload {
    /// The data itself, at most [`ENTRY_BYTES_MAX`] bytes.
    #[codec(tag = 0)]
    Data(#[codec(max = ENTRY_BYTES_MAX)] Bytes),
    /// Left out: only its length and digest are shown.
    #[codec(tag = 1)]
    Omitted {
        /// Bytes of the data.
        len: u32,
        /// The SHA-256 of the data.
        digest: Digest,
    },
}

/// Entries that were proven. Only [`verify_log_proof`] makes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenEntries {
    head: ProvenHead,
    first: Index,
    entries: Vec<ProofEntry>,
}

/// Why a log proof was refused. Nothing of it may be believed, and nothing was
/// changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LogProofError {
    /// The head itself is not proven, or does not continue the verifier's.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The entries do not lead to the head's root.
    #[error(transparent)]
    Range(#[from] MerkleError),
    /// No entries, or more than a proof may carry, or index zero.
    #[error("{count} entries from index {first} are no range of a log")]
    BadRange {
        /// The index of the first entry.
        first: Index,
        /// How many entries.
        count: usize,
    },
    /// The terms go down, or above the term of the head.
    #[error("the terms of the entries do not grow up to the head's")]
    BadTerms,
    /// An entry is longer than an entry may be.
    #[error("an entry of {len} bytes is over the limit")]
    EntryTooLong {
        /// Bytes of its data.
        len: usize,
    },
    /// The verifier gave an older head, and the proof does not continue it; or
    /// the proof continues a head that the verifier does not hold.
    #[error("the proof and the verifier disagree about an older head")]
    ExtensionMismatch,
}

/// Checks a log proof (the whitepaper's `VerifyLogProof`) against the voters that
/// the caller trusts.
///
/// With `anchor`, a head that the caller has proven before, the proof must also
/// show that its head continues that one; without it the proof must not carry an
/// extension, so that nothing in an accepted proof is left unchecked.
#[doc(alias = "VerifyLogProof")]
pub fn verify_log_proof(
    verifier: &dyn Verifier,
    trusted: &TrustedVoters,
    anchor: Option<&ProvenHead>,
    proof: &LogProof,
) -> Result<ProvenEntries, LogProofError> {
    proof.check_shape()?;
    let head = proof.head.verify(verifier, trusted)?;
    match (anchor, &proof.extension) {
        (Some(anchor), Some(extension)) => verify_head_extension(anchor, &head, extension)?,
        (None, None) => {}
        _ => return Err(LogProofError::ExtensionMismatch),
    }
    proof.check_terms()?;
    proof.check_entries()?;
    Ok(ProvenEntries {
        head,
        first: proof.first,
        entries: proof.entries.clone(),
    })
}

impl LogProof {
    /// Makes the proof of `entries`, which stand from `first` on in the log whose
    /// entry hashes are the leaves of `tree`.
    pub fn prove(
        tree: &Tree,
        head: SignedHead,
        first: Index,
        entries: Vec<ProofEntry>,
    ) -> Result<Self, LogProofError> {
        let count = entries.len();
        let bad_range = LogProofError::BadRange { first, count };
        let leaf = first.prev().ok_or(bad_range)?;
        let range = tree.prove_range(LeafIndex(leaf.0), count, head.head.tree().size)?;
        Ok(Self {
            head,
            first,
            entries,
            path: range.path,
            extension: None,
        })
    }

    /// Counts and lengths, before anything is hashed or verified.
    fn check_shape(&self) -> Result<(), LogProofError> {
        let (first, count) = (self.first, self.entries.len());
        if first == Index::ZERO || count == 0 || count > LOG_PROOF_ENTRIES_MAX {
            return Err(LogProofError::BadRange { first, count });
        }
        for entry in &self.entries {
            let len = entry.payload.len();
            if len > ENTRY_BYTES_MAX {
                return Err(LogProofError::EntryTooLong { len });
            }
        }
        Ok(())
    }

    /// Terms never go down in a log (Raft paper §5.3), and the last entry has the
    /// term of the head.
    fn check_terms(&self) -> Result<(), LogProofError> {
        let terms = self.entries.iter().map(|entry| entry.term);
        let last = self.entries.last().map(|entry| entry.term);
        let head = &self.head.head;
        let is_at_end = self.end().is_some_and(|end| end == head.size);
        let fits_head = if is_at_end {
            last == Some(head.commit_term)
        } else {
            last <= Some(head.commit_term)
        };
        if terms.is_sorted() && fits_head {
            Ok(())
        } else {
            Err(LogProofError::BadTerms)
        }
    }

    /// The entries must lead to the root of the head.
    fn check_entries(&self) -> Result<(), LogProofError> {
        let head = &self.head.head;
        let (first, count) = (self.first, self.entries.len());
        // Checked before any index is computed, so none can overflow.
        self.end()
            .filter(|end| *end <= head.size)
            .ok_or(LogProofError::BadRange { first, count })?;
        let indexes = (first.0..=head.size.0).map(Index);
        let leaves: Vec<LeafHash> = self
            .entries
            .iter()
            .zip(indexes)
            .map(|(entry, index)| entry_leaf(entry.hash(head.cluster, index)))
            .collect();
        assert_eq!(leaves.len(), count);
        let range = RangeProof {
            first: LeafIndex(first.0 - 1),
            size: head.tree().size,
            path: self.path.clone(),
        };
        let proven = range.verify(&head.tree(), &leaves)?;
        assert_eq!(proven.count(), count);
        Ok(())
    }

    /// The index of the last entry, or `None` if it would not fit.
    fn end(&self) -> Option<Index> {
        let count = u64::try_from(self.entries.len()).ok()?;
        self.first.0.checked_add(count)?.checked_sub(1).map(Index)
    }
}

impl ProofEntry {
    /// The entry's hash at its place in a cluster's log.
    pub fn hash(&self, cluster: ClusterId, index: Index) -> Digest {
        let id = LogId::new(self.term, index);
        match &self.payload {
            Payload::Data(data) => entry_hash(cluster, id, self.kind, data),
            Payload::Omitted { len, digest } => entry_hash_of(cluster, id, self.kind, *len, digest),
        }
    }
}

impl Payload {
    /// The same payload without its data. The entry's hash stays.
    pub fn omit(&self) -> Self {
        match self {
            Self::Data(data) => Self::Omitted {
                len: u32::try_from(data.len()).expect("an entry is bounded far below 4 GiB"),
                digest: sha256(data),
            },
            omitted @ Self::Omitted { .. } => omitted.clone(),
        }
    }

    /// Bytes of the data, present or not.
    fn len(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::Omitted { len, .. } => usize::try_from(*len).unwrap_or(usize::MAX),
        }
    }
}

impl ProvenEntries {
    /// The head under which they were proven.
    pub const fn head(&self) -> &ProvenHead {
        &self.head
    }

    /// The entries with their positions, in order.
    pub fn iter(&self) -> impl Iterator<Item = (LogId, &ProofEntry)> {
        (self.first.0..)
            .zip(&self.entries)
            .map(|(index, entry)| (LogId::new(entry.term, Index(index)), entry))
    }
}
