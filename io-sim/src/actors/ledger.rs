//! Clients of the ledger: each has an account, submits one transaction after the
//! other through any node, and repeats the very same bytes until they are final.
//!
//! What a client does is drawn by client and number, so that a trace can list it and
//! a minimiser can take some away without changing the others.

use bytes::Bytes;
use decube_core::bft::Height;
use decube_core::codec::Encode as _;
use decube_core::crypto::fake::FakeAuthority;
use decube_core::crypto::{ChainId, SharedSigner, Signer as _, sha256};
use decube_core::ledger::{
    AccountId, Intent, Lane, Ledger, Name, Operation, Rejection, Request, Response, Sequence,
    SnapshotRecord, TxId, TxState,
};
use decube_core::node;
use decube_core::types::RequestId;

use super::{Actor, ActorStats, Answer, Context, Way, at, number};
use crate::check::ledger::LedgerChecker;
use crate::check::{Finding, Shared};
use crate::config::LoadSettings;
use crate::rng::{Domain, Keyed};
use crate::subject::Subject;
use crate::workload::{Action, Planned, Workload};
use crate::world::furthest;

const MILLI: u64 = 1_000_000;
/// The bits of a token that count how often a client was told when to wake; the others
/// say which client.
const GENERATION_BITS: u64 = 40;

/// What a client waits for.
#[derive(Debug, Clone)]
enum State {
    /// It thinks, or waits to try again.
    Idle,
    /// It has submitted its transaction.
    Submitted(RequestId),
    /// It asks where its account stands: its last try may have been in vain.
    Asking(RequestId),
}

/// A signed transaction that is not final yet.
#[derive(Debug, Clone)]
struct Pending {
    bytes: Bytes,
    first: TxId,
    valid_until: Height,
}

#[derive(Debug)]
struct Client {
    key: SharedSigner,
    account: AccountId,
    sequence: u64,
    /// Which of its operations it is at.
    number: u64,
    completed: u64,
    state: State,
    pending: Option<Pending>,
    generation: u64,
    tries: u64,
}

/// All clients.
#[derive(Debug)]
pub struct LedgerClients {
    clients: Vec<Client>,
    load: LoadSettings,
    workload: Workload,
    places: Keyed,
    chain: ChainId,
    /// Whom they tell what they were told.
    judge: Shared<LedgerChecker>,
}

/// The first signer of a client; those below belong to nodes.
const SIGNERS_FROM: u64 = 1_000;
/// Blocks that a transaction is valid for: few, so that some come too late.
const VALID_BLOCKS: u64 = 200;

impl LedgerClients {
    /// The clients of a run.
    pub fn new(
        seed: u64,
        load: LoadSettings,
        workload: Workload,
        authority: &FakeAuthority,
        chain: ChainId,
        judge: Shared<LedgerChecker>,
    ) -> Self {
        let client = |number: u64| {
            let key = authority.signer(SIGNERS_FROM + number);
            Client {
                account: AccountId::of(key.public_key()),
                key: SharedSigner::new(key),
                sequence: 0,
                number: 0,
                completed: 0,
                state: State::Idle,
                pending: None,
                generation: 0,
                tries: 0,
            }
        };
        Self {
            clients: (0..load.clients).map(client).collect(),
            load,
            workload,
            places: Keyed::new(seed, Domain::Client),
            chain,
            judge,
        }
    }

    /// Wakes a client after so many nanoseconds, unless something else happens first.
    fn wake_after<S: Subject>(&mut self, ctx: &mut Context<'_, S>, client: usize, after: u64) {
        let one = &mut self.clients[client];
        one.generation += 1;
        let token = number(client) << GENERATION_BITS | one.generation;
        ctx.wake_at(ctx.now() + after, token);
    }

    /// Hands in the present transaction, or makes the next one.
    fn act<S: Subject>(&mut self, ctx: &mut Context<'_, S>, client: usize) {
        let Some(slot) = self.pick_slot(ctx, client) else {
            return self.wake_after(ctx, client, 50 * MILLI);
        };
        let tip = self.judge.borrow().highest();
        let one = &self.clients[client];
        let is_over = one.pending.as_ref().is_some_and(|p| p.valid_until <= tip);
        if is_over || one.tries > 8 {
            let request = Request::Account { id: one.account };
            let id = self.ask(ctx, client, slot, request);
            self.clients[client].state = State::Asking(id);
            return;
        }
        if one.pending.is_none() {
            self.make(client, tip);
        }
        let Some(pending) = self.clients[client].pending.clone() else {
            return self.wake_after(ctx, client, 50 * MILLI);
        };
        let request = Request::Submit {
            transaction: pending.bytes,
            wait: true,
        };
        let id = self.ask(ctx, client, slot, request);
        let one = &mut self.clients[client];
        one.tries += 1;
        one.state = State::Submitted(id);
    }

    /// A running process that a client trusts: any but those of Byzantine nodes.
    fn pick_slot<S: Subject>(&self, ctx: &mut Context<'_, S>, client: usize) -> Option<usize> {
        let hosts = ctx.hosts().iter().enumerate();
        let open: Vec<usize> = hosts
            .filter(|(_, host)| host.is_honest() && host.is_up())
            .map(|(slot, _)| slot)
            .collect();
        let draw = self.places.at(number(client), ctx.draw_number());
        (!open.is_empty()).then(|| open[draw.index(open.len())])
    }

    fn ask<S: Subject>(
        &mut self,
        ctx: &mut Context<'_, S>,
        client: usize,
        slot: usize,
        request: Request,
    ) -> RequestId {
        let id = ctx.call(Way::Remote, number(client), slot, request);
        self.wake_after(ctx, client, self.load.client_timeout_ms * MILLI);
        id
    }

    /// What a client is at.
    fn planned(&self, client: usize) -> Planned {
        let at = self.clients[client].number;
        self.workload.operation(&self.load, number(client), at)
    }

    /// Signs the client's next transaction, if it has one left.
    fn make(&mut self, client: usize, tip: Height) {
        let planned = self.planned(client);
        let one = &mut self.clients[client];
        if planned.action == Action::Skip {
            one.number += 1;
            return;
        }
        let count = operations_in(&planned);
        let operation = |place: u64| operation_of(planned.action, client, one.number, place);
        let intent = Intent {
            chain: self.chain,
            account: one.account,
            lane: Lane(0),
            sequence: Sequence(one.sequence),
            valid_until: Height(tip.0 + VALID_BLOCKS),
            operations: (0..count).map(operation).collect(),
        };
        let first = intent.ids().next().expect("a transaction has operations");
        let valid_until = intent.valid_until;
        let signed = intent.sign(&*one.key);
        one.tries = 0;
        one.pending = Some(Pending {
            bytes: signed.to_bytes(),
            first,
            valid_until,
        });
    }

    fn take_answer<S: Subject>(
        &mut self,
        ctx: &mut Context<'_, S>,
        client: usize,
        id: RequestId,
        answer: Option<Response>,
    ) -> Result<(), Finding> {
        let one = &mut self.clients[client];
        let waits = match one.state {
            State::Idle => false,
            State::Submitted(asked) | State::Asking(asked) => asked == id,
        };
        if !waits {
            return Ok(());
        }
        one.state = State::Idle;
        let Some(response) = answer else {
            self.wake_after(ctx, client, 30 * MILLI);
            return Ok(());
        };
        match response {
            Response::Transaction(TxState::Final(place)) => {
                let pending = self.clients[client].pending.clone();
                let first = pending.expect("it was submitted").first;
                self.judge.borrow_mut().acknowledged(first, place)?;
                self.go_on(ctx, client);
            }
            Response::Account(view) => {
                // The view counts what waits at that node, which may never be final.
                let ledger_state = furthest(ctx.hosts()).and_then(Ledger::ledger_state);
                let known = ledger_state.and_then(|ledger_state| ledger_state.account(&view.id));
                let next = known.map_or(0, |account| account.next(Lane(0)).0);
                let one = &mut self.clients[client];
                let over = one
                    .pending
                    .as_ref()
                    .is_some_and(|p| p.valid_until < view.height);
                one.tries = 0;
                // What is neither final nor over may still become final: only when
                // its place is used, or its time is up, another one is signed.
                if next > one.sequence || over {
                    (one.sequence, one.pending) = (next.max(one.sequence), None);
                    one.number += 1;
                }
                self.wake_after(ctx, client, 10 * MILLI);
            }
            Response::Rejected(rejection) => {
                ctx.coverage().refusals += 1;
                let one = &mut self.clients[client];
                if rejection.retry_after().is_none() {
                    one.tries = u64::MAX;
                }
                if let Rejection::Tx(error) = rejection {
                    let message = format!("client {client}: {error} for a good transaction");
                    return Err(("good-transaction", message));
                }
                self.wake_after(ctx, client, 50 * MILLI);
            }
            _ => self.wake_after(ctx, client, 50 * MILLI),
        }
        Ok(())
    }

    /// A client's transaction is final: it goes on with the next one.
    fn go_on<S: Subject>(&mut self, ctx: &mut Context<'_, S>, client: usize) {
        let planned = self.planned(client);
        let one = &mut self.clients[client];
        let count = operations_in(&planned);
        one.sequence += count;
        one.number += 1;
        one.completed += 1;
        one.pending = None;
        one.tries = 0;
        self.wake_after(ctx, client, planned.think.max(1));
    }
}

impl<S: Subject> Actor<S> for LedgerClients {
    fn begin(&mut self, ctx: &mut Context<'_, S>) {
        for client in 0..self.clients.len() {
            self.wake_after(ctx, client, MILLI);
        }
    }

    fn wake(&mut self, ctx: &mut Context<'_, S>, token: u64) -> Result<(), Finding> {
        let client = at(token >> GENERATION_BITS);
        let one = &mut self.clients[client];
        if one.generation == token & ((1 << GENERATION_BITS) - 1) {
            // If it waited for an answer, none came: it asks somebody else.
            one.state = State::Idle;
            self.act(ctx, client);
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
        self.take_answer(ctx, at(token), id, of_ledger(answer)?)
    }

    fn healed(&mut self, calm: &LoadSettings) {
        self.load.client_timeout_ms = calm.client_timeout_ms;
    }

    fn completed(&self) -> Vec<u64> {
        self.clients.iter().map(|client| client.completed).collect()
    }

    fn stats(&self) -> ActorStats {
        ActorStats {
            completed: self.clients.iter().map(|client| client.completed).sum(),
            ..ActorStats::default()
        }
    }
}

/// What the ledger answered, if it did.
pub(super) fn of_ledger(answer: Answer) -> Result<Option<Response>, Finding> {
    match answer {
        Answer::Answered(response) => match *response {
            node::Response::Ledger(response) => Ok(Some(response)),
            other => Err(("answer-kind", format!("the ledger was asked: {other:?}"))),
        },
        Answer::NoConnection | Answer::Lost => Ok(None),
    }
}

/// How many operations a planned transaction bundles.
const fn operations_in(planned: &Planned) -> u64 {
    match planned.action {
        Action::Range => 1 + planned.key,
        _ => 1,
    }
}

/// What a planned action is on the ledger.
fn operation_of(action: Action, client: usize, number: u64, place: u64) -> Operation {
    let text = format!("c{client}/{number}/{place}");
    let name = Name::new(text.clone()).expect("letters, digits and slashes");
    match action {
        Action::PutAbsent => Operation::SnapshotCreate(SnapshotRecord {
            id: name,
            manifest: sha256(text.as_bytes()),
            bytes: number + 1,
            segments: 1,
        }),
        Action::Delete => Operation::SnapshotDelete { id: name },
        Action::PutIfValue => Operation::ImageRegister {
            name: Name::new(format!("image/{}", number % 3)).expect("letters and digits"),
            digest: sha256(text.as_bytes()),
        },
        _ => Operation::Data {
            kind: Name::new("note").expect("letters"),
            payload: Bytes::from(text),
        },
    }
}
