//! Votes and certificates as they arrive, and what a certificate means.

use alloc::boxed::Box;

use super::cert::{Cert, Proven};
use super::effect::{Effect, Record};
use super::evidence::{self, Evidence};
use super::message::Message;
use super::round::Round;
use super::state::{Bft, Phase};
use super::types::View;
use super::vote::{Statement, Vote, VoteKind};
use crate::limits::VIEWS_KEPT;
use crate::machine::Outbox;
use crate::mutant::Mutant;
use crate::types::NodeId;

impl Bft {
    /// A vote from the network: everything cheap is checked before its signature.
    pub(super) fn on_vote(&mut self, from: NodeId, vote: Vote, out: &mut Outbox<Effect>) {
        self.take_vote(from, vote, false, out);
    }

    /// As [`on_vote`](Self::on_vote). `verified` tells that the caller has checked
    /// the signature, which is most of the work.
    pub(super) fn take_vote(
        &mut self,
        from: NodeId,
        vote: Vote,
        verified: bool,
        out: &mut Outbox<Effect>,
    ) {
        let statement = vote.statement;
        if statement.epoch != self.epoch.epoch || self.epoch.validators.get(vote.signer).is_none() {
            return;
        }
        self.note_activity(from, &statement, out);
        if Some(vote.signer) == self.me || !self.admits(statement.view()) {
            return;
        }
        let round = self.rounds.get(&statement.view());
        let is_known = round.is_some_and(|round| {
            round
                .signed(statement.kind, vote.signer)
                .is_some_and(|signed| *signed == statement || round.is_reported(vote.signer))
        });
        let is_late = statement.kind == VoteKind::Finalize && statement.view() < self.view;
        if is_late && self.config.mutant.is(Mutant::BftIgnoresLateFinalize) {
            return;
        }
        if is_known {
            return;
        }
        if self.is_settled(&statement) {
            return self.on_redundant(from, vote, out);
        }
        if !verified && !self.verifies(&vote) {
            self.reject();
            return;
        }
        if statement.view() == self.view {
            if !self.config.mutant.is(Mutant::BftSleepsThroughVotes) {
                self.activate();
            }
            let leader = self.leaders.of(self.view);
            if statement.kind == VoteKind::Nullify && vote.signer == leader {
                self.nullify(self.view);
            }
        }
        self.count(vote, out);
    }

    /// A vote that says what a certificate says already. It is worth no work, unless its
    /// signer has signed something else as well.
    fn on_redundant(&mut self, from: NodeId, vote: Vote, out: &mut Outbox<Effect>) {
        if self.epoch.validators.index_of(from) != Some(vote.signer) {
            return;
        }
        match self.contradicting(&vote) {
            Some(evidence) if self.verifies(&vote) => self.report_equivocation([evidence], out),
            Some(_) => self.reject(),
            None if self.round(vote.statement.view()).keep_redundant(vote) => {}
            // The place is taken, perhaps by what its own signer has signed wrongly.
            None if self.verifies(&vote) => {
                self.round(vote.statement.view()).replace_redundant(vote);
            }
            None => self.reject(),
        }
    }

    /// Whether the signature of a vote is its signer's.
    pub(super) fn verifies(&self, vote: &Vote) -> bool {
        let (chain, set) = (self.config.chain, &self.epoch.validators);
        vote.verify(chain, set, &*self.config.verifier).is_ok()
    }

    /// Whether votes of this view are kept: not those of views that are long
    /// settled, and not those of views that nobody honest can be in yet.
    fn admits(&self, view: View) -> bool {
        let oldest = self.final_place().view.0.saturating_sub(VIEWS_KEPT);
        view.0 > oldest && view <= self.view.next()
    }

    /// Whether a certificate already says what the vote says.
    fn is_settled(&self, statement: &Statement) -> bool {
        self.cert(statement.view(), statement.kind)
            .is_some_and(|cert| cert.statement == *statement)
    }

    /// Counts a vote whose signature is verified, or an own one.
    pub(super) fn count(&mut self, vote: Vote, out: &mut Outbox<Effect>) {
        let statement = vote.statement;
        assert!(
            Some(vote.signer) != self.me || self.guard.holds_durably(&vote) || self.is_planted(),
            "D1: an own vote counts when it is durable"
        );
        self.look_for_evidence(&vote, out);
        let (set, mutant) = (self.epoch.validators.clone(), self.config.mutant);
        let round = self.round(statement.view());
        round.keep_vote(vote);
        if let Some(cert) = round.assemble(&statement, &set, mutant) {
            self.accept(cert, true, out);
        }
    }

    /// S10: what one signer never signs twice. Evidence is given once per view.
    fn look_for_evidence(&mut self, vote: &Vote, out: &mut Outbox<Effect>) {
        let found = self.contradicting(vote);
        let found = found.or_else(|| self.contradicting_redundant(vote));
        self.report_equivocation(found, out);
    }

    /// A vote with the verified one of the same signer that it contradicts.
    fn contradicting(&self, vote: &Vote) -> Option<Evidence> {
        let round = self.rounds.get(&vote.statement.view())?;
        // Nearly nobody is Byzantine: votes are copied only then.
        let contrary = VoteKind::ALL.into_iter().find(|kind| {
            let signed = round.signed(*kind, vote.signer);
            signed.is_some_and(|signed| {
                evidence::form_of_statements(signed, &vote.statement).is_some()
            })
        })?;
        Evidence::of(*vote, round.vote(contrary, vote.signer)?)
    }

    /// The same with one that was not verified before.
    fn contradicting_redundant(&self, vote: &Vote) -> Option<Evidence> {
        let round = self.rounds.get(&vote.statement.view())?;
        let mut redundant = round.redundant(vote.signer);
        redundant.find_map(|other| Evidence::of(*vote, *other).filter(|_| self.verifies(other)))
    }

    /// Says that somebody equivocated, once per view.
    pub(super) fn report_equivocation(
        &mut self,
        found: impl IntoIterator<Item = Evidence>,
        out: &mut Outbox<Effect>,
    ) {
        if self.config.mutant.is(Mutant::BftReportsNoEquivocation) {
            return;
        }
        for evidence in found {
            let (chain, set) = (self.config.chain, &self.epoch.validators);
            let verdict = evidence.verify(chain, self.epoch.epoch, set, &*self.config.verifier);
            assert!(
                verdict.is_ok() || self.is_planted(),
                "S10: whom this validator reports is convicted"
            );
            let view = evidence.votes()[0].statement.view();
            if self.round(view).note_equivocation(evidence.culprit()) {
                out.push(Effect::Evidence(Box::new(evidence)));
            }
        }
    }

    /// A certificate from the network; whether it holds.
    pub(super) fn on_cert(&mut self, cert: &Cert, out: &mut Outbox<Effect>) -> bool {
        let statement = cert.statement;
        if statement.epoch != self.epoch.epoch {
            return false;
        }
        if self.is_settled(&statement) || self.is_behind(&statement) {
            return true;
        }
        let Some(proven) = self.prove(cert) else {
            self.reject();
            return false;
        };
        self.accept(proven, false, out);
        true
    }

    /// The certificate as a proven one, if all of it verifies. Signatures that
    /// were verified before, under the same statement, are not checked again.
    pub(super) fn prove(&self, cert: &Cert) -> Option<Proven> {
        let round = self.rounds.get(&cert.statement.view());
        let known = |signer| round.and_then(|round| round.signature(&cert.statement, signer));
        let verdict = cert.verify_unknown(
            self.config.chain,
            self.epoch.epoch,
            &self.epoch.validators,
            &*self.config.verifier,
            known,
            self.config.mutant,
        );
        verdict.ok().map(|()| Proven::assume(cert.clone()))
    }

    /// Whether a certificate cannot teach anything: everything up to a later
    /// view is final. Contradictions are still wanted while their view is kept.
    fn is_behind(&self, statement: &Statement) -> bool {
        let last = self.final_place().view;
        statement.view() < last && !self.rounds.contains_key(&statement.view())
    }

    /// A certificate that holds (S5, S8, S9). `assembled` tells whether it was put
    /// together here.
    pub(super) fn accept(&mut self, cert: Proven, assembled: bool, out: &mut Outbox<Effect>) {
        let statement = cert.statement;
        if self.contradicts(&cert) || !self.round(statement.view()).keep_cert(cert.clone()) {
            return;
        }
        self.rules_dirty = true;
        let set = &self.epoch.validators;
        assert!(
            set.is_quorum_under(cert.signers, self.config.mutant) && cert.signers.fits(set),
            "S5: a certificate is of a quorum"
        );
        let round = self.round(statement.view());
        assert!(
            round.certs_agree(),
            "B5: certificates of a view do not exclude each other"
        );
        if self.has_started() {
            self.gate.record(Record::Cert(cert.clone()));
            let found = self.round(statement.view()).contradicted(&cert);
            self.report_equivocation(found, out);
        }
        if statement.kind == VoteKind::Finalize {
            let last = self.last_final.as_ref().map(|last| last.statement.view());
            if last < Some(statement.view()) {
                self.last_final = Some(cert.clone());
            }
        }
        self.relay(&cert, assembled, out);
        let before = self.view;
        self.enter(statement.view().next(), &cert);
        if self.view > before {
            self.repeat_unfinished(out);
        }
    }

    /// S1: a certificate of the view before lets everybody into the next.
    fn enter(&mut self, view: View, by: &Proven) {
        if view <= self.view {
            return;
        }
        if view > self.view.next() {
            self.listens_from = view;
        }
        self.view = view;
        self.entered_at = self.now;
        self.entered_by = Some(by.clone());
        self.building = None;
        self.gives_up = false;
        self.forget_what_ended();
        self.arm();
    }

    /// Votes of views that ended long ago are of no use any more, and neither are
    /// blocks that nobody certified, directly or by a child. A block that this node voted for is
    /// kept: a certificate may come late, and others may have no copy.
    pub(super) fn forget_what_ended(&mut self) {
        // What makes a block worth keeping may come later from the log than what makes
        // it look old.
        let is_early = self.config.mutant.is(Mutant::BftTakesVotesLast);
        if matches!(self.phase, Phase::New) && !is_early {
            return;
        }
        let oldest = View(self.view.0.saturating_sub(VIEWS_KEPT));
        let unfinished = self.newest_unfinished();
        let old = self.rounds.range_mut(..oldest);
        for (_, round) in old.filter(|(view, _)| Some(**view) != unfinished) {
            round.forget_votes();
        }
        let to_commit = self.final_hashes();
        let (rounds, guard, present) = (&self.rounds, &self.guard, self.view);
        self.blocks.retain(|hash, known| {
            let place = known.block.place();
            let certified = rounds.get(&place.view).and_then(Round::certified);
            let mine = guard.vote(place.view, VoteKind::Notarize);
            place.view.next() >= present
                || certified == Some(place)
                || to_commit.contains(hash)
                || mine.is_some_and(|vote| vote.statement.block == place)
        });
    }

    /// The newest view whose block is notarised and that nothing final has overtaken. Votes to
    /// finalise it are kept and sent again however many views ago that was: where they were
    /// lost, and no further block has room, nothing else makes anything final.
    pub(super) fn newest_unfinished(&self) -> Option<View> {
        if self.config.mutant.is(Mutant::BftForgetsUnfinished) {
            return None;
        }
        let above = self.rounds.range(self.final_place().view.next()..);
        let mut newest_first = above.rev();
        let found = newest_first.find(|(_, round)| round.certified().is_some());
        found.map(|(view, _)| *view)
    }

    /// S12: a peer that votes in a view which has ended is helped out of it, at
    /// most once per retry.
    ///
    /// The last votes of a view arrive when the first quorum of them has ended it:
    /// nobody needs help because of that, and answering each of them with a
    /// certificate would cost more than all votes. Who is really stuck says it again
    /// after a delay, and is then helped.
    fn note_activity(&mut self, from: NodeId, statement: &Statement, out: &mut Outbox<Effect>) {
        if self.epoch.validators.index_of(from).is_none() {
            return;
        }
        let (now, pause) = (self.now, self.config.timing.delta);
        // Who finalises a view has seen its notarization, and is in the next one.
        let reached = u64::from(statement.kind == VoteKind::Finalize);
        let view = View(statement.view().0.saturating_add(reached));
        let is_settled = self.entered_at.saturating_add(pause) <= now;
        let is_behind = view < self.view && (is_settled || view.next() < self.view);
        let peer = self.peers.entry(from).or_default();
        peer.view = peer.view.max(view);
        peer.heard_at = Some(now);
        let may_help = peer
            .helped_at
            .is_none_or(|last| last.saturating_add(pause) <= now);
        if !is_behind || !may_help || self.config.mutant.is(Mutant::BftHelpsNobody) {
            return;
        }
        peer.helped_at = Some(now);
        let useful = |cert: &&Proven| cert.statement.view() >= view;
        let last_final = self.last_final.as_ref().filter(useful);
        let entered_by = self.entered_by.as_ref().filter(useful);
        let entered_by = entered_by.filter(|cert| Some(*cert) != last_final);
        for cert in last_final.into_iter().chain(entered_by) {
            out.push(Effect::Send {
                to: from,
                message: Message::Cert(Box::new(cert.to_cert())),
            });
        }
    }

    /// Notes that somebody broke a rule.
    pub(super) fn reject(&mut self) {
        self.rejected = self.rejected.saturating_add(1);
    }
}
