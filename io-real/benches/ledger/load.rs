//! Clients in a closed loop: each submits a signed transaction, waits until it is
//! final, and submits the next. Everything is signed before the clock runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use decube_core::bft::Height;
use decube_core::codec::Encode as _;
use decube_core::crypto::{ChainId, P256Signer, SecretBytes, SecretKey, Signer as _};
use decube_core::ledger::{
    AccountId, Intent, Lane, Name, Operation, Request, Response, Sequence, TxState,
};
use decube_io_real::host::NodeHandle;
use tokio::runtime::Builder;

/// Operations that are prepared for each second.
const PREPARED_PER_SECOND: [(usize, u64); 3] = [(1, 18_000), (16, 160_000), (128, 300_000)];

/// Bytes of data in an operation: a transaction of one is about 250 bytes.
const PAYLOAD: usize = 90;

/// How much is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Operations under one signature.
    pub bundle: usize,
    /// Clients, each with an account of its own.
    pub clients: usize,
}

/// Clients with what they will submit.
pub struct Clients {
    load: Load,
    signed: Vec<Vec<Bytes>>,
}

/// Clients at work.
pub struct Running {
    latencies: Arc<Mutex<Vec<Duration>>>,
    stop: Arc<AtomicBool>,
    ran_out: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Clients {
    /// Signs enough for this time.
    pub fn sign(load: Load, chain: ChainId, time: Duration) -> Self {
        let found = PREPARED_PER_SECOND
            .iter()
            .find(|(one, _)| *one == load.bundle);
        let operations = found.expect("a prepared size").1 * time.as_secs();
        let operations = usize::try_from(operations).unwrap();
        // A client alone waits for a few milliseconds each time.
        let most = usize::try_from(time.as_millis()).unwrap();
        let each = (operations / load.bundle / load.clients + 2).min(most);
        let half = load.clients / 2;
        let signed = std::thread::scope(|scope| {
            let list = |from: usize, to: usize| {
                move || {
                    (from..to)
                        .map(|one| sign(one, each, load.bundle, chain))
                        .collect()
                }
            };
            let first = scope.spawn(list(0, half));
            let second: Vec<Vec<Bytes>> = list(half, load.clients)();
            let mut all: Vec<Vec<Bytes>> = first.join().unwrap();
            all.extend(second);
            all
        });
        Self { load, signed }
    }

    /// Bytes that one operation takes on the ledger, its share of the signature
    /// included.
    pub fn bytes_per_operation(&self) -> usize {
        self.signed[0][0].len() / self.load.bundle
    }

    /// Lets them begin, each at one of these nodes.
    pub fn start(self, nodes: &[NodeHandle]) -> Running {
        let latencies = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let ran_out = Arc::new(AtomicBool::new(false));
        let shared = (latencies.clone(), stop.clone(), ran_out.clone());
        let nodes = nodes.to_vec();
        let work = move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let (latencies, stop, ran_out) = shared;
            runtime.block_on(async {
                let mut tasks = Vec::new();
                for (number, signed) in self.signed.into_iter().enumerate() {
                    let node = nodes[number % nodes.len()].clone();
                    let (latencies, stop, ran_out) =
                        (latencies.clone(), stop.clone(), ran_out.clone());
                    tasks.push(tokio::spawn(async move {
                        client(node, signed, &latencies, &stop).await;
                        if !stop.load(Ordering::Relaxed) {
                            ran_out.store(true, Ordering::Relaxed);
                        }
                    }));
                }
                for task in tasks {
                    task.await.unwrap();
                }
            });
        };
        let builder = std::thread::Builder::new().name("clients".into());
        Running {
            latencies,
            stop,
            ran_out,
            thread: builder.spawn(work).unwrap(),
        }
    }
}

impl Running {
    /// Where the measurement begins.
    pub fn mark(&self) -> usize {
        self.latencies.lock().unwrap().len()
    }

    /// What clients have waited since, ascending.
    pub fn since(&self, mark: usize) -> Vec<Duration> {
        let mut waits = self.latencies.lock().unwrap()[mark..].to_vec();
        waits.sort_unstable();
        waits
    }

    /// Ends them; whether one of them had nothing left to do.
    pub fn stop(self) -> bool {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.ran_out.load(Ordering::Relaxed)
    }
}

/// The value below which so many of a hundred lie, in milliseconds.
pub fn quantile(sorted: &[Duration], percent: usize) -> f64 {
    let place = sorted.len() * percent / 100;
    let found = sorted.get(place.min(sorted.len().saturating_sub(1)));
    found.map_or(f64::NAN, |wait| wait.as_secs_f64() * 1e3)
}

fn sign(number: usize, count: usize, bundle: usize, chain: ChainId) -> Vec<Bytes> {
    let mut entropy = [7; 32];
    entropy[..8].copy_from_slice(&number.to_be_bytes());
    let secret = SecretKey::from_entropy(&SecretBytes::new(entropy));
    let signer = P256Signer::new(&secret);
    let account = AccountId::of(signer.public_key());
    let operation = Operation::Data {
        kind: Name::new("bench").unwrap(),
        payload: Bytes::from(vec![42; PAYLOAD]),
    };
    let intent = |place: usize| Intent {
        chain,
        account,
        lane: Lane(0),
        sequence: Sequence(u64::try_from(place * bundle).unwrap()),
        valid_until: Height(90_000),
        operations: vec![operation.clone(); bundle],
    };
    let signed = (0..count).map(|place| intent(place).sign(&signer).to_bytes());
    signed.collect()
}

async fn client(
    node: NodeHandle,
    signed: Vec<Bytes>,
    latencies: &Mutex<Vec<Duration>>,
    stop: &AtomicBool,
) {
    for transaction in signed {
        let begin = Instant::now();
        loop {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let request = Request::Submit {
                transaction: transaction.clone(),
                wait: true,
            };
            match node.ledger(request).await.unwrap() {
                Response::Transaction(TxState::Final(_)) => break,
                Response::Busy | Response::Unavailable => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Response::Rejected(rejection) if rejection.retry_after().is_some() => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                other => panic!("not the answer to a submission: {other:?}"),
            }
        }
        latencies.lock().unwrap().push(begin.elapsed());
    }
}
