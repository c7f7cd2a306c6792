//! What a host counts. Counters only ever rise; readers take differences.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use decube_core::io::Volume;

/// A counter of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub enum Counter {
    /// Events taken by the machine, wakes included.
    Events,
    /// Wakes among them.
    Wakes,
    /// Iterations of the host's task.
    Iterations,
    /// `Send` effects.
    EffectsSend,
    /// `Reply` effects.
    EffectsReply,
    /// `Stream` effects.
    EffectsStream,
    /// `Io` effects.
    EffectsIo,
    /// All other effects.
    EffectsOther,
    /// Requests taken from clients.
    Requests,
    /// Requests refused because a queue was full.
    RequestsRefused,
    /// Requests whose client went away before the answer.
    RequestsCancelled,
    /// Streams ended because whoever reads them was too slow or gone.
    StreamsEnded,
    /// Messages from peers.
    MessagesIn,
    /// Their bytes.
    MessageBytesIn,
    /// Messages from peers that could not be decoded.
    MessagesInvalid,
    /// Messages queued to peers.
    MessagesOut,
    /// Their bytes.
    MessageBytesOut,
    /// Messages that the network did not take.
    MessagesDropped,
}

/// How many counters there are.
const COUNTERS: usize = Counter::MessagesDropped as usize + 1;

/// A counter of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub enum VolumeCounter {
    /// Bytes written to the files of the log.
    BytesWritten,
    /// Syncs of the files of the log.
    Syncs,
    /// File operations that failed.
    FileErrors,
    /// Batches committed to the store.
    StoreCommits,
    /// Reads of the store.
    StoreReads,
}

const VOLUME_COUNTERS: usize = VolumeCounter::StoreReads as usize + 1;

/// What is counted of one volume.
#[derive(Debug, Default)]
pub struct VolumeMetrics {
    counters: [AtomicU64; VOLUME_COUNTERS],
    /// Operations in flight.
    open: AtomicU64,
    /// Time from the request of a sync to its completion, queueing included.
    pub sync_latency: Histogram,
}

impl VolumeMetrics {
    /// The value of a counter.
    pub fn get(&self, counter: VolumeCounter) -> u64 {
        self.counters[counter as usize].load(Ordering::Relaxed)
    }

    /// Operations in flight.
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }
}

/// All counters of a host. Shared with every handle.
#[derive(Debug, Default)]
pub struct Metrics {
    counters: [AtomicU64; COUNTERS],
    volumes: [VolumeMetrics; Volume::ALL.len()],
    /// Events per iteration.
    pub turn_events: Histogram,
}

impl Metrics {
    /// Raises a counter.
    pub fn add(&self, counter: Counter, amount: u64) {
        // Counters order nothing, so relaxed is enough.
        self.counters[counter as usize].fetch_add(amount, Ordering::Relaxed);
    }

    /// The value of a counter.
    pub fn get(&self, counter: Counter) -> u64 {
        self.counters[counter as usize].load(Ordering::Relaxed)
    }

    /// What is counted of a volume.
    pub fn of(&self, volume: Volume) -> &VolumeMetrics {
        &self.volumes[volume as usize]
    }

    /// Raises a counter of a volume.
    pub fn add_of(&self, volume: Volume, counter: VolumeCounter, amount: u64) {
        self.of(volume).counters[counter as usize].fetch_add(amount, Ordering::Relaxed);
    }

    pub(super) fn set_open(&self, volume: Volume, open: usize) {
        let open = u64::try_from(open).unwrap_or(u64::MAX);
        self.of(volume).open.store(open, Ordering::Relaxed);
    }
}

/// Buckets of a histogram: bucket `i` counts values in `2^(i-1) .. 2^i`.
const BUCKETS: usize = 40;

/// A histogram with buckets at powers of two. Durations are in microseconds.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
}

/// A copy of a histogram at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistogramSnapshot {
    /// `(upper bound, how many values are below it and not below the bound
    /// before)`, empty buckets left out.
    pub buckets: Vec<(u64, u64)>,
    /// How many values in all.
    pub count: u64,
    /// The sum of all values.
    pub sum: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
            sum: AtomicU64::new(0),
        }
    }
}

impl Histogram {
    /// Counts a duration.
    pub fn record_duration(&self, duration: Duration) {
        self.record(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// Counts a value.
    pub fn record(&self, value: u64) {
        // The number of significant bits: 0 for 0, so 0 has a bucket of its own.
        let bits = usize::try_from(u64::BITS - value.leading_zeros()).unwrap_or(BUCKETS);
        self.buckets[bits.min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// A copy. Values counted meanwhile may be in the sum and not in a bucket.
    pub fn snapshot(&self) -> HistogramSnapshot {
        let mut buckets = Vec::new();
        let mut count = 0_u64;
        for (bits, bucket) in self.buckets.iter().enumerate() {
            let values = bucket.load(Ordering::Relaxed);
            if values > 0 {
                buckets.push((1_u64 << bits, values));
                count = count.saturating_add(values);
            }
        }
        HistogramSnapshot {
            buckets,
            count,
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}
