//! The only mutator: events to their parts, notices along the links.

use alloc::vec::Vec;

use super::effect::Effect;
use super::event::Event;
use super::links;
use super::parts::{Notice, PartId, Request, Response};
use super::slot::{Context, Signal};
use super::state::Node;
use crate::ledger;
use crate::limits::{NODE_LINK_ROUNDS_MAX, REQUESTS_OPEN_MAX};
use crate::machine::{Machine, Outbox};
use crate::mutant::Mutant;
use crate::types::{RequestId, Time};

impl Machine for Node {
    type Event = Event;
    type Effect = Effect;

    fn step(&mut self, now: Time, event: Event, out: &mut Outbox<Effect>) {
        self.notices.clear();
        if self.told_stopped {
            return;
        }
        self.on_event(now, event, out);
        self.invariants();
    }

    fn deadline(&self) -> Option<Time> {
        self.parts.deadline(self.config.mutant())
    }
}

impl Node {
    fn on_event(&mut self, now: Time, event: Event, out: &mut Outbox<Effect>) {
        let mut is_peers_changed = false;
        let parts = &mut self.parts;
        let mut cx = Context {
            now,
            clients: &mut self.clients,
            notices: &mut self.notices,
            is_peers_changed: &mut is_peers_changed,
            park_timeout: self.config.park_timeout,
            mutant: self.config.mutant(),
            out,
        };
        match event {
            Event::Start { used } => parts.signal_all(&Signal::Start { used }, &mut cx),
            Event::Wake => parts.signal_all(&Signal::Wake, &mut cx),
            Event::Clock { wall } => parts.signal_all(&Signal::Clock { wall }, &mut cx),
            Event::Shutdown => parts.signal_all(&Signal::Shutdown, &mut cx),
            Event::Peer { peer, scope, is_up } => {
                let signal = Signal::Peer { peer, scope, is_up };
                parts.signal_all(&signal, &mut cx);
            }
            Event::Message {
                from,
                scope,
                message,
            } => parts.message(from, scope, message, &mut cx),
            Event::Request { id, request } => {
                cx.clients.open(id, request.part(), request.is_change());
                ask(parts, id, request, &mut cx);
            }
            Event::Cancel { id } => {
                if let Some(part) = cx.clients.cancel(id) {
                    if cx.mutant.is(Mutant::NodeForgetsCancelled) {
                        cx.clients.forget(id);
                    }
                    parts.signal(part, Signal::Cancel { id }, &mut cx);
                }
            }
            Event::Io { volume, done } => {
                parts.signal(PartId::of(volume), Signal::Io(done), &mut cx);
            }
        }
        disturb(cx.notices, cx.mutant);
        let mut followed = 0;
        let mut rounds = 0;
        while followed < cx.notices.len() {
            assert!(
                rounds < NODE_LINK_ROUNDS_MAX,
                "what a link causes becomes a notice only after an answer of the shell"
            );
            rounds += 1;
            for notice in &cx.notices[followed..] {
                links::follow(notice, &mut self.links);
            }
            followed = cx.notices.len();
            while let Some(link) = self.links.pop_front() {
                parts.link(link, &mut cx);
            }
        }
        if is_peers_changed {
            self.tell_peers(out);
        }
        let mutant = self.config.mutant();
        let is_early = mutant.is(Mutant::NodeStopsWithFirst)
            && self.health().any(|(_, health)| health.has_ended());
        if self.has_ended() || is_early {
            self.told_stopped = true;
            out.push(Effect::Stopped);
        }
    }

    /// Tells the shell whom to connect to, if that has changed.
    fn tell_peers(&mut self, out: &mut Outbox<Effect>) {
        let peers = self.parts.peers(self.config.mutant());
        assert!(
            !peers.contains(&self.config.node),
            "no node connects to itself"
        );
        if peers != self.connected {
            self.connected.clone_from(&peers);
            out.push(Effect::Connect { peers });
        }
    }
}

/// What the planted bugs of the links make of the notices of a step.
fn disturb(notices: &mut Vec<Notice>, mutant: Mutant) {
    if mutant.is(Mutant::NodeDropsNotice) {
        notices.pop();
    }
    if mutant.is(Mutant::NodeDoublesNotice)
        && let Some(last) = notices.last().cloned()
    {
        notices.push(last);
    }
    if mutant.is(Mutant::NodeReordersNotices) {
        notices.reverse();
    }
    if mutant.is(Mutant::NodeForgetsReplaced) {
        let is_replaced =
            |notice: &Notice| matches!(notice, Notice::Ledger(ledger::Notice::Replaced { .. }));
        notices.retain(|notice| !is_replaced(notice));
    }
}

/// Hands a request to its part, unless that is not there or has ended, or too many are
/// open.
fn ask(parts: &mut super::parts::Parts, id: RequestId, request: Request, cx: &mut Context<'_>) {
    let part = request.part();
    if !parts.is_open(part) {
        cx.reply(id, Response::unavailable(part));
    } else if cx.clients.len() > REQUESTS_OPEN_MAX {
        cx.reply(id, Response::busy(part));
    } else {
        parts.request(id, request, cx);
    }
}
