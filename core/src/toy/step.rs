//! The only mutator.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use bytes::Bytes;

use super::config::Bug;
use super::effect::Effect;
use super::event::{Event, Link};
use super::message::Message;
use super::request::{Request, Response, View};
use super::state::{Phase, Position, Reading, Running, Toy, Writing};
use crate::codec::{Decode as _, Encode as _};
use crate::io::{Done, Io, Read, ReadId};
use crate::limits::{TOY_ADDS_MAX, TOY_FOLLOWERS_MAX};
use crate::machine::{Machine, Outbox};
use crate::part::{Health, Part, Reason, Scope};
use crate::store::{Page, StoreBatch, StoreOp, StoreSeq};
use crate::types::{NodeId, RequestId, Time};

/// Where the position is kept, and the first key behind it.
const KEY: Bytes = Bytes::from_static(b"P");
const KEY_END: Bytes = Bytes::from_static(b"Q");

impl Machine for Toy {
    type Event = Event;
    type Effect = Effect;

    fn step(&mut self, now: Time, event: Event, out: &mut Outbox<Effect>) {
        assert!(now >= self.now, "time never runs backwards");
        self.now = now;
        if matches!(self.phase, Phase::Ended { .. }) {
            return;
        }
        self.on_event(event, out);
        self.maybe_stop();
        let health = self.health();
        if health != self.told_health {
            self.told_health = health.clone();
            out.push(Effect::Health(health));
        }
        self.invariants();
    }

    fn deadline(&self) -> Option<Time> {
        let Phase::Running(running) = &self.phase else {
            return None;
        };
        (running.is_due() || running.must_ask()).then_some(self.now)
    }
}

impl Toy {
    fn on_event(&mut self, event: Event, out: &mut Outbox<Effect>) {
        match event {
            Event::Start { .. } => self.start(out),
            Event::Wake => {
                self.write(out);
                self.ask(out);
            }
            Event::Message {
                from,
                message: Message::At { height },
            } if self.config.peers.contains(&from) => {
                self.peers.insert(from, height);
            }
            // Whoever is no peer has nothing to say, and the time decides nothing.
            Event::Message { .. } | Event::Clock { .. } => {}
            Event::Peer { peer, is_up } => {
                if is_up {
                    self.tell(peer, out);
                }
            }
            Event::Request { id, request } => self.on_request(id, request, out),
            Event::Cancel { id } => self.on_cancel(id, out),
            Event::Io(done) => self.on_done(done, out),
            Event::Link(link) => self.on_link(link, out),
            Event::Shutdown => match &mut self.phase {
                Phase::Running(running) => running.is_stopping = true,
                _ => self.phase = Phase::Ended { halted: None },
            },
        }
    }

    fn start(&mut self, out: &mut Outbox<Effect>) {
        assert!(matches!(self.phase, Phase::New), "a node starts once");
        self.phase = Phase::Recovering { stored: None };
        out.push(Effect::Peers);
        out.push(Effect::Io(Io::Read(Read {
            id: ReadId(1),
            from: KEY,
            to: Some(KEY_END),
            bytes_max: 1,
        })));
    }

    fn on_done(&mut self, done: Done, out: &mut Outbox<Effect>) {
        match done {
            Done::Read { page, .. } => self.on_read(&page, out),
            Done::Committed { seq } => self.on_committed(seq, out),
            Done::Failed => self.halt("the store of the toy failed"),
            Done::File { .. } => unreachable!("it has no log"),
        }
    }

    fn on_read(&mut self, page: &Page, out: &mut Outbox<Effect>) {
        let value = page.pairs.first().map(|(_, value)| value);
        let position = match value.map(Position::from_bytes) {
            None => Position::default(),
            Some(Ok(position)) => position,
            Some(Err(_)) => return self.halt("the position of the toy is damaged"),
        };
        let stored = Some(position);
        self.phase = Phase::Recovering { stored };
        commit(StoreSeq(1), &position, true, out);
    }

    fn on_committed(&mut self, seq: StoreSeq, out: &mut Outbox<Effect>) {
        match &mut self.phase {
            Phase::Recovering { stored } => {
                let stored = stored.expect("nothing is written before it is read");
                let mut running = Running::new(stored, seq);
                if self.config.bug == Bug::TrustsNotices {
                    running.reading = Reading::Idle;
                }
                self.phase = Phase::Running(Box::new(running));
            }
            Phase::Running(running) => {
                let written = running.writing.take().expect("it was asked for");
                assert_eq!(written.seq, seq, "one batch at a time");
                if let Some(durable) = written.durable {
                    running.durable = durable;
                    self.on_durable(written.added, out);
                }
            }
            Phase::New | Phase::Ended { .. } => unreachable!("nothing was written"),
        }
    }

    /// What may be shown has changed.
    fn on_durable(&mut self, added: Vec<(RequestId, u64)>, out: &mut Outbox<Effect>) {
        let Phase::Running(running) = &self.phase else {
            return;
        };
        for (id, sum) in added {
            let response = Response::Added { sum };
            out.push(Effect::Reply { id, response });
        }
        for id in &running.followers {
            out.push(Effect::Stream {
                id: *id,
                response: Response::At(running.durable),
            });
        }
        for peer in &self.config.peers {
            self.tell(*peer, out);
        }
    }

    /// Tells a peer how far this node is.
    fn tell(&self, to: NodeId, out: &mut Outbox<Effect>) {
        if let Phase::Running(running) = &self.phase
            && self.config.peers.contains(&to)
        {
            let height = running.durable.height;
            let message = Message::At { height };
            out.push(Effect::Send { to, message });
        }
    }

    fn on_request(&mut self, id: RequestId, request: Request, out: &mut Outbox<Effect>) {
        let mut reply = |response| out.push(Effect::Reply { id, response });
        let running = match &mut self.phase {
            Phase::Running(running) if !running.is_stopping => running,
            _ => return reply(Response::Unavailable),
        };
        match request {
            Request::Read => reply(Response::Read(View {
                position: running.durable,
                peers: self.peers.clone(),
            })),
            Request::Add { .. } if running.adding.len() >= TOY_ADDS_MAX => reply(Response::Busy),
            Request::Add { number } => {
                running.taken.sum = running.taken.sum.wrapping_add(number);
                running.adding.push((id, running.taken.sum));
            }
            Request::Follow if running.followers.len() >= TOY_FOLLOWERS_MAX => {
                reply(Response::Busy);
            }
            Request::Follow => {
                running.followers.insert(id);
            }
        }
    }

    /// A stream ends; a number that was added is on its way to the store.
    fn on_cancel(&mut self, id: RequestId, out: &mut Outbox<Effect>) {
        if let Phase::Running(running) = &mut self.phase
            && running.followers.remove(&id)
        {
            let response = Response::Unavailable;
            out.push(Effect::Reply { id, response });
        }
    }

    /// Gives the store what was taken since the last batch, as one.
    fn write(&mut self, out: &mut Outbox<Effect>) {
        let Phase::Running(running) = &mut self.phase else {
            return;
        };
        if !running.is_due() {
            return;
        }
        let behind = running.taken.height.0 - running.durable.height.0;
        let sync =
            !running.adding.is_empty() || running.is_stopping || behind >= self.config.sync_blocks;
        running.seq = StoreSeq(running.seq.0.checked_add(1).expect("few batches"));
        running.given = running.taken;
        running.writing = Some(Writing {
            seq: running.seq,
            durable: sync.then_some(running.taken),
            added: core::mem::take(&mut running.adding),
        });
        commit(running.seq, &running.taken, sync, out);
    }

    fn maybe_stop(&mut self) {
        if let Phase::Running(running) = &self.phase
            && running.is_stopping
            && running.is_clean()
            && running.writing.is_none()
        {
            self.phase = Phase::Ended { halted: None };
        }
    }

    fn halt(&mut self, reason: &'static str) {
        let halted = Some(Reason::Borrowed(reason));
        self.phase = Phase::Ended { halted };
    }
}

fn commit(seq: StoreSeq, position: &Position, sync: bool, out: &mut Outbox<Effect>) {
    let value = position.to_bytes();
    let ops = alloc::vec![StoreOp::Put { key: KEY, value }];
    out.push(Effect::Io(Io::Commit(StoreBatch { seq, ops, sync })));
}

impl Part for Toy {
    type Message = Message;
    type Request = Request;
    type Response = Response;
    type Link = Link;
    type Notice = super::effect::Notice;

    const SCOPE: Scope = Scope::Global;

    fn node(&self) -> NodeId {
        self.config.node
    }

    fn peers(&self) -> BTreeSet<NodeId> {
        self.config.peers.clone()
    }

    fn health(&self) -> Health {
        match &self.phase {
            Phase::New | Phase::Recovering { .. } => Health::Starting,
            Phase::Running(running) if running.is_stopping => Health::Stopping,
            Phase::Running(_) => Health::Ready,
            Phase::Ended { halted: None } => Health::Stopped,
            Phase::Ended {
                halted: Some(reason),
            } => Health::Halted(reason.clone()),
        }
    }

    fn accepts(&self) -> bool {
        true
    }

    fn is_change(request: &Request) -> bool {
        matches!(request, Request::Add { .. })
    }

    fn unavailable() -> Response {
        Response::Unavailable
    }

    fn busy() -> Response {
        Response::Busy
    }

    fn invalid(_: &Request) -> Response {
        unreachable!("no request of it has a bound")
    }

    fn unknown() -> Response {
        Response::Unknown
    }

    fn digest(&self) -> u128 {
        self.fingerprint()
    }

    fn invariants(&self) {
        self.check_invariants();
    }
}
