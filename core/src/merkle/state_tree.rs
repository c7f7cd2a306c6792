//! An authenticated map: the state of a ledger.
//!
//! A crit-bit tree over the hashes of the keys. An inner node stands at the first
//! bit in which its keys' hashes differ, so equal content has an equal shape,
//! whatever the order in which it came. Nodes are shared between copies: a copy
//! costs nothing, and a change costs a path.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::state_proof::{StateProof, Step};
use crate::codec::Writer;
use crate::crypto::{Digest, Hasher, sha256, tagged};

/// A map from byte strings to byte strings with a root hash over all of it.
///
/// Its depth is that of the longest common prefix of two hashes: about
/// `2·log2(n)` for keys that nobody grinds, and never above 256.
#[derive(Debug, Clone, Default)]
pub struct StateTree {
    root: Option<Arc<Node>>,
    len: usize,
}

#[derive(Debug)]
enum Node {
    Leaf {
        at: Digest,
        key: Bytes,
        value: Bytes,
        hash: Digest,
    },
    Inner {
        /// The first bit in which the hashes below differ.
        bit: u16,
        /// The hash of some key below: all of them agree before `bit`.
        prefix: Digest,
        left: Arc<Node>,
        right: Arc<Node>,
        hash: Digest,
    },
}

/// A change of one key, by the hash of the key.
struct Change {
    at: Digest,
    key: Bytes,
    value: Option<Bytes>,
}

impl StateTree {
    /// An empty map.
    pub const fn new() -> Self {
        Self { root: None, len: 0 }
    }

    /// How many keys it has.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The hash over everything in it.
    pub fn root(&self) -> Digest {
        self.root
            .as_ref()
            .map_or_else(empty_state_root, |root| *root.hash())
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Option<&Bytes> {
        let at = key_hash(key);
        match self.walk(&at)? {
            Node::Leaf {
                at: found, value, ..
            } if *found == at => Some(value),
            _ => None,
        }
    }

    /// Sets a key.
    pub fn insert(&mut self, key: Bytes, value: Bytes) {
        self.apply(BTreeMap::from([(key, Some(value))]));
    }

    /// Removes a key, if it is there.
    pub fn remove(&mut self, key: &[u8]) {
        self.apply(BTreeMap::from([(Bytes::copy_from_slice(key), None)]));
    }

    /// Sets and removes keys. Each node on their paths is hashed once.
    pub fn apply(&mut self, changes: BTreeMap<Bytes, Option<Bytes>>) {
        let mut sorted: Vec<Change> = changes
            .into_iter()
            .map(|(key, value)| Change {
                at: key_hash(&key),
                key,
                value,
            })
            .collect();
        sorted.sort_unstable_by_key(|change| change.at);
        for change in &sorted {
            let was = self.contains(&change.at);
            match (was, change.value.is_some()) {
                (false, true) => self.len = self.len.saturating_add(1),
                (true, false) => self.len = self.len.saturating_sub(1),
                _ => {}
            }
        }
        self.root = update(self.root.as_ref(), &sorted);
    }

    /// All pairs, in the order of the hashes of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        let mut open: Vec<&Node> = self.root.iter().map(|root| &**root).collect();
        core::iter::from_fn(move || {
            loop {
                match open.pop()? {
                    Node::Leaf { key, value, .. } => return Some((key, value)),
                    Node::Inner { left, right, .. } => {
                        open.push(right);
                        open.push(left);
                    }
                }
            }
        })
    }

    /// Proof of the value of a key, or that it has none.
    pub fn prove(&self, key: &[u8]) -> StateProof {
        let at = key_hash(key);
        let mut steps = Vec::new();
        let mut next = self.root.as_ref();
        while let Some(node) = next {
            match &**node {
                Node::Leaf { key, value, .. } => {
                    steps.reverse();
                    return StateProof {
                        steps,
                        leaf: Some((key.clone(), value.clone())),
                    };
                }
                Node::Inner {
                    bit, left, right, ..
                } => {
                    let (down, other) = if bit_of(&at, *bit) {
                        (right, left)
                    } else {
                        (left, right)
                    };
                    steps.push(Step {
                        bit: *bit,
                        sibling: *other.hash(),
                    });
                    next = Some(down);
                }
            }
        }
        StateProof { steps, leaf: None }
    }

    fn contains(&self, at: &Digest) -> bool {
        matches!(self.walk(at), Some(Node::Leaf { at: found, .. }) if found == at)
    }

    /// The leaf to which the bits of a hash lead.
    fn walk(&self, at: &Digest) -> Option<&Node> {
        let mut node = &**self.root.as_ref()?;
        while let Node::Inner {
            bit, left, right, ..
        } = node
        {
            node = if bit_of(at, *bit) { right } else { left };
        }
        Some(node)
    }
}

impl Node {
    const fn hash(&self) -> &Digest {
        match self {
            Self::Leaf { hash, .. } | Self::Inner { hash, .. } => hash,
        }
    }

    fn leaf(at: Digest, key: Bytes, value: Bytes) -> Arc<Self> {
        let hash = leaf_hash(&key, &value);
        Arc::new(Self::Leaf {
            at,
            key,
            value,
            hash,
        })
    }

    fn inner(bit: u16, prefix: Digest, left: Arc<Self>, right: Arc<Self>) -> Arc<Self> {
        let hash = inner_hash(bit, left.hash(), right.hash());
        Arc::new(Self::Inner {
            bit,
            prefix,
            left,
            right,
            hash,
        })
    }
}

/// The tree after these changes, which are sorted by the hash of their keys. The
/// recursion is as deep as the tree: at most 256.
fn update(node: Option<&Arc<Node>>, changes: &[Change]) -> Option<Arc<Node>> {
    if changes.is_empty() {
        return node.cloned();
    }
    match node.map(|node| &**node) {
        None => build(changes),
        Some(Node::Leaf { at, .. }) => {
            let own = node.expect("just seen");
            match changes.binary_search_by(|change| change.at.cmp(at)) {
                Ok(_) => build(changes),
                Err(_) => join(own.clone(), at, None, changes),
            }
        }
        Some(Node::Inner {
            bit,
            prefix,
            left,
            right,
            ..
        }) => {
            let differs = first_difference(prefix, changes).unwrap_or(u16::MAX);
            if differs < *bit {
                let own = node.expect("just seen").clone();
                return join(own, prefix, Some(*bit), changes);
            }
            let (to_left, to_right) = split(changes, *bit);
            let left = update(Some(left), to_left);
            let right = update(Some(right), to_right);
            combine(*bit, *prefix, left, right)
        }
    }
}

/// Joins a node with changes of which the first to differ from it does so before
/// the node's own bit.
fn join(node: Arc<Node>, at: &Digest, bit: Option<u16>, changes: &[Change]) -> Option<Arc<Node>> {
    let Some(differs) =
        first_difference(at, changes).filter(|one| bit.is_none_or(|bit| *one < bit))
    else {
        return update(Some(&node), changes);
    };
    let (to_left, to_right) = split(changes, differs);
    let (left, right) = if bit_of(at, differs) {
        (build(to_left), update(Some(&node), to_right))
    } else {
        (update(Some(&node), to_left), build(to_right))
    };
    combine(differs, *at, left, right)
}

/// A tree of the keys that these changes set. Removals at the ends are left out
/// first: they may differ from the rest before the rest differs among itself.
fn build(changes: &[Change]) -> Option<Arc<Node>> {
    let is_set = |change: &Change| change.value.is_some();
    let (begin, end) = (
        changes.iter().position(is_set)?,
        changes.iter().rposition(is_set)?,
    );
    let (first, last) = (&changes[begin], &changes[end]);
    let Some(bit) = difference(&first.at, &last.at) else {
        assert_eq!(begin, end, "keys with equal hashes are equal");
        let value = first.value.clone().expect("it is set");
        return Some(Node::leaf(first.at, first.key.clone(), value));
    };
    let (to_left, to_right) = split(&changes[begin..=end], bit);
    combine(bit, first.at, build(to_left), build(to_right))
}

/// An inner node, unless a side is empty.
fn combine(
    bit: u16,
    prefix: Digest,
    left: Option<Arc<Node>>,
    right: Option<Arc<Node>>,
) -> Option<Arc<Node>> {
    match (left, right) {
        (Some(left), Some(right)) => Some(Node::inner(bit, prefix, left, right)),
        (one, None) | (None, one) => one,
    }
}

/// Splits sorted changes that agree before a bit at that bit.
fn split(changes: &[Change], bit: u16) -> (&[Change], &[Change]) {
    let place = changes.partition_point(|change| !bit_of(&change.at, bit));
    changes.split_at(place)
}

/// The first bit in which any of these differs from a hash: they are sorted, so it
/// is one of the ends.
fn first_difference(at: &Digest, changes: &[Change]) -> Option<u16> {
    let ends = [changes.first(), changes.last()];
    let differences = ends.into_iter().flatten();
    differences
        .filter_map(|change| difference(at, &change.at))
        .min()
}

/// The first bit in which two hashes differ.
fn difference(one: &Digest, other: &Digest) -> Option<u16> {
    let place = one.0.iter().zip(&other.0).position(|(a, b)| a != b)?;
    let bits = (one.0[place] ^ other.0[place]).leading_zeros();
    let bits = usize::try_from(bits).expect("below 8");
    u16::try_from(place * 8 + bits).ok()
}

/// A bit of a hash, the highest of the first byte being bit 0.
pub(super) fn bit_of(hash: &Digest, bit: u16) -> bool {
    let byte = hash.0[usize::from(bit / 8)];
    byte >> (7 - bit % 8) & 1 == 1
}

/// Where a key stands.
pub(super) fn key_hash(key: &[u8]) -> Digest {
    sha256(key)
}

/// The root of the empty map.
pub fn empty_state_root() -> Digest {
    tagged("decube/state/empty/v1", &[])
}

pub(super) fn leaf_hash(key: &[u8], value: &[u8]) -> Digest {
    let mut writer = Writer::with_capacity(key.len().saturating_add(value.len()) + 9);
    writer.u8(0x10);
    writer.blob(key);
    writer.blob(value);
    sha256(writer.as_slice())
}

pub(super) fn inner_hash(bit: u16, left: &Digest, right: &Digest) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(&[0x11]);
    hasher.update(&bit.to_be_bytes());
    hasher.update(&left.0);
    hasher.update(&right.0);
    hasher.finish()
}
