//! A small machine to test the simulator with: one primary keeps a map in a
//! file, the others pass requests on. It is correct while nothing is planted, so
//! what the simulator finds in it then is a bug of the simulator.

use std::collections::BTreeMap;

use bytes::Bytes;
use decube_core::cluster::{self, Request, Response};
use decube_core::io::{Done, FileName, FileOp, FileOpId, FileResult, Io, Volume};
use decube_core::kv::{Answer, Condition, Found, Op, Outcome, Pair, Query};
use decube_core::ledger::Ledger;
use decube_core::machine::{Machine, Outbox};
use decube_core::mutant::Mutant;
use decube_core::node::{self, Effect, Event, Notice, PartId};
use decube_core::part::Health;
use decube_core::raft::{Membership, Refusal, Role};
use decube_core::replica::Command;
use decube_core::types::{
    Chain, Index, LogId, NodeId, PeerRequestId, ProcessNonce, RequestId, Revision, Term, Time,
};

use crate::rng::Draw;
use crate::subject::{Facts, Subject};

const FILE: FileName = FileName::Segment(1);
const FILE_BYTES: u64 = 1 << 20;
const RECORD: usize = 32;

/// Answers that wait for a sync, from which on it takes no messages.
const WAITING_MAX: usize = 2;

#[derive(Debug)]
pub(crate) struct Toy {
    config: cluster::Config,
    map: BTreeMap<Bytes, (Bytes, u64)>,
    revision: u64,
    offset: u64,
    operation: u64,
    ready: bool,
    halted: bool,
    loading: bool,
    /// Answers that wait for their sync.
    waiting: Vec<(FileOpId, Option<NodeId>, RequestId, Response)>,
    passed_on: BTreeMap<RequestId, ()>,
    /// Requests passed on by others that were taken: a copy is not taken again.
    taken: BTreeMap<(NodeId, RequestId), ()>,
}

/// A request of a client, passed on: the simulator names each once in a run.
fn to_peer(RequestId(number): RequestId) -> PeerRequestId {
    let process = ProcessNonce::default();
    PeerRequestId { process, number }
}

impl Toy {
    fn is_primary(&self) -> bool {
        self.config.id == NodeId(1)
    }

    fn start(&mut self, out: &mut Outbox<Effect>) {
        let me = self.config.id;
        let all = self.config.bootstrap.voters.iter().copied();
        let peers = all.filter(|peer| *peer != me).collect();
        out.push(Effect::Connect { peers });
        match self.is_primary() {
            true => _ = self.file(FileOp::List, out),
            false => out.push(health(Health::Ready)),
        }
    }

    fn file(&mut self, op: FileOp, out: &mut Outbox<Effect>) -> FileOpId {
        self.operation += 1;
        let id = FileOpId(self.operation);
        let volume = Volume::Cluster;
        let io = Io::File { id, op };
        out.push(Effect::Io { volume, io });
        id
    }

    fn answer(
        &mut self,
        from: Option<NodeId>,
        id: RequestId,
        response: Response,
        out: &mut Outbox<Effect>,
    ) {
        match from {
            None => out.push(Effect::Reply {
                id,
                response: response.into(),
            }),
            Some(to) => out.push(Effect::Send {
                to,
                message: cluster::Message::ForwardReply {
                    id: to_peer(id),
                    response,
                }
                .into(),
            }),
        }
    }

    fn request(
        &mut self,
        from: Option<NodeId>,
        id: RequestId,
        request: Request,
        out: &mut Outbox<Effect>,
    ) {
        if !self.is_primary() {
            self.passed_on.insert(id, ());
            let term = Term(1);
            let id = to_peer(id);
            let request = Box::new(request);
            let message = cluster::Message::Forward { id, term, request }.into();
            out.push(Effect::Send {
                to: NodeId(1),
                message,
            });
            return;
        }
        match request {
            _ if !self.ready || self.halted => {
                let refusal = match from {
                    None => Refusal::Unavailable,
                    Some(_) => Refusal::NotReady,
                };
                self.answer(from, id, Response::Refused(refusal), out);
            }
            Request::Read { query, .. } => {
                let response = Response::Read(self.read(&query));
                // A read waits for the writes that it may have seen.
                match self.waiting.last() {
                    Some((sync, ..)) => self.waiting.push((*sync, from, id, response)),
                    None => self.answer(from, id, response, out),
                }
            }
            Request::Write(Command::Once { op }) => self.write(from, id, op, out),
            _ => self.answer(from, id, Response::Refused(Refusal::Busy), out),
        }
    }

    fn read(&self, query: &Query) -> Answer {
        let pair = |(key, (value, modified)): (&Bytes, &(Bytes, u64))| Pair {
            key: key.clone(),
            value: value.clone(),
            created: Revision(*modified),
            modified: Revision(*modified),
            lease: None,
        };
        let found = match query {
            Query::Get { key } => Found::One(self.map.get_key_value(key).map(pair)),
            Query::Range { from, .. } => Found::Many {
                pairs: self.map.range(from.clone()..).map(pair).collect(),
                next: None,
            },
            _ => Found::One(None),
        };
        Answer {
            revision: Revision(self.revision),
            found,
        }
    }

    fn write(&mut self, from: Option<NodeId>, id: RequestId, op: Op, out: &mut Outbox<Effect>) {
        let (key, value, condition) = match op {
            Op::Put {
                key,
                value,
                condition,
                ..
            } => (key, Some(value), condition),
            Op::Delete { key, condition } => (key, None, condition),
            _ => return self.answer(from, id, Response::Refused(Refusal::Busy), out),
        };
        let present = self.map.get(&key).cloned();
        let holds = match (&condition, &present) {
            (Condition::Always, _) | (Condition::Absent, None) => true,
            (Condition::Revision(wanted), Some((_, modified))) => wanted.0 == *modified,
            _ => false,
        };
        let at = LogId::new(Term(1), Index(self.revision + 1));
        let outcome = if holds {
            self.revision += 1;
            let deleted = u64::from(value.is_none() && present.is_some());
            self.put(key.clone(), value.clone());
            self.log(&key, value.as_deref(), out);
            Outcome::Changed {
                revision: Revision(self.revision),
                deleted,
            }
        } else {
            let (value, modified) = present.unzip();
            Outcome::ConditionFailed {
                key,
                revision: modified.map(Revision),
                value,
            }
        };
        let response = Response::Written { at, outcome };
        if self.config.mutant == Mutant::AckBeforeSync {
            self.file(FileOp::Sync { file: FILE }, out);
            return self.answer(from, id, response, out);
        }
        let sync = self.file(FileOp::Sync { file: FILE }, out);
        self.waiting.push((sync, from, id, response));
    }

    fn put(&mut self, key: Bytes, value: Option<Bytes>) {
        match value {
            Some(value) => _ = self.map.insert(key, (value.slice(..8), self.revision)),
            None => _ = self.map.remove(&key),
        }
    }

    fn log(&mut self, key: &[u8], value: Option<&[u8]>, out: &mut Outbox<Effect>) {
        let mut record = vec![0; RECORD];
        record[0] = 1;
        record[8..16].copy_from_slice(&value.map_or([0; 8], |v| v[..8].try_into().expect("8")));
        record[16..24].copy_from_slice(key);
        record[24..32].copy_from_slice(&self.revision.to_be_bytes());
        let offset = self.offset;
        self.offset += u64::try_from(RECORD).expect("small");
        let data = Bytes::from(record);
        self.file(
            FileOp::Write {
                file: FILE,
                offset,
                data,
            },
            out,
        );
    }

    fn load(&mut self, data: &Bytes) {
        for record in data.chunks(RECORD).take_while(|record| record[0] == 1) {
            self.offset += u64::try_from(RECORD).expect("small");
            self.revision = u64::from_be_bytes(record[24..32].try_into().expect("8 bytes"));
            let value = Bytes::copy_from_slice(&record[8..16]);
            let value = value.iter().any(|byte| *byte != 0).then_some(value);
            self.put(Bytes::copy_from_slice(&record[16..24]), value);
        }
    }

    fn file_done(&mut self, id: FileOpId, result: FileResult, out: &mut Outbox<Effect>) {
        match result {
            FileResult::Failed(_) => {
                self.halted = true;
                out.push(health(Health::Halted("the disk failed".into())));
                out.push(Effect::Stopped);
            }
            FileResult::Listed(files) if files.is_empty() => {
                self.file(
                    FileOp::Create {
                        file: FILE,
                        len: FILE_BYTES,
                    },
                    out,
                );
                self.loading = true;
            }
            FileResult::Listed(_) => {
                self.file(
                    FileOp::Read {
                        file: FILE,
                        offset: 0,
                        len: FILE_BYTES,
                    },
                    out,
                );
            }
            FileResult::Data(data) => {
                self.load(&data);
                // What was read may not be stable yet.
                self.loading = true;
                self.file(FileOp::Sync { file: FILE }, out);
            }
            FileResult::Done if self.loading => {
                self.loading = false;
                self.ready = true;
                out.push(health(Health::Ready));
            }
            FileResult::Done => {
                let (done, rest) = std::mem::take(&mut self.waiting)
                    .into_iter()
                    .partition(|(sync, ..)| *sync <= id);
                self.waiting = rest;
                let done: Vec<(FileOpId, Option<NodeId>, RequestId, Response)> = done;
                for (_, from, request, response) in done {
                    self.answer(from, request, response, out);
                }
            }
        }
    }
}

const fn health(health: Health) -> Effect {
    let part = PartId::Cluster;
    Effect::Health { part, health }
}

impl Machine for Toy {
    type Event = Event;
    type Effect = Effect;

    fn step(&mut self, _now: Time, event: Event, out: &mut Outbox<Effect>) {
        match event {
            Event::Start { .. } => self.start(out),
            Event::Request {
                id,
                request: node::Request::Cluster(request),
            } => self.request(None, id, request, out),
            Event::Message {
                from,
                message: node::Message::Cluster(message),
                ..
            } => {
                assert!(self.accepts(PartId::Cluster), "it is read for");
                match message {
                    cluster::Message::Forward { id, request, .. } => {
                        let id = RequestId(id.number);
                        if self.taken.insert((from, id), ()).is_none() {
                            self.request(Some(from), id, *request, out);
                        }
                    }
                    cluster::Message::ForwardReply { id, response } => {
                        let id = RequestId(id.number);
                        if self.passed_on.remove(&id).is_some() {
                            let response = response.into();
                            out.push(Effect::Reply { id, response });
                        }
                    }
                    cluster::Message::Raft(_)
                    | cluster::Message::HeadRequest { .. }
                    | cluster::Message::HeadReply { .. }
                    | cluster::Message::ModulesRequest { .. }
                    | cluster::Message::ModulesReply { .. } => {}
                }
            }
            Event::Io {
                done: Done::File { id, result },
                ..
            } if !self.halted => self.file_done(id, result, out),
            Event::Shutdown => out.push(Effect::Stopped),
            _ => {}
        }
    }

    fn deadline(&self) -> Option<Time> {
        None
    }
}

impl Subject for Toy {
    fn build(config: node::Config) -> Self {
        Self {
            config: config.cluster.expect("toys make a cluster"),
            map: BTreeMap::new(),
            revision: 0,
            offset: 0,
            operation: 0,
            ready: false,
            halted: false,
            loading: false,
            waiting: Vec::new(),
            passed_on: BTreeMap::new(),
            taken: BTreeMap::new(),
        }
    }

    fn ledger(&self) -> Option<&Ledger> {
        None
    }

    fn accepts(&self, _part: PartId) -> bool {
        self.waiting.len() < WAITING_MAX
    }

    fn is_serving(&self, _part: PartId) -> bool {
        self.ready && !self.halted
    }

    fn notices(&self) -> &[Notice] {
        &[]
    }

    fn facts(&self) -> Option<Facts> {
        let role = if self.is_primary() {
            Role::Leader
        } else {
            Role::Follower
        };
        Some(Facts {
            role,
            term: Term(1),
            voted_for: None,
            leader: Some(NodeId(1)),
            last: LogId::ZERO,
            base: LogId::ZERO,
            committed: Index(0),
            applied: Index(0),
        })
    }

    fn entry_at(&self, _index: Index) -> Option<(Term, Chain)> {
        Some((Term(0), Chain::default()))
    }

    fn membership(&self) -> Option<&Membership> {
        Some(&self.config.bootstrap)
    }

    fn state_digest(&self) -> Option<u64> {
        None
    }

    fn over_the_wire(_message: &node::Message, _mutant: Mutant) -> Result<(), String> {
        Ok(())
    }

    fn damaged_on_the_wire(_message: &node::Message, _flips: Draw) -> Result<bool, String> {
        Ok(false)
    }

    fn digest(&self) -> u64 {
        self.revision
    }
}
