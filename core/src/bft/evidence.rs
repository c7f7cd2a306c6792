//! Proof that a validator equivocated, and who is guilty of a fork.
//!
//! An honest validator signs at most one block per view and kind, and never both
//! the nullification and the finalization of a view: who signs both sides has equivocated,
//! whoever else is Byzantine. When a fork leaves enough of such signatures to convict more than
//! a third of the power, and when it does not, stands in `mod.rs`, "Beyond a third".

use alloc::vec::Vec;

use super::cert::Proven;
use super::types::{Epoch, ValidatorIndex};
use super::validators::{Signers, ValidatorSet};
use super::vote::{Statement, Vote, VoteKind};
use crate::codec::{Decode, Encode};
use crate::crypto::{ChainId, Verifier};

/// Two votes of one validator, of which an honest one signs at most one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
#[codec(check = Evidence::check)]
pub struct Evidence {
    first: Vote,
    second: Vote,
}

/// What evidence shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// Two blocks of one view, in votes of one kind.
    Conflict(VoteKind),
    /// A view given up and finalised.
    NullFinal,
}

/// Why evidence was refused. It shows nothing then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// The two votes do not contradict each other.
    #[error("the two votes do not contradict each other")]
    NoContradiction,
    /// The votes are of another epoch than the set.
    #[error("the votes are of another epoch")]
    Epoch,
    /// At least one signature does not verify.
    #[error("a signature does not verify")]
    Signature,
}

impl Evidence {
    /// The two votes as evidence, if they contradict each other. Their signatures
    /// are not checked here.
    pub fn of(one: Vote, other: Vote) -> Option<Self> {
        form_of(&one, &other)?;
        let (first, second) = if one.statement <= other.statement {
            (one, other)
        } else {
            (other, one)
        };
        Some(Self { first, second })
    }

    /// Whom it convicts.
    pub const fn culprit(&self) -> ValidatorIndex {
        self.first.signer
    }

    /// What it shows.
    pub fn form(&self) -> Form {
        form_of(&self.first, &self.second).expect("checked when it was made")
    }

    /// Both votes.
    pub const fn votes(&self) -> [&Vote; 2] {
        [&self.first, &self.second]
    }

    /// Checks both signatures against the set of their epoch.
    pub fn verify(
        &self,
        chain: ChainId,
        epoch: Epoch,
        set: &ValidatorSet,
        verifier: &(impl Verifier + ?Sized),
    ) -> Result<(), EvidenceError> {
        if form_of(&self.first, &self.second).is_none() {
            return Err(EvidenceError::NoContradiction);
        }
        if self.first.statement.epoch != epoch {
            return Err(EvidenceError::Epoch);
        }
        for vote in self.votes() {
            vote.verify(chain, set, verifier)
                .map_err(|_| EvidenceError::Signature)?;
        }
        Ok(())
    }

    /// Whether the votes contradict each other and stand in their order.
    fn check(&self) -> Result<(), &'static str> {
        match Self::of(self.first, self.second) {
            Some(evidence) if evidence == *self => Ok(()),
            _ => Err("evidence"),
        }
    }
}

/// What two votes show together, if anything.
fn form_of(one: &Vote, other: &Vote) -> Option<Form> {
    if one.signer != other.signer {
        return None;
    }
    form_of_statements(&one.statement, &other.statement)
}

/// What it shows that one signer has signed both, if anything.
pub(super) fn form_of_statements(a: &Statement, b: &Statement) -> Option<Form> {
    if a.epoch != b.epoch || a.view() != b.view() {
        return None;
    }
    match (a.kind, b.kind) {
        (VoteKind::Nullify, VoteKind::Finalize) | (VoteKind::Finalize, VoteKind::Nullify) => {
            Some(Form::NullFinal)
        }
        (kind, same) if kind == same && a.block != b.block => Some(Form::Conflict(kind)),
        _ => None,
    }
}

/// Whether two certificates cannot both exist unless a third of the power is Byzantine.
pub fn contradict(one: &Proven, other: &Proven) -> bool {
    let (a, b) = (&one.statement, &other.statement);
    if a.epoch != b.epoch {
        return false;
    }
    if a.view() != b.view() {
        return undercuts(a, b) || undercuts(b, a);
    }
    match (a.kind, b.kind) {
        (VoteKind::Nullify, VoteKind::Finalize) | (VoteKind::Finalize, VoteKind::Nullify) => true,
        (VoteKind::Nullify, _) | (_, VoteKind::Nullify) => false,
        // Honest validators finalise only what is notarised.
        _ => a.block != b.block,
    }
}

/// Whether a block of a later view is not higher than a final one: it rests on it
/// unless a third of the power is Byzantine.
fn undercuts(last: &Statement, later: &Statement) -> bool {
    last.kind == VoteKind::Finalize
        && later.kind != VoteKind::Nullify
        && later.view() > last.view()
        && later.block.height <= last.block.height
}

/// Who is guilty of a fork: pass the certificates of both chains (those that
/// certify blocks, and those that skip views), of as many honest validators as can be
/// asked. One of them may hold too few. Each culprit comes once.
pub fn forensics<'a>(certs: impl IntoIterator<Item = &'a Proven>) -> Vec<Evidence> {
    let certs: Vec<&Proven> = certs.into_iter().collect();
    let mut seen = Signers::NONE;
    let mut culprits = Vec::new();
    for (place, one) in certs.iter().enumerate() {
        for other in certs.iter().skip(place) {
            for signer in one.signers.and(other.signers).iter() {
                let votes = one.vote_of(signer).zip(other.vote_of(signer));
                let evidence = votes.and_then(|(one, other)| Evidence::of(one, other));
                if let Some(evidence) = evidence.filter(|_| seen.insert(signer)) {
                    culprits.push(evidence);
                }
            }
        }
    }
    culprits
}
