//! Requests on their way to a node, and answers on their way back. Each call has one
//! caller, and ends for it once.

use decube_core::bft::Epoch;
use decube_core::node::{Event, Request, Response};
use decube_core::types::RequestId;
use decube_core::{cluster, ledger};

use super::{Happening, MILLI, World};
use crate::check::Finding;
use crate::client::Ending;
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
    /// A client of the ledger.
    Client(usize),
    /// Somebody who checks a receipt at the end, and trusts this epoch.
    Auditor(Epoch),
    /// A client of a cluster: that, and which.
    OfCluster(usize, usize),
    /// A watcher of a cluster, who is told until it leaves.
    Watcher(usize),
    /// An operator of a cluster, who looks at what becomes of it and not at the answer.
    Operator,
    /// Nobody waits for the answer: a governor.
    Nobody,
    /// A client that went while the process was paused: it may be answered before the
    /// process hears of that, and not afterwards.
    Gone,
}

impl Caller {
    /// Whether somebody waits for an answer that ends the call.
    const fn waits(self) -> bool {
        !matches!(
            self,
            Self::Watcher(_) | Self::Operator | Self::Nobody | Self::Gone
        )
    }
}

/// How a call ended, as the caller sees it.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// The node answered.
    Answered(Box<Response>),
    /// Nobody listens there: nothing happened.
    NoConnection,
    /// The connection broke: nothing is known.
    Lost,
}

impl<S: Subject> World<S> {
    /// A request leaves a client.
    pub(super) fn call(&mut self, caller: Caller, slot: usize, id: RequestId, request: Request) {
        let at = self.now + self.client_delay(id.0);
        let request = Box::new(request);
        let happening = Happening::Call {
            caller,
            slot,
            id,
            request,
        };
        self.schedule(at, happening);
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
        self.give(slot, Event::Request { id, request })
    }

    /// A client does not wait any more.
    pub(super) fn cancel_later(&mut self, slot: usize, id: RequestId) {
        let at = self.now + self.client_delay(id.0 ^ CANCEL);
        self.schedule(at, Happening::Cancel { slot, id });
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
        if let Response::Cluster(response) = &response {
            if let Caller::Watcher(watcher) = caller {
                return self.answer_watcher(slot, watcher, response);
            }
            self.coverage.response(response);
        }
        if caller == Caller::Operator {
            let is_accepted = response == Response::Cluster(cluster::Response::Accepted);
            self.coverage.changes_accepted += u64::from(is_accepted);
        }
        self.answer_after(ANSWER, caller, id, Answer::Answered(Box::new(response)));
        Ok(())
    }

    /// The process that was asked is gone.
    pub(super) fn lose_call(&mut self, caller: Caller, id: RequestId) {
        self.answer_after(LOST, caller, id, Answer::Lost);
    }

    fn answer_after(&mut self, salt: u64, caller: Caller, id: RequestId, answer: Answer) {
        if caller.waits() {
            let at = self.now + self.client_delay(id.0 ^ salt);
            self.schedule(at, Happening::Answer { caller, id, answer });
        }
    }

    /// An answer arrives at whoever asked.
    pub(super) fn answered(
        &mut self,
        caller: Caller,
        id: RequestId,
        answer: Answer,
    ) -> Result<(), Finding> {
        match caller {
            Caller::Client(client) => self.client_answered(client, id, of_ledger(answer)?),
            Caller::Auditor(from) => self.audited(from, of_ledger(answer)?),
            Caller::OfCluster(cluster, client) => {
                self.client_of_cluster_answered(cluster, client, id, of_cluster(answer)?)
            }
            Caller::Watcher(_) | Caller::Operator | Caller::Nobody | Caller::Gone => Ok(()),
        }
    }

    /// A node that runs answers every request: when its part does, when that does not
    /// recover in time, or when it ends.
    pub(super) fn answers_in_time(&self, slot: usize) -> Result<(), Finding> {
        let host = &self.hosts[slot];
        let bound = 2 * self.config.cluster.request_timeout_ms + ANSWER_SLACK_MS;
        let is_late = |(caller, since): &(Caller, u64)| {
            let watches = matches!(caller, Caller::Watcher(_));
            !watches && self.now > since + bound * MILLI
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

    /// A number for a request that no client of a cluster makes.
    pub(super) const fn fresh_request(&mut self) -> RequestId {
        self.next_request += 1;
        RequestId(self.next_request)
    }

    /// How long something takes between a client and a node.
    pub(super) fn client_delay(&self, salt: u64) -> u64 {
        let draw = Keyed::new(self.seed, Domain::Latency).at(1 << 40, salt);
        self.network.client_delay(&self.config.network, draw)
    }
}

/// What the ledger answered, if it did.
fn of_ledger(answer: Answer) -> Result<Option<ledger::Response>, Finding> {
    match answer {
        Answer::Answered(response) => match *response {
            Response::Ledger(response) => Ok(Some(response)),
            other => Err(("answer-kind", format!("the ledger was asked: {other:?}"))),
        },
        Answer::NoConnection | Answer::Lost => Ok(None),
    }
}

fn of_cluster(answer: Answer) -> Result<Ending, Finding> {
    match answer {
        Answer::Answered(response) => match *response {
            Response::Cluster(response) => Ok(Ending::Answered(Box::new(response))),
            other => Err(("answer-kind", format!("the cluster was asked: {other:?}"))),
        },
        Answer::NoConnection => Ok(Ending::NoConnection),
        Answer::Lost => Ok(Ending::Lost),
    }
}
