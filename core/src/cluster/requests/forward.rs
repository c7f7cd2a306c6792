//! Requests passed on to the leader, and those that others pass on to this one.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::ends::lost_answer;
use super::{Forwarded, Place, Requests, reply};
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
        leader: (NodeId, Term),
        deadline: Time,
        out: &mut Outbox<Effect>,
    ) {
        let (to, term) = leader;
        let id = PeerRequestId {
            process: self.config.process,
            number: self.requests.next_forward,
        };
        self.requests.next_forward = id.number.checked_add(1).expect("forward ids suffice");
        let read = matches!(request, Request::Read { .. }).then(|| request.clone());
        self.requests.forwards.insert(
            id,
            Forwarded {
                client,
                to,
                term,
                deadline,
                read,
            },
        );
        self.requests
            .remember_deadline(deadline, Place::Forward(id));
        out.push(Effect::Send {
            to,
            message: Message::Forward {
                id,
                term,
                request: Box::new(request),
            },
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
            let is_read = matches!(request, Request::Read { .. });
            return self.refuse_forward(origin, term, is_read, out);
        }
        if self.requests.open() >= REQUESTS_OPEN_MAX || self.is_congested() {
            return self.answer(origin, Response::Refused(Refusal::Busy), out);
        }
        let deadline = now.saturating_add(self.config.request_timeout);
        self.lead(now, origin, request, deadline, out);
    }

    /// This node does not lead. Whether a copy of a change was taken before is only
    /// certain for terms that began after this process did: a leadership before the
    /// start may have left it in the log. A read changes nothing.
    fn refuse_forward(&self, origin: Origin, term: Term, is_read: bool, out: &mut Outbox<Effect>) {
        let leader = self.known_leader().map(|(leader, _)| leader);
        let response = if is_read || term > self.requests.start_term {
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
        // It spoke of itself. This node serves, and the client may ask it again.
        let response = match response {
            Response::Refused(Refusal::Unavailable) => {
                Response::Refused(Refusal::NotLeader { leader: None })
            }
            response => response,
        };
        reply(forward.client, response, out);
    }

    /// A peer is unreachable: the changes that it was working on may or may not happen.
    /// Reads wait for it to come back, or for another leader.
    pub(in crate::cluster) fn forget_forwards_to(
        &mut self,
        peer: NodeId,
        out: &mut Outbox<Effect>,
    ) {
        let with_reads = self.config.mutant.is(Mutant::ClusterRefusesLostReads);
        let is_lost =
            |forward: &Forwarded| forward.to == peer && (with_reads || forward.read.is_none());
        for forward in self.take_forwards(is_lost) {
            let response = match forward.read {
                None => lost_answer(true),
                Some(_) => Response::Refused(Refusal::Unavailable),
            };
            reply(forward.client, response, out);
        }
    }

    /// A peer is reachable again: reads that were sent to it may have been lost.
    pub(in crate::cluster) fn repeat_reads_to(
        &mut self,
        now: Time,
        peer: NodeId,
        out: &mut Outbox<Effect>,
    ) {
        self.repeat_reads(now, |forward| forward.to == peer, out);
    }

    /// Another leader is known: reads that the one before has not answered go to it.
    /// They keep their deadlines.
    pub(in crate::cluster) fn follow_leader(&mut self, now: Time, out: &mut Outbox<Effect>) {
        let Some(leader) = self.known_leader() else {
            return;
        };
        self.repeat_reads(now, |forward| (forward.to, forward.term) != leader, out);
    }

    fn repeat_reads(
        &mut self,
        now: Time,
        is_meant: impl Fn(&Forwarded) -> bool,
        out: &mut Outbox<Effect>,
    ) {
        if !matches!(self.phase, Phase::Running) {
            return;
        }
        for forward in self.take_forwards(|one| one.read.is_some() && is_meant(one)) {
            let request = forward.read.expect("only reads are taken");
            let deadline = self.kept_deadline(now, forward.deadline);
            self.dispatch(now, forward.client, request, deadline, out);
        }
    }

    fn take_forwards(&mut self, is_meant: impl Fn(&Forwarded) -> bool) -> Vec<Forwarded> {
        let forwards = &mut self.requests.forwards;
        let taken = forwards.extract_if(.., |_, forward| is_meant(forward));
        taken.map(|(_, forward)| forward).collect()
    }
}
