//! A node in memory: a plain model of the replicated state, with answers that a
//! test can put in front of the queue.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use decube_core::cluster::{Changes, Request, Response, Status};
use decube_core::crypto::PublicKey;
use decube_core::kv::{
    Answer, Change, Condition, FencingToken, Found, LeaseId, Op, Outcome, Pair, Query,
};
use decube_core::ledger;
use decube_core::node::PartId;
use decube_core::part::Health as PartHealth;
use decube_core::raft::{Membership, Refusal, Role};
use decube_core::replica::{Command, LogTime, SessionId};
use decube_core::types::{Index, LogId, NodeId, Revision, Term};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use tokio::sync::broadcast;

use crate::backend::{Backend, Gone, Health, Sample, SampleValue, Watch, WatchEnd};

/// A node in memory. Node 1, leader in term 7.
#[derive(Clone)]
pub struct MockNode {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    changes: broadcast::Sender<Changes>,
}

#[derive(Default)]
struct State {
    index: u64,
    pairs: BTreeMap<Bytes, Pair>,
    leases: BTreeMap<u64, u64>,
    locks: BTreeMap<Bytes, (FencingToken, LeaseId)>,
    sessions: BTreeMap<u64, BTreeMap<u64, Outcome>>,
    history: Vec<Changes>,
    scripted: VecDeque<Result<Response, Gone>>,
    health: Option<Health>,
    requests: Vec<Request>,
    ledger: VecDeque<ledger::Response>,
    ledger_requests: Vec<ledger::Request>,
}

impl Default for MockNode {
    fn default() -> Self {
        Self {
            inner: Arc::new(Inner {
                state: Mutex::default(),
                changes: broadcast::channel(64).0,
            }),
        }
    }
}

impl MockNode {
    /// The next request is answered like this, whatever it is.
    pub fn script(&self, answer: Result<Response, Gone>) {
        self.state().scripted.push_back(answer);
    }

    pub fn set_health(&self, health: Health) {
        self.state().health = Some(health);
    }

    /// The next question to the ledger is answered like this, whatever it is.
    pub fn script_ledger(&self, answer: ledger::Response) {
        self.state().ledger.push_back(answer);
    }

    /// All questions to the ledger so far.
    pub fn ledger_requests(&self) -> Vec<ledger::Request> {
        self.state().ledger_requests.clone()
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.inner.state.lock().expect("held")
    }
}

impl Backend for MockNode {
    fn request(&self, request: Request) -> BoxFuture<'_, Result<Response, Gone>> {
        async move {
            let (answer, changes) = {
                let mut state = self.state();
                state.requests.push(request.clone());
                if let Some(scripted) = state.scripted.pop_front() {
                    return scripted;
                }
                let before = state.history.len();
                let answer = state.answer(request);
                (answer, state.history[before..].to_vec())
            };
            for change in changes {
                // Nobody need be watching.
                let _ = self.inner.changes.send(change);
            }
            Ok(answer)
        }
        .boxed()
    }

    fn watch(
        &self,
        from: Bytes,
        to: Option<Bytes>,
        since: Revision,
    ) -> BoxFuture<'_, Result<Watch, WatchEnd>> {
        async move {
            let live = self.inner.changes.subscribe();
            let (revision, past) = {
                let state = self.state();
                if since.0 == 13 {
                    return Err(WatchEnd::Compacted {
                        oldest: Revision(20),
                    });
                }
                let past: Vec<_> = match since.0 {
                    0 => Vec::new(),
                    _ => state
                        .history
                        .iter()
                        .filter(|c| c.changes[0].revision >= since)
                        .cloned()
                        .collect(),
                };
                (Revision(state.index), past)
            };
            let live = futures::stream::unfold(live, |mut live| async move {
                Some((live.recv().await.ok()?, live))
            });
            let wanted = move |mut changes: Changes| {
                let inside = |key: &Bytes| *key >= from && to.as_ref().is_none_or(|to| key < to);
                changes.changes.retain(|change| inside(&change.key));
                let any = !changes.changes.is_empty();
                async move { any.then_some(Ok(changes)) }
            };
            let changes = futures::stream::iter(past)
                .chain(live)
                .filter_map(wanted)
                .boxed();
            Ok(Watch { revision, changes })
        }
        .boxed()
    }

    /// These nodes have no ledger, only what a test says.
    fn ledger(&self, request: ledger::Request) -> BoxFuture<'_, Result<ledger::Response, Gone>> {
        let mut state = self.state();
        state.ledger_requests.push(request);
        let scripted = state.ledger.pop_front();
        async { Ok(scripted.unwrap_or(ledger::Response::Unavailable)) }.boxed()
    }

    fn blocks(
        &self,
    ) -> tokio::sync::broadcast::Receiver<std::sync::Arc<decube_core::ledger::FinalBlock>> {
        tokio::sync::broadcast::channel(1).1
    }

    fn health(&self) -> Health {
        let scripted = self.state().health.clone();
        scripted.unwrap_or(Health {
            node: NodeId(1),
            role: Role::Leader,
            term: Term(7),
            leader: Some(NodeId(1)),
            membership: members(),
            parts: BTreeMap::from([(PartId::Cluster, PartHealth::Ready)]),
            slow: BTreeMap::new(),
        })
    }

    fn voter_keys(&self) -> BTreeMap<NodeId, PublicKey> {
        BTreeMap::new()
    }

    fn samples(&self) -> Vec<Sample> {
        vec![
            Sample {
                name: "decube_host_events_total",
                help: "Events taken by the machine.",
                value: SampleValue::Counter(5),
            },
            Sample {
                name: "decube_raft_fsync_duration_seconds",
                help: "Time from the order of a sync to its completion.",
                value: SampleValue::Histogram {
                    buckets: vec![(0.001, 1), (0.002, 3)],
                    sum: 0.004,
                    count: 3,
                },
            },
        ]
    }
}

fn members() -> Membership {
    Membership {
        voters: vec![NodeId(1), NodeId(2), NodeId(3)],
        ..Membership::default()
    }
}

impl State {
    fn answer(&mut self, request: Request) -> Response {
        match request {
            Request::Write(command) => {
                self.index += 1;
                let outcome = self.command(command);
                Response::Written {
                    at: LogId::new(Term(7), Index(self.index)),
                    outcome,
                }
            }
            Request::Read { query, .. } => Response::Read(self.query(query)),
            Request::Watch { .. } => Response::Watching {
                revision: Revision(self.index),
            },
            Request::Status | Request::FollowStatus => Response::Status(Box::new(Status {
                node: NodeId(1),
                role: Role::Leader,
                term: Term(7),
                leader: Some(NodeId(1)),
                last: LogId::new(Term(7), Index(self.index)),
                committed: Index(self.index),
                applied: Index(self.index),
                base: Index(0),
                stored: Index(0),
                revision: Revision(self.index),
                state_bytes: 99,
                membership: members(),
                matched: vec![(NodeId(2), Index(self.index)), (NodeId(3), Index(0))],
            })),
            Request::ChangeMembership(_) | Request::TransferLeadership { .. } => Response::Accepted,
            Request::LogHead | Request::ProveLog { .. } => Response::Refused(Refusal::HeadUnsigned),
        }
    }

    fn command(&mut self, command: Command) -> Outcome {
        match command {
            Command::OpenSession { .. } => {
                self.sessions.insert(self.index, BTreeMap::new());
                Outcome::SessionOpened(SessionId(self.index))
            }
            Command::CloseSession { session } => match self.sessions.remove(&session.0) {
                Some(_) => Outcome::SessionClosed,
                None => Outcome::NoSession,
            },
            Command::InSession {
                session,
                sequence,
                op,
                ..
            } => {
                let Some(answers) = self.sessions.get(&session.0) else {
                    return Outcome::NoSession;
                };
                if let Some(answer) = answers.get(&sequence) {
                    return answer.clone();
                }
                let outcome = self.op(op);
                let answers = self.sessions.get_mut(&session.0).expect("it exists");
                answers.insert(sequence, outcome.clone());
                outcome
            }
            Command::Once { op } => self.op(op),
            Command::Tick => Outcome::Ticked,
            Command::Enable { module } => Outcome::ModuleOn { module },
        }
    }

    fn op(&mut self, op: Op) -> Outcome {
        match op {
            Op::Put {
                lease: Some(lease), ..
            } if !self.leases.contains_key(&lease.0) => Outcome::NoLease,
            Op::Put {
                ref key,
                ref condition,
                ..
            }
            | Op::Delete {
                ref key,
                ref condition,
            } => {
                if let Some(failed) = self.failed(key, condition) {
                    return failed;
                }
                self.change(vec![op])
            }
            Op::DeleteRange { .. } => self.change(vec![op]),
            Op::Txn { conditions, ops } => {
                for (key, condition) in &conditions {
                    if let Some(failed) = self.failed(key, condition) {
                        return failed;
                    }
                }
                self.change(ops)
            }
            Op::LeaseGrant { ttl } => {
                self.leases.insert(self.index, ttl.0);
                self.lease(LeaseId(self.index))
            }
            Op::LeaseRenew { lease } => self.lease(lease),
            Op::LeaseRevoke { lease } => match self.leases.remove(&lease.0) {
                Some(_) => Outcome::LeaseEnded,
                None => Outcome::NoLease,
            },
            Op::LockAcquire { name, lease } => {
                let held = *self
                    .locks
                    .entry(name)
                    .or_insert((FencingToken(self.index), lease));
                if held.1 == lease {
                    Outcome::Locked { token: held.0 }
                } else {
                    Outcome::LockHeld { token: held.0 }
                }
            }
            Op::LockRelease { name, token } => match self.locks.get(&name) {
                Some((held, _)) if *held == token => {
                    self.locks.remove(&name);
                    Outcome::Unlocked
                }
                _ => Outcome::LockNotHeld,
            },
        }
    }

    fn lease(&self, lease: LeaseId) -> Outcome {
        match self.leases.get(&lease.0) {
            Some(ttl) => Outcome::Lease {
                lease,
                expires_at: LogTime(1_700_000_000_000_000_000 + ttl),
            },
            None => Outcome::NoLease,
        }
    }

    fn failed(&self, key: &Bytes, condition: &Condition) -> Option<Outcome> {
        let pair = self.pairs.get(key);
        let holds = match condition {
            Condition::Always => true,
            Condition::Absent => pair.is_none(),
            Condition::Exists => pair.is_some(),
            Condition::Revision(revision) => pair.is_some_and(|pair| pair.modified == *revision),
            Condition::Value(value) => pair.is_some_and(|pair| pair.value == *value),
        };
        (!holds).then(|| Outcome::ConditionFailed {
            key: key.clone(),
            revision: pair.map(|pair| pair.modified),
            value: pair.map(|pair| pair.value.clone()),
        })
    }

    fn change(&mut self, ops: Vec<Op>) -> Outcome {
        let revision = Revision(self.index);
        let mut changes = Vec::new();
        let mut deleted = 0;
        for op in ops {
            let removed = match op {
                Op::Put {
                    key, value, lease, ..
                } => {
                    let created = self.pairs.get(&key).map_or(revision, |pair| pair.created);
                    let pair = Pair {
                        key: key.clone(),
                        value,
                        created,
                        modified: revision,
                        lease,
                    };
                    self.pairs.insert(key.clone(), pair.clone());
                    changes.push(Change {
                        revision,
                        key,
                        pair: Some(pair),
                    });
                    continue;
                }
                Op::Delete { key, .. } => vec![key],
                Op::DeleteRange { from, to } => self
                    .pairs
                    .range(from..to)
                    .map(|(key, _)| key.clone())
                    .collect(),
                other => panic!("not a change: {other:?}"),
            };
            for key in removed {
                if self.pairs.remove(&key).is_some() {
                    deleted += 1;
                    changes.push(Change {
                        revision,
                        key,
                        pair: None,
                    });
                }
            }
        }
        if !changes.is_empty() {
            self.history.push(Changes { changes });
        }
        Outcome::Changed { revision, deleted }
    }

    fn query(&self, query: Query) -> Answer {
        let found = match query {
            Query::Get { key } => Found::One(self.pairs.get(&key).cloned()),
            Query::Range {
                from,
                to,
                limit,
                keys_only,
            } => {
                let mut inside = self
                    .pairs
                    .range(from..)
                    .map(|(_, pair)| pair.clone())
                    .filter(|pair| to.as_ref().is_none_or(|to| pair.key < *to));
                let limit = (limit as usize).min(decube_core::limits::KV_RANGE_PAIRS_MAX);
                let mut pairs: Vec<Pair> = inside.by_ref().take(limit).collect();
                if keys_only {
                    pairs.iter_mut().for_each(|pair| pair.value = Bytes::new());
                }
                Found::Many {
                    next: inside.next().map(|pair| pair.key),
                    pairs,
                }
            }
            Query::Lease { lease } => Found::Lease(self.leases.get(&lease.0).map(|ttl| {
                let bound = self.pairs.values().filter(|pair| pair.lease == Some(lease));
                (
                    LogTime(1_700_000_000_000_000_000 + ttl),
                    bound.map(|pair| pair.key.clone()).collect(),
                )
            })),
            Query::Lock { name } => Found::Lock(self.locks.get(&name).copied()),
        };
        Answer {
            revision: Revision(self.index),
            found,
        }
    }
}
