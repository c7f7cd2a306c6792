//! Requests passed on to the leader, and those that others pass on to this one.

use alloc::vec::Vec;

use super::{Forwarded, Place, lost_answer, reply};
use crate::limits::{FORWARDS_REMEMBERED, REQUESTS_OPEN_MAX};
use crate::machine::Outbox;
use crate::node::effect::Effect;
use crate::node::message::PeerMessage;
use crate::node::request::{Request, Response};
use crate::node::state::{Node, Origin, Phase};
use crate::raft::{Refusal, Role};
use crate::types::{NodeId, RequestId, Term, Time};

impl Node {
    pub(in crate::node) fn forward(
        &mut self,
        client: RequestId,
        request: Request,
        to: NodeId,
        term: Term,
        deadline: Time,
        out: &mut Outbox<Effect>,
    ) {
        let id = RequestId(self.requests.next_forward);
        self.requests.next_forward = id.0.checked_add(1).expect("forward ids suffice");
        let changes_state = !matches!(request, Request::Read { .. });
        self.requests.forwards.insert(
            id,
            Forwarded {
                client,
                to,
                changes_state,
            },
        );
        self.requests
            .deadlines
            .push_back((deadline, Place::Forward(id)));
        out.push(Effect::Send {
            to,
            message: PeerMessage::Forward { id, term, request },
        });
    }

    /// Another node passes a request of its client on.
    pub(in crate::node) fn on_forward(
        &mut self,
        now: Time,
        from: NodeId,
        id: RequestId,
        term: Term,
        request: Request,
        out: &mut Outbox<Effect>,
    ) {
        let origin = Origin::Peer(from, id);
        let leads = self.raft.as_ref().is_some_and(|raft| {
            raft.role() == Role::Leader && raft.term() == term && raft.membership().contains(from)
        });
        if !leads || !matches!(self.phase, Phase::Running) {
            let leader = self.known_leader().map(|(leader, _)| leader);
            let refusal = Refusal::NotLeader { leader };
            return self.answer(origin, Response::Refused(refusal), out);
        }
        if !self.is_first_sight(from, id) {
            return;
        }
        if self.requests.open() >= REQUESTS_OPEN_MAX || self.storage.is_congested() {
            return self.answer(origin, Response::Refused(Refusal::Busy), out);
        }
        let deadline = now.saturating_add(self.config.request_timeout);
        self.lead(now, origin, request, deadline, out);
    }

    /// Whether a forward is not a duplicate. Ids that are too old to be told
    /// apart are taken for duplicates: their sender has long given up.
    fn is_first_sight(&mut self, from: NodeId, id: RequestId) -> bool {
        let seen = self.requests.seen.entry(from).or_default();
        let full = seen.len() >= FORWARDS_REMEMBERED;
        if full && seen.first().is_some_and(|oldest| id < *oldest) {
            return false;
        }
        let first = seen.insert(id);
        if seen.len() > FORWARDS_REMEMBERED {
            seen.pop_first();
        }
        first
    }

    pub(in crate::node) fn on_forward_reply(
        &mut self,
        from: NodeId,
        id: RequestId,
        response: Response,
        out: &mut Outbox<Effect>,
    ) {
        let expected = self
            .requests
            .forwards
            .get(&id)
            .is_some_and(|forward| forward.to == from);
        if !expected {
            return;
        }
        let forward = self.requests.forwards.remove(&id).expect("looked up above");
        reply(forward.client, response, out);
    }

    /// A peer is unreachable: what it was working on may or may not happen.
    pub(in crate::node) fn forget_forwards_to(&mut self, peer: NodeId, out: &mut Outbox<Effect>) {
        let lost: Vec<RequestId> = self
            .requests
            .forwards
            .iter()
            .filter(|(_, forward)| forward.to == peer)
            .map(|(id, _)| *id)
            .collect();
        for id in lost {
            let forward = self.requests.forwards.remove(&id).expect("collected above");
            reply(forward.client, lost_answer(forward.changes_state), out);
        }
    }
}
