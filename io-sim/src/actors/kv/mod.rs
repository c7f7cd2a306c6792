//! Clients: each does one operation at a time through any node, gives up after a
//! while, and retries what may be retried.
//!
//! A refused call did not happen and is tried again. A call without an answer may
//! have happened: in a session it is repeated under its number until there is an
//! answer; without one it enters the history as open for ever.

mod answers;
mod guards;
mod timers;

use bytes::Bytes;
use decube_core::cluster::{Consistency, Request, Response};
use decube_core::kv::{Answer as ReadAnswer, Condition, Found, Op, Outcome, Pair, Query};
use decube_core::node;
use decube_core::raft::Refusal;
use decube_core::replica::{Command, SessionId};
use decube_core::types::{Index, LogId, NodeId, RequestId, Revision, Span};

use super::{Actor, ActorStats, Answer, Context, Way, at, number};
use crate::check::order::RealTime;
use crate::check::records::Records;
use crate::check::{Finding, Shared};
use crate::config::LoadSettings;
use crate::history::{Operation, Requires, Step, ValueId};
use crate::network::ppm;
use crate::rng::{Domain, Draw, Keyed};
use crate::subject::Subject;
use crate::workload::{Action, Planned, Workload, key_name, key_number, value_bytes, value_id};

use timers::Timers;

/// All clients and what they share: the history and the claimed order.
#[derive(Debug)]
pub struct Clients {
    clients: Vec<Client>,
    load: LoadSettings,
    workload: Workload,
    behaviour: Keyed,
    /// How many nodes of the cluster they turn to: the first so many.
    contacts: usize,
    /// Which node is in which place of the cluster, by slot and name.
    slots: Vec<usize>,
    names: Vec<NodeId>,
    timers: Vec<Timers>,
    stamp: u64,
    order: RealTime,
    /// What was done and seen.
    records: Shared<Records>,
    stats: ActorStats,
}

#[derive(Debug)]
struct Client {
    number: u64,
    wants_session: bool,
    session: Option<SessionId>,
    sessions_opened: u64,
    sequence: u64,
    generation: u64,
    draws: u64,
    waiting: Option<(RequestId, usize)>,
    hint: Option<usize>,
    current: Option<Current>,
    /// Per key: value and revision seen last.
    seen: Vec<(ValueId, u64)>,
    held: guards::Holdings,
    completed: u64,
}

#[derive(Debug, Clone)]
struct Current {
    planned: Planned,
    request: Request,
    invoked: u64,
    floor: u64,
    /// An earlier attempt ended without an answer.
    uncertain: bool,
    opens_session: bool,
    value: ValueId,
    requires: Requires,
    /// What is asked of leases and locks, in place of keys.
    asked: Option<guards::Asked>,
}

const MILLI: u64 = 1_000_000;

impl Clients {
    /// Clients of a cluster, whose nodes have these slots and names. They turn to the
    /// first `contacts` of them.
    pub fn new(
        seed: u64,
        load: LoadSettings,
        workload: Workload,
        contacts: u64,
        slots: Vec<usize>,
        names: Vec<NodeId>,
        records: Shared<Records>,
    ) -> Self {
        let behaviour = Keyed::new(seed, Domain::Client);
        let keys = usize::try_from(load.keys).expect("few keys");
        let clients = (0..load.clients)
            .map(|number| Client {
                number,
                wants_session: behaviour.at(number, 0).chance(ppm(load.session_ppm)),
                session: None,
                sessions_opened: 0,
                sequence: 0,
                generation: 0,
                draws: 1,
                waiting: None,
                hint: None,
                current: None,
                seen: vec![(0, 0); keys],
                held: guards::Holdings::default(),
                completed: 0,
            })
            .collect();
        Self {
            timers: vec![Timers::default(); at(load.clients)],
            clients,
            load,
            workload,
            behaviour,
            contacts: at(contacts),
            slots,
            names,
            stamp: 0,
            order: RealTime::default(),
            records,
            stats: ActorStats::default(),
        }
    }

    /// A client's timer went off.
    fn woken<S: Subject>(&mut self, ctx: &mut Context<'_, S>, client: usize, generation: u64) {
        if self.clients[client].generation != generation {
            return;
        }
        if let Some((id, place)) = self.clients[client].waiting {
            if self.draw(client).coin() {
                ctx.cancel(self.slots[place], id);
            }
            self.ended_without_answer(ctx, client);
        } else if self.clients[client].current.is_some() {
            self.call(ctx, client);
        } else {
            self.begin(ctx, client);
        }
    }

    fn begin<S: Subject>(&mut self, ctx: &mut Context<'_, S>, at: usize) {
        let number = self.clients[at].completed_or_skipped();
        let planned = self
            .workload
            .operation(&self.load, self.clients[at].number, number);
        if planned.action == Action::Skip {
            self.clients[at].draws += 1;
            self.finish(ctx, at);
            return;
        }
        let opens_session = self.clients[at].wants_session && self.clients[at].session.is_none();
        let current = if opens_session {
            self.opening(at, planned)
        } else {
            self.operation(at, number, planned)
        };
        self.clients[at].current = Some(current);
        self.call(ctx, at);
    }

    fn opening(&mut self, at: usize, planned: Planned) -> Current {
        // Some end between two operations.
        let ttl = Span::from_millis(300 + self.draw(at).exponential(10_000));
        let client = &mut self.clients[at];
        client.sessions_opened += 1;
        let nonce = u128::from(client.number) << 64 | u128::from(client.sessions_opened);
        let command = Command::OpenSession { nonce, ttl };
        self.stamp += 1;
        Current {
            planned,
            request: Request::Write(command),
            invoked: self.stamp,
            floor: self.order.floor(),
            uncertain: false,
            opens_session: true,
            value: 0,
            requires: Requires::Nothing,
            asked: None,
        }
    }

    fn operation(&mut self, at: usize, number: u64, planned: Planned) -> Current {
        let client = &mut self.clients[at];
        let key = key_name(planned.key);
        let slot = usize::try_from(planned.key).expect("few keys") % client.seen.len();
        let (seen, revision) = client.seen[slot];
        let id = (client.number + 1) << 40 | (number + 1);
        let asked = client.held.asks(&planned);
        let (request, value, requires) = match planned.action {
            _ if asked.is_some() => {
                let op = asked.map(|asked| asked.op(&planned, id));
                let op = op.expect("it is asked for");
                (Request::Write(client.command(op)), 0, Requires::Nothing)
            }
            Action::Get | Action::StaleGet | Action::Skip | Action::Range => {
                (read_request(planned.action, key), 0, Requires::Nothing)
            }
            action => {
                let (op, value, requires) =
                    write_op(action, key, id, planned.padding, seen, revision);
                (Request::Write(client.command(op)), value, requires)
            }
        };
        self.stamp += 1;
        Current {
            planned,
            request,
            invoked: self.stamp,
            floor: self.order.floor(),
            uncertain: false,
            opens_session: false,
            value,
            requires,
            asked,
        }
    }

    fn call<S: Subject>(&mut self, ctx: &mut Context<'_, S>, at: usize) {
        let draw = self.draw(at);
        let client = &mut self.clients[at];
        let hint = client.hint.filter(|_| draw.again().coin());
        let place = hint.unwrap_or_else(|| draw.index(self.contacts));
        let current = client.current.as_ref();
        let current = current.expect("a call belongs to an operation");
        let request = current.request.clone();
        let id = ctx.call(Way::Remote, number(at), self.slots[place], request);
        client.waiting = Some((id, place));
        client.generation += 1;
        let timeout = self.load.client_timeout_ms * MILLI;
        self.set_timer(ctx, at, timeout);
    }

    fn refused(&mut self, at: usize, refusal: Refusal) {
        self.stats.refused += 1;
        let known = &self.names[..self.contacts.min(self.names.len())];
        self.clients[at].hint = match refusal {
            Refusal::NotLeader {
                leader: Some(leader),
            } => known.iter().position(|name| *name == leader),
            _ => None,
        };
    }

    fn retry_later<S: Subject>(&mut self, ctx: &mut Context<'_, S>, at: usize) {
        let after = self.draw(at).range(5 * MILLI, 150 * MILLI);
        let client = &mut self.clients[at];
        client.waiting = None;
        client.generation += 1;
        self.set_timer(ctx, at, after);
    }

    fn ended_without_answer<S: Subject>(&mut self, ctx: &mut Context<'_, S>, at: usize) {
        self.stats.lost += 1;
        let client = &mut self.clients[at];
        client.waiting = None;
        client.hint = None;
        let current = client
            .current
            .as_mut()
            .expect("a call belongs to an operation");
        let is_read = matches!(current.request, Request::Read { .. });
        if client.session.is_some() || current.opens_session || is_read {
            current.uncertain = true;
            self.stats.repeated += u64::from(!is_read);
            self.retry_later(ctx, at);
        } else {
            self.leave_open(at);
            self.finish(ctx, at);
        }
    }

    fn finish<S: Subject>(&mut self, ctx: &mut Context<'_, S>, at: usize) {
        let client = &mut self.clients[at];
        client.waiting = None;
        client.current = None;
        client.completed += 1;
        client.generation += 1;
        let number = client.completed_or_skipped();
        let planned = self.workload.operation(&self.load, client.number, number);
        self.set_timer(ctx, at, planned.think);
    }

    fn draw(&mut self, at: usize) -> Draw {
        let client = &mut self.clients[at];
        client.draws += 1;
        self.behaviour.at(client.number, client.draws)
    }
}

impl<S: Subject> Actor<S> for Clients {
    fn begin(&mut self, ctx: &mut Context<'_, S>) {
        for client in 0..self.clients.len() {
            self.set_timer(ctx, client, MILLI);
        }
    }

    fn wake(&mut self, ctx: &mut Context<'_, S>, token: u64) -> Result<(), Finding> {
        if let Some((client, generation)) = self.due(ctx, token) {
            self.woken(ctx, client, generation);
        }
        Ok(())
    }

    fn answered(
        &mut self,
        ctx: &mut Context<'_, S>,
        token: u64,
        id: RequestId,
        answer: Answer,
    ) -> Result<(), Finding> {
        let client = at(token);
        let waiting = self.clients[client].waiting;
        if waiting.is_none_or(|(waiting, _)| waiting != id) {
            return Ok(());
        }
        let response = match answer {
            Answer::Answered(response) => match *response {
                node::Response::Cluster(response) => response,
                other => return Err(("answer-kind", format!("the cluster was asked: {other:?}"))),
            },
            Answer::NoConnection => Response::Refused(Refusal::NotLeader { leader: None }),
            Answer::Lost => Response::Unknown,
        };
        match response {
            Response::Refused(refusal) => {
                self.refused(client, refusal);
                self.retry_later(ctx, client);
                Ok(())
            }
            Response::Unknown => {
                self.ended_without_answer(ctx, client);
                Ok(())
            }
            response => self.take_answer(ctx, client, response),
        }
    }

    fn healed(&mut self, calm: &LoadSettings) {
        self.load.client_timeout_ms = calm.client_timeout_ms;
    }

    fn close(&mut self) {
        for at in 0..self.clients.len() {
            let current = self.clients[at].current.as_ref();
            let writes = |current: &Current| {
                matches!(current.request, Request::Write(_)) && !current.opens_session
            };
            if current.is_some_and(writes) {
                self.leave_open(at);
                self.clients[at].current = None;
            }
        }
    }

    fn completed(&self) -> Vec<u64> {
        self.clients.iter().map(|client| client.completed).collect()
    }

    fn stats(&self) -> ActorStats {
        self.stats
    }

    fn fingerprint(&self) -> Option<u64> {
        Some(self.records.borrow().history.len())
    }
}

impl Client {
    const fn completed_or_skipped(&self) -> u64 {
        self.completed
    }

    fn command(&mut self, op: Op) -> Command {
        let Some(session) = self.session else {
            return Command::Once { op };
        };
        self.sequence += 1;
        Command::InSession {
            session,
            sequence: self.sequence,
            answered_upto: self.sequence - 1,
            op,
        }
    }
}

const fn is_delete(action: Action) -> bool {
    matches!(action, Action::Delete | Action::DeleteIfRevision)
}

fn read_request(action: Action, key: Bytes) -> Request {
    let query = match action {
        Action::Range => Query::Range {
            from: key,
            to: None,
            limit: 1_000,
            keys_only: false,
        },
        _ => Query::Get { key },
    };
    let consistency = match action {
        Action::StaleGet => Consistency::Stale,
        _ => Consistency::Linearizable,
    };
    Request::Read { query, consistency }
}

fn write_op(
    action: Action,
    key: Bytes,
    id: ValueId,
    padding: u64,
    seen: ValueId,
    revision: u64,
) -> (Op, ValueId, Requires) {
    let (condition, requires) = match action {
        Action::PutAbsent => (Condition::Absent, Requires::Value(0)),
        Action::PutIfValue if seen == 0 => (Condition::Absent, Requires::Value(0)),
        // Which padding the value had is not known here, its revision is.
        Action::PutIfValue | Action::DeleteIfRevision if revision != 0 => (
            Condition::Revision(Revision(revision)),
            Requires::Value(seen),
        ),
        _ => (Condition::Always, Requires::Nothing),
    };
    if is_delete(action) {
        return (Op::Delete { key, condition }, 0, requires);
    }
    let value = value_bytes(id, padding);
    let op = Op::Put {
        key,
        value,
        condition,
        lease: None,
    };
    (op, id, requires)
}
