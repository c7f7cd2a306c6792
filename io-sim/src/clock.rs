//! Clocks that disagree.
//!
//! A node sees two clocks. The monotonic one starts again with each process and
//! runs a little fast or slow; it never goes back. The wall clock is data: it has
//! an offset that an operator, or a time server, moves back and forth.

use decube_core::types::Time;

/// The clocks of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// When the process started, in world time.
    born: u64,
    /// What its monotonic clock showed then.
    base: u64,
    /// How much faster than the world it runs, in parts per million.
    drift_ppm: i32,
    /// How far the wall clock is ahead of the world's.
    wall_offset: i64,
}

const MILLION: u64 = 1_000_000;
/// Longer than any run: what lies further ahead never comes.
const FOREVER: u64 = u64::MAX / 4;

/// The world's wall clock at its epoch: 2026-01-01T00:00:00Z.
pub const WALL_EPOCH_NS: u64 = 1_767_225_600_000_000_000;

impl Clock {
    /// Clocks of a process that starts at `born` with its monotonic clock at `base`.
    pub fn new(born: u64, base: u64, drift_ppm: i32, wall_offset: i64) -> Self {
        assert!(
            drift_ppm.unsigned_abs() < 500_000,
            "a clock that runs at half speed or less is not a clock"
        );
        Self {
            born,
            base,
            drift_ppm,
            wall_offset,
        }
    }

    /// What the monotonic clock shows.
    pub fn local(&self, world: u64) -> Time {
        let elapsed = world
            .checked_sub(self.born)
            .expect("a process reads its clock after birth");
        Time(self.base + scale(elapsed, self.rate(), MILLION))
    }

    /// The first world time at which the monotonic clock shows `local` or later.
    pub fn world(&self, local: Time) -> u64 {
        let ahead = local.0.saturating_sub(self.base);
        if self.drift_ppm == 0 {
            return self.born.saturating_add(ahead);
        }
        if ahead > FOREVER {
            return u64::MAX;
        }
        let mut elapsed = scale(ahead, MILLION, self.rate());
        while scale(elapsed, self.rate(), MILLION) < ahead {
            elapsed += 1;
        }
        self.born.saturating_add(elapsed)
    }

    /// What the wall clock shows, in nanoseconds since the Unix epoch.
    pub fn wall(&self, world: u64) -> u64 {
        (WALL_EPOCH_NS + world).saturating_add_signed(self.wall_offset)
    }

    /// Moves the wall clock.
    pub fn step_wall(&mut self, by_ns: i64) {
        self.wall_offset = self.wall_offset.saturating_add(by_ns);
    }

    /// How far the wall clock is off.
    pub const fn wall_offset(&self) -> i64 {
        self.wall_offset
    }

    /// How fast the monotonic clock runs, in parts per million of deviation.
    pub const fn drift_ppm(&self) -> i32 {
        self.drift_ppm
    }

    fn rate(&self) -> u64 {
        MILLION
            .checked_add_signed(i64::from(self.drift_ppm))
            .expect("drift is below a million")
    }
}

/// `value * numerator / denominator`, saturating, rounded down.
fn scale(value: u64, numerator: u64, denominator: u64) -> u64 {
    if numerator == denominator {
        return value;
    }
    match value.checked_mul(numerator) {
        Some(product) => product / denominator,
        None => {
            let wide = u128::from(value) * u128::from(numerator) / u128::from(denominator);
            u64::try_from(wide).unwrap_or(u64::MAX)
        }
    }
}

#[cfg(test)]
#[path = "tests/clock.rs"]
mod tests;
