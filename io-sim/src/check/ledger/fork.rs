//! Runs in which more than a third is Byzantine.
//!
//! Nobody honest is named, however many are Byzantine. And while Byzantine validators are no
//! quorum by themselves, whoever forks the ledger leaves the signatures that convict it: the
//! certificates of all honest nodes together name more than a third of the power. One
//! node alone may hold too few, so what it names is only held to be true; and a quorum
//! of Byzantine validators can certify what no honest node has seen (`core/src/bft`, "Beyond a
//! third").

use std::collections::BTreeSet;

use decube_core::bft::{Cert, Epoch, Evidence, Proven, ValidatorIndex, VoteKind, forensics};
use decube_core::ledger::Message;

use super::{LedgerChecker, certs_of, power_of, total_power, vote_of};
use crate::check::Finding;

const NAME: &str = "forensics";

/// What became of a fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fork {
    /// More than a third of the power was convicted.
    Convicted,
    /// A third or less was: a quorum is Byzantine.
    Unproven,
}

impl LedgerChecker {
    /// In a run that may fork: whatever anybody sends. Who has the votes of a quorum has
    /// a certificate, even if nobody ever sends it.
    pub fn on_anything(&mut self, message: &Message) -> Result<(), Finding> {
        if let Some(vote) = vote_of(message)
            && self.is_signed(&vote.statement, vote.signer, &vote.signature)
        {
            let by_signer = self.tally.entry(vote.statement).or_default();
            by_signer.insert(vote.signer, vote.signature);
            let cert = Cert {
                statement: vote.statement,
                signers: by_signer.keys().copied().collect(),
                signatures: by_signer.values().copied().collect(),
            };
            self.take_if_good(&cert)?;
        }
        let mut certs = certs_of(message).into_iter();
        certs.try_for_each(|cert| self.take_if_good(cert))
    }

    fn take_if_good(&mut self, cert: &Cert) -> Result<(), Finding> {
        match self.is_known(&cert.statement) || self.judge(cert).is_err() {
            true => Ok(()),
            false => self.take_cert(cert),
        }
    }

    /// The ledger has forked: all certificates that were seen are handed to forensics.
    pub(super) fn convict(&mut self) -> Result<(), Finding> {
        self.on_fork(&[])
    }

    /// An honest node halts because it has seen a fork, and names those of the guilty
    /// that it knows.
    pub fn on_fork_report(&mut self, slot: usize, culprits: &[Evidence]) -> Result<(), Finding> {
        if !self.fork {
            let message = format!("slot {slot} saw a fork: {culprits:?}");
            return Err(("safety-violation", message));
        }
        self.on_fork(culprits)
    }

    /// Judges a fork by those whom one node names and by all certificates together.
    fn on_fork(&mut self, by_one: &[Evidence]) -> Result<(), Finding> {
        let mut proven = Vec::new();
        for cert in self.certs.by_view.values().flatten() {
            let epoch = cert.statement.epoch;
            let set = &self.sets[&epoch];
            let cert = Proven::check(cert.clone(), self.chain_id, epoch, set, &self.verifier);
            proven.push(cert.map_err(|error| (NAME, format!("a sent certificate: {error}")))?);
        }
        let culprits = [by_one, &forensics(&proven)].concat();
        let named = self.named(&culprits)?;
        let is_enough = named.iter().any(|(epoch, _)| {
            let set = &self.sets[epoch];
            let guilty = named.iter().filter(|(of, _)| of == epoch);
            power_of(set, guilty.map(|(_, place)| *place)) * 3 > total_power(set)
        });
        if !is_enough && self.must_convict {
            let message = format!("a fork by {culprits:?}: not more than a third is named");
            return Err((NAME, message));
        }
        self.settled = Some(match is_enough {
            true => Fork::Convicted,
            false => Fork::Unproven,
        });
        Ok(())
    }

    /// Whom evidence names. It has to hold, and against nobody honest.
    fn named(&self, culprits: &[Evidence]) -> Result<BTreeSet<(Epoch, ValidatorIndex)>, Finding> {
        let mut named = BTreeSet::new();
        for evidence in culprits {
            let [first, second] = evidence.votes();
            let (a, b) = (&first.statement, &second.statement);
            let opposed = a.kind != b.kind
                && [a.kind, b.kind].contains(&VoteKind::Nullify)
                && [a.kind, b.kind].contains(&VoteKind::Finalize);
            let is_contradiction = first.signer == second.signer
                && (a.epoch, a.block.view) == (b.epoch, b.block.view)
                && (opposed || (a.kind == b.kind && a.block != b.block));
            let is_signed = self.is_signed(a, first.signer, &first.signature)
                && self.is_signed(b, second.signer, &second.signature);
            if !is_contradiction || !is_signed {
                return Err((NAME, format!("this shows nothing: {evidence:?}")));
            }
            let slot = self.slot_of(a.epoch, first.signer);
            if slot.is_none_or(|slot| self.honest[slot]) {
                return Err((NAME, format!("somebody honest is named: {evidence:?}")));
            }
            named.insert((a.epoch, first.signer));
        }
        Ok(named)
    }
}
