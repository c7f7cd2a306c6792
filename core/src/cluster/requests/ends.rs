//! How requests end that nobody has answered: their time is over, or the node ends.

use super::{Place, reply};
use crate::cluster::effect::Effect;
use crate::cluster::request::Response;
use crate::cluster::state::Cluster;
use crate::machine::Outbox;
use crate::raft::Refusal;
use crate::types::Time;

impl Cluster {
    pub(in crate::cluster) fn expire_requests(&mut self, now: Time, out: &mut Outbox<Effect>) {
        let is_over = |due: Time| due <= now;
        while let Some(parked) = self
            .requests
            .parked
            .pop_front_if(|one| is_over(one.deadline))
        {
            let refusal = Refusal::NotLeader { leader: None };
            reply(parked.id, Response::Refused(refusal), out);
        }
        while let Some(early) = self
            .requests
            .early
            .pop_front_if(|one| is_over(one.deadline))
        {
            self.answer(early.origin, Response::Refused(Refusal::NotReady), out);
        }
        while let Some((_, place)) = self
            .requests
            .deadlines
            .pop_front_if(|(due, _)| is_over(*due))
        {
            self.expire(place, out);
        }
    }

    fn expire(&mut self, place: Place, out: &mut Outbox<Effect>) {
        match place {
            Place::Raft(context) => {
                let Some(left) = self.requests.leave_raft(context) else {
                    return;
                };
                if let Some(origin) = left.origin {
                    self.answer(origin, lost_answer(left.kind.changes_state()), out);
                }
            }
            Place::Forward(id) => {
                let Some(forward) = self.requests.forwards.remove(&id) else {
                    return;
                };
                reply(forward.client, lost_answer(forward.read.is_none()), out);
            }
        }
    }

    /// The node ends: nobody will learn any more how open changes end. Of all else it is
    /// certain that nothing happened.
    pub(in crate::cluster) fn answer_all_at_end(&mut self, out: &mut Outbox<Effect>) {
        let at_end = |changes_state: bool| match changes_state {
            true => Response::Unknown,
            false => Response::Refused(Refusal::Unavailable),
        };
        let requests = core::mem::take(&mut self.requests);
        for left in requests.in_raft.into_values() {
            let response = at_end(left.kind.changes_state());
            if let Some(origin) = left.origin {
                self.answer(origin, response, out);
            }
        }
        for forward in requests.forwards.into_values() {
            reply(forward.client, at_end(forward.read.is_none()), out);
        }
        for early in requests.early {
            self.answer(early.origin, Response::Refused(Refusal::Unavailable), out);
        }
        for parked in requests.parked {
            reply(parked.id, Response::Refused(Refusal::Unavailable), out);
        }
        for origin in self.module_checks.take() {
            self.answer(origin, Response::Refused(Refusal::Unavailable), out);
        }
        let streams = core::mem::take(&mut self.watches).into_keys();
        let streams = streams.chain(core::mem::take(&mut self.followers));
        for client in self.attest.take_clients().chain(streams) {
            reply(client, Response::Refused(Refusal::Unavailable), out);
        }
    }
}

/// What is answered when nothing more will be heard: of a read, that no leader answered it;
/// of a change, that nobody knows.
pub(super) fn lost_answer(changes_state: bool) -> Response {
    if changes_state {
        Response::Unknown
    } else {
        Response::Refused(Refusal::NotLeader { leader: None })
    }
}
