//! How a ledger begins: the root of all trust in it.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::params::Params;
use super::types::TimeMs;
use crate::bft::{Epoch, EpochStart, Height, SetError, ValidatorSet};
use crate::codec::{Decode, Encode, Writer};
use crate::crypto::{ChainId, Digest, PublicKey};
use crate::limits::{LEDGER_CHAIN_NAME_BYTES_MAX, VALIDATORS_MAX};
use crate::merkle::LeafHash;
use crate::types::{ClusterId, NodeId};

use super::members::{Member, normalise};

/// What all nodes of a ledger are given alike.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Genesis {
    /// A name for people.
    #[codec(max = LEDGER_CHAIN_NAME_BYTES_MAX)]
    pub name: String,
    /// When it begins: no block is older.
    pub time: TimeMs,
    /// The parameters that it begins with.
    pub params: Params,
    /// The nodes that vote first.
    #[codec(max = VALIDATORS_MAX)]
    pub members: Vec<Member>,
}

/// Why a genesis is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// The name is empty or too long.
    #[error("the name of a ledger has 1 to {LEDGER_CHAIN_NAME_BYTES_MAX} bytes")]
    Name,
    /// A node comes twice.
    #[error("a node is listed twice")]
    Twice,
    /// A member is marked as convicted.
    #[error("nobody is convicted at the beginning")]
    Jailed,
    /// The validators make no set.
    #[error(transparent)]
    Validators(#[from] SetError),
}

impl Genesis {
    /// Checks it and works out the first set of validators.
    ///
    /// # Errors
    /// See [`GenesisError`]: the ledger cannot begin so.
    pub fn validators(&self) -> Result<ValidatorSet, GenesisError> {
        if !(1..=LEDGER_CHAIN_NAME_BYTES_MAX).contains(&self.name.len()) {
            return Err(GenesisError::Name);
        }
        let nodes: BTreeSet<NodeId> = self.members.iter().map(|member| member.node).collect();
        if nodes.len() != self.members.len() {
            return Err(GenesisError::Twice);
        }
        if self.members.iter().any(|member| member.is_jailed) {
            return Err(GenesisError::Jailed);
        }
        Ok(normalise(&self.members)?)
    }

    /// The hash of the whole: it stands for block 0, and everything that is ever
    /// proven about the ledger leads back to it.
    pub fn hash(&self) -> Digest {
        let mut writer = Writer::new();
        writer.blob(b"decube/genesis/v1");
        writer.put(self);
        *LeafHash::of(writer.as_slice()).digest()
    }

    /// The id of the ledger, which every signature on it carries.
    pub fn chain(&self) -> ChainId {
        ChainId(self.hash().first_u128())
    }

    /// The first epoch.
    ///
    /// # Errors
    /// As [`validators`](Self::validators).
    pub fn epoch(&self) -> Result<EpochStart, GenesisError> {
        Ok(EpochStart {
            epoch: Epoch(0),
            root_height: Height(0),
            root_hash: self.hash(),
            validators: Arc::new(self.validators()?),
        })
    }
}

impl Member {
    /// A member of full standing.
    pub const fn new(node: NodeId, key: PublicKey, cluster: ClusterId, weight: u32) -> Self {
        Self {
            node,
            key,
            cluster,
            weight,
            is_jailed: false,
        }
    }
}
