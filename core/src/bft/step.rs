//! The only mutator: routing of events, and what follows from any of them.

use super::effect::{Effect, Record};
use super::event::{Content, Event, Recovered};
use super::gate::Held;
use super::message::Message;
use super::rejoin::Rejoin;
use super::state::{Bft, Phase};
use super::types::View;
use super::vote::VoteKind;
use crate::machine::{Machine, Outbox};
use crate::mutant::Mutant;
use crate::types::{NodeId, Time};

impl Machine for Bft {
    type Event = Event;
    type Effect = Effect;

    fn step(&mut self, now: Time, event: Event, out: &mut Outbox<Effect>) {
        assert!(now >= self.now, "B4: time never runs backwards");
        let before = self.heads();
        self.now = now;
        self.steps = self.steps.wrapping_add(1);
        match self.phase {
            Phase::Halted(_) => return,
            Phase::Forked => return self.step_forked(event, out),
            _ => {}
        }
        self.rules_dirty |= !matches!(
            &event,
            Event::Message {
                message: Message::Vote(_),
                ..
            }
        );
        self.on_event(event, out);
        self.on_deadlines();
        if self.rules_dirty || self.config.mutant != Mutant::None {
            self.advance(out);
        } else if self.is_sampled() {
            self.assert_at_rest();
        }
        self.repeat(out);
        for held in self.gate.leak() {
            self.release(held, out);
        }
        if let Some(persist) = self.gate.flush() {
            out.push(persist);
        }
        self.assert_forward(&before);
        self.invariants();
    }

    fn deadline(&self) -> Option<Time> {
        match self.phase {
            Phase::New | Phase::Ended | Phase::Forked | Phase::Halted(_) => None,
            Phase::Rejoining(ref rejoin) => Some(rejoin.ask_at),
            Phase::Running => self.timers.earliest(),
        }
    }
}

impl Bft {
    fn on_event(&mut self, event: Event, out: &mut Outbox<Effect>) {
        match event {
            Event::Start(recovered) => self.start(*recovered, out),
            Event::Wake => {}
            Event::Message { from, message } if self.has_started() => {
                self.on_message(from, message, out);
            }
            Event::Message { .. } => {}
            Event::Persisted { seq } => {
                for held in self.gate.release(seq) {
                    // One's own vote may be what shows that the ledger is broken.
                    if !matches!(self.phase, Phase::Forked) {
                        self.release(held, out);
                    }
                }
            }
            Event::StoreFailed => self.phase = Phase::Halted("a write of the ledger failed"),
            Event::Built { view, content } => self.on_built(view, content.map(unbox)),
            Event::Checked { hash, valid } => self.on_checked(&hash, valid),
            Event::Pending { waiting } => {
                self.waiting = waiting;
                if waiting {
                    // What waits may be more than what was asked about before.
                    self.timers.hold = None;
                    self.activate_for_content();
                }
            }
        }
    }

    pub(super) fn has_started(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Rejoining(_))
    }

    fn on_message(&mut self, from: NodeId, message: Message, out: &mut Outbox<Effect>) {
        match message {
            Message::Proposal(proposal) => self.on_proposal(from, *proposal, out),
            Message::Vote(vote) => self.on_vote(from, vote, out),
            Message::Cert(cert) => {
                self.on_cert(&cert, out);
            }
            Message::Status(status) => self.on_status(from, &status, out),
            Message::AskStatus => self.on_ask_status(from, out),
            Message::AskCerts { epoch, view } => self.on_ask_certs(from, epoch, view, out),
            Message::AskBlock { hash } => self.on_ask_block(from, hash, out),
            Message::Block(block) => self.on_block(*block),
            Message::AskBlocks { from: height } => {
                out.push(Effect::ServeBlocks {
                    to: from,
                    from: height,
                });
            }
            Message::Blocks(blocks) => self.on_blocks(*blocks, out),
        }
    }

    /// Takes up what the disk held (D6). The view follows from certificates and
    /// from own votes, whichever reaches further.
    fn start(&mut self, recovered: Recovered, out: &mut Outbox<Effect>) {
        assert!(
            matches!(self.phase, Phase::New),
            "B8: a validator starts once"
        );
        if let Some(committed) = recovered.committed {
            assert!(
                committed.height >= self.epoch.root_height,
                "D4: the application stands on the root of the epoch or behind it"
            );
            self.committed = committed;
            self.announced = committed.height;
        }
        self.guard
            .raise_floor(self.committed.view.max(recovered.vote_floor));
        // First of all: what was voted for is kept while the rest is taken up.
        let is_late = self.config.mutant.is(Mutant::BftTakesVotesLast);
        if !is_late {
            self.recover_guard(&recovered.votes);
        }
        for block in recovered.blocks {
            self.recover_block(block);
        }
        let this_epoch = self.epoch.epoch;
        for cert in recovered.certs {
            if cert.statement.epoch == this_epoch {
                self.accept(cert, false, out);
            }
        }
        if matches!(self.phase, Phase::Forked) {
            return;
        }
        if is_late {
            self.recover_guard(&recovered.votes);
        }
        self.phase = Phase::Running;
        self.recover_votes(recovered.votes, out);
        let voted_in = self.guard.last_view();
        if voted_in > self.view {
            // What had opened that view is lost: damage to the log takes single records.
            self.view = voted_in;
            self.entered_by = None;
        }
        self.listens_from = self.view;
        self.blocks_taken_up = self.blocks.len();
        self.arm();
        self.activate();
        self.forget_what_ended();
        if recovered.lost_disk && self.me.is_some() {
            self.phase = Phase::Rejoining(Rejoin::new(self.now));
        }
    }

    /// What was signed in earlier lives binds.
    fn recover_guard(&mut self, votes: &[super::vote::Vote]) {
        if self.config.mutant.is(Mutant::BftGuardNotRecovered) {
            return;
        }
        for vote in votes {
            if self.is_own(vote) && vote.statement.view() > self.guard.floor() {
                self.guard.insert(*vote);
                self.guard.set_durable(vote);
            }
        }
    }

    /// Own votes count again, as they did before the crash: without them a crash
    /// of all validators would leave each waiting for its own.
    pub(super) fn recover_votes(
        &mut self,
        votes: alloc::vec::Vec<super::vote::Vote>,
        out: &mut Outbox<Effect>,
    ) {
        if self.config.mutant.is(Mutant::BftOwnVotesNotRecovered) {
            return;
        }
        for vote in votes {
            if self.is_own(&vote) && vote.statement.view() > self.guard.floor() {
                assert!(
                    self.guard.holds_durably(&vote) || self.is_planted(),
                    "D6: what was signed in earlier lives binds"
                );
                self.count(vote, out);
            }
        }
    }

    /// Whether it is this validator's, of its epoch.
    fn is_own(&self, vote: &super::vote::Vote) -> bool {
        vote.statement.epoch == self.epoch.epoch && Some(vote.signer) == self.me
    }

    /// Says what was held back until now.
    pub(super) fn release(&mut self, held: Held, out: &mut Outbox<Effect>) {
        match held {
            Held::Vote(vote) => {
                assert!(
                    self.is_own(&vote),
                    "D1: nobody else's vote waits for this disk"
                );
                self.guard.set_durable(&vote);
                out.push(Effect::Broadcast {
                    message: Message::Vote(vote),
                });
                self.count(vote, out);
            }
            Held::Proposal(message) => out.push(Effect::Broadcast { message }),
            Held::Commit(committed) => self.announce(committed, out),
            Held::Rejoined => self.on_rejoined(),
            Held::Fork(_) => unreachable!("B10: only a forked validator waits to say so"),
        }
    }

    /// What may have become possible by this step, whatever the event was: so no
    /// rule can miss the moment at which its last condition comes true. It is left out
    /// after a vote that brought nothing about, which most of them are.
    pub(super) fn advance(&mut self, out: &mut Outbox<Effect>) {
        self.rules_dirty = false;
        self.commit_ready();
        if !self.has_started() {
            return;
        }
        self.idle();
        self.ask_application(out);
        let open: alloc::vec::Vec<View> = self.open_views();
        for view in open {
            self.try_finalize(view);
        }
        self.try_notarize(out);
        self.try_nullify();
        self.try_propose(out);
        self.ask_missing(out);
    }

    /// Views after the last finalization in which a block is notarised.
    fn open_views(&self) -> alloc::vec::Vec<View> {
        let after = self.final_place().view.next();
        let rounds = self.rounds.range(after..);
        rounds
            .filter(|(_, round)| round.cert(VoteKind::Notarize).is_some())
            .map(|(view, _)| *view)
            .collect()
    }

    /// Signs and keeps a vote, if the guard allows it. It is sent when it is
    /// durable.
    pub(super) fn cast(&mut self, statement: super::vote::Statement) -> Option<super::vote::Vote> {
        if !self.may_vote(&statement) {
            return None;
        }
        let me = self.me.expect("only validators vote");
        let key = self.config.signer.as_ref().expect("validators have keys");
        self.assert_may_sign(&statement);
        let vote = super::vote::Vote::sign(statement, self.config.chain, me, &**key);
        self.rules_dirty = true;
        self.guard.insert(vote);
        self.gate.record(Record::Vote(vote));
        self.gate.hold(Held::Vote(vote));
        Some(vote)
    }
}

fn unbox(content: alloc::boxed::Box<Content>) -> Content {
    *content
}
