//! What goes wrong in a run. Apart from the run itself, so that others than ours can
//! be run under the very same faults.

use std::collections::BTreeSet;

use decube_core::types::{Span, Time};

use crate::rng::{Domain, Keyed};

/// The seed of what is lost: runs differ by their setup, not by chance.
const SEED: u64 = 1;

/// What goes wrong.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Those that never start.
    pub crashed: BTreeSet<usize>,
    /// When every other validator cannot hear the rest, and the rest not it: from and
    /// to, since the beginning. Neither side may be a quorum.
    pub partition: Option<(Span, Span)>,
    /// Of a million messages, so many are lost.
    pub loss_ppm: u32,
    /// One that has its proposals ready so much later than it could.
    pub late: Option<(usize, Span)>,
}

impl Faults {
    /// So many never start, spread over the places.
    pub fn crash(&mut self, number: usize) {
        self.crashed = (0..number).map(|number| number * 3).collect();
    }

    /// Whether the message with this number, which leaves now, never arrives.
    pub fn lose(&self, now: Time, from: usize, to: usize, message: u64) -> bool {
        let is_cut = self.partition.is_some_and(|(begin, end)| {
            let since = now.saturating_since(Time::ZERO);
            from % 2 != to % 2 && since >= begin && since < end
        });
        is_cut
            || Keyed::new(SEED, Domain::Loss)
                .at(0, message)
                .chance(self.loss_ppm)
    }

    /// How late a validator's proposals are.
    pub fn lateness(&self, number: usize) -> Span {
        match self.late {
            Some((late, by)) if late == number => by,
            _ => Span::ZERO,
        }
    }
}
