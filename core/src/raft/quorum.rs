//! Majorities. Sorted anew each time: a structure that is kept sorted in place
//! has lost its order and committed without a quorum before (openraft #1802).

use super::types::Membership;
use crate::limits::{LEARNERS_MAX, VOTERS_MAX};
use crate::mutant::Mutant;
use crate::types::NodeId;

/// How many of the voters' and learners' values are looked at.
const COUNTED_MAX: usize = VOTERS_MAX + LEARNERS_MAX;

/// The largest value that a majority of the voters has reached; in a joint
/// membership a majority of both sets (Raft paper §6). `None` if nobody votes.
pub fn reached(
    membership: &Membership,
    mutant: Mutant,
    value: impl Fn(NodeId) -> u64,
) -> Option<u64> {
    if membership.voters.is_empty() {
        return None;
    }
    let extra: &[NodeId] = if mutant.is(Mutant::LearnerCounts) {
        &membership.learners
    } else {
        &[]
    };
    let incoming = majority(&membership.voters, extra, mutant, &value);
    if membership.outgoing.is_empty() {
        return Some(incoming);
    }
    let outgoing = majority(&membership.outgoing, extra, mutant, &value);
    Some(incoming.min(outgoing))
}

/// Whether the nodes for which `yes` holds are a quorum.
pub fn agrees(membership: &Membership, mutant: Mutant, yes: impl Fn(NodeId) -> bool) -> bool {
    reached(membership, mutant, |node| u64::from(yes(node))) == Some(1)
}

/// The value that more than half of `voters` has reached.
fn majority(
    voters: &[NodeId],
    extra: &[NodeId],
    mutant: Mutant,
    value: &impl Fn(NodeId) -> u64,
) -> u64 {
    assert!(!voters.is_empty());
    assert!(voters.len() <= VOTERS_MAX);
    assert!(extra.len() <= LEARNERS_MAX);
    let mut sorted = [0; COUNTED_MAX];
    for (count, node) in voters.iter().chain(extra).enumerate() {
        insert_descending(&mut sorted, count, value(*node));
    }
    let place = voters.len() / 2;
    if mutant.is(Mutant::QuorumTooSmall) {
        sorted[place.saturating_sub(1)]
    } else {
        sorted[place]
    }
}

/// Inserts into the first `count` values, which descend.
fn insert_descending(sorted: &mut [u64; COUNTED_MAX], count: usize, value: u64) {
    assert!(count < COUNTED_MAX);
    let mut at = count;
    while at > 0 && sorted[at - 1] < value {
        sorted[at] = sorted[at - 1];
        at -= 1;
    }
    sorted[at] = value;
}
