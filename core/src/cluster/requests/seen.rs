//! Which forwarded requests a peer has sent already.

use alloc::collections::{BTreeSet, VecDeque};
use core::hash::{Hash, Hasher};

use crate::limits::{FORWARDS_REMEMBERED, PEER_PROCESSES_REMEMBERED};
use crate::types::{PeerRequestId, ProcessNonce};

/// What the last processes of one peer have sent, the latest process last.
///
/// A copy that comes after so many later processes is not known again. Until then its
/// sender has started that often, and the term in each forward voids it as soon as the
/// leadership has changed.
#[derive(Debug, Default, Hash)]
pub(super) struct Seen {
    processes: VecDeque<OfProcess>,
}

/// The latest requests of one process: for fingerprints by their sum, which is kept.
#[derive(Debug)]
struct OfProcess {
    process: ProcessNonce,
    numbers: BTreeSet<u64>,
    sum: u64,
}

impl Seen {
    /// Whether a request is no copy. Numbers that are too old to be told apart are taken
    /// for copies: their sender has long given up.
    pub(super) fn is_first_sight(&mut self, id: PeerRequestId) -> bool {
        let PeerRequestId { process, number } = id;
        let known = self.processes.iter_mut();
        match known.rev().find(|known| known.process == process) {
            Some(known) => known.is_first_sight(number),
            None => {
                if self.processes.len() >= PEER_PROCESSES_REMEMBERED {
                    self.processes.pop_front();
                }
                let mut new = OfProcess {
                    process,
                    numbers: BTreeSet::new(),
                    sum: 0,
                };
                let is_first = new.is_first_sight(number);
                self.processes.push_back(new);
                is_first
            }
        }
    }
}

impl OfProcess {
    fn is_first_sight(&mut self, number: u64) -> bool {
        let is_full = self.numbers.len() >= FORWARDS_REMEMBERED;
        if is_full && self.numbers.first().is_some_and(|oldest| number < *oldest) {
            return false;
        }
        let is_first = self.numbers.insert(number);
        if is_first {
            self.sum = self.sum.wrapping_add(spread(number));
        }
        if self.numbers.len() > FORWARDS_REMEMBERED
            && let Some(oldest) = self.numbers.pop_first()
        {
            self.sum = self.sum.wrapping_sub(spread(oldest));
        }
        is_first
    }
}

impl Hash for OfProcess {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            process,
            numbers,
            sum,
        } = self;
        (process, numbers.len(), numbers.first(), sum).hash(state);
    }
}

/// Spreads numbers, which follow each other, so that their sum tells sets apart (the last
/// step of SplitMix64).
const fn spread(number: u64) -> u64 {
    let once = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let twice = (once ^ (once >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    twice ^ (twice >> 31)
}

#[cfg(test)]
mod tests {
    use super::{FORWARDS_REMEMBERED, PEER_PROCESSES_REMEMBERED, Seen};
    use crate::types::{PeerRequestId, ProcessNonce};

    fn id(process: u64, number: u64) -> PeerRequestId {
        let process = ProcessNonce(process);
        PeerRequestId { process, number }
    }

    #[test]
    fn a_copy_is_known_also_when_its_sender_has_started_again() {
        let mut seen = Seen::default();
        // Clocks and nonces have no order: a later process may have a lower one.
        for process in [9, 3, 7] {
            assert!(seen.is_first_sight(id(process, 0)));
            assert!(seen.is_first_sight(id(process, 1)));
        }
        for process in [9, 3, 7] {
            assert!(!seen.is_first_sight(id(process, 0)));
        }
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut seen = Seen::default();
        let many = u64::try_from(FORWARDS_REMEMBERED).expect("a small number");
        for number in 0..=many {
            assert!(seen.is_first_sight(id(1, number)));
        }
        assert!(!seen.is_first_sight(id(1, 0)), "too old to tell");
        for process in 2..100 {
            assert!(seen.is_first_sight(id(process, 0)));
        }
        assert_eq!(seen.processes.len(), PEER_PROCESSES_REMEMBERED);
    }
}
