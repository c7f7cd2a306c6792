//! Four of our validators in the same shape: a thread each, channels between them,
//! nothing on disk, blocks of four bytes, real P-256 signatures.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use decube_core::bft::{
    Bft, Commitments, Config, Content, Effect, Epoch, EpochStart, Event, Height, Message, Power,
    Recovered, Relay, Timing, Validator, ValidatorSet,
};
use decube_core::crypto::{ChainId, P256Signer, SharedSigner, SharedVerifier, Signer as _, sha256};
use decube_core::machine::{Machine, Outbox};
use decube_core::mutant::Mutant;
use decube_core::types::{NodeId, Time};
use decube_io_real::verifier::FastVerifier;
use ledger_common::signer;

use crate::post::{self, Inbox, Outbox as Post};
use crate::record::Record;

type Letter = (NodeId, Message);

/// Validators at work; they stop when dropped.
pub struct Replicas {
    record: Arc<Record>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

struct One {
    id: NodeId,
    bft: Bft,
    others: Vec<(NodeId, Post<Letter>)>,
    inbox: Inbox<Letter>,
    begin: Instant,
    out: Outbox<Effect>,
    record: Arc<Record>,
    /// Whether its commits are those that count.
    counts: bool,
}

impl Replicas {
    /// Starts so many of them, so far apart.
    pub fn start(count: usize, delay: Duration) -> Self {
        let signers: Vec<P256Signer> = (0..).map(signer).take(count).collect();
        let listed = signers.iter().map(|signer| Validator {
            node: signer.public_key().node_id(),
            key: *signer.public_key(),
            power: Power(1),
        });
        let set = ValidatorSet::new(listed.collect()).expect("keys differ");
        let epoch = EpochStart {
            epoch: Epoch(1),
            root_height: Height(0),
            root_hash: sha256(b"the root of a bench"),
            validators: Arc::new(set),
        };
        let (mut senders, mut inboxes) = (Vec::new(), Vec::new());
        for signer in &signers {
            let (sender, inbox) = post::channel(delay);
            senders.push((signer.public_key().node_id(), sender));
            inboxes.push(inbox);
        }
        let record = Arc::new(Record::default());
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for (number, (signer, inbox)) in signers.into_iter().zip(inboxes).enumerate() {
            let id = signer.public_key().node_id();
            let others = senders.iter().filter(|(node, _)| *node != id).cloned();
            let one = One {
                id,
                bft: Bft::new(config(signer), epoch.clone()),
                others: others.collect(),
                inbox,
                begin: Instant::now(),
                out: Outbox::new(),
                record: record.clone(),
                counts: number == 0,
            };
            let stop = stop.clone();
            threads.push(std::thread::spawn(move || one.run(&stop)));
        }
        Self {
            record,
            stop,
            threads,
        }
    }

    /// What the first one has seen.
    pub fn record(&self) -> &Record {
        &self.record
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("no panics");
        }
    }
}

fn config(signer: P256Signer) -> Config {
    Config {
        node: signer.public_key().node_id(),
        chain: ChainId(1),
        signer: Some(SharedSigner::new(signer)),
        verifier: SharedVerifier::new(FastVerifier),
        timing: Timing::default(),
        relay: Relay::default(),
        persists_pending_max: decube_core::limits::PERSISTS_PENDING_MAX,
        mutant: Mutant::None,
    }
}

impl One {
    fn run(mut self, stop: &AtomicBool) {
        self.step(Event::Start(Box::new(Recovered::default())));
        self.step(Event::Pending { waiting: true });
        while !stop.load(Ordering::Relaxed) {
            let due = self.bft.deadline().unwrap_or(Time::MAX);
            let wait = Duration::from_nanos(due.0).saturating_sub(self.begin.elapsed());
            match self.inbox.receive(wait.min(Duration::from_millis(100))) {
                Ok((from, message)) => self.step(Event::Message { from, message }),
                Err(RecvTimeoutError::Timeout) => self.step(Event::Wake),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn step(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let nanos = u64::try_from(self.begin.elapsed().as_nanos()).expect("64 bits");
            let mut out = std::mem::take(&mut self.out);
            self.bft.step(Time(nanos), event, &mut out);
            for effect in out.drain() {
                events.extend(self.perform(effect));
            }
            self.out = out;
        }
    }

    fn perform(&self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Persist { seq, .. } => return Some(Event::Persisted { seq }),
            Effect::Send { to, message } => {
                if let Some((_, sender)) = self.others.iter().find(|(node, _)| *node == to) {
                    sender.send((self.id, message));
                }
            }
            Effect::Broadcast { message } => {
                if let Message::Proposal(proposal) = &message {
                    self.record.propose(proposal.block.header().view.0);
                }
                for (_, sender) in &self.others {
                    sender.send((self.id, message.clone()));
                }
            }
            Effect::Build { view, .. } => {
                // Not nothing: an empty block is held back for a while.
                let items = vec![b"item".to_vec().into()];
                let content = Some(Box::new(Content {
                    commitments: Commitments::to_items(&items),
                    items,
                }));
                return Some(Event::Built { view, content });
            }
            Effect::Check { block } => {
                let hash = block.hash();
                return Some(Event::Checked { hash, valid: true });
            }
            Effect::Commit(committed) if self.counts => {
                self.record.commit(committed.block.header().view.0);
            }
            Effect::Commit(_) => {}
            Effect::ServeBlocks { .. } | Effect::ServeBlock { .. } => {}
            Effect::Evidence(_) | Effect::SafetyViolation { .. } => unreachable!("nobody lies"),
        }
        None
    }
}
