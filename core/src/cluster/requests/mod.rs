//! Clients: every open request has exactly one place, and leaves it with exactly
//! one answer (N2).
//!
//! A request that only the leader can serve is proposed or read here if this
//! node leads, forwarded to the leader if another one does, and parked while no
//! leader is known. A change is forwarded once, for nobody knows whether it will
//! happen; a read again when its leader is lost.

mod ends;
mod forward;
mod seen;
mod watch;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use crate::cluster::effect::Effect;
use crate::cluster::message::Message;
use crate::cluster::request::{Consistency, Request, Response};
use crate::cluster::state::{Cluster, Origin, Parked, Phase};
use crate::codec::Encode;
use crate::kv::Query;
use crate::limits::{FORWARDERS_REMEMBERED, REQUEST_DEADLINES_MAX, REQUESTS_OPEN_MAX};
use crate::machine::Outbox;
use crate::mutant::Mutant;
use crate::raft::{self, Context, MembershipRule, Refusal, Role};
use crate::replica::{Command, Envelope};
use crate::types::{Index, LogId, NodeId, PeerRequestId, RequestId, Span, Term, Time};

/// The shortest time between two own `Tick`s.
const TICK_INTERVAL_MIN: Span = Span::from_millis(100);

/// All open requests.
#[derive(Debug, Default, Hash)]
pub(super) struct Requests {
    next_context: u64,
    next_forward: u64,
    /// Requests in Raft's hands.
    in_raft: BTreeMap<Context, InRaft>,
    /// Proposals that have a place in the log.
    placed: BTreeMap<Index, (LogId, Context)>,
    /// Reads that wait for their index to be applied.
    reads: BTreeMap<(Index, Context), Query>,
    /// Requests that another node works on.
    forwards: BTreeMap<PeerRequestId, Forwarded>,
    /// Requests without a leader to serve them, by their deadlines.
    parked: VecDeque<Parked>,
    /// Requests that this leader can serve as soon as it has committed an entry
    /// of its own term, by their deadlines.
    early: VecDeque<Early>,
    /// Deadlines in the order of their coming.
    deadlines: VecDeque<(Time, Place)>,
    /// See [`Requests::set_start_term`].
    start_term: Term,
    /// Forwarded requests that were seen by this process.
    seen: BTreeMap<NodeId, seen::Seen>,
    last_tick: Time,
}

#[derive(Debug, Hash)]
struct Early {
    origin: Origin,
    request: Request,
    deadline: Time,
}

#[derive(Debug, Hash)]
struct InRaft {
    origin: Option<Origin>,
    kind: Kind,
}

#[derive(Debug, Hash)]
enum Kind {
    /// A proposal, and its place in the log once it has one.
    Write(Option<Index>),
    /// A read; its query moves to `reads` under its index once that is known.
    Read(Query),
    /// A read that waits for its index.
    Waiting(Index),
    /// A change of the membership.
    Change,
}

impl Kind {
    fn changes_state(&self) -> bool {
        match self {
            Self::Write(_) | Self::Change => true,
            Self::Read(_) | Self::Waiting(_) => false,
        }
    }
}

#[derive(Debug, Hash)]
struct Forwarded {
    client: RequestId,
    to: NodeId,
    /// Of the leader that it was forwarded to.
    term: Term,
    deadline: Time,
    /// The request, if it may be asked again: a read that is lost did no harm.
    read: Option<Request>,
}

#[derive(Debug, Clone, Copy, Hash)]
enum Place {
    Raft(Context),
    Forward(PeerRequestId),
}

impl Requests {
    pub(super) fn open(&self) -> usize {
        self.in_raft
            .len()
            .saturating_add(self.forwards.len())
            .saturating_add(self.parked.len())
            .saturating_add(self.early.len())
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        let parked = self.parked.front().map(|parked| parked.deadline);
        let early = self.early.front().map(|early| early.deadline);
        let placed = self.deadlines.front().map(|(due, _)| *due);
        Time::earliest([parked, early, placed])
    }

    /// The term that the node had when this process began.
    pub(super) fn set_start_term(&mut self, term: Term) {
        self.start_term = term;
    }

    /// Whether each request in Raft's hands is known by one place only.
    pub(super) fn is_consistent(&self) -> bool {
        let placed_known = self
            .placed
            .values()
            .all(|(_, c)| self.in_raft.contains_key(c));
        let reads_known = self.reads.keys().all(|(_, c)| self.in_raft.contains_key(c));
        let bounded = self.open() <= REQUESTS_OPEN_MAX.saturating_add(1);
        let parked_sorted = self.parked.iter().is_sorted_by_key(|one| one.deadline);
        let early_sorted = self.early.iter().is_sorted_by_key(|one| one.deadline);
        let deadlines_bounded = self.deadlines.len() <= REQUEST_DEADLINES_MAX;
        let seen_bounded = self.seen.len() <= FORWARDERS_REMEMBERED;
        let bounded = bounded && deadlines_bounded && seen_bounded;
        placed_known && reads_known && bounded && parked_sorted && early_sorted
    }

    /// Forgets a request that waits for a leader; whether there was one.
    fn unpark(&mut self, id: RequestId) -> bool {
        let before = self.parked.len();
        self.parked.retain(|parked| parked.id != id);
        self.parked.len() < before
    }

    fn enter_raft(&mut self, origin: Option<Origin>, kind: Kind, deadline: Time) -> Context {
        self.next_context = self.next_context.checked_add(1).expect("contexts suffice");
        let context = Context(self.next_context);
        self.in_raft.insert(context, InRaft { origin, kind });
        if origin.is_some() {
            self.remember_deadline(deadline, Place::Raft(context));
        }
        context
    }

    /// The deadline of what is answered stays until it comes: whoever asks fast would
    /// leave as many as it likes, so those are taken out when there are too many.
    fn remember_deadline(&mut self, deadline: Time, place: Place) {
        if self.deadlines.len() >= REQUEST_DEADLINES_MAX {
            let (in_raft, forwards) = (&self.in_raft, &self.forwards);
            self.deadlines.retain(|(_, place)| match place {
                Place::Raft(context) => in_raft.contains_key(context),
                Place::Forward(id) => forwards.contains_key(id),
            });
        }
        insert_by(&mut self.deadlines, (deadline, place), |(due, _)| *due);
    }

    /// Takes a request out of Raft's hands, wherever it stood there.
    fn leave_raft(&mut self, context: Context) -> Option<InRaft> {
        let left = self.in_raft.remove(&context)?;
        match left.kind {
            Kind::Write(Some(index)) => {
                self.placed.remove(&index);
            }
            Kind::Waiting(index) => {
                self.reads.remove(&(index, context));
            }
            Kind::Write(None) | Kind::Read(_) | Kind::Change => {}
        }
        Some(left)
    }

    /// Takes the request placed at this index, and whether it is the entry that
    /// was applied there.
    pub(super) fn take_placed(&mut self, applied: LogId) -> Option<(Option<Origin>, bool)> {
        let (id, context) = self.placed.remove(&applied.index)?;
        let left = self
            .in_raft
            .remove(&context)
            .expect("a placed proposal is in Raft's hands");
        Some((left.origin, id == applied))
    }

    /// Takes the reads that may be answered once `applied` is applied.
    pub(super) fn take_reads(&mut self, applied: Index) -> Vec<(Option<Origin>, Query)> {
        let mut ready = Vec::new();
        while let Some((&(index, context), _)) = self.reads.first_key_value() {
            if index > applied {
                break;
            }
            let query = self
                .reads
                .remove(&(index, context))
                .expect("first key was there");
            if let Some(left) = self.in_raft.remove(&context) {
                ready.push((left.origin, query));
            }
        }
        ready
    }
}

impl Cluster {
    /// A client of this node asks something.
    pub(super) fn on_request(
        &mut self,
        now: Time,
        id: RequestId,
        request: Request,
        out: &mut Outbox<Effect>,
    ) {
        match self.phase {
            Phase::Running => {}
            // The node keeps what comes before recovery is complete.
            Phase::New | Phase::Recovering(_) | Phase::Stopping { .. } | Phase::Ended { .. } => {
                return reply(id, Response::Refused(Refusal::Unavailable), out);
            }
        }
        match request {
            Request::Status => {
                let status = self.status().expect("a running node has a Raft");
                reply(id, Response::Status(Box::new(status)), out);
            }
            Request::Read {
                query,
                consistency: Consistency::Stale,
            } => {
                reply(id, Response::Read(self.replica.query(&query)), out);
            }
            Request::Watch { from, to, since } => self.watch(id, from, to, since, out),
            Request::FollowStatus => self.follow_status(id, out),
            request @ (Request::LogHead | Request::ProveLog { .. }) => {
                self.on_attest(now, id, request, out);
            }
            request => {
                let deadline = now.saturating_add(self.config.request_timeout);
                self.dispatch(now, id, request, deadline, out);
            }
        }
    }

    /// Proposes, forwards or parks a request that needs the leader. It keeps the deadline
    /// of its arrival wherever it goes: with a new one at each change of the leader it
    /// could wait for ever.
    fn dispatch(
        &mut self,
        now: Time,
        id: RequestId,
        request: Request,
        deadline: Time,
        out: &mut Outbox<Effect>,
    ) {
        if self.requests.open() >= REQUESTS_OPEN_MAX || self.is_congested() {
            return reply(id, Response::Refused(Refusal::Busy), out);
        }
        match self.known_leader() {
            Some((leader, _)) if leader == self.config.id => {
                self.lead(now, Origin::Client(id), request, deadline, out);
            }
            Some(leader) => self.forward(id, request, leader, deadline, out),
            None => {
                let parked = Parked {
                    id,
                    request,
                    deadline,
                };
                insert_by(&mut self.requests.parked, parked, |one| one.deadline);
            }
        }
    }

    /// Serves a request as the leader.
    fn lead(
        &mut self,
        now: Time,
        origin: Origin,
        request: Request,
        deadline: Time,
        out: &mut Outbox<Effect>,
    ) {
        let is_ready = self.raft.as_ref().is_some_and(raft::Raft::is_ready_leader);
        let needs_ready = matches!(request, Request::Read { .. } | Request::ChangeMembership(_));
        if needs_ready && !is_ready {
            let early = Early {
                origin,
                request,
                deadline,
            };
            return insert_by(&mut self.requests.early, early, |one| one.deadline);
        }
        self.serve_checked(now, origin, request, deadline, out);
    }

    /// Nothing that is known here speaks against it.
    pub(super) fn serve(
        &mut self,
        now: Time,
        origin: Origin,
        request: Request,
        deadline: Time,
        out: &mut Outbox<Effect>,
    ) {
        match request {
            Request::Write(command) => {
                let context = self
                    .requests
                    .enter_raft(Some(origin), Kind::Write(None), deadline);
                self.propose(now, context, command);
            }
            Request::Read { query, .. } => {
                let context = self
                    .requests
                    .enter_raft(Some(origin), Kind::Read(query), deadline);
                self.step_raft(now, raft::Event::Read { context });
            }
            Request::ChangeMembership(target) => {
                let context = self
                    .requests
                    .enter_raft(Some(origin), Kind::Change, deadline);
                self.step_raft(now, raft::Event::ChangeMembership { context, target });
            }
            Request::TransferLeadership { to } => {
                let response = self.transfer(now, to);
                self.answer(origin, response, out);
            }
            Request::Status
            | Request::FollowStatus
            | Request::Watch { .. }
            | Request::LogHead
            | Request::ProveLog { .. } => {
                self.answer(origin, Response::Refused(Refusal::Unavailable), out);
            }
        }
    }

    fn transfer(&mut self, now: Time, to: NodeId) -> Response {
        let raft = self.raft.as_ref().expect("only a leader transfers");
        if !raft.membership().voters.contains(&to) {
            let rule = MembershipRule::HeirNotVoter;
            return Response::Refused(Refusal::InvalidMembership { rule });
        }
        self.step_raft(now, raft::Event::Transfer { to });
        Response::Accepted
    }

    fn propose(&mut self, now: Time, context: Context, command: Command) {
        let envelope = Envelope {
            proposed_at: self.clock.wall_at(now),
            command,
        };
        self.step_raft(
            now,
            raft::Event::Propose {
                context,
                data: envelope.to_bytes(),
            },
        );
    }

    pub(super) fn on_proposed(&mut self, context: Context, id: LogId, out: &mut Outbox<Effect>) {
        let Some(proposal) = self.requests.in_raft.get_mut(&context) else {
            return;
        };
        if let Kind::Write(place) = &mut proposal.kind {
            *place = Some(id.index);
        } else {
            let left = self.requests.leave_raft(context).expect("looked up above");
            if let Some(origin) = left.origin {
                self.answer(origin, Response::Accepted, out);
            }
            return;
        }
        let before = self.requests.placed.insert(id.index, (id, context));
        // An older proposal at the same index was cut off with its entry.
        if let Some((_, void)) = before
            && let Some(InRaft {
                origin: Some(origin),
                ..
            }) = self.requests.in_raft.remove(&void)
        {
            let refusal = Refusal::NotLeader {
                leader: Some(self.config.id),
            };
            self.answer(origin, Response::Refused(refusal), out);
        }
    }

    pub(super) fn on_refused(
        &mut self,
        context: Context,
        reason: Refusal,
        out: &mut Outbox<Effect>,
    ) {
        let Some(left) = self.requests.leave_raft(context) else {
            return;
        };
        match left.origin {
            Some(origin) => self.answer(origin, Response::Refused(reason), out),
            None => self.tick_in_flight = false,
        }
    }

    pub(super) fn on_read_ready(
        &mut self,
        context: Context,
        index: Index,
        out: &mut Outbox<Effect>,
    ) {
        let Some(read) = self.requests.in_raft.get_mut(&context) else {
            return;
        };
        let kind = core::mem::replace(&mut read.kind, Kind::Waiting(index));
        let Kind::Read(query) = kind else {
            unreachable!("a read is announced once: {kind:?}")
        };
        self.requests.reads.insert((index, context), query);
        self.answer_reads(out);
    }

    /// Answers every read whose index is applied.
    pub(super) fn answer_reads(&mut self, out: &mut Outbox<Effect>) {
        for (origin, query) in self.requests.take_reads(self.replica.applied().index) {
            let answer = self.replica.query(&query);
            if let Some(origin) = origin {
                self.answer(origin, Response::Read(answer), out);
            }
        }
    }

    pub(super) fn answer(&self, origin: Origin, response: Response, out: &mut Outbox<Effect>) {
        match origin {
            Origin::Client(id) => reply(id, response, out),
            Origin::Peer(to, id) => {
                out.push(Effect::Send {
                    to,
                    message: Message::ForwardReply { id, response },
                });
            }
        }
    }

    /// A leader may be known now: parked requests go on their way.
    pub(super) fn unpark(&mut self, now: Time, out: &mut Outbox<Effect>) {
        if self.known_leader().is_none() || !matches!(self.phase, Phase::Running) {
            return;
        }
        for parked in core::mem::take(&mut self.requests.parked) {
            let deadline = self.kept_deadline(now, parked.deadline);
            self.dispatch(now, parked.id, parked.request, deadline, out);
        }
    }

    /// Something was committed, or leadership ended: what came too early is taken
    /// up again.
    pub(super) fn retry_early(&mut self, now: Time, out: &mut Outbox<Effect>) {
        let Some(raft) = &self.raft else { return };
        let leads = raft.role() == Role::Leader;
        if self.requests.early.is_empty() || (leads && !raft.is_ready_leader()) {
            return;
        }
        for early in core::mem::take(&mut self.requests.early) {
            match early.origin {
                _ if leads => self.lead(now, early.origin, early.request, early.deadline, out),
                Origin::Client(id) => {
                    let deadline = self.kept_deadline(now, early.deadline);
                    self.dispatch(now, id, early.request, deadline, out);
                }
                Origin::Peer(..) => {
                    let leader = self.known_leader().map(|(leader, _)| leader);
                    let refusal = Refusal::NotLeader { leader };
                    self.answer(early.origin, Response::Refused(refusal), out);
                }
            }
        }
    }

    /// The deadline of a request that is taken up again.
    pub(super) fn kept_deadline(&self, now: Time, deadline: Time) -> Time {
        match self.config.mutant.is(Mutant::ClusterRenewsDeadlines) {
            true => now.saturating_add(self.config.request_timeout),
            false => deadline,
        }
    }
}

/// Adds an element to a queue in the order of deadlines. Nearly all belong at its end.
fn insert_by<T>(queue: &mut VecDeque<T>, one: T, due: impl Fn(&T) -> Time) {
    if queue.back().is_none_or(|last| due(last) <= due(&one)) {
        return queue.push_back(one);
    }
    let place = queue.partition_point(|other| due(other) <= due(&one));
    queue.insert(place, one);
}

/// Tells a client of this node a part of its answer.
pub(super) fn stream(id: RequestId, response: Response, out: &mut Outbox<Effect>) {
    out.push(Effect::Stream { id, response });
}

/// Answers a client of this node, for the last time.
pub(super) fn reply(id: RequestId, response: Response, out: &mut Outbox<Effect>) {
    out.push(Effect::Reply { id, response });
}

#[cfg(test)]
#[path = "../tests/asserts_requests.rs"]
mod tests;
