//! Requests on their way to a node, and answers on their way back. Each call has one
//! caller, and ends for it once.

use decube_core::node::{Event, Request, Response};
use decube_core::types::RequestId;

use super::{MILLI, SimEvent, World};
use crate::actors::{Answer, Way};
use crate::check::Finding;
use crate::rng::{Domain, Keyed};
use crate::subject::Subject;

/// How much later than its own deadlines a node may answer: disks and wakes are late.
const ANSWER_SLACK_MS: u64 = 2_000;

/// What the delays of the ways of a request are drawn with, beside its number.
const CANCEL: u64 = 1 << 60;
const ANSWER: u64 = 1 << 61;
const NO_CONNECTION: u64 = 1 << 62;
const LOST: u64 = 1 << 59;

/// Who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// An actor, and what it knows the call by.
    Actor { actor: usize, token: u64, way: Way },
    /// One that went while the process was paused: it may be answered before the
    /// process hears of that, and not afterwards.
    Gone,
}

impl<S: Subject> World<S> {
    /// A request leaves a client.
    pub(super) fn call(&mut self, caller: Caller, slot: usize, id: RequestId, request: Request) {
        let at = self.now + self.client_delay(id.0);
        let request = Box::new(request);
        let event = SimEvent::Call {
            caller,
            slot,
            id,
            request,
        };
        self.schedule(at, event);
    }

    /// A request arrives.
    pub(super) fn take_call(
        &mut self,
        caller: Caller,
        slot: usize,
        id: RequestId,
        request: Request,
    ) -> Result<(), Finding> {
        if !self.hosts[slot].is_up() {
            self.answer_after(NO_CONNECTION, caller, id, Answer::NoConnection);
            return Ok(());
        }
        self.hosts[slot].open.insert(id, (caller, self.now));
        match request.refusal() {
            Some(refusal) => self.reply(slot, id, refusal),
            None => self.give(slot, Event::Request { id, request }),
        }
    }

    /// A client does not wait any more.
    pub(super) fn cancel_later(&mut self, slot: usize, id: RequestId) {
        let at = self.now + self.client_delay(id.0 ^ CANCEL);
        self.schedule(at, SimEvent::Cancel { slot, id });
    }

    /// A node hears that nobody waits any more.
    pub(super) fn cancel(&mut self, slot: usize, id: RequestId) -> Result<(), Finding> {
        let host = &mut self.hosts[slot];
        let Some((_, since)) = host.open.remove(&id) else {
            return Ok(());
        };
        if host.paused {
            // It may answer before it hears of this.
            host.open.insert(id, (Caller::Gone, since));
        }
        self.give(slot, Event::Cancel { id })
    }

    /// A node answers.
    pub(super) fn reply(
        &mut self,
        slot: usize,
        id: RequestId,
        response: Response,
    ) -> Result<(), Finding> {
        let Some((caller, _)) = self.hosts[slot].open.remove(&id) else {
            let message = format!("slot {slot} answers {id}, which is not open");
            return Err(("reply-once", message));
        };
        let is_stream = is_stream(&caller);
        if let (Response::Cluster(response), false) = (&response, is_stream) {
            self.coverage.response(response);
        }
        match caller {
            Caller::Actor {
                actor,
                token,
                way: Way::Local | Way::Stream,
            } => self.answer_here(actor, token, id, response),
            caller => {
                self.answer_after(ANSWER, caller, id, Answer::Answered(Box::new(response)));
                Ok(())
            }
        }
    }

    /// The process that was asked is gone.
    pub(super) fn lose_call(&mut self, caller: Caller, id: RequestId) {
        self.answer_after(LOST, caller, id, Answer::Lost);
    }

    /// Who is far away hears of the end of a call later; who is not, sees it or is gone.
    fn answer_after(&mut self, salt: u64, caller: Caller, id: RequestId, answer: Answer) {
        if let Caller::Actor {
            actor,
            token,
            way: Way::Remote,
        } = caller
        {
            let at = self.now + self.client_delay(id.0 ^ salt);
            let to = (actor, token);
            self.schedule(at, SimEvent::Answer { to, id, answer });
        }
    }

    /// A node that runs answers every request: when its part does, when that does not
    /// recover in time, or when it ends.
    pub(super) fn answers_in_time(&self, slot: usize) -> Result<(), Finding> {
        let host = &self.hosts[slot];
        let bound = 2 * self.config.cluster.request_timeout_ms + ANSWER_SLACK_MS;
        let is_late = |(caller, since): &(Caller, u64)| {
            !is_stream(caller) && self.now > since + bound * MILLI
        };
        let late = host.open.iter().find(|(_, call)| is_late(call));
        match late.filter(|_| host.is_up() && !host.paused) {
            Some((id, (caller, _))) => {
                let message = format!("slot {slot} keeps {id} of {caller:?} for {bound} ms");
                Err(("answers in time", message))
            }
            None => Ok(()),
        }
    }

    /// How long something takes between a client and a node.
    pub(super) fn client_delay(&self, salt: u64) -> u64 {
        let draw = Keyed::new(self.seed, Domain::Latency).at(1 << 40, salt);
        self.network.client_delay(&self.config.network, draw)
    }
}

/// Whether a call is answered in parts until it is cancelled.
const fn is_stream(caller: &Caller) -> bool {
    matches!(
        caller,
        Caller::Actor {
            way: Way::Stream,
            ..
        }
    )
}
