//! A part in its place: what the node does alike for all of them.

use alloc::collections::{BTreeSet, VecDeque};

use super::clients::Clients;
use super::effect::Effect;
use super::parts::{InNode, Notice, PartId, Response};
use crate::crypto::Fingerprint;
use crate::io::{Done, Volume};
use crate::limits::REQUESTS_PARKED_MAX;
use crate::machine::Outbox;
use crate::mutant::Mutant;
use crate::part::{self, Health, Part, PartOutbox, Scope};
use crate::types::{NodeId, RequestId, Span, Time, WallTime};

/// What all parts of a step share.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) now: Time,
    pub(super) clients: &'a mut Clients,
    /// What the parts have told in this step, in order.
    pub(super) notices: &'a mut alloc::vec::Vec<Notice>,
    /// Set when the peers of a part have changed.
    pub(super) is_peers_changed: &'a mut bool,
    /// How long a request waits for a part that recovers.
    pub(super) park_timeout: Span,
    pub(super) mutant: Mutant,
    pub(super) out: &'a mut Outbox<Effect>,
}

/// What parts are told that does not depend on which they are.
#[derive(Debug, Clone)]
pub(super) enum Signal {
    Start {
        used: BTreeSet<Volume>,
    },
    Wake,
    Clock {
        wall: WallTime,
    },
    Peer {
        peer: NodeId,
        scope: Scope,
        is_up: bool,
    },
    Cancel {
        id: RequestId,
    },
    Io(Done),
    Shutdown,
}

impl Signal {
    /// Whether the planted bug keeps it from all parts but the first.
    pub(super) fn is_for_first(&self, mutant: Mutant) -> bool {
        match self {
            Self::Wake => mutant.is(Mutant::NodeWakesFirst),
            Self::Clock { .. } => mutant.is(Mutant::NodeClocksFirst),
            Self::Shutdown => mutant.is(Mutant::NodeShutsFirst),
            _ => false,
        }
    }
}

/// A part in its place.
#[derive(Debug)]
pub(super) struct Slot<P: Part> {
    part: P,
    out: PartOutbox<P>,
    health: Health,
    /// The deadline of the part, as of its last step: nothing else moves it.
    due: Option<Time>,
    /// Requests that came while the part recovers, with the time at which they are
    /// given up.
    parked: VecDeque<(Time, RequestId, P::Request)>,
}

impl<P: InNode> Slot<P> {
    pub(super) fn new(part: P) -> Self {
        Self {
            health: part.health(),
            due: part.deadline(),
            part,
            out: Outbox::new(),
            parked: VecDeque::new(),
        }
    }

    pub(super) const fn part(&self) -> &P {
        &self.part
    }

    pub(super) const fn health(&self) -> &Health {
        &self.health
    }

    pub(super) fn parked(&self) -> usize {
        self.parked.len()
    }

    pub(super) fn peers(&self) -> BTreeSet<NodeId> {
        match self.health.has_ended() {
            true => BTreeSet::new(),
            false => self.part.peers(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        if self.health.has_ended() {
            return None;
        }
        let parked = self.parked.front().map(|(due, ..)| *due);
        Time::earliest([self.due, parked])
    }

    /// The digest of the part, and what the node keeps for it.
    pub(super) fn digest_into(&self, fingerprint: &mut Fingerprint) {
        let Self {
            part,
            // Empty between steps (asserted there); a node whose step panicked is
            // described too.
            out: _,
            health,
            // Follows from the part.
            due: _,
            parked,
        } = self;
        fingerprint.add(&(part.digest(), health, parked.len()));
        for (due, id, _) in parked {
            fingerprint.add(&(due, id));
        }
    }

    pub(super) fn signal(&mut self, signal: Signal, cx: &mut Context<'_>) {
        let event = match signal {
            Signal::Start { used } => part::Event::Start {
                is_used: used.contains(&P::ID.volume()) && !cx.mutant.is(Mutant::NodeForgetsUse),
            },
            Signal::Wake => return self.wake(cx),
            Signal::Clock { wall } => part::Event::Clock { wall },
            Signal::Peer { peer, scope, is_up } => match P::SCOPE.admits(scope) {
                true => part::Event::Peer { peer, is_up },
                false => return,
            },
            Signal::Cancel { id } => match self.unpark(id) {
                true => return cx.clients.forget(id),
                false => part::Event::Cancel { id },
            },
            Signal::Io(done) => part::Event::Io(done),
            Signal::Shutdown => part::Event::Shutdown,
        };
        self.step(event, cx);
    }

    /// Hands a message to the part, if its sender may speak to it.
    #[inline]
    pub(super) fn message(
        &mut self,
        from: NodeId,
        scope: Scope,
        message: P::Message,
        cx: &mut Context<'_>,
    ) {
        if P::SCOPE.admits(scope) || cx.mutant.is(Mutant::NodeHearsStrangers) {
            self.step(part::Event::Message { from, message }, cx);
        }
    }

    /// Hands a request to the part, or keeps it until the part has recovered.
    pub(super) fn request(&mut self, id: RequestId, request: P::Request, cx: &mut Context<'_>) {
        if self.health != Health::Starting {
            return self.step(part::Event::Request { id, request }, cx);
        }
        if self.parked.len() >= REQUESTS_PARKED_MAX {
            return cx.reply(id, Response::busy(P::ID));
        }
        let due = cx.now.saturating_add(cx.park_timeout);
        self.parked.push_back((due, id, request));
    }

    pub(super) fn link(&mut self, link: P::Link, cx: &mut Context<'_>) {
        self.step(part::Event::Link(link), cx);
    }

    /// Wakes the part if it is due, and gives up requests that have waited too long.
    fn wake(&mut self, cx: &mut Context<'_>) {
        let (now, mutant) = (cx.now, cx.mutant);
        let is_over = |due: Time| due <= now && !mutant.is(Mutant::NodeParksForEver);
        while let Some((_, id, _)) = self.parked.pop_front_if(|(due, ..)| is_over(*due)) {
            cx.reply(id, Response::unavailable(P::ID));
        }
        let is_due = |due: Time| due <= cx.now;
        if !self.health.has_ended() && self.due.is_some_and(is_due) {
            self.step(part::Event::Wake, cx);
        }
    }

    /// Forgets a request that waits; whether there was one.
    fn unpark(&mut self, id: RequestId) -> bool {
        let before = self.parked.len();
        self.parked.retain(|(_, parked, _)| *parked != id);
        self.parked.len() < before
    }

    /// One step of the part, and what becomes of its effects. A part that has ended
    /// gets nothing more.
    #[inline]
    fn step(&mut self, event: part::Event<P::Message, P::Request, P::Link>, cx: &mut Context<'_>) {
        if self.health.has_ended() {
            return;
        }
        let was_starting = self.health == Health::Starting;
        assert!(self.out.is_empty(), "a step leaves no effect behind");
        self.part.step(cx.now, event, &mut self.out);
        self.due = self.part.deadline();
        for effect in self.out.drain() {
            match effect {
                part::Effect::Send { to, message } => {
                    let message = P::message(message);
                    cx.out.push(Effect::Send { to, message });
                }
                part::Effect::Reply { id, response } => cx.reply(id, P::response(response)),
                part::Effect::Stream { id, response } => cx.stream(id, P::response(response)),
                part::Effect::Io(io) => {
                    let volume = match cx.mutant.is(Mutant::NodeOneVolume) {
                        true => Volume::ALL[0],
                        false => P::ID.volume(),
                    };
                    cx.out.push(Effect::Io { volume, io });
                }
                part::Effect::Peers => *cx.is_peers_changed = true,
                part::Effect::Notice(notice) => cx.notices.push(P::notice(notice)),
                part::Effect::Health(health) => {
                    self.health = health.clone();
                    let part = match cx.mutant.is(Mutant::NodeHealthOfFirst) {
                        true => PartId::ALL[0],
                        false => P::ID,
                    };
                    cx.out.push(Effect::Health { part, health });
                }
            }
        }
        if self.health.has_ended() {
            self.end(cx);
        } else if was_starting && self.health != Health::Starting {
            for (_, id, request) in core::mem::take(&mut self.parked) {
                if cx.mutant.is(Mutant::NodeForgetsParked) {
                    continue;
                }
                self.step(part::Event::Request { id, request }, cx);
            }
        }
    }

    /// The part has ended: nobody is left without an answer.
    fn end(&mut self, cx: &mut Context<'_>) {
        if cx.mutant.is(Mutant::NodeEndAnswersNobody) {
            return;
        }
        for (_, id, _) in core::mem::take(&mut self.parked) {
            cx.reply(id, Response::unavailable(P::ID));
        }
        for (id, is_change) in cx.clients.of(P::ID) {
            let response = match is_change {
                true => Response::unknown(P::ID),
                false => Response::unavailable(P::ID),
            };
            cx.reply(id, response);
        }
        *cx.is_peers_changed = true;
    }
}

impl Context<'_> {
    /// Answers a client, unless it is gone.
    pub(super) fn reply(&mut self, id: RequestId, response: Response) {
        if self.clients.close(id) || self.mutant.is(Mutant::NodeAnswersCancelled) {
            self.out.push(Effect::Reply { id, response });
        }
    }

    /// Tells a client a part of its answer, unless it is gone.
    fn stream(&mut self, id: RequestId, response: Response) {
        if self.clients.listens(id) {
            self.out.push(Effect::Stream { id, response });
        }
    }
}
