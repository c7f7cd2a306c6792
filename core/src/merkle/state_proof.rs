//! What one key has in a state: a value, or nothing.

use alloc::vec::Vec;

use bytes::Bytes;

use super::state_hash::{KeyHash, content_hash, empty_state_root, inner_hash, leaf_hash};
use crate::codec::{Decode, Encode};
use crate::crypto::Digest;
use crate::limits::{STATE_PATH_MAX, STATE_VALUE_BYTES_MAX};

/// A claim about one key of a [`super::StateTree`], with the hashes that prove
/// it. The key itself is not in it: it comes from who asks.
///
/// It is the walk that looks for the key, from the leaf where it ends up to the
/// root. Each node on the way says which bit of the key's hash chooses the side,
/// and the walk through a given tree is the only one, so if it ends at another
/// key's leaf the key stands nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[codec(check = StateProof::check)]
pub struct StateProof {
    /// The inner nodes, from the leaf up to the root.
    #[codec(max = STATE_PATH_MAX)]
    pub path: Vec<StateStep>,
    /// Where the walk ends.
    pub end: StateEnd,
}

/// An inner node on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub struct StateStep {
    /// The bit of a key's hash that chooses the side.
    pub bit: u8,
    /// The hash of the child on the other side.
    pub sibling: Digest,
}

/// Where the walk for a key ends.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[codec(what = "end of a state proof")]
pub enum StateEnd {
    /// There are no entries at all.
    #[codec(tag = 0)]
    Empty,
    /// At the key's own leaf, which has this value.
    #[codec(tag = 1)]
    Value(#[codec(max = STATE_VALUE_BYTES_MAX)] Bytes),
    /// At the leaf of another key.
    #[codec(tag = 2)]
    Other {
        /// The hash of the other key.
        place: KeyHash,
        /// The hash over the other key and its value.
        content: Digest,
    },
}

/// What was proven of a key. Only [`StateProof::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProvenState {
    /// The key has a value.
    Present(ProvenEntry),
    /// The key has none.
    Absent(ProvenAbsence),
}

/// A key that was proven to have a value in a state. Only [`StateProof::verify`]
/// makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenEntry {
    root: Digest,
    key: Bytes,
    value: Bytes,
}

/// A key that was proven to be absent from a state. Only [`StateProof::verify`]
/// makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenAbsence {
    root: Digest,
    key: Bytes,
}

/// Why a proof about a state was refused. Nothing of it may be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StateProofError {
    /// The bits do not descend from the leaf up, as they do in every tree.
    #[error("bit {bit} cannot stand above bit {below}")]
    BitOrder {
        /// The lower node's bit.
        below: u8,
        /// The bit of the node above it.
        bit: u8,
    },
    /// An empty tree has no nodes.
    #[error("a path of {found} nodes leads to an empty tree")]
    PathOfEmpty {
        /// How many nodes the path has.
        found: usize,
    },
    /// The leaf that is shown for another key's is that of the key itself.
    #[error("the leaf that is to show the absence of the key is the key's own")]
    OwnLeaf,
    /// The walk for the key does not pass where the other leaf stands.
    #[error("the other leaf parts from the key at bit {bit}, where the walk has passed")]
    OffPath {
        /// The bit of the node that sends the two to different sides.
        bit: u8,
    },
    /// The hashes do not lead to the trusted root.
    #[error("the proof does not lead to the trusted root")]
    RootMismatch,
}

impl StateProof {
    /// Believes the claim if it leads to a root that the caller trusts, as the
    /// root of a state that was computed by the rules of [`super::StateTree`].
    /// The cost is bounded by 256 hashes and one over key and value.
    pub fn verify(&self, root: &Digest, key: &[u8]) -> Result<ProvenState, StateProofError> {
        let place = KeyHash::of(key);
        self.check_shape(&place)?;
        let end = match &self.end {
            StateEnd::Empty => empty_state_root(),
            StateEnd::Value(value) => leaf_hash(&place, &content_hash(key, value)),
            StateEnd::Other { place, content } => leaf_hash(place, content),
        };
        let found = self.path.iter().fold(end, |hash, step| {
            if place.bit(step.bit) {
                inner_hash(step.bit, &step.sibling, &hash)
            } else {
                inner_hash(step.bit, &hash, &step.sibling)
            }
        });
        if found != *root {
            return Err(StateProofError::RootMismatch);
        }
        let (root, key) = (*root, Bytes::copy_from_slice(key));
        Ok(match &self.end {
            StateEnd::Value(value) => ProvenState::Present(ProvenEntry {
                root,
                key,
                value: value.clone(),
            }),
            StateEnd::Empty | StateEnd::Other { .. } => {
                ProvenState::Absent(ProvenAbsence { root, key })
            }
        })
    }

    /// Whether a state holds all that stands up to a key in the state that this
    /// proof leads to, and nothing else: `part` ends with the key, and whatever lies
    /// to the left of the way to it is the same in both. Meaningful for a proof that
    /// [`verify`](Self::verify) believed, of a key that is present.
    pub fn bounds(&self, key: &[u8], part: &super::StateTree) -> bool {
        let place = KeyHash::of(key);
        let left = self.path.iter().filter(|step| place.bit(step.bit));
        let own = part.prove(key);
        // The hash of a subtree says what it holds, and a node with nothing on its
        // right does not exist in `part`.
        own.end == self.end && left.eq(own.path.iter())
    }

    /// Whether nothing stands behind the key in the state that this proof leads to.
    pub fn is_last(&self, key: &[u8]) -> bool {
        let place = KeyHash::of(key);
        self.path.iter().all(|step| place.bit(step.bit))
    }

    /// What a proof must fulfil whatever the root is. Strictly descending bits
    /// bound the path by 256 nodes before any of it is hashed.
    fn check_shape(&self, key: &KeyHash) -> Result<(), StateProofError> {
        check_order(&self.path)?;
        match &self.end {
            StateEnd::Empty if !self.path.is_empty() => Err(StateProofError::PathOfEmpty {
                found: self.path.len(),
            }),
            StateEnd::Other { place, .. } if place == key => Err(StateProofError::OwnLeaf),
            StateEnd::Other { place, .. } => {
                let parts = |step: &&StateStep| place.bit(step.bit) != key.bit(step.bit);
                match self.path.iter().rev().find(parts) {
                    Some(step) => Err(StateProofError::OffPath { bit: step.bit }),
                    None => Ok(()),
                }
            }
            StateEnd::Empty | StateEnd::Value(_) => Ok(()),
        }
    }

    /// Whether the path can be one.
    fn check(&self) -> Result<(), &'static str> {
        if check_order(&self.path).is_err() {
            return Err("order of the bits of a state proof");
        }
        if matches!(self.end, StateEnd::Empty) && !self.path.is_empty() {
            return Err("path to an empty state");
        }
        Ok(())
    }
}

/// Nodes further up part at earlier bits.
fn check_order(path: &[StateStep]) -> Result<(), StateProofError> {
    let mut pairs = path.iter().zip(path.iter().skip(1));
    match pairs.find(|(below, above)| above.bit >= below.bit) {
        Some((below, above)) => Err(StateProofError::BitOrder {
            below: below.bit,
            bit: above.bit,
        }),
        None => Ok(()),
    }
}

impl ProvenState {
    /// The root of the state.
    pub const fn root(&self) -> &Digest {
        match self {
            Self::Present(entry) => entry.root(),
            Self::Absent(absence) => absence.root(),
        }
    }

    /// The key.
    pub const fn key(&self) -> &Bytes {
        match self {
            Self::Present(entry) => entry.key(),
            Self::Absent(absence) => absence.key(),
        }
    }

    /// The value, or `None` if the key is absent.
    pub const fn value(&self) -> Option<&Bytes> {
        match self {
            Self::Present(entry) => Some(entry.value()),
            Self::Absent(_) => None,
        }
    }
}

impl ProvenEntry {
    /// The root of the state.
    pub const fn root(&self) -> &Digest {
        &self.root
    }

    /// The key.
    pub const fn key(&self) -> &Bytes {
        &self.key
    }

    /// Its value.
    pub const fn value(&self) -> &Bytes {
        &self.value
    }
}

impl ProvenAbsence {
    /// The root of the state.
    pub const fn root(&self) -> &Digest {
        &self.root
    }

    /// The key.
    pub const fn key(&self) -> &Bytes {
        &self.key
    }
}

const _: () = assert!(
    STATE_PATH_MAX == 8 * Digest::BYTES,
    "a path has at most one node for each bit of a hash"
);
