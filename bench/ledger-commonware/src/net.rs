//! Validators of commonware's simplex on its own deterministic runtime and its own
//! simulated network, with an application that answers at once and signatures that
//! cost next to nothing (the mock scheme of the crate).

use std::collections::{BTreeSet, HashMap};
use std::num::{NonZeroU16, NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use commonware_actor::Feedback;
use commonware_consensus::simplex::config::{Config, Floor, ForwardPolicy, SkipBudget, SkipPolicy};
use commonware_consensus::simplex::elector::RoundRobin;
use commonware_consensus::simplex::mocks::scheme::{Scheme, fixture};
use commonware_consensus::simplex::types::{Activity, Context};
use commonware_consensus::simplex::{Engine, Plan, max_payload_size};
use commonware_consensus::types::{Epoch, ViewDelta};
use commonware_consensus::{Automaton, CertifiableAutomaton, Relay, Reporter};
use commonware_cryptography::certificate::mocks::Fixture;
use commonware_cryptography::ed25519::PublicKey;
use commonware_cryptography::sha256::Digest;
use commonware_cryptography::{Hasher, Sha256};
use commonware_p2p::max_message_size;
use commonware_p2p::simulated::{self, Link, Network};
use commonware_parallel::Sequential;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_runtime::{Clock, Quota, Runner, Supervisor as _, deterministic};
use commonware_utils::channel::fallible::OneshotExt as _;
use commonware_utils::channel::oneshot;
use commonware_utils::{NZDuration, probability};
use ledger_common::{Distance, Finality, quantile, thread_time};

/// The reckoned delay, as in ours.
const DELTA: Duration = Duration::from_millis(250);

/// What everybody sees: when each block was proposed, and when each validator knew it
/// to be final.
#[derive(Default)]
struct Seen {
    proposed: HashMap<Digest, SystemTime>,
    final_at: Vec<Vec<(Digest, SystemTime)>>,
}

/// One validator's application, relay and reporter.
struct Shell {
    number: usize,
    clock: Arc<deterministic::Context>,
    seen: Arc<Mutex<Seen>>,
}

impl Clone for Shell {
    fn clone(&self) -> Self {
        Self {
            number: self.number,
            clock: self.clock.clone(),
            seen: self.seen.clone(),
        }
    }
}

impl Automaton for Shell {
    type Context = Context<Digest, PublicKey>;
    type Digest = Digest;

    async fn propose(&mut self, context: Self::Context) -> oneshot::Receiver<Digest> {
        let (sender, receiver) = oneshot::channel();
        let digest = Sha256::hash(&[&context.round.view().get().to_be_bytes()[..]]);
        let now = self.clock.current();
        self.seen
            .lock()
            .expect("one thread")
            .proposed
            .insert(digest, now);
        sender.send_lossy(digest);
        receiver
    }

    async fn verify(&mut self, _: Self::Context, _: Digest) -> oneshot::Receiver<bool> {
        let (sender, receiver) = oneshot::channel();
        sender.send_lossy(true);
        receiver
    }
}

impl CertifiableAutomaton for Shell {}

impl Relay for Shell {
    type Digest = Digest;
    type PublicKey = PublicKey;
    type Plan = Plan<PublicKey>;

    fn broadcast(&mut self, _: Digest, _: Self::Plan) -> Feedback {
        Feedback::Ok
    }
}

impl Reporter for Shell {
    type Activity = Activity<Scheme<PublicKey>, Digest>;

    fn report(&mut self, activity: Self::Activity) -> Feedback {
        if let Activity::Finalization(finalization) = activity {
            let (digest, now) = (finalization.proposal.payload, self.clock.current());
            let mut seen = self.seen.lock().expect("one thread");
            let list = &mut seen.final_at[self.number];
            if list
                .iter()
                .rev()
                .take(64)
                .all(|(known, _)| *known != digest)
            {
                list.push((digest, now));
            }
        }
        Feedback::Ok
    }
}

/// What a run has shown.
pub struct Run {
    /// Time until blocks are final.
    pub finality: Finality,
    /// Processor time of the measured part.
    pub took: Duration,
    /// Blocks of the measured part.
    pub blocks: u64,
}

/// Runs until every living validator knows `warm_up + blocks` blocks to be final.
pub fn run(
    count: usize,
    distance: Distance,
    crashed: BTreeSet<usize>,
    warm_up: u64,
    blocks: u64,
) -> Run {
    let runner = deterministic::Runner::timed(Duration::from_secs(100_000));
    runner.start(|context| async move {
        let seen = start(&context, count, distance, &crashed).await;
        let least = || {
            let seen = seen.lock().expect("one thread");
            let living = (0..count).filter(|number| !crashed.contains(number));
            let known = living.map(|number| seen.final_at[number].len());
            u64::try_from(known.min().unwrap_or(0)).expect("64 bits")
        };
        while least() < warm_up {
            context.sleep(Duration::from_millis(1)).await;
        }
        let (begin, from) = (thread_time(), least());
        while least() < warm_up + blocks {
            context.sleep(Duration::from_millis(1)).await;
        }
        Run {
            took: thread_time() - begin,
            blocks: least() - from,
            finality: finality(&seen.lock().expect("one thread")),
        }
    })
}

async fn start(
    context: &deterministic::Context,
    count: usize,
    distance: Distance,
    crashed: &BTreeSet<usize>,
) -> Arc<Mutex<Seen>> {
    let mut keys = context.child("keys");
    let size = u32::try_from(count).expect("a small number");
    let Fixture {
        participants,
        schemes,
        ..
    } = fixture(&mut keys, b"bench", size);
    let oracle = network(context, &participants, distance).await;
    let seen = Arc::new(Mutex::new(Seen {
        final_at: vec![Vec::new(); count],
        ..Seen::default()
    }));
    let quota = Quota::per_second(NonZeroU32::MAX);
    // Their resolver reserves room for a second's quota of every peer. It is idle but
    // for views of dead leaders.
    let few = Quota::per_second(NonZeroU32::new(256).expect("above zero"));
    for (number, (key, scheme)) in participants.iter().zip(schemes).enumerate() {
        let control = oracle.control(key.clone());
        let votes = control.register(0, quota).await.expect("a channel");
        let certificates = control.register(1, quota).await.expect("a channel");
        let resolver = control.register(2, few).await.expect("a channel");
        if crashed.contains(&number) {
            continue;
        }
        let shell = Shell {
            number,
            clock: Arc::new(context.child("clock")),
            seen: seen.clone(),
        };
        let engine = Engine::new(context.child("engine"), config(shell, scheme, control));
        // The handle may go: the task runs on.
        drop(engine.start(votes, certificates, resolver));
    }
    seen
}

/// Their network with a link from everybody to everybody.
async fn network(
    context: &deterministic::Context,
    participants: &[PublicKey],
    distance: Distance,
) -> Oracle {
    let count = participants.len();
    let size = u32::try_from(count).expect("a small number");
    let (network, oracle) = Network::new_with_peers(
        context.child("network"),
        simulated::Config {
            max_size: max_message_size(&[max_payload_size::<Scheme<PublicKey>, Digest>(size)]),
            max_peers_per_set: NonZeroUsize::new(count + 1).expect("above zero"),
            disconnect_on_block: false,
            tracked_peer_sets: NonZeroUsize::MIN,
        },
        participants.to_vec(),
    )
    .await;
    network.start();
    for (from, one) in participants.iter().enumerate() {
        for (to, other) in participants
            .iter()
            .enumerate()
            .filter(|(to, _)| *to != from)
        {
            let link = Link {
                latency: Duration::from_nanos(distance.between(from, to).0),
                jitter: Duration::ZERO,
                success_rate: probability!(1.0),
            };
            let added = oracle.add_link(one.clone(), other.clone(), link).await;
            added.expect("a link");
        }
    }
    oracle
}

type Oracle = simulated::Oracle<PublicKey, deterministic::Context>;
type Control = simulated::Control<PublicKey, deterministic::Context>;

/// Deadlines as ours; the rest as the crate's own tests have it.
fn config(
    shell: Shell,
    scheme: Scheme<PublicKey>,
    blocker: Control,
) -> Config<Scheme<PublicKey>, RoundRobin<Sha256>, Control, Digest, Shell, Shell, Shell, Sequential>
{
    Config {
        scheme,
        elector: RoundRobin::<Sha256>::default(),
        blocker,
        automaton: shell.clone(),
        relay: shell.clone(),
        partition: format!("validator{}", shell.number),
        reporter: shell,
        strategy: Sequential,
        mailbox_size: NonZeroUsize::new(1 << 16).expect("above zero"),
        epoch: Epoch::new(1),
        floor: Floor::Genesis(Sha256::hash(&[&b"genesis"[..]])),
        leader_timeout: DELTA * 2,
        certification_timeout: DELTA * 3,
        timeout_retry: DELTA * 4,
        fetch_timeout: NZDuration!(Duration::from_secs(1)),
        fetch_retry_delay: Duration::from_millis(100),
        view_retention: ViewDelta::new(10),
        skip: SkipPolicy::Enabled {
            timeout: DELTA * 12,
            budget: SkipBudget::Participants,
        },
        replay_buffer: NonZeroUsize::new(1 << 20).expect("above zero"),
        write_buffer: NonZeroUsize::new(1 << 20).expect("above zero"),
        page_cache: CacheRef::new(
            NonZeroU16::new(1024).expect("above zero"),
            NonZeroUsize::new(10).expect("above zero"),
        ),
        forward: ForwardPolicy::Disabled,
        track_historical_votes: false,
    }
}

fn finality(seen: &Seen) -> Finality {
    let (mut finality, mut pauses) = (Vec::new(), Vec::new());
    let millis = |later: SystemTime, earlier: SystemTime| {
        later
            .duration_since(earlier)
            .unwrap_or_default()
            .as_secs_f64()
            * 1e3
    };
    for list in seen.final_at.iter().filter(|list| list.len() > 10) {
        for pair in list[9..].windows(2) {
            let [(_, before), (digest, at)] = pair else {
                unreachable!("windows of two");
            };
            finality.push(millis(*at, seen.proposed[digest]));
            pauses.push(millis(*at, *before));
        }
    }
    Finality {
        p50: quantile(&mut finality, 50),
        p99: quantile(&mut finality, 99),
        pause: quantile(&mut pauses, 50),
    }
}
