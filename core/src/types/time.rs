//! Time as an argument. Nothing in this crate can read a clock.

use crate::codec::{Decode, Encode};
use core::fmt;
use core::ops::{Add, Sub};

/// An instant: nanoseconds since an epoch that the shell chose. Only differences
/// mean anything; wall-clock time enters the core as data, never as `Time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct Time(pub u64);

/// What a wall clock shows: nanoseconds since the Unix epoch. Data, of which nobody
/// can say whether it is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct WallTime(pub u64);

/// A length of time in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct Span(pub u64);

impl Time {
    /// The shell's epoch.
    pub const ZERO: Self = Self(0);
    /// Later than any instant that occurs.
    pub const MAX: Self = Self(u64::MAX);

    /// The first of some deadlines; one at [`Time::MAX`] never comes. Every step of a node
    /// asks for it: without branches, for a minimum of options takes several times as long.
    pub fn earliest<const N: usize>(deadlines: [Option<Self>; N]) -> Option<Self> {
        let due = deadlines.map(|due| due.unwrap_or(Self::MAX));
        let first = due.into_iter().fold(Self::MAX, Self::min);
        (first < Self::MAX).then_some(first)
    }

    /// `self - earlier`, or zero when `earlier` is the later of the two.
    pub const fn saturating_since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// `self + span`, clamped to [`Time::MAX`].
    pub const fn saturating_add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of whole microseconds.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros * 1_000)
    }

    /// A span of whole milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000_000)
    }

    /// A span of whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1_000_000_000)
    }

    /// The span in whole milliseconds, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }
}

impl Add<Span> for Time {
    type Output = Self;

    /// Overflow is a broken invariant and panics, in release builds too.
    fn add(self, span: Span) -> Self {
        Self(
            self.0
                .checked_add(span.0)
                .expect("time overflow: 584 years after the epoch"),
        )
    }
}

impl Sub<Time> for Time {
    type Output = Span;

    /// The shell promises that time never runs backwards, so a negative
    /// difference is a broken invariant and panics.
    fn sub(self, earlier: Self) -> Span {
        Span(self.0.checked_sub(earlier.0).expect("time ran backwards"))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{:09}s",
            self.0 / 1_000_000_000,
            self.0 % 1_000_000_000
        )
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}ms", self.0 / 1_000_000, self.0 / 1_000 % 1_000)
    }
}
