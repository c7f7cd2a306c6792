//! What a state holds under a key, or that it holds nothing.

use alloc::vec::Vec;

use bytes::Bytes;

use super::state_tree::{bit_of, empty_state_root, inner_hash, key_hash, leaf_hash};
use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::crypto::Digest;
use crate::limits::{STATE_PATH_MAX, STATE_VALUE_BYTES_MAX, STORE_KEY_BYTES_MAX};

/// A claim about one key, with what proves it: the leaf to which the bits of the
/// key's hash lead. It is the key's own, or shows that the key is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateProof {
    /// From the leaf up to the root: bits strictly fall.
    pub steps: Vec<Step>,
    /// The leaf; none if the state is empty.
    pub leaf: Option<(Bytes, Bytes)>,
}

/// One inner node on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The bit at which it stands.
    pub bit: u16,
    /// The hash of its other side.
    pub sibling: Digest,
}

/// What was proven about a key. Only [`StateProof::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenState {
    root: Digest,
    key: Bytes,
    value: Option<Bytes>,
}

/// Why a claim was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StateProofError {
    /// Bits beyond the hash, or not strictly falling.
    #[error("the path has not the form of a path")]
    Form,
    /// The leaf is not where the key's bits lead.
    #[error("the path is one of another key")]
    OtherPath,
    /// It does not lead to the trusted root.
    #[error("the path does not lead to the root")]
    RootMismatch,
}

impl StateProof {
    /// Believes the claim if it leads to the trusted root.
    ///
    /// Sound for roots of well-formed trees: in those every inner node stands at the
    /// first bit in which the hashes below differ, so a key that is present is the
    /// leaf to which its bits lead.
    ///
    /// # Errors
    /// See [`StateProofError`].
    pub fn verify(&self, root: &Digest, key: &[u8]) -> Result<ProvenState, StateProofError> {
        let proven = |value| {
            Ok(ProvenState {
                root: *root,
                key: Bytes::copy_from_slice(key),
                value,
            })
        };
        let Some((found, value)) = &self.leaf else {
            return match self.steps.is_empty() && *root == empty_state_root() {
                true => proven(None),
                false => Err(StateProofError::RootMismatch),
            };
        };
        let is_falling = self
            .steps
            .is_sorted_by(|lower, upper| lower.bit > upper.bit);
        if !is_falling || self.steps.iter().any(|step| step.bit > 255) {
            return Err(StateProofError::Form);
        }
        let (wanted, at) = (key_hash(key), key_hash(found));
        let mut hash = leaf_hash(found, value);
        for step in &self.steps {
            let is_right = bit_of(&at, step.bit);
            if is_right != bit_of(&wanted, step.bit) {
                return Err(StateProofError::OtherPath);
            }
            hash = if is_right {
                inner_hash(step.bit, &step.sibling, &hash)
            } else {
                inner_hash(step.bit, &hash, &step.sibling)
            };
        }
        if hash != *root {
            return Err(StateProofError::RootMismatch);
        }
        proven((at == wanted).then(|| value.clone()))
    }
}

impl ProvenState {
    /// The root of the state.
    pub const fn root(&self) -> &Digest {
        &self.root
    }

    /// The key.
    pub const fn key(&self) -> &Bytes {
        &self.key
    }

    /// Its value; none if the state has no such key.
    pub const fn value(&self) -> Option<&Bytes> {
        self.value.as_ref()
    }
}

impl Encode for Step {
    fn encode(&self, writer: &mut Writer) {
        writer.u16(self.bit);
        writer.put(&self.sibling);
    }
}

impl Decode for Step {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            bit: reader.u16()?,
            sibling: reader.get()?,
        })
    }
}

impl Encode for StateProof {
    fn encode(&self, writer: &mut Writer) {
        writer.seq(&self.steps);
        match &self.leaf {
            None => writer.u8(0),
            Some((key, value)) => {
                writer.u8(1);
                writer.blob(key);
                writer.blob(value);
            }
        }
    }
}

impl Decode for StateProof {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let steps = reader.seq(STATE_PATH_MAX)?;
        let leaf = match reader.u8()? {
            0 => None,
            1 => Some((
                reader.blob(STORE_KEY_BYTES_MAX)?,
                reader.blob(STATE_VALUE_BYTES_MAX)?,
            )),
            tag => {
                return Err(DecodeError::UnknownTag {
                    what: "leaf of a state",
                    tag,
                });
            }
        };
        Ok(Self { steps, leaf })
    }
}
