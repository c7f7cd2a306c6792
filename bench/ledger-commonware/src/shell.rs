//! One validator's application, relay and reporter: blocks are numbers, ready at once
//! but for who is late, and all good.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use commonware_actor::Feedback;
use commonware_consensus::simplex::Plan;
use commonware_consensus::simplex::types::{Activity, Context};
use commonware_consensus::{Automaton, CertifiableAutomaton, Relay, Reporter};
use commonware_cryptography::certificate::Scheme;
use commonware_cryptography::ed25519::PublicKey;
use commonware_cryptography::sha256::Digest;
use commonware_cryptography::{Hasher, Sha256};
use commonware_runtime::{Clock, Spawner as _, Supervisor as _, deterministic};
use commonware_utils::channel::fallible::OneshotExt as _;
use commonware_utils::channel::oneshot;
use ledger_common::Seen;

use crate::counted::Sent;

/// Of a block, beside what its votes say: one item of four bytes, as in ours.
const BLOCK: usize = 4;

/// What everybody sees. Blocks go by their views.
pub struct Record {
    begin: SystemTime,
    pub seen: Seen,
    parents: BTreeMap<u64, u64>,
}

impl Record {
    pub fn new(count: usize) -> Self {
        Self {
            begin: SystemTime::UNIX_EPOCH,
            seen: Seen {
                committed: vec![Vec::new(); count],
                ..Seen::default()
            },
            parents: BTreeMap::new(),
        }
    }

    /// The validators begin.
    pub fn begin(&mut self, now: SystemTime) {
        self.begin = now;
    }

    /// How many blocks each of these knows to be final, at least.
    pub fn least(&self, living: impl Iterator<Item = usize>) -> u64 {
        let known = living.map(|number| self.seen.committed[number].len());
        u64::try_from(known.min().unwrap_or(0)).expect("64 bits")
    }

    /// A validator knows a block to be final, and with it all that it rests on.
    fn commit(&mut self, number: usize, mut view: u64, now: SystemTime) {
        let now = self.nanos(now);
        let list = &mut self.seen.committed[number];
        let last = list.last().map_or(0, |(view, _)| *view);
        let place = list.len();
        while view > last {
            list.insert(place, (view, now));
            view = self.parents.get(&view).copied().unwrap_or(0);
        }
    }

    fn nanos(&self, at: SystemTime) -> u64 {
        let since = at.duration_since(self.begin).unwrap_or_default();
        u64::try_from(since.as_nanos()).expect("a short run")
    }
}

/// The shell.
pub struct Shell<S> {
    pub number: usize,
    /// How late its proposals are.
    pub late: Duration,
    pub context: Arc<deterministic::Context>,
    pub record: Arc<Mutex<Record>>,
    pub sent: Option<Arc<Sent>>,
    pub scheme: PhantomData<fn() -> S>,
}

impl<S> Clone for Shell<S> {
    fn clone(&self) -> Self {
        Self {
            number: self.number,
            late: self.late,
            context: self.context.clone(),
            record: self.record.clone(),
            sent: self.sent.clone(),
            scheme: PhantomData,
        }
    }
}

impl<S: 'static> Automaton for Shell<S> {
    type Context = Context<Digest, PublicKey>;
    type Digest = Digest;

    async fn propose(&mut self, context: Self::Context) -> oneshot::Receiver<Digest> {
        let (sender, receiver) = oneshot::channel();
        let (view, parent) = (context.round.view().get(), context.parent.0.get());
        let record = self.record.clone();
        let ready = move || {
            record
                .lock()
                .expect("one thread")
                .parents
                .insert(view, parent);
            sender.send_lossy(Sha256::hash(&[&view.to_be_bytes()[..]]));
        };
        if self.late.is_zero() {
            ready();
        } else {
            let late = self.late;
            self.context.child("late").spawn(move |context| async move {
                context.sleep(late).await;
                ready();
            });
        }
        receiver
    }

    async fn verify(&mut self, _: Self::Context, _: Digest) -> oneshot::Receiver<bool> {
        let (sender, receiver) = oneshot::channel();
        sender.send_lossy(true);
        receiver
    }
}

impl<S: 'static> CertifiableAutomaton for Shell<S> {}

impl<S: 'static> Relay for Shell<S> {
    type Digest = Digest;
    type PublicKey = PublicKey;
    type Plan = Plan<PublicKey>;

    /// The block leaves. What votes carry is its hash; the block itself goes from here.
    fn broadcast(&mut self, _: Digest, plan: Self::Plan) -> Feedback {
        if let Plan::Propose { round } = plan {
            let mut record = self.record.lock().expect("one thread");
            let now = record.nanos(self.context.current());
            let copies = record.seen.committed.len() - 1;
            record
                .seen
                .proposed
                .entry(round.view().get())
                .or_insert(now);
            if let Some(sent) = &self.sent {
                sent.note(copies, BLOCK);
            }
        }
        Feedback::Ok
    }
}

impl<S: Scheme> Reporter for Shell<S> {
    type Activity = Activity<S, Digest>;

    fn report(&mut self, activity: Self::Activity) -> Feedback {
        if let Activity::Finalization(finalization) = activity {
            let view = finalization.proposal.round.view().get();
            let mut record = self.record.lock().expect("one thread");
            record.commit(self.number, view, self.context.current());
        }
        Feedback::Ok
    }
}
