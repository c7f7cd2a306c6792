//! What a transaction may ask for.

use alloc::boxed::Box;
use alloc::string::String;

use bytes::Bytes;

use super::params::Param;
use crate::bft::Evidence;
use crate::codec::{Decode, Encode};
use crate::crypto::{ChainId, Digest, Domain, Preimage, PublicKey, Scope, Signature};
use crate::limits::{LEDGER_DATA_BYTES_MAX, LEDGER_NAME_BYTES_MAX};
use crate::types::{ClusterId, NodeId};

use super::types::AccountId;

/// One operation: what one sequence number of a lane stands for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Operation {
    /// Data of an application, which the ledger orders and keeps and does not read.
    #[codec(tag = 0)]
    Data {
        /// What it is, for its readers: a [`Name`].
        kind: Name,
        /// At most [`LEDGER_DATA_BYTES_MAX`] bytes.
        #[codec(max = LEDGER_DATA_BYTES_MAX)]
        payload: Bytes,
    },
    /// Registers a snapshot under a name that is free.
    #[codec(tag = 1)]
    SnapshotCreate(SnapshotRecord),
    /// Removes the registration of a snapshot of this account.
    #[codec(tag = 2)]
    SnapshotDelete { id: Name },
    /// Registers an image, or a new digest for one of this account.
    #[codec(tag = 3)]
    ImageRegister {
        name: Name,
        /// The digest of its manifest.
        digest: Digest,
    },
    /// The account signs with another key from now on.
    #[codec(tag = 4)]
    KeyRotate(KeyProof),
    /// For validators: changes the set that votes. Takes effect with the next
    /// epoch once validators with a quorum of the power have submitted the same.
    #[codec(tag = 5)]
    Validator(ValidatorChange),
    /// For validators: changes a parameter, by the same vote.
    #[codec(tag = 6)]
    Param {
        /// Which.
        param: Param,
        /// Its new value.
        value: u64,
    },
    /// Proof that a validator equivocated: it votes no more from the next epoch on.
    #[codec(tag = 7)]
    Evidence(Box<Evidence>),
}

/// The registration of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct SnapshotRecord {
    pub id: Name,
    /// The digest of its manifest, under which every byte of it is verified.
    pub manifest: Digest,
    /// Bytes of its content.
    pub bytes: u64,
    /// Segments.
    pub segments: u32,
}

/// A change of the set of validators.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[codec(what = "change of validators")]
pub enum ValidatorChange {
    /// A node votes.
    #[codec(tag = 0)]
    Add {
        node: NodeId,
        /// The cluster whose weight it shares.
        cluster: ClusterId,
        /// Its weight inside of its cluster.
        weight: u32,
        key: KeyProof,
    },
    /// A node votes no more.
    #[codec(tag = 1)]
    Remove { node: NodeId },
    /// A validator votes with another key.
    #[codec(tag = 2)]
    Rotate {
        node: NodeId,
        /// Its new key.
        key: KeyProof,
    },
    /// Another weight inside of its cluster.
    #[codec(tag = 3)]
    SetWeight { node: NodeId, weight: u32 },
}

/// A new key, with the signature by it that shows that its owner wants this. A
/// key that somebody else holds cannot be registered: its votes would count for
/// whoever claims it first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct KeyProof {
    pub key: PublicKey,
    /// Its signature over [`KeyProof::preimage`].
    pub signature: Signature,
}

/// A printable name without spaces: 1 to [`LEDGER_NAME_BYTES_MAX`] bytes of ASCII
/// letters, digits and `. _ - / : @ +`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[codec(check = Name::check)]
pub struct Name(#[codec(max = LEDGER_NAME_BYTES_MAX)] String);

/// Why a text is no [`Name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to {LEDGER_NAME_BYTES_MAX} ASCII letters, digits and . _ - / : @ +")]
pub struct NameError;

impl Name {
    /// A name of this text.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let name = Self(text.into());
        match name.check() {
            Ok(()) => Ok(name),
            Err(_) => Err(NameError),
        }
    }

    fn check(&self) -> Result<(), &'static str> {
        let Self(text) = self;
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@+".contains(&byte);
        let fits = !text.is_empty() && text.len() <= LEDGER_NAME_BYTES_MAX;
        if fits && text.bytes().all(is_good) {
            Ok(())
        } else {
            Err("name")
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl KeyProof {
    /// What the new key signs: the account or node that it is for, so that a proof
    /// cannot be used for another.
    pub fn preimage(chain: ChainId, owner: KeyOwner, key: &PublicKey) -> Preimage {
        let preimage = Preimage::new(Domain::KeyProof, Scope::Chain(chain));
        let preimage = match owner {
            KeyOwner::Account(account) => preimage.u8(0).put(&account),
            KeyOwner::Validator(node) => preimage.u8(1).put(&node),
        };
        preimage.put(key)
    }
}

/// Whom a new key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyOwner {
    Account(AccountId),
    Validator(NodeId),
}

impl Operation {
    /// The key proof inside, with whom it is for. `account` signs the operation.
    pub(crate) const fn key_proof(&self, account: AccountId) -> Option<(KeyOwner, &KeyProof)> {
        match self {
            Self::KeyRotate(proof) => Some((KeyOwner::Account(account), proof)),
            Self::Validator(
                ValidatorChange::Add { node, key, .. } | ValidatorChange::Rotate { node, key },
            ) => Some((KeyOwner::Validator(*node), key)),
            _ => None,
        }
    }

    /// What it is called by the HTTP API.
    pub fn kind(&self) -> &str {
        match self {
            Self::Data { kind, .. } => kind.as_str(),
            Self::SnapshotCreate(_) => "snapshot_create",
            Self::SnapshotDelete { .. } => "snapshot_delete",
            Self::ImageRegister { .. } => "image_register",
            Self::KeyRotate(_) => "key_rotate",
            Self::Validator(ValidatorChange::Add { .. }) => "validator_add",
            Self::Validator(ValidatorChange::Remove { .. }) => "validator_remove",
            Self::Validator(ValidatorChange::Rotate { .. }) => "validator_rotate",
            Self::Validator(ValidatorChange::SetWeight { .. }) => "validator_set_power",
            Self::Param { .. } => "param_change",
            Self::Evidence(_) => "evidence",
        }
    }
}
