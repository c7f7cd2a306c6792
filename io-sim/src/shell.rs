//! What lies around a machine: clocks, wakes, steps that may panic, and how steps are told.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use std::borrow::Cow;

use decube_core::cluster;
use decube_core::io::{Done, Read};
use decube_core::mutant::Mutant;
use decube_core::raft::Membership;
use decube_core::store::{Store, StoreBatch};
use decube_core::types::{ClusterId, NodeId, Span, Time};

use crate::check::Finding;
use crate::clock::Clock;
use crate::config::SimConfig;
use crate::rng::{Domain, Keyed};

const MILLI: u64 = 1_000_000;
/// Starts that may halt one after the other before nobody tries again.
pub(crate) const FUTILE_STARTS_MAX: u64 = 12;
/// Bytes of a described step.
const LINE_LENGTH_MAX: usize = 400;

/// How a process will end at the next boundary between two effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PendingCrash {
    /// Whether the machine loses power.
    pub(crate) power: bool,
    /// How long it stays down.
    pub(crate) down: u64,
}

/// Why a process ends by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exit {
    /// A graceful stop is complete.
    Stopped,
    /// A part of it halted.
    Halted(Cow<'static, str>),
}

/// A task of a store, in order.
#[derive(Debug, Clone)]
pub(crate) enum StoreTask {
    /// Commit a batch.
    Commit(StoreBatch),
    /// Read pairs.
    Read(Read),
}

impl StoreTask {
    /// Carries it out.
    pub(crate) fn carry_out(self, store: &mut impl Store) -> Done {
        let done = match self {
            Self::Commit(batch) => {
                let seq = batch.seq;
                store.commit(&batch).map(|()| Done::Committed { seq })
            }
            Self::Read(Read {
                id,
                from,
                to,
                bytes_max,
            }) => {
                let page = store.scan(&from, to.as_deref(), bytes_max);
                page.map(|page| Done::Read { id, page })
            }
        };
        done.unwrap_or(Done::Failed)
    }

    /// Whether it waits for stable storage.
    pub(crate) const fn is_sync(&self) -> bool {
        matches!(self, Self::Commit(batch) if batch.sync)
    }
}

/// Clocks of a new process: the monotonic one begins anywhere, the wall clock goes on
/// as the machine left it. The first process draws how far that is off.
pub(crate) fn new_clock(
    seed: u64,
    settings: &SimConfig,
    slot: usize,
    process: u64,
    now: u64,
    wall_offset: &mut i64,
) -> Clock {
    let entity = u64::try_from(slot).expect("few slots");
    let draw = Keyed::new(seed, Domain::NodeSeed).at(entity | 1 << 32, 0);
    let drift_max = i32::try_from(settings.clock.drift_ppm_max).expect("a small drift");
    let drift = spread(draw.0, i64::from(drift_max));
    let drift = i32::try_from(drift).expect("within its maximum");
    if process == 0 {
        let offset_max = settings.clock.wall_offset_ms_max * MILLI;
        let offset_max = i64::try_from(offset_max).expect("a small offset");
        *wall_offset = spread(draw.again().0, offset_max);
    }
    let base = Keyed::new(seed, Domain::NodeSeed).at(entity | 1 << 33, process);
    Clock::new(now, base.below(3_600_000_000_000), drift, *wall_offset)
}

/// When a process is woken for a deadline of its machine: never early, and somewhat
/// late if the settings say so. `number` is that of the step.
pub(crate) fn wake_at(
    settings: &SimConfig,
    tie: Keyed,
    number: u64,
    clock: &Clock,
    now: u64,
    deadline: Time,
) -> u64 {
    let mut at = clock.world(deadline).max(now);
    if settings.process.wake_late_us > 0 {
        at += tie
            .at(1, number)
            .below(settings.process.wake_late_us * 1_000);
    }
    at.next_multiple_of(settings.process.quantum_ns.max(1))
}

/// Whether the data directory of a slot has marks of used volumes: one that is older than
/// the marks has none.
pub(crate) fn has_marks(seed: u64, slot: usize) -> bool {
    let entity = u64::try_from(slot).expect("few slots");
    let draw = Keyed::new(seed, Domain::NodeSeed).at(entity | 1 << 34, 0);
    draw.below(4) == 0
}

/// What a node's part in a cluster is built from.
pub(crate) fn cluster_config(
    settings: &SimConfig,
    mutant: Mutant,
    id: NodeId,
    cluster: ClusterId,
    bootstrap: Membership,
    seed: u64,
) -> cluster::Config {
    let mut config = cluster::Config::new(id, cluster, bootstrap, seed);
    config.request_timeout = Span::from_millis(settings.cluster.request_timeout_ms);
    config.wal_segment_bytes = settings.cluster.wal_segment_bytes;
    config.log_entries_max = settings.cluster.log_entries_max;
    config.log_trailing_entries = settings.cluster.log_trailing_entries;
    config.mutant = mutant;
    config.raft.mutant = mutant;
    config.raft.heartbeat = Span::from_millis(settings.cluster.heartbeat_ms);
    config.raft.election_timeout_min = Span::from_millis(settings.cluster.election_ms);
    config.raft.append_entries_max = small(settings.cluster.append_entries_max);
    config.raft.inflight_messages_max = small(settings.cluster.inflight_max);
    config.raft.persists_pending_max = small(settings.disk.writes_pending_max);
    config
}

fn small(setting: u64) -> usize {
    usize::try_from(setting).expect("a small setting")
}

/// Lets a machine take a step. A broken invariant stops the node; here it is a finding
/// like any other.
pub(crate) fn guarded(slot: usize, step: impl FnOnce()) -> Result<(), Finding> {
    catch_unwind(AssertUnwindSafe(step))
        .map_err(|panic| ("panic", format!("slot {slot}: {}", panic_message(&*panic))))
}

/// The message of a panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

/// A step described in one line of bounded length.
pub(crate) fn line(event: u64, now: u64, slot: usize, mark: &str, what: &str) -> String {
    let (seconds, nanos) = (now / 1_000_000_000, now % 1_000_000_000);
    let cut = (0..=LINE_LENGTH_MAX.min(what.len()))
        .rev()
        .find(|at| what.is_char_boundary(*at))
        .unwrap_or(0);
    let rest = if cut < what.len() { "…" } else { "" };
    let what = &what[..cut];
    format!("{event:>8} {seconds:>4}.{nanos:09} slot {slot} {mark} {what}{rest}")
}

/// A number in `-max..=max`, from random bits.
fn spread(bits: u64, max: i64) -> i64 {
    let width = u64::try_from(max).expect("a maximum is not negative") * 2 + 1;
    let offset = i64::try_from(bits % width).expect("less than twice an i32 or a small offset");
    offset - max
}
