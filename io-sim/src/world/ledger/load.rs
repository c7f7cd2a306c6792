//! Clients of the ledger: each has an account, hands in one transaction after the
//! other through any node, and repeats the very same bytes until they are final.
//!
//! What a client does is drawn by client and number, so that a trace can list it and
//! a minimiser can take some away without changing the others.

use bytes::Bytes;
use decube_core::bft::Height;
use decube_core::codec::Encode as _;
use decube_core::crypto::fake::FakeAuthority;
use decube_core::crypto::{SharedSigner, Signer as _, sha256};
use decube_core::ledger::{
    AccountId, Intent, Lane, Ledger, Name, Operation, Rejection, Request, Response, Sequence,
    SnapshotRecord, TxId, TxState,
};
use decube_core::types::RequestId;

use super::{Happening, MILLI, World};
use crate::check::Finding;
use crate::rng::{Domain, Keyed};
use crate::subject::Subject;
use crate::workload::{Action, Planned, Workload};
use crate::world::calls::Caller;

/// What a client waits for.
#[derive(Debug, Clone)]
enum State {
    /// It thinks, or waits to try again.
    Idle,
    /// It has handed in its transaction.
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
pub(in crate::world) struct Load {
    clients: Vec<Client>,
    workload: Workload,
    places: Keyed,
}

/// The first signer of a client; those below belong to nodes.
const SIGNERS_FROM: u64 = 1_000;
/// Blocks that a transaction is valid for: few, so that some come too late.
const VALID_BLOCKS: u64 = 200;

impl Load {
    pub(in crate::world) fn new(
        seed: u64,
        clients: u64,
        workload: Workload,
        authority: &FakeAuthority,
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
            clients: (0..clients).map(client).collect(),
            workload,
            places: Keyed::new(seed, Domain::Client),
        }
    }

    pub(in crate::world) fn len(&self) -> usize {
        self.clients.len()
    }

    pub(in crate::world) fn completed_each(&self) -> Vec<u64> {
        self.clients.iter().map(|client| client.completed).collect()
    }
}

impl<S: Subject> World<S> {
    /// Wakes a client after so many nanoseconds, unless something else happens first.
    pub(in crate::world) fn wake_client(&mut self, client: usize, after: u64) {
        let one = &mut self.load.clients[client];
        one.generation += 1;
        let generation = one.generation;
        self.schedule(self.now + after, Happening::Client { client, generation });
    }

    pub(in crate::world) fn client_wakes(&mut self, client: usize, generation: u64) {
        if self.load.clients[client].generation != generation {
            return;
        }
        match self.load.clients[client].state {
            State::Idle => self.act(client),
            // No answer came: it asks somebody else.
            State::Submitted(_) | State::Asking(_) => {
                self.load.clients[client].state = State::Idle;
                self.act(client);
            }
        }
    }

    /// Hands in the present transaction, or makes the next one.
    fn act(&mut self, client: usize) {
        let Some(slot) = self.pick_slot(client) else {
            return self.wake_client(client, 50 * MILLI);
        };
        let tip = self.judge.borrow().highest();
        let one = &self.load.clients[client];
        let is_over = one.pending.as_ref().is_some_and(|p| p.valid_until <= tip);
        if is_over || one.tries > 8 {
            let request = Request::Account { id: one.account };
            let id = self.ask(client, slot, request);
            self.load.clients[client].state = State::Asking(id);
            return;
        }
        if one.pending.is_none() {
            self.make(client, tip);
        }
        let Some(pending) = self.load.clients[client].pending.clone() else {
            return self.wake_client(client, 50 * MILLI);
        };
        let request = Request::Submit {
            transaction: pending.bytes,
            wait: true,
        };
        let id = self.ask(client, slot, request);
        let one = &mut self.load.clients[client];
        one.tries += 1;
        one.state = State::Submitted(id);
    }

    /// A running process that a client trusts: any but those of liars.
    fn pick_slot(&mut self, client: usize) -> Option<usize> {
        let hosts = self.hosts.iter().enumerate();
        let open: Vec<usize> = hosts
            .filter(|(_, host)| host.is_honest() && host.is_up())
            .map(|(slot, _)| slot)
            .collect();
        let entity = u64::try_from(client).expect("few clients");
        let number = self.fresh_draw();
        let draw = self.load.places.at(entity, number);
        (!open.is_empty()).then(|| open[draw.index(open.len())])
    }

    fn ask(&mut self, client: usize, slot: usize, request: Request) -> RequestId {
        let id = self.fresh_request();
        self.call(Caller::Client(client), slot, id, request.into());
        self.wake_client(client, self.config.load.client_timeout_ms * MILLI);
        id
    }

    /// What a client is at.
    fn planned(&self, client: usize) -> Planned {
        let entity = u64::try_from(client).expect("few clients");
        let number = self.load.clients[client].number;
        self.load
            .workload
            .operation(&self.config.load, entity, number)
    }

    /// Signs the client's next transaction, if it has one left.
    fn make(&mut self, client: usize, tip: Height) {
        let planned = self.planned(client);
        let one = &mut self.load.clients[client];
        if planned.action == Action::Skip {
            one.number += 1;
            return;
        }
        let count = operations_in(&planned);
        let operation = |place: u64| operation_of(planned.action, client, one.number, place);
        let intent = Intent {
            chain: self.genesis.chain(),
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

    pub(in crate::world) fn client_answered(
        &mut self,
        client: usize,
        id: RequestId,
        answer: Option<Response>,
    ) -> Result<(), Finding> {
        let one = &mut self.load.clients[client];
        let waits = match one.state {
            State::Idle => false,
            State::Submitted(asked) | State::Asking(asked) => asked == id,
        };
        if !waits {
            return Ok(());
        }
        one.state = State::Idle;
        let Some(response) = answer else {
            self.wake_client(client, 30 * MILLI);
            return Ok(());
        };
        match response {
            Response::Transaction(TxState::Final(place)) => {
                let pending = self.load.clients[client].pending.clone();
                let first = pending.expect("it was submitted").first;
                self.judge.borrow_mut().acknowledged(first, place)?;
                self.advance_client(client);
            }
            Response::Account(view) => {
                // The view counts what waits at that node, which may never be final.
                let world = self.furthest().and_then(Ledger::world);
                let known = world.and_then(|world| world.account(&view.id));
                let next = known.map_or(0, |account| account.next(Lane(0)).0);
                let one = &mut self.load.clients[client];
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
                self.wake_client(client, 10 * MILLI);
            }
            Response::Rejected(rejection) => {
                self.coverage.refusals += 1;
                let one = &mut self.load.clients[client];
                if rejection.retry_after().is_none() {
                    one.tries = u64::MAX;
                }
                if let Rejection::Tx(error) = rejection {
                    let message = format!("client {client}: {error} for a good transaction");
                    return Err(("good-transaction", message));
                }
                self.wake_client(client, 50 * MILLI);
            }
            _ => self.wake_client(client, 50 * MILLI),
        }
        Ok(())
    }

    /// A client's transaction is final: it goes on with the next one.
    fn advance_client(&mut self, client: usize) {
        let planned = self.planned(client);
        let one = &mut self.load.clients[client];
        let count = operations_in(&planned);
        one.sequence += count;
        one.number += 1;
        one.completed += 1;
        one.pending = None;
        one.tries = 0;
        self.wake_client(client, planned.think.max(1));
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
