//! The contract between a pure machine and the shell that drives it.
//!
//! A machine is total and synchronous. Everything that happens to it is an
//! [`Event`](Machine::Event); everything it wants done is an
//! [`Effect`](Machine::Effect). Time and randomness are passed in. Two machines
//! built from the same configuration and fed the same events at the same times
//! produce the same effects in the same order, on every platform: that is what
//! makes a seed, or a recorded production run, replayable.

use alloc::vec::Vec;

use crate::types::Time;

/// A pure step machine.
///
/// Contract of the shell:
/// 1. `now` never decreases from one call to the next;
/// 2. effects are carried out in the order of the outbox; completions may come
///    back in any order unless the effect's own documentation says otherwise;
/// 3. after each step the shell asks [`deadline`](Machine::deadline) and wakes
///    the machine no earlier than that time; a late wake is safe, and delivering
///    any other event first is safe.
///
/// Contract of the machine:
/// 1. `step` does no I/O, never blocks, and never panics on any event that a
///    hostile peer, a failing disk or a confused client can cause; it panics
///    only on a broken invariant, because a node that has lost its own
///    invariants must stop;
/// 2. nothing is acknowledged, voted or sent before the write that it rests on
///    has been reported durable: the machine itself holds such effects back;
/// 3. every buffer it keeps has a bound in [`crate::limits`].
pub trait Machine {
    /// Everything that can happen to the machine.
    type Event;
    /// Everything that the machine can ask of its shell.
    type Effect;

    /// Takes one event and appends the resulting effects, in order, to `out`.
    fn step(&mut self, now: Time, event: Self::Event, out: &mut Outbox<Self::Effect>);

    /// The time at which the machine wants a wake event, or `None` if only an
    /// outside event can change anything.
    fn deadline(&self) -> Option<Time>;
}

/// The ordered list of effects of a step. It is owned and reused by the caller,
/// so that a steady state allocates nothing; its order is part of every golden
/// trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outbox<E> {
    effects: Vec<E>,
}

impl<E> Default for Outbox<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> Outbox<E> {
    /// An empty outbox.
    pub const fn new() -> Self {
        Self {
            effects: Vec::new(),
        }
    }

    /// Appends one effect.
    pub fn push(&mut self, effect: impl Into<E>) {
        self.effects.push(effect.into());
    }

    /// Removes and yields all effects, oldest first, keeping the allocation.
    pub fn drain(&mut self) -> impl Iterator<Item = E> + '_ {
        self.effects.drain(..)
    }

    /// The effects so far, oldest first.
    pub fn as_slice(&self) -> &[E] {
        &self.effects
    }

    /// How many effects are queued.
    pub fn len(&self) -> usize {
        self.effects.len()
    }

    /// Whether no effect is queued.
    pub fn is_empty(&self) -> bool {
        self.effects.is_empty()
    }
}

/// The first steps of a machine, after each of which everything is checked.
const STEPS_CHECKED: u64 = 512;

/// Whether invariants that walk over all that is kept are checked after this step: after
/// each of the first ones, then after one of so many. The number of the step decides, so
/// that every build does the same work.
pub(crate) const fn is_sampled(step: u64, between: u64) -> bool {
    step <= STEPS_CHECKED || step.is_multiple_of(between)
}
