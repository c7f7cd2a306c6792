//! Whom a verifier trusts.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::crypto::PublicKey;
use crate::limits::VOTERS_MAX;
use crate::types::{ClusterId, Index, NodeId};

/// The voters of one cluster under one membership, with their keys. A verifier
/// gets it from its own configuration or from the global ledger, never from the
/// proof that it is about to check (L1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedVoters {
    cluster: ClusterId,
    membership_epoch: Index,
    keys: BTreeMap<NodeId, PublicKey>,
    voters: BTreeSet<NodeId>,
    /// The outgoing voters of a joint membership, or empty.
    outgoing: BTreeSet<NodeId>,
}

/// Why keys are no voter set. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VotersError {
    /// A set without voters would make every proof valid.
    #[error("a voter set is empty")]
    Empty,
    /// More voters than a cluster can have.
    #[error("{found} voters, more than the limit {limit}")]
    TooMany {
        /// Voters found.
        found: usize,
        /// Voters allowed.
        limit: usize,
    },
    /// One key is named twice, and would be counted twice.
    #[error("voter {0} is named twice")]
    Duplicate(NodeId),
}

impl TrustedVoters {
    /// The voters with these keys, under the membership that stands at
    /// `membership_epoch` in the log. A voter's id follows from its key.
    pub fn new(
        cluster: ClusterId,
        membership_epoch: Index,
        voters: &[PublicKey],
    ) -> Result<Self, VotersError> {
        let mut keys = BTreeMap::new();
        let voters = member_set(voters, &mut keys)?;
        Ok(Self {
            cluster,
            membership_epoch,
            keys,
            voters,
            outgoing: BTreeSet::new(),
        })
    }

    /// The same with the outgoing voters of a joint membership (Raft paper §6):
    /// a head then needs a majority of both sets.
    pub fn joint(
        cluster: ClusterId,
        membership_epoch: Index,
        voters: &[PublicKey],
        outgoing: &[PublicKey],
    ) -> Result<Self, VotersError> {
        let mut trusted = Self::new(cluster, membership_epoch, voters)?;
        trusted.outgoing = member_set(outgoing, &mut trusted.keys)?;
        Ok(trusted)
    }

    /// The cluster.
    pub const fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// The log position of the membership.
    pub const fn membership_epoch(&self) -> Index {
        self.membership_epoch
    }

    /// The key of a voter, or `None` for everybody else.
    pub fn key(&self, node: NodeId) -> Option<&PublicKey> {
        self.keys.get(&node)
    }

    /// Whether these nodes are a majority of the voters, and of the outgoing
    /// voters if there are any. Others among them do not count.
    pub fn is_majority(&self, signers: &BTreeSet<NodeId>) -> bool {
        let majority_of = |set: &BTreeSet<NodeId>| {
            let present = set.intersection(signers).count();
            present > set.len() / 2
        };
        majority_of(&self.voters) && (self.outgoing.is_empty() || majority_of(&self.outgoing))
    }
}

/// Checks one set and adds its keys.
fn member_set(
    members: &[PublicKey],
    keys: &mut BTreeMap<NodeId, PublicKey>,
) -> Result<BTreeSet<NodeId>, VotersError> {
    if members.is_empty() {
        return Err(VotersError::Empty);
    }
    if members.len() > VOTERS_MAX {
        return Err(VotersError::TooMany {
            found: members.len(),
            limit: VOTERS_MAX,
        });
    }
    let mut set = BTreeSet::new();
    for key in members {
        let node = key.node_id();
        // Two keys with one id would need a collision of half a digest; were it
        // found, the second key is refused like a duplicate.
        if !set.insert(node) || keys.get(&node).is_some_and(|known| known != key) {
            return Err(VotersError::Duplicate(node));
        }
        keys.insert(node, *key);
    }
    assert_eq!(set.len(), members.len());
    Ok(set)
}
