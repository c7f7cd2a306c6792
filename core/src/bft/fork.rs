//! What a node does that sees the ledger forked: it votes no more, keeps the proof, shows
//! it to everybody, and stops.
//!
//! The proof can be spread: one node has the notarization of a block, another one its
//! finalization, and both together convict. A certificate that was put together here may
//! be nowhere else, and it is what makes this node stop. So it goes into the log, where
//! a restart finds it and stops again, and then to all others, before the owner is told.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::cert::Proven;
use super::effect::{Effect, Record};
use super::event::Event;
use super::evidence::{self, Evidence};
use super::gate::Held;
use super::message::Message;
use super::round::Round;
use super::state::{Bft, Phase};
use super::types::View;
use super::validators::Signers;
use super::vote::{Statement, VoteKind};
use crate::machine::Outbox;
use crate::mutant::Mutant;

/// What shows that the ledger is forked.
#[derive(Debug, Clone, Hash)]
pub(super) struct Fork {
    /// Certificates that cannot all be.
    pub(super) certs: Vec<Proven>,
    /// Those of the guilty that this node can name.
    pub(super) culprits: Vec<Evidence>,
}

impl Bft {
    /// Whether this certificate and what is known cannot both be: the ledger is
    /// broken. The node tells what it has and votes no more.
    pub(super) fn contradicts(&mut self, cert: &Proven) -> bool {
        let mut certs = self.excluded_by(cert);
        if certs.is_empty() && self.fits_committed(&cert.statement) {
            return false;
        }
        if self.has_started() && !self.config.mutant.is(Mutant::BftForgetsFork) {
            self.gate.record(Record::Cert(cert.clone()));
        }
        certs.push(cert.clone());
        // Some of the guilty may have shown themselves to this node by single votes.
        let heard = self.round(cert.statement.view()).contradicted(cert);
        self.break_off(certs, heard);
        true
    }

    /// Certificates that cannot be beside this one, with what was signed in their view.
    fn excluded_by(&self, cert: &Proven) -> Vec<Proven> {
        let view = cert.statement.view();
        let excluded = |kept: &&Proven| evidence::contradict(kept, cert);
        let beside = self.rounds.get(&view);
        if beside.is_some_and(|round| round.certs().any(|kept| excluded(&kept))) {
            return beside.into_iter().flat_map(Round::certs).cloned().collect();
        }
        let last = self.last_final.as_ref();
        let before = last.filter(|last| last.statement.view() < view);
        let later = self.rounds.range(view.next()..).map(|(_, round)| round);
        let later = later.take_while(|_| cert.statement.kind == VoteKind::Finalize);
        let others = before.into_iter().chain(later.flat_map(Round::certs));
        others.filter(excluded).cloned().collect()
    }

    /// Whether what a certificate says can be beside the committed block.
    ///
    /// Final blocks are one chain, so later ones are higher. A block of a later view that
    /// is only notarised rests on what was *finalised* before that view. The committed
    /// block need not be that: where it is final because a later block that rests on it
    /// is, the views between may have notarised another one of its height (`platform`
    /// seed 18618139).
    fn fits_committed(&self, statement: &Statement) -> bool {
        let (place, committed) = (&statement.block, &self.committed);
        match statement.kind {
            VoteKind::Nullify => true,
            VoteKind::Notarize if self.config.mutant.is(Mutant::BftBindsViewsBetween) => {
                place.view <= committed.view || place.height > committed.height
            }
            VoteKind::Notarize => {
                let finalised = self.last_final.as_ref().map(|last| &last.statement.block);
                let root = Some(committed).filter(|committed| committed.view == View(0));
                let before = finalised.or(root).filter(|before| before.view < place.view);
                before.is_none_or(|before| place.height > before.height)
            }
            VoteKind::Finalize if place.view == committed.view => place == committed,
            VoteKind::Finalize => {
                (place.view > committed.view) == (place.height > committed.height)
            }
        }
    }

    /// The ledger is broken: the node votes no more. What shows it, with evidence that it
    /// has heard besides, is told when it is durable.
    pub(super) fn break_off(&mut self, certs: Vec<Proven>, mut heard: Vec<Evidence>) {
        if matches!(self.phase, Phase::Forked) {
            return;
        }
        assert!(!certs.is_empty(), "B10: a fork is shown by certificates");
        // A notarization and a finalization of another block convict nobody yet:
        // an honest signer of both finalised what others notarised.
        let mut culprits = evidence::forensics(&certs);
        let named: Signers = culprits.iter().map(Evidence::culprit).collect();
        heard.retain(|evidence| !named.contains(evidence.culprit()));
        culprits.extend(heard);
        self.gate
            .hold(Held::Fork(Box::new(Fork { certs, culprits })));
        self.phase = Phase::Forked;
    }

    /// A step of a node that has seen a fork and writes down what shows it.
    pub(super) fn step_forked(&mut self, event: Event, out: &mut Outbox<Effect>) {
        match event {
            Event::Persisted { seq } => {
                for held in self.gate.release(seq) {
                    // Nothing else is sent any more.
                    if let Held::Fork(fork) = held {
                        self.report(*fork, out);
                    }
                }
            }
            Event::StoreFailed => self.phase = Phase::Halted("a write of the ledger failed"),
            _ => {}
        }
        self.gate
            .flush()
            .into_iter()
            .for_each(|write| out.push(write));
    }

    /// The proof is durable: everybody shall have it.
    fn report(&mut self, fork: Fork, out: &mut Outbox<Effect>) {
        let Fork { certs, culprits } = fork;
        if !self.config.mutant.is(Mutant::BftKeepsForkToItself) {
            for cert in &certs {
                out.push(Effect::Broadcast {
                    message: Message::Cert(Box::new(cert.to_cert())),
                });
            }
        }
        out.push(Effect::SafetyViolation { certs, culprits });
        self.phase =
            Phase::Halted("the ledger is broken: more than a third of the power is Byzantine");
    }
}
