//! Clients: each does one operation at a time through any node, gives up after a
//! while, and retries what may be retried.
//!
//! A refused call did not happen and is tried again. A call without an answer may
//! have happened: in a session it is repeated under its number until there is an
//! answer; without one it enters the history as open for ever.

mod answers;
mod guards;

use bytes::Bytes;
use decube_core::cluster::{Consistency, Request, Response};
use decube_core::kv::{Answer, Condition, Found, Op, Outcome, Pair, Query};
use decube_core::raft::Refusal;
use decube_core::replica::{Command, SessionId};
use decube_core::types::{Index, LogId, NodeId, RequestId, Revision, Span};

use crate::check::order::RealTime;
use crate::check::records::Records;
use crate::check::{Finding, Shared, shared};
use crate::config::LoadSettings;
use crate::history::{Operation, Requires, Step, ValueId};
use crate::network::ppm;
use crate::rng::{Domain, Draw, Keyed};
use crate::workload::{Action, Planned, Workload, key_name, key_number, value_bytes, value_id};

/// What a client wants of the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// Send a request to a node.
    Call {
        /// The client.
        client: usize,
        /// The node's slot.
        slot: usize,
        /// The request's id.
        id: RequestId,
        /// The request.
        request: Request,
    },
    /// Wake the client after so many nanoseconds, unless it has moved on.
    Timer {
        /// The client.
        client: usize,
        /// Echoed, so that old timers can be told.
        generation: u64,
        /// In how many nanoseconds.
        after: u64,
    },
    /// Tell a node that nobody waits for this request any more.
    Cancel {
        /// The node's slot.
        slot: usize,
        /// The request.
        id: RequestId,
    },
}

/// How a call ended, as the client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The node answered.
    Answered(Box<Response>),
    /// Nobody listens there: nothing happened.
    NoConnection,
    /// The connection broke, or the client lost patience: nothing is known.
    Lost,
}

/// What clients have done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClientStats {
    /// Operations that ended with an answer.
    pub completed: u64,
    /// Calls that were refused.
    pub refused: u64,
    /// Calls without an answer.
    pub lost: u64,
    /// Calls repeated in a session after no answer came.
    pub repeated: u64,
}

/// All clients and what they share: the history and the claimed order.
#[derive(Debug)]
pub struct Clients {
    clients: Vec<Client>,
    workload: Workload,
    behaviour: Keyed,
    slots: usize,
    /// Which node is in which slot.
    names: Vec<NodeId>,
    next_request: u64,
    stamp: u64,
    order: RealTime,
    /// What was done and seen.
    pub records: Shared<Records>,
    /// How much.
    pub stats: ClientStats,
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

impl ClientStats {
    /// Adds what others have done.
    pub const fn add(&mut self, other: &Self) {
        self.completed += other.completed;
        self.refused += other.refused;
        self.lost += other.lost;
        self.repeated += other.repeated;
    }
}

impl Clients {
    /// Clients of a run, who turn to the first `slots`.
    pub fn new(seed: u64, config: &LoadSettings, slots: u64, workload: Workload) -> Self {
        let behaviour = Keyed::new(seed, Domain::Client);
        let keys = usize::try_from(config.keys).expect("few keys");
        let clients = (0..config.clients)
            .map(|number| Client {
                number,
                wants_session: behaviour.at(number, 0).chance(ppm(config.session_ppm)),
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
            clients,
            workload,
            behaviour,
            slots: usize::try_from(slots).expect("few slots"),
            names: Vec::new(),
            next_request: 0,
            stamp: 0,
            order: RealTime::default(),
            records: shared(Records::default()),
            stats: ClientStats::default(),
        }
    }

    /// The same, who know which node is in which slot and so can follow hints.
    #[must_use]
    pub fn with_names(mut self, names: Vec<NodeId>) -> Self {
        self.names = names;
        self
    }

    /// The same, whose requests are numbered from another number on: where other clients
    /// ask the same nodes.
    #[must_use]
    pub const fn with_requests_from(mut self, first: u64) -> Self {
        self.next_request = first;
        self
    }

    /// How many clients there are.
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// The fewest operations that any client has completed.
    pub fn completed_least(&self) -> u64 {
        self.clients
            .iter()
            .map(|client| client.completed)
            .min()
            .unwrap_or(u64::MAX)
    }

    /// How many operations each client has completed.
    pub fn completed_each(&self) -> Vec<u64> {
        self.clients.iter().map(|client| client.completed).collect()
    }

    /// A fresh id for a request that is nobody's operation (an operator's).
    pub fn fresh_request(&mut self) -> RequestId {
        self.next_request += 1;
        RequestId(self.next_request)
    }

    /// The run ends: what was asked and not answered stays open.
    pub fn close(&mut self) {
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

    /// A client's timer went off.
    pub fn wake(
        &mut self,
        config: &LoadSettings,
        client: usize,
        generation: u64,
        out: &mut Vec<Intent>,
    ) {
        if self.clients[client].generation != generation {
            return;
        }
        if let Some((id, slot)) = self.clients[client].waiting {
            if self.draw(client).coin() {
                out.push(Intent::Cancel { slot, id });
            }
            self.ended_without_answer(config, client, out);
        } else if self.clients[client].current.is_some() {
            self.call(config, client, out);
        } else {
            self.begin(config, client, out);
        }
    }

    /// A call has ended.
    pub fn ended(
        &mut self,
        config: &LoadSettings,
        client: usize,
        id: RequestId,
        ending: Ending,
        out: &mut Vec<Intent>,
    ) -> Result<(), Finding> {
        if self.clients[client]
            .waiting
            .is_none_or(|(waiting, _)| waiting != id)
        {
            return Ok(());
        }
        let response = match ending {
            Ending::Answered(response) => *response,
            Ending::NoConnection => Response::Refused(Refusal::NotLeader { leader: None }),
            Ending::Lost => Response::Unknown,
        };
        match response {
            Response::Refused(refusal) => {
                self.refused(client, refusal);
                self.retry_later(client, out);
                Ok(())
            }
            Response::Unknown => {
                self.ended_without_answer(config, client, out);
                Ok(())
            }
            response => self.answered(config, client, response, out),
        }
    }

    fn begin(&mut self, config: &LoadSettings, at: usize, out: &mut Vec<Intent>) {
        let number = self.clients[at].completed_or_skipped();
        let planned = self
            .workload
            .operation(config, self.clients[at].number, number);
        if planned.action == Action::Skip {
            self.clients[at].draws += 1;
            self.finish(config, at, out);
            return;
        }
        let opens_session = self.clients[at].wants_session && self.clients[at].session.is_none();
        let current = if opens_session {
            self.opening(at, planned)
        } else {
            self.operation(at, number, planned)
        };
        self.clients[at].current = Some(current);
        self.call(config, at, out);
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

    fn call(&mut self, config: &LoadSettings, at: usize, out: &mut Vec<Intent>) {
        let draw = self.draw(at);
        let slots = self.slots;
        self.next_request += 1;
        let id = RequestId(self.next_request);
        let client = &mut self.clients[at];
        let hint = client.hint.filter(|_| draw.again().coin());
        let slot = hint.unwrap_or_else(|| draw.index(slots));
        let current = client
            .current
            .as_ref()
            .expect("a call belongs to an operation");
        client.waiting = Some((id, slot));
        client.generation += 1;
        out.push(Intent::Call {
            client: at,
            slot,
            id,
            request: current.request.clone(),
        });
        out.push(Intent::Timer {
            client: at,
            generation: client.generation,
            after: config.client_timeout_ms * MILLI,
        });
    }

    fn refused(&mut self, at: usize, refusal: Refusal) {
        self.stats.refused += 1;
        let known = &self.names[..self.slots.min(self.names.len())];
        self.clients[at].hint = match refusal {
            Refusal::NotLeader {
                leader: Some(leader),
            } => known.iter().position(|name| *name == leader),
            _ => None,
        };
    }

    fn retry_later(&mut self, at: usize, out: &mut Vec<Intent>) {
        let after = self.draw(at).range(5 * MILLI, 150 * MILLI);
        let client = &mut self.clients[at];
        client.waiting = None;
        client.generation += 1;
        out.push(Intent::Timer {
            client: at,
            generation: client.generation,
            after,
        });
    }

    fn ended_without_answer(&mut self, config: &LoadSettings, at: usize, out: &mut Vec<Intent>) {
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
            self.retry_later(at, out);
        } else {
            self.leave_open(at);
            self.finish(config, at, out);
        }
    }

    fn finish(&mut self, config: &LoadSettings, at: usize, out: &mut Vec<Intent>) {
        let client = &mut self.clients[at];
        client.waiting = None;
        client.current = None;
        client.completed += 1;
        client.generation += 1;
        let number = client.completed_or_skipped();
        let generation = client.generation;
        let think = self.workload.operation(config, client.number, number).think;
        out.push(Intent::Timer {
            client: at,
            generation,
            after: think,
        });
    }

    fn draw(&mut self, at: usize) -> Draw {
        let client = &mut self.clients[at];
        client.draws += 1;
        self.behaviour.at(client.number, client.draws)
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
