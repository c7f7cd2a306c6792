//! Validators of commonware's simplex on its own deterministic runtime and its own
//! simulated network, under the same faults as ours.

use std::marker::PhantomData;
use std::num::{NonZeroU16, NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use commonware_consensus::simplex::config::{Config, Floor, ForwardPolicy, SkipBudget, SkipPolicy};
use commonware_consensus::simplex::elector::RoundRobin;
use commonware_consensus::simplex::scheme::Scheme;
use commonware_consensus::simplex::{Engine, max_payload_size};
use commonware_consensus::types::{Epoch, ViewDelta};
use commonware_cryptography::certificate::mocks::Fixture;
use commonware_cryptography::ed25519::PublicKey;
use commonware_cryptography::sha256::Digest;
use commonware_cryptography::{Hasher, Sha256};
use commonware_p2p::max_message_size;
use commonware_p2p::simulated::{self, Link, Network};
use commonware_parallel::Sequential;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_runtime::{Clock, Quota, Runner, Spawner as _, Supervisor as _, deterministic};
use commonware_utils::{NZDuration, probability};
use futures::future::join_all;
use ledger_common::{Count, Distance, Length, PATIENCE, Plan, Seen, leaders, thread_cpu_ns};

use crate::counted::{Counted, Sent};
use crate::shell::{Record, Shell};

/// The reckoned delay, as in ours.
const DELTA: Duration = Duration::from_millis(250);

type Oracle = simulated::Oracle<PublicKey, deterministic::Context>;
type Control = simulated::Control<PublicKey, deterministic::Context>;

/// What is run.
pub struct Net {
    pub plan: Plan,
    pub distance: Distance,
    /// Counts messages and bytes, if somebody wants to know.
    pub sent: Option<Arc<Sent>>,
    /// Whether allocations are counted.
    pub counts_allocations: bool,
}

/// What a run has shown.
pub struct Run {
    /// Blocks on their way.
    pub seen: Seen,
    /// Blocks of the measured part, and what it took.
    pub blocks: u64,
    pub took_ns: u64,
    pub allocations: u64,
    /// Messages and bytes when it began, and when it ended.
    pub sent: [[u64; 2]; 2],
}

/// Makes keys, and what signs and checks with them.
type Keys<S> = fn(&mut deterministic::Context, &[u8], u32) -> Fixture<S>;

/// Runs until every living validator knows the blocks of the length to be final.
pub fn run<S: Scheme<Digest, PublicKey = PublicKey>>(
    net: Net,
    keys: Keys<S>,
    Length { warm_up, blocks }: Length,
) -> Run {
    // Every hand-over between actors takes a cycle: as little of virtual time as there is.
    let config = deterministic::Config::new().with_cycle(Duration::from_micros(1));
    deterministic::Runner::new(config).start(|context| async move {
        let record = net.start(&context, keys).await;
        let end = context.current() + Duration::from_nanos(PATIENCE.0);
        let least = || record.lock().expect("one thread").least(net.living());
        let is_over = || context.current() >= end;
        while least() < warm_up && !is_over() {
            context.sleep(Duration::from_millis(1)).await;
        }
        let sent = || net.sent.as_ref().map_or([0, 0], |sent| sent.so_far());
        let (before, from) = (sent(), least());
        let count = net.counts_allocations.then(Count::start);
        let time = thread_cpu_ns();
        while least() < warm_up + blocks && !is_over() {
            context.sleep(Duration::from_millis(1)).await;
        }
        let took_ns = thread_cpu_ns() - time;
        let allocations = count.map_or(0, |count| count.stop().calls);
        let (after, blocks) = (sent(), least() - from);
        let mut seen = record.lock().expect("one thread").seen.clone();
        seen.committed = net
            .living()
            .map(|one| seen.committed[one].clone())
            .collect();
        seen.stalled = is_over();
        Run {
            seen,
            blocks,
            took_ns,
            allocations,
            sent: [before, after],
        }
    })
}

impl Net {
    /// With nothing counted.
    pub fn new(plan: Plan, distance: Distance) -> Self {
        Self {
            plan,
            distance,
            sent: None,
            counts_allocations: false,
        }
    }

    fn living(&self) -> impl Iterator<Item = usize> + '_ {
        let Plan { count, faults, .. } = &self.plan;
        (0..*count).filter(|number| !faults.crashed.contains(number))
    }

    async fn start<S: Scheme<Digest, PublicKey = PublicKey>>(
        &self,
        context: &deterministic::Context,
        keys: Keys<S>,
    ) -> Arc<Mutex<Record>> {
        let size = u32::try_from(self.plan.count).expect("a small number");
        let Fixture {
            participants,
            schemes,
            ..
        } = keys(&mut context.child("keys"), b"bench", size);
        // They lead in the order of their keys; ours in the order of these numbers.
        let numbers = leaders(self.plan.count);
        let oracle = self.network::<S>(context, &participants, &numbers).await;
        let record = Arc::new(Mutex::new(Record::new(self.plan.count)));
        let quota = Quota::per_second(NonZeroU32::MAX);
        // Their resolver reserves room for a second's quota of every peer. It is idle
        // but for what somebody has missed.
        let few = Quota::per_second(NonZeroU32::new(256).expect("above zero"));
        // That takes virtual time: nobody begins before all can be heard.
        let mut waiting = Vec::new();
        for key in &participants {
            let control = oracle.control(key.clone());
            let mut channels = Vec::new();
            for (channel, quota) in (0..).zip([quota, quota, few]) {
                let (sender, receiver) = control.register(channel, quota).await.expect("new");
                let sent = self.sent.clone();
                let sender = Counted {
                    inner: sender,
                    sent,
                };
                channels.push((sender, receiver));
            }
            waiting.push((control, channels));
        }
        record.lock().expect("one thread").begin(context.current());
        self.part(
            context,
            &oracle,
            Self::keys_by_number(&participants, &numbers),
        );
        for ((number, (control, channels)), scheme) in numbers.into_iter().zip(waiting).zip(schemes)
        {
            if self.plan.faults.crashed.contains(&number) {
                continue;
            }
            let shell = Shell {
                number,
                late: Duration::from_nanos(self.plan.faults.lateness(number).0),
                context: Arc::new(context.child("shell")),
                record: record.clone(),
                sent: self.sent.clone(),
                scheme: PhantomData,
            };
            let engine = Engine::new(context.child("engine"), config(shell, scheme, control));
            let channels = <[_; 3]>::try_from(channels).ok();
            let [votes, certificates, resolver] = channels.expect("three channels");
            // The handle may go: the task runs on.
            drop(engine.start(votes, certificates, resolver));
        }
        record
    }

    /// Their network with a link from everybody to everybody.
    async fn network<S: Scheme<Digest>>(
        &self,
        context: &deterministic::Context,
        participants: &[PublicKey],
        numbers: &[usize],
    ) -> Oracle {
        let count = participants.len();
        let size = u32::try_from(count).expect("a small number");
        let (network, oracle) = Network::new_with_peers(
            context.child("network"),
            simulated::Config {
                max_size: max_message_size(&[max_payload_size::<S, Digest>(size)]),
                max_peers_per_set: NonZeroUsize::new(count + 1).expect("above zero"),
                disconnect_on_block: false,
                tracked_peer_sets: NonZeroUsize::MIN,
            },
            participants.to_vec(),
        )
        .await;
        network.start();
        let keys = Self::keys_by_number(participants, numbers);
        add_links(&oracle, &keys, &self.links(|_, _| true)).await;
        oracle
    }

    /// The links from and to whom this holds for.
    fn links(&self, holds: impl Fn(usize, usize) -> bool) -> Vec<(usize, usize, Link)> {
        let success_rate = match self.plan.faults.loss_ppm {
            0 => probability!(1.0),
            ppm => probability!(u64::from(1_000_000 - ppm), 1_000_000),
        };
        let count = self.plan.count;
        let pairs = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
        let wanted = pairs.filter(|(from, to)| from != to && holds(*from, *to));
        let link = |from, to| Link {
            latency: Duration::from_nanos(self.distance.between(from, to).0),
            jitter: Duration::ZERO,
            success_rate,
        };
        wanted
            .map(|(from, to)| (from, to, link(from, to)))
            .collect()
    }

    fn keys_by_number(participants: &[PublicKey], numbers: &[usize]) -> Vec<PublicKey> {
        let mut keys = participants.to_vec();
        for (key, number) in participants.iter().zip(numbers) {
            keys[*number] = key.clone();
        }
        keys
    }

    /// Sees to it that the halves part and come together, if they are to.
    fn part(&self, context: &deterministic::Context, oracle: &Oracle, keys: Vec<PublicKey>) {
        let Some((begin, end)) = self.plan.faults.partition else {
            return;
        };
        let across = self.links(|from, to| from % 2 != to % 2);
        let oracle = oracle.clone();
        let origin = context.current();
        context.child("halves").spawn(move |context| async move {
            let at = |span: decube_core::types::Span| origin + Duration::from_nanos(span.0);
            context.sleep_until(at(begin)).await;
            let cuts = across
                .iter()
                .map(|(from, to, _)| oracle.remove_link(keys[*from].clone(), keys[*to].clone()));
            for cut in join_all(cuts).await {
                cut.expect("a link");
            }
            context.sleep_until(at(end)).await;
            add_links(&oracle, &keys, &across).await;
        });
    }
}

/// All at once: each waits for the network's turn, which takes virtual time.
async fn add_links(oracle: &Oracle, keys: &[PublicKey], links: &[(usize, usize, Link)]) {
    let added = links.iter().map(|(from, to, link)| {
        oracle.add_link(keys[*from].clone(), keys[*to].clone(), link.clone())
    });
    for added in join_all(added).await {
        added.expect("a link");
    }
}

/// Deadlines as ours; the rest as the crate's own tests have it.
fn config<S: Scheme<Digest, PublicKey = PublicKey>>(
    shell: Shell<S>,
    scheme: S,
    blocker: Control,
) -> Config<S, RoundRobin<Sha256>, Control, Digest, Shell<S>, Shell<S>, Shell<S>, Sequential> {
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
        timeout_retry: DELTA,
        fetch_timeout: NZDuration!(DELTA * 2),
        fetch_retry_delay: DELTA,
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
