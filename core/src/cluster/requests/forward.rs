//! Requests passed on to the leader, and those that others pass on to this one.

use alloc::vec::Vec;

use super::{Forwarded, Place, Requests, lost_answer, reply};
use crate::cluster::effect::Effect;
use crate::cluster::message::Message;
use crate::cluster::request::{Request, Response};
use crate::cluster::state::{Cluster, Origin, Phase};
use crate::limits::{FORWARDERS_REMEMBERED, REQUESTS_OPEN_MAX};
use crate::machine::Outbox;
use crate::mutant::Mutant;
use crate::raft::{Membership, Refusal, Role};
use crate::types::{NodeId, PeerRequestId, RequestId, Term, Time};

impl Requests {
    /// Whether a forward is not a duplicate. The memory outlives leaderships, and first
    /// copies that were refused are in it too.
    ///
    /// What members have sent is kept, and for as long as there is room also what those
    /// have sent that are none any more: they may come back under the same id, and copies
    /// of theirs with them.
    pub(in crate::cluster) fn is_first_sight(
        &mut self,
        from: NodeId,
        id: PeerRequestId,
        membership: &Membership,
    ) -> bool {
        if self.seen.len() >= FORWARDERS_REMEMBERED && !self.seen.contains_key(&from) {
            let gone = self.seen.keys().find(|peer| !membership.contains(**peer));
            let gone = *gone.expect("there are fewer members than are remembered");
            self.seen.remove(&gone);
        }
        self.seen.entry(from).or_default().is_first_sight(id)
    }
}

impl Cluster {
    pub(in crate::cluster) fn forward(
        &mut self,
        client: RequestId,
        request: Request,
        to: NodeId,
        term: Term,
        deadline: Time,
        out: &mut Outbox<Effect>,
    ) {
        let id = PeerRequestId {
            process: self.config.process,
            number: self.requests.next_forward,
        };
        self.requests.next_forward = id.number.checked_add(1).expect("forward ids suffice");
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
            .remember_deadline(deadline, Place::Forward(id));
        out.push(Effect::Send {
            to,
            message: Message::Forward { id, term, request },
        });
    }

    /// Another node passes a request of its client on.
    pub(in crate::cluster) fn on_forward(
        &mut self,
        now: Time,
        from: NodeId,
        id: PeerRequestId,
        term: Term,
        request: Request,
        out: &mut Outbox<Effect>,
    ) {
        let Some(raft) = &self.raft else { return };
        if !self.is_member(from) {
            return;
        }
        let origin = Origin::Peer(from, id);
        // A duplicate must not be answered on its own: what became of the first
        // copy is not known here, and a refusal would say that nothing happened.
        if !self.requests.is_first_sight(from, id, raft.membership()) {
            if self.config.mutant.is(Mutant::ClusterRefusesCopies) {
                let leader = None;
                self.answer(
                    origin,
                    Response::Refused(Refusal::NotLeader { leader }),
                    out,
                );
            }
            return;
        }
        let leads = raft.role() == Role::Leader && raft.term() == term;
        if !leads || !matches!(self.phase, Phase::Running) {
            return self.refuse_forward(origin, term, out);
        }
        if self.requests.open() >= REQUESTS_OPEN_MAX || self.is_congested() {
            return self.answer(origin, Response::Refused(Refusal::Busy), out);
        }
        let deadline = now.saturating_add(self.config.request_timeout);
        self.lead(now, origin, request, deadline, out);
    }

    /// This node does not lead. Whether a copy of the request was taken before is
    /// only certain for terms that began after this process did: a leadership
    /// before the start may have left it in the log.
    fn refuse_forward(&self, origin: Origin, term: Term, out: &mut Outbox<Effect>) {
        let leader = self.known_leader().map(|(leader, _)| leader);
        let response = if term > self.requests.start_term {
            Response::Refused(Refusal::NotLeader { leader })
        } else {
            Response::Unknown
        };
        self.answer(origin, response, out);
    }

    pub(in crate::cluster) fn on_forward_reply(
        &mut self,
        from: NodeId,
        id: PeerRequestId,
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
    pub(in crate::cluster) fn forget_forwards_to(
        &mut self,
        peer: NodeId,
        out: &mut Outbox<Effect>,
    ) {
        let lost: Vec<PeerRequestId> = self
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
