//! Majorities. Sorted again each time: a structure that is kept sorted in place
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
    let place = match voters.len() / 2 {
        place if mutant.is(Mutant::QuorumTooSmall) => place.saturating_sub(1),
        place => place,
    };
    if extra.is_empty() {
        return ranked::<VOTERS_MAX>(voters.iter(), place, value);
    }
    ranked::<COUNTED_MAX>(voters.iter().chain(extra), place, value)
}

/// The value that has `place` others at or above it. At most `N` nodes.
fn ranked<'a, const N: usize>(
    nodes: impl Iterator<Item = &'a NodeId>,
    place: usize,
    value: &impl Fn(NodeId) -> u64,
) -> u64 {
    let mut sorted = [0; N];
    for (count, node) in nodes.enumerate() {
        insert_descending(&mut sorted, count, value(*node));
    }
    sorted[place]
}

/// Inserts into the first `count` values, which descend.
fn insert_descending<const N: usize>(sorted: &mut [u64; N], count: usize, value: u64) {
    assert!(count < N);
    let mut at = count;
    while at > 0 && sorted[at - 1] < value {
        sorted[at] = sorted[at - 1];
        at -= 1;
    }
    sorted[at] = value;
}
