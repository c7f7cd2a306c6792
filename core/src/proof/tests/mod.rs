//! Every field of a proof altered, every rule about signers broken, and what the
//! whitepaper's rule would have let through.

mod applied;
mod applied_tree;
mod forged;
mod golden;
mod heads;
mod honest;
mod leaf;
mod ledger;
mod props;
mod split_view;
mod voters;

use alloc::vec::Vec;

use bytes::Bytes;

use super::{HeadSignature, LogHead, LogProof, Payload, ProofEntry, SignedHead, TrustedVoters};
use crate::crypto::PublicKey;
use crate::crypto::Signer;
use crate::crypto::fake::{FakeAuthority, FakeSigner, FakeVerifier};
use crate::merkle::{LeafHash, Tree};
use crate::raft::EntryKind;
use crate::types::{ClusterId, Index, Term};

pub(super) const CLUSTER: ClusterId = ClusterId(7);

/// A cluster of honest voters and the log that they applied.
pub(super) struct Fixture {
    pub signers: Vec<FakeSigner>,
    pub stranger: FakeSigner,
    pub verifier: FakeVerifier,
    pub entries: Vec<ProofEntry>,
    pub tree: Tree,
}

impl Fixture {
    /// `voters` voters and `size` entries; the term goes up every four entries.
    pub fn new(voters: u64, size: u64) -> Self {
        let authority = FakeAuthority::new(1);
        let mut fixture = Self {
            signers: (0..voters).map(|number| authority.signer(number)).collect(),
            stranger: authority.signer(1000),
            verifier: authority.verifier(),
            entries: Vec::new(),
            tree: Tree::new(),
        };
        (1..=size).for_each(|index| fixture.append(entry(index, index / 4 + 1)));
        fixture
    }

    pub fn append(&mut self, entry: ProofEntry) {
        let index = Index(self.tree.size().0 + 1);
        self.tree
            .append(LeafHash::assume(entry.hash(CLUSTER, index)));
        self.entries.push(entry);
    }

    pub fn keys(&self) -> Vec<PublicKey> {
        self.signers
            .iter()
            .map(|signer| *signer.public_key())
            .collect()
    }

    pub fn trusted(&self) -> TrustedVoters {
        TrustedVoters::new(CLUSTER, Index(0), &self.keys()).unwrap()
    }

    /// The honest head after `size` entries.
    pub fn head(&self, size: u64) -> LogHead {
        let count = usize::try_from(size).unwrap();
        let entries = &self.entries[..count];
        LogHead {
            cluster: CLUSTER,
            membership_epoch: Index(0),
            size: Index(size),
            root: self.tree.root_at(crate::merkle::TreeSize(size)).unwrap(),
            commit_term: entries.last().unwrap().term,
        }
    }

    /// A head signed by the voters with these numbers.
    pub fn signed(&self, head: LogHead, numbers: &[usize]) -> SignedHead {
        let signatures = numbers
            .iter()
            .map(|number| head.sign(&self.signers[*number]))
            .collect();
        SignedHead::new(head, signatures)
    }

    /// A bare majority of signers: the first ones.
    pub fn majority(&self) -> Vec<usize> {
        (0..self.signers.len() / 2 + 1).collect()
    }

    /// The honest proof of `count` entries from `first` on, under the whole log.
    pub fn proof(&self, first: u64, count: usize) -> LogProof {
        let head = self.signed(self.head(self.tree.size().0), &self.majority());
        let from = usize::try_from(first).unwrap() - 1;
        let entries = self.entries[from..from + count].to_vec();
        LogProof::prove(&self.tree, head, Index(first), entries).unwrap()
    }

    pub fn signature(&self, head: &LogHead, number: usize) -> HeadSignature {
        head.sign(&self.signers[number])
    }
}

/// A command with its index as data.
pub(super) fn entry(index: u64, term: u64) -> ProofEntry {
    ProofEntry {
        term: Term(term),
        kind: EntryKind::App,
        payload: Payload::Data(Bytes::copy_from_slice(&index.to_be_bytes())),
    }
}
