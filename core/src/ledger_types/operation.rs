//! What a transaction may ask for.

use alloc::boxed::Box;
use alloc::string::String;

use bytes::Bytes;

use super::params::Param;
use crate::bft::Evidence;
use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::crypto::{ChainId, Digest, Domain, Preimage, PublicKey, Scope, Signature};
use crate::limits::{LEDGER_DATA_BYTES_MAX, LEDGER_NAME_BYTES_MAX};
use crate::types::{ClusterId, NodeId};

use super::types::AccountId;

/// One operation: what one sequence number of a lane stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Data of an application, which the ledger orders and keeps and does not read.
    Data {
        /// What it is, for its readers: a [`Name`].
        kind: Name,
        /// At most [`LEDGER_DATA_BYTES_MAX`] bytes.
        payload: Bytes,
    },
    /// Registers a snapshot under a name that is free.
    SnapshotCreate(SnapshotRecord),
    /// Removes the registration of a snapshot of this account.
    SnapshotDelete {
        /// Its name.
        id: Name,
    },
    /// Registers an image, or a new digest for one of this account.
    ImageRegister {
        /// Its name.
        name: Name,
        /// The digest of its manifest.
        digest: Digest,
    },
    /// The account signs with another key from now on.
    KeyRotate(KeyProof),
    /// For validators: changes the set that votes. Takes effect with the next
    /// epoch once validators with a quorum of the power have said the same.
    Validator(ValidatorChange),
    /// For validators: changes a parameter, by the same vote.
    Param {
        /// Which.
        param: Param,
        /// Its new value.
        value: u64,
    },
    /// Proof that a validator lied: it votes no more from the next epoch on.
    Evidence(Box<Evidence>),
}

/// The registration of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRecord {
    /// Its name.
    pub id: Name,
    /// The digest of its manifest, under which every byte of it is verified.
    pub manifest: Digest,
    /// Bytes of its content.
    pub bytes: u64,
    /// Segments.
    pub segments: u32,
}

/// A change of the set of validators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValidatorChange {
    /// A node votes.
    Add {
        /// The node.
        node: NodeId,
        /// The cluster whose weight it shares.
        cluster: ClusterId,
        /// Its weight inside of its cluster.
        weight: u32,
        /// Its key.
        key: KeyProof,
    },
    /// A node votes no more.
    Remove {
        /// The node.
        node: NodeId,
    },
    /// A validator votes with another key.
    Rotate {
        /// The node.
        node: NodeId,
        /// Its new key.
        key: KeyProof,
    },
    /// Another weight inside of its cluster.
    SetWeight {
        /// The node.
        node: NodeId,
        /// The weight.
        weight: u32,
    },
}

/// A new key, with the signature by it that shows that its owner wants this. A
/// key that somebody else holds can not be registered: its votes would count for
/// whoever claims it first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyProof {
    /// The key.
    pub key: PublicKey,
    /// Its signature over [`KeyProof::preimage`].
    pub signature: Signature,
}

/// A printable name without spaces: 1 to [`LEDGER_NAME_BYTES_MAX`] bytes of ASCII
/// letters, digits and `. _ - / : @ +`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// Why a text is no [`Name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to {LEDGER_NAME_BYTES_MAX} ASCII letters, digits and . _ - / : @ +")]
pub struct NameError;

impl Name {
    /// A name of this text.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@+".contains(&byte);
        let fits = !text.is_empty() && text.len() <= LEDGER_NAME_BYTES_MAX;
        if fits && text.bytes().all(is_good) {
            Ok(Self(text))
        } else {
            Err(NameError)
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl KeyProof {
    /// What the new key signs: the account or node that it is for, so that a proof
    /// can not be used for another.
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
    /// An account.
    Account(AccountId),
    /// A validator.
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

    /// What it is called at the edge.
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

impl Encode for Name {
    fn encode(&self, writer: &mut Writer) {
        writer.blob(self.0.as_bytes());
    }
}

impl Decode for Name {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = reader.blob(LEDGER_NAME_BYTES_MAX)?;
        let text = core::str::from_utf8(&bytes).ok();
        text.and_then(|text| Self::new(text).ok())
            .ok_or(DecodeError::Invalid { what: "name" })
    }
}

impl Encode for KeyProof {
    fn encode(&self, writer: &mut Writer) {
        writer.put(&self.key);
        writer.put(&self.signature);
    }
}

impl Decode for KeyProof {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            key: reader.get()?,
            signature: reader.get()?,
        })
    }
}

impl Encode for SnapshotRecord {
    fn encode(&self, writer: &mut Writer) {
        writer.put(&self.id);
        writer.put(&self.manifest);
        writer.u64(self.bytes);
        writer.u32(self.segments);
    }
}

impl Decode for SnapshotRecord {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: reader.get()?,
            manifest: reader.get()?,
            bytes: reader.u64()?,
            segments: reader.u32()?,
        })
    }
}

impl Encode for ValidatorChange {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Add {
                node,
                cluster,
                weight,
                key,
            } => {
                writer.u8(0);
                writer.put(node);
                writer.put(cluster);
                writer.u32(*weight);
                writer.put(key);
            }
            Self::Remove { node } => {
                writer.u8(1);
                writer.put(node);
            }
            Self::Rotate { node, key } => {
                writer.u8(2);
                writer.put(node);
                writer.put(key);
            }
            Self::SetWeight { node, weight } => {
                writer.u8(3);
                writer.put(node);
                writer.u32(*weight);
            }
        }
    }
}

impl Decode for ValidatorChange {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::Add {
                node: reader.get()?,
                cluster: reader.get()?,
                weight: reader.u32()?,
                key: reader.get()?,
            },
            1 => Self::Remove {
                node: reader.get()?,
            },
            2 => Self::Rotate {
                node: reader.get()?,
                key: reader.get()?,
            },
            3 => Self::SetWeight {
                node: reader.get()?,
                weight: reader.u32()?,
            },
            tag => {
                return Err(DecodeError::UnknownTag {
                    what: "change of validators",
                    tag,
                });
            }
        })
    }
}

impl Encode for Operation {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Data { kind, payload } => {
                writer.u8(0);
                writer.put(kind);
                writer.blob(payload);
            }
            Self::SnapshotCreate(record) => {
                writer.u8(1);
                writer.put(record);
            }
            Self::SnapshotDelete { id } => {
                writer.u8(2);
                writer.put(id);
            }
            Self::ImageRegister { name, digest } => {
                writer.u8(3);
                writer.put(name);
                writer.put(digest);
            }
            Self::KeyRotate(proof) => {
                writer.u8(4);
                writer.put(proof);
            }
            Self::Validator(change) => {
                writer.u8(5);
                writer.put(change);
            }
            Self::Param { param, value } => {
                writer.u8(6);
                writer.put(param);
                writer.u64(*value);
            }
            Self::Evidence(evidence) => {
                writer.u8(7);
                writer.put(evidence);
            }
        }
    }
}

impl Decode for Operation {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::Data {
                kind: reader.get()?,
                payload: reader.blob(LEDGER_DATA_BYTES_MAX)?,
            },
            1 => Self::SnapshotCreate(reader.get()?),
            2 => Self::SnapshotDelete { id: reader.get()? },
            3 => Self::ImageRegister {
                name: reader.get()?,
                digest: reader.get()?,
            },
            4 => Self::KeyRotate(reader.get()?),
            5 => Self::Validator(reader.get()?),
            6 => Self::Param {
                param: reader.get()?,
                value: reader.u64()?,
            },
            7 => Self::Evidence(reader.get()?),
            tag => {
                return Err(DecodeError::UnknownTag {
                    what: "operation",
                    tag,
                });
            }
        })
    }
}
