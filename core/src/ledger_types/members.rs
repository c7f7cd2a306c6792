//! Who may vote, and how much each vote weighs.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::bft::{Power, SetError, Validator, ValidatorSet};
use crate::codec::{Decode, Encode};
use crate::crypto::PublicKey;
use crate::types::{ClusterId, NodeId};

/// The power that every cluster has together. Divisible by every count up to 24,
/// so that equal validators of ordinary clusters weigh exactly the same.
pub const CLUSTER_POWER: u64 = 5_354_228_880;

/// The largest weight of one member: [`CLUSTER_POWER`] times it fits 64 bits.
pub const WEIGHT_MAX: u32 = 1_000_000;

/// A node that is listed as a validator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Member {
    pub node: NodeId,
    /// The key that it votes with.
    pub key: PublicKey,
    /// The cluster whose power it shares.
    pub cluster: ClusterId,
    /// Its share, relative to the other members of the cluster; above zero.
    pub weight: u32,
    /// Whether it was convicted of equivocation: it votes no more.
    pub is_jailed: bool,
}

/// The set that these members make. Clusters weigh the same, however many nodes
/// each has: one that adds nodes gains nothing by it.
///
/// # Errors
/// Nobody is left, too many are, or two share a key.
pub fn normalise(members: &[Member]) -> Result<ValidatorSet, SetError> {
    let voting: Vec<&Member> = members.iter().filter(|member| !member.is_jailed).collect();
    let mut weights: BTreeMap<ClusterId, u64> = BTreeMap::new();
    for member in &voting {
        let sum = weights.entry(member.cluster).or_default();
        *sum = sum.saturating_add(u64::from(member.weight.min(WEIGHT_MAX)));
    }
    let validators = voting.into_iter().map(|member| {
        let share = CLUSTER_POWER.saturating_mul(u64::from(member.weight.min(WEIGHT_MAX)));
        let power = share.checked_div(weights[&member.cluster]).unwrap_or(0);
        Validator {
            node: member.node,
            key: member.key,
            power: Power(power),
        }
    });
    ValidatorSet::new(validators.collect())
}
