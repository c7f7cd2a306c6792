//! Runs in which more than a third lies. Nothing is promised but this: whoever forks
//! the ledger leaves the signatures that convict it, and nobody else is convicted.

use std::collections::BTreeSet;

use decube_core::bft::{self, Cert, Epoch, Evidence, Proven, ValidatorIndex, VoteKind, forensics};
use decube_core::ledger::Message;

use super::{LedgerChecker, power_of, total_power};
use crate::check::raft::Finding;

const NAME: &str = "forensics";

impl LedgerChecker {
    /// In a run that may fork: a vote that anybody sent. Who has the votes of a quorum
    /// has a certificate, even if nobody ever sends it.
    pub fn on_anything(&mut self, message: &Message) -> Result<(), Finding> {
        let vote = match message {
            Message::Bft(bft::Message::Vote(vote)) => *vote,
            Message::Bft(bft::Message::Proposal(proposal)) => proposal.vote,
            Message::Compact(compact) => compact.vote,
            _ => return Ok(()),
        };
        let statement = vote.statement;
        if !self.is_signed(&statement, vote.signer, &vote.signature) {
            return Ok(());
        }
        let by_signer = self.tally.entry(statement).or_default();
        by_signer.insert(vote.signer, vote.signature);
        let cert = Cert {
            statement,
            signers: by_signer.keys().copied().collect(),
            signatures: by_signer.values().copied().collect(),
        };
        match self.judge(&cert) {
            Ok(()) => self.take_cert(&cert),
            Err(_) => Ok(()),
        }
    }

    /// The ledger has forked: all certificates that were seen are handed to forensics.
    pub(super) fn convict(&mut self) -> Result<(), Finding> {
        let mut proven = Vec::new();
        for cert in self.certs.by_view.values().flatten() {
            let epoch = cert.statement.epoch;
            let set = &self.sets[&epoch];
            let cert = Proven::check(cert.clone(), self.chain_id, epoch, set, &self.verifier);
            proven.push(cert.map_err(|error| (NAME, format!("a sent certificate: {error}")))?);
        }
        let culprits = forensics(&proven);
        self.on_culprits(&culprits)
    }

    /// An honest node halts because it has seen a fork, and names the guilty.
    pub fn on_accusation(&mut self, slot: usize, culprits: &[Evidence]) -> Result<(), Finding> {
        if !self.fork {
            let message = format!("slot {slot} saw a fork: {culprits:?}");
            return Err(("safety-violation", message));
        }
        self.on_culprits(culprits)
    }

    fn on_culprits(&mut self, culprits: &[Evidence]) -> Result<(), Finding> {
        let mut named: BTreeSet<(Epoch, ValidatorIndex)> = BTreeSet::new();
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
                return Err((NAME, format!("somebody honest is accused: {evidence:?}")));
            }
            named.insert((a.epoch, first.signer));
        }
        let enough = named.iter().any(|(epoch, _)| {
            let set = &self.sets[epoch];
            let guilty = named.iter().filter(|(of, _)| of == epoch);
            power_of(set, guilty.map(|(_, place)| *place)) * 3 > total_power(set)
        });
        if !enough {
            let message = format!("a fork by {culprits:?}: not more than a third is named");
            return Err((NAME, message));
        }
        self.settled = true;
        Ok(())
    }
}
