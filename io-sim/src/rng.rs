//! The simulator's own frozen randomness.
//!
//! Nothing here may ever change: a seed is only worth something if it means the
//! same run next year. All arithmetic is on integers, so that every platform
//! draws the same numbers, and the golden vectors in `tests/rng.rs` hold it.
//!
//! Two sources, for two uses:
//! - [`Stream`], a sequence (xoshiro256**, Blackman and Vigna 2018), for drawing
//!   a whole configuration or plan at once, before a run begins;
//! - [`Keyed`], a function of `(seed, domain, entity, counter)`, for decisions
//!   inside a run. One decision more or less shifts no other: that is what lets a
//!   seed survive a change of the code, and a minimiser take one fault away.

/// What a keyed decision is about. The numbers are frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Domain {
    /// The swarm's configuration.
    Config = 1,
    /// The plan of faults.
    Plan = 2,
    /// Whether a message is lost.
    Loss = 3,
    /// How long a message takes.
    Latency = 4,
    /// Whether, and how late, a message arrives again.
    Duplicate = 5,
    /// Whether a message is damaged on the way.
    Corrupt = 6,
    /// The order of events at one instant.
    Tie = 7,
    /// How long a disk operation takes.
    DiskDelay = 8,
    /// Whether a disk operation fails.
    DiskFault = 9,
    /// What a crash leaves of unsynced writes.
    CrashDisk = 10,
    /// What a crash leaves of unsynced store batches.
    CrashStore = 11,
    /// After which effect of a step a process dies.
    CrashPoint = 12,
    /// What a client does.
    Workload = 13,
    /// How a client behaves on the way: node, timeout, retry.
    Client = 14,
    /// A node's own seed.
    NodeSeed = 15,
    /// Who survives when the faults end.
    Heal = 16,
    /// Where bits rot.
    Rot = 17,
    /// Who is Byzantine, and how.
    Byzantine = 18,
}

/// Mixes 64 bits so that every output bit depends on every input bit
/// (SplitMix64's finaliser, Steele, Lea and Flood 2014).
pub const fn mix64(value: u64) -> u64 {
    let mut z = value;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
const ENTITY: u64 = 0xd1b5_4a32_d192_ed03;
const DOMAIN: u64 = 0x8cb9_2ba7_2f3d_8dd7;

/// Decisions keyed by what they are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keyed {
    key: u64,
}

impl Keyed {
    /// The decisions of one domain under a seed.
    pub const fn new(seed: u64, domain: Domain) -> Self {
        let domain = domain as u64;
        Self {
            key: mix64(mix64(seed.wrapping_add(GOLDEN)) ^ domain.wrapping_mul(DOMAIN)),
        }
    }

    /// The decision number `counter` of an entity.
    pub const fn at(self, entity: u64, counter: u64) -> Draw {
        let inner = mix64(self.key ^ entity.wrapping_mul(ENTITY).wrapping_add(GOLDEN));
        Draw(mix64(inner.wrapping_add(counter.wrapping_mul(GOLDEN))))
    }
}

/// A sequence of random numbers (xoshiro256**).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    state: [u64; 4],
}

impl Stream {
    /// The sequence of a seed and domain.
    pub fn new(seed: u64, domain: Domain) -> Self {
        let keyed = Keyed::new(seed, domain);
        let state = [0, 1, 2, 3].map(|word| keyed.at(word, 0).0 | u64::from(word == 0));
        Self { state }
    }

    /// The next number.
    pub fn draw(&mut self) -> Draw {
        let [a, b, c, d] = &mut self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= t;
        *d = d.rotate_left(45);
        Draw(result)
    }

    /// A number in `low..=high`.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        self.draw().range(low, high)
    }

    /// True `ppm` times in a million.
    pub fn chance(&mut self, ppm: u32) -> bool {
        self.draw().chance(ppm)
    }

    /// True half of the time.
    pub fn coin(&mut self) -> bool {
        self.draw().coin()
    }

    /// A number in `low..=high` whose logarithm is uniform: small and large
    /// magnitudes are equally likely. `low` must not be 0.
    pub fn magnitude(&mut self, low: u64, high: u64) -> u64 {
        assert!(low > 0, "a magnitude needs a positive lower end");
        assert!(low <= high, "an empty range has no magnitude");
        let octaves = u64::from(high.ilog2() - low.ilog2());
        let octave = self.range(0, octaves);
        let floor = (low << octave).min(high);
        let ceiling = (floor.saturating_mul(2) - 1).clamp(floor, high);
        self.range(floor, ceiling)
    }

    /// One element of a slice that is not empty.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.draw().index(items.len())]
    }

    /// Puts a slice into random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.draw().index(last + 1));
        }
    }
}

/// One draw: 64 random bits and the ways to use them. A draw is used once; what
/// needs more asks for [`Draw::again`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw(pub u64);

impl Draw {
    /// Another draw that follows from this one.
    pub const fn again(self) -> Self {
        Self(mix64(self.0.wrapping_add(GOLDEN)))
    }

    /// A number below `bound`, which must not be 0.
    pub fn below(self, bound: u64) -> u64 {
        assert!(bound > 0, "nothing is below zero");
        let product = u128::from(self.0) * u128::from(bound);
        u64::try_from(product >> 64).expect("the high half of a 128-bit product is 64 bits")
    }

    /// A number in `low..=high`.
    pub fn range(self, low: u64, high: u64) -> u64 {
        assert!(low <= high, "an empty range has no number");
        match (high - low).checked_add(1) {
            Some(width) => low + self.below(width),
            None => self.0,
        }
    }

    /// An index into something with `len` elements, which must not be 0.
    pub fn index(self, len: usize) -> usize {
        let len = u64::try_from(len).expect("lengths fit 64 bits");
        usize::try_from(self.below(len)).expect("below a usize")
    }

    /// True `ppm` times in a million.
    pub fn chance(self, ppm: u32) -> bool {
        ppm > 0 && self.below(1_000_000) < u64::from(ppm)
    }

    /// True half of the time.
    pub const fn coin(self) -> bool {
        self.0 >> 63 == 1
    }

    /// Exponentially distributed with this mean, never above `mean * 16`.
    ///
    /// `-ln(u)` is computed as `-log2(u) * ln(2)`: the whole part of the
    /// logarithm is the number of leading zeros, the fraction comes from a table.
    pub fn exponential(self, mean: u64) -> u64 {
        let zeros = self.0.leading_zeros();
        let normal = self.0.checked_shl(zeros + 1).unwrap_or(0);
        let slot = usize::try_from(normal >> 60).expect("four bits");
        let step = (normal >> 52) & 0xff;
        let low = LOG2_Q16[slot];
        let high = LOG2_Q16[slot + 1];
        let fraction = low + (((high - low) * step) >> 8);
        // -log2(u) in Q16, for u in (0, 1): zeros + 1 - fraction.
        let log = ((u64::from(zeros) + 1) << 16) - fraction;
        let scaled = (u128::from(mean) * u128::from(log) * 45_426) >> 32;
        let cap = mean.saturating_mul(16);
        u64::try_from(scaled).unwrap_or(cap).min(cap)
    }
}

/// `log2(1 + i/16)` in units of 2^-16.
const LOG2_Q16: [u64; 17] = [
    0, 5732, 11136, 16248, 21098, 25711, 30109, 34312, 38336, 42196, 45904, 49472, 52911, 56229,
    59434, 62534, 65536,
];

#[cfg(test)]
#[path = "tests/rng.rs"]
mod tests;
