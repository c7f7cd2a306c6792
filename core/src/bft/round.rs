//! What is known of one view.

use core::hash::{Hash, Hasher};

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::block::BlockRef;
use super::cert::{Cert, Proven};
use super::evidence::Evidence;
use super::types::{ValidatorIndex, View};
use super::validators::{Signers, ValidatorSet};
use super::vote::{Statement, Vote, VoteKind};
use crate::crypto::{Digest, Signature};
use crate::mutant::Mutant;
use crate::types::Time;

/// One view: votes, certificates, the leader's block.
#[derive(Debug, Default, Clone)]
pub(super) struct Round {
    /// The first block that the leader proposed.
    pub(super) proposal: Option<Digest>,
    /// Verified votes, the first of each signer and kind.
    pub(super) votes: [BTreeMap<ValidatorIndex, Vote>; 3],
    /// Votes that say what a certificate says already, as they came from their signers.
    /// They count for nothing, so their signatures are not checked, unless the signer
    /// says something else as well.
    redundant: [BTreeMap<ValidatorIndex, Vote>; 3],
    /// Those that evidence has been given of.
    reported: Signers,
    certs: [Option<Proven>; 3],
    /// When its certificates were asked for last.
    pub(super) asked_at: Option<Time>,
}

/// Certificates by what they say: which of the validators signed decides nothing.
impl Hash for Round {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            proposal,
            votes,
            redundant,
            reported,
            certs,
            asked_at,
        } = self;
        (proposal, votes, redundant, reported, asked_at).hash(state);
        for cert in certs {
            cert.as_ref().map(|cert| cert.statement).hash(state);
        }
    }
}

impl Round {
    /// The certificate of a kind.
    pub(super) fn cert(&self, kind: VoteKind) -> Option<&Proven> {
        self.certs[usize::from(kind.tag())].as_ref()
    }

    /// Keeps the first certificate of a kind; whether it was new.
    pub(super) fn keep_cert(&mut self, cert: Proven) -> bool {
        let place = &mut self.certs[usize::from(cert.statement.kind.tag())];
        let is_new = place.is_none();
        place.get_or_insert(cert);
        is_new
    }

    /// All its certificates.
    pub(super) fn certs(&self) -> impl Iterator<Item = &Proven> {
        self.certs.iter().flatten()
    }

    /// The block that a quorum notarised or finalised.
    pub(super) fn certified(&self) -> Option<BlockRef> {
        let finalized = self.cert(VoteKind::Finalize);
        let cert = finalized.or_else(|| self.cert(VoteKind::Notarize))?;
        Some(cert.statement.block)
    }

    /// What a signer has signed of a kind, in a verified vote or in a certificate.
    pub(super) fn signed(&self, kind: VoteKind, signer: ValidatorIndex) -> Option<&Statement> {
        let kept = self.votes[usize::from(kind.tag())].get(&signer);
        let kept = kept.map(|vote| &vote.statement);
        kept.or_else(|| {
            let cert = self.cert(kind).filter(|cert| cert.signers.contains(signer));
            cert.map(|cert| &cert.statement)
        })
    }

    /// The verified vote of a signer.
    pub(super) fn vote(&self, kind: VoteKind, signer: ValidatorIndex) -> Option<Vote> {
        let kept = self.votes[usize::from(kind.tag())].get(&signer).copied();
        kept.or_else(|| self.cert(kind)?.vote_of(signer))
    }

    /// A signature that has been verified, under exactly this statement.
    pub(super) fn signature(
        &self,
        statement: &Statement,
        signer: ValidatorIndex,
    ) -> Option<Signature> {
        let vote = self.votes[usize::from(statement.kind.tag())].get(&signer)?;
        (vote.statement == *statement).then_some(vote.signature)
    }

    /// Keeps a verified vote if it is the signer's first of its kind.
    pub(super) fn keep_vote(&mut self, vote: Vote) {
        let kept = &mut self.votes[usize::from(vote.statement.kind.tag())];
        kept.entry(vote.signer).or_insert(vote);
    }

    /// Keeps a vote that was not verified: its signer sent it, and a certificate says
    /// the same. Whether it is there now, and not another one.
    pub(super) fn keep_redundant(&mut self, vote: Vote) -> bool {
        let kept = &mut self.redundant[usize::from(vote.statement.kind.tag())];
        *kept.entry(vote.signer).or_insert(vote) == vote
    }

    /// Keeps a vote that was verified in the place of another one.
    pub(super) fn replace_redundant(&mut self, vote: Vote) {
        self.redundant[usize::from(vote.statement.kind.tag())].insert(vote.signer, vote);
    }

    /// Such votes of a signer.
    pub(super) fn redundant(&self, signer: ValidatorIndex) -> impl Iterator<Item = &Vote> {
        self.redundant
            .iter()
            .filter_map(move |kept| kept.get(&signer))
    }

    /// The votes that a certificate of this view contradicts, each with what its signer
    /// has signed in there.
    pub(super) fn contradicted(&self, cert: &Proven) -> Vec<Evidence> {
        let votes = self
            .votes()
            .filter(|vote| cert.signers.contains(vote.signer) && vote.statement != cert.statement);
        let pairs = votes.filter_map(|vote| Evidence::of(*vote, cert.vote_of(vote.signer)?));
        pairs.collect()
    }

    /// Marks a signer as reported; whether it was not before.
    pub(super) fn note_equivocation(&mut self, signer: ValidatorIndex) -> bool {
        self.reported.insert(signer)
    }

    /// Whether evidence against this signer has been given.
    pub(super) fn is_reported(&self, signer: ValidatorIndex) -> bool {
        self.reported.contains(signer)
    }

    /// A certificate for this statement, if the votes for it are a quorum and
    /// there is none yet.
    pub(super) fn assemble(
        &self,
        statement: &Statement,
        set: &ValidatorSet,
        mutant: Mutant,
    ) -> Option<Proven> {
        if self.cert(statement.kind).is_some() {
            return None;
        }
        let votes = &self.votes[usize::from(statement.kind.tag())];
        // Most votes end here. A planted bug is in what follows.
        if mutant == Mutant::None && !set.can_be_quorum(votes.len()) {
            return None;
        }
        let counted = || {
            votes.values().filter(|vote| {
                vote.statement == *statement || mutant.is(Mutant::BftTallyIgnoresBlock)
            })
        };
        let signers: Signers = counted().map(|vote| vote.signer).collect();
        let power: u128 = counted().map(|vote| set.weight_of(vote.signer)).sum();
        assert_eq!(
            set.power_of(signers),
            power,
            "B6: what was counted is what its signers weigh"
        );
        if !set.is_quorum_under(signers, mutant) {
            return None;
        }
        let signatures: Vec<Signature> = counted().map(|vote| vote.signature).collect();
        Some(Proven::assume(Cert {
            statement: *statement,
            signers,
            signatures,
        }))
    }

    /// Gives the memory of votes back, once nothing can come of them.
    pub(super) fn forget_votes(&mut self) {
        self.votes = Default::default();
        self.redundant = Default::default();
    }

    /// Whether no more votes of a kind are kept than there are validators.
    pub(super) fn fits(&self, validators: usize) -> bool {
        let mut kept = self.votes.iter().chain(&self.redundant);
        kept.all(|votes| votes.len() <= validators) && self.reported.count() <= validators
    }

    /// Whether its certificates can all be, as two quorums share an honest validator.
    pub(super) fn certs_agree(&self) -> bool {
        let [notarized, nullified, finalized] = VoteKind::ALL.map(|kind| self.cert(kind));
        let blocks = [notarized, finalized].map(|cert| cert.map(|cert| cert.statement.block));
        let [Some(notarized), Some(finalized)] = blocks else {
            return nullified.is_none() || finalized.is_none();
        };
        nullified.is_none() && notarized == finalized
    }

    /// Whether somebody has voted here.
    pub(super) fn has_votes(&self) -> bool {
        self.votes.iter().any(|votes| !votes.is_empty())
    }

    /// Whether somebody was seen to give this view up.
    pub(super) fn is_given_up_by_any(&self) -> bool {
        let given_up = usize::from(VoteKind::Nullify.tag());
        self.certs[given_up].is_some() || !self.votes[given_up].is_empty()
    }

    /// The kept votes, in a fixed order.
    pub(super) fn votes(&self) -> impl Iterator<Item = &Vote> {
        self.votes.iter().flat_map(BTreeMap::values)
    }
}

/// All views that are not settled.
pub(super) type Rounds = BTreeMap<View, Round>;
