//! The queue of what happens next: the hot path of the simulator.
//!
//! A four-ary heap of small keys over a slab of payloads: sifting moves 24 bytes
//! per level instead of a message, and four children share a cache line.

/// Where an event stands among those of its instant. Lower goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tie(pub u16);

impl Tie {
    /// After everything else of the instant: wakes, which end an iteration.
    pub const LAST: Self = Self(u16::MAX);
}

#[derive(Debug, Clone, Copy)]
struct Key {
    time: u64,
    /// The tie in the upper 16 bits, the sequence number in the lower 48.
    order: u64,
    slot: u32,
}

impl Key {
    /// Keys by what decides their order, as one number: compared without branches.
    fn rank(self) -> u128 {
        u128::from(self.time) << 64 | u128::from(self.order)
    }
}

/// Events by `(time, tie, order of insertion)`.
#[derive(Debug, Clone)]
pub struct Queue<T> {
    heap: Vec<Key>,
    slab: Vec<Option<T>>,
    free: Vec<u32>,
    sequence: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self::new()
    }
}

const CHILDREN: usize = 4;

impl<T> Queue<T> {
    /// An empty queue.
    pub const fn new() -> Self {
        Self {
            heap: Vec::new(),
            slab: Vec::new(),
            free: Vec::new(),
            sequence: 0,
        }
    }

    /// Adds an event.
    pub fn push(&mut self, time: u64, tie: Tie, item: T) {
        let slot = self.store(item);
        let order = (u64::from(tie.0) << 48) | self.sequence;
        self.sequence += 1;
        assert!(self.sequence < 1 << 48, "2^48 events in one run");
        self.heap.push(Key { time, order, slot });
        self.sift_up(self.heap.len() - 1);
    }

    /// Takes the next event and its time.
    pub fn pop(&mut self) -> Option<(u64, T)> {
        let first = *self.heap.first()?;
        let last = self.heap.pop().expect("the heap has a first");
        if !self.heap.is_empty() {
            self.heap[0] = last;
            self.sift_down();
        }
        let slot = usize::try_from(first.slot).expect("slots fit usize");
        let item = self.slab[slot].take().expect("a queued slot is filled");
        self.free.push(first.slot);
        Some((first.time, item))
    }

    /// The time of the next event.
    pub fn next_time(&self) -> Option<u64> {
        self.heap.first().map(|key| key.time)
    }

    /// How many events are queued.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    fn store(&mut self, item: T) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.slab[usize::try_from(slot).expect("slots fit usize")] = Some(item);
            return slot;
        }
        let slot = u32::try_from(self.slab.len()).expect("fewer than 2^32 events are queued");
        self.slab.push(Some(item));
        slot
    }

    fn sift_up(&mut self, from: usize) {
        let mut at = from;
        let key = self.heap[at];
        let rank = key.rank();
        while at > 0 {
            let parent = (at - 1) / CHILDREN;
            if self.heap[parent].rank() <= rank {
                break;
            }
            self.heap[at] = self.heap[parent];
            at = parent;
        }
        self.heap[at] = key;
    }

    fn sift_down(&mut self) {
        let key = self.heap[0];
        let rank = key.rank();
        let mut at = 0;
        loop {
            let first = at * CHILDREN + 1;
            if first >= self.heap.len() {
                break;
            }
            let end = (first + CHILDREN).min(self.heap.len());
            let mut least = first;
            let mut least_rank = self.heap[first].rank();
            for child in first + 1..end {
                let child_rank = self.heap[child].rank();
                if child_rank < least_rank {
                    (least, least_rank) = (child, child_rank);
                }
            }
            if rank <= least_rank {
                break;
            }
            self.heap[at] = self.heap[least];
            at = least;
        }
        self.heap[at] = key;
    }
}

#[cfg(test)]
#[path = "tests/queue.rs"]
mod tests;
