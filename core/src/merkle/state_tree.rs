//! The state of a ledger: an authenticated map whose copies share what is equal.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use super::state_hash::{KeyHash, content_hash, empty_state_root, inner_hash, leaf_hash};
use super::state_proof::{StateEnd, StateProof, StateStep};
use crate::crypto::Digest;
use crate::limits::{STATE_KEY_BYTES_MAX, STATE_PATH_MAX, STATE_VALUE_BYTES_MAX};

/// A map from keys to values with a root hash over all of it, and proofs that a
/// key has a value or is absent.
///
/// It is a binary radix tree over the hashes of the keys ([`KeyHash`]) in which
/// every inner node has two children and names the first bit in which the hashes
/// below it differ (the crit-bit form of Morrison's PATRICIA tree, 1968). A set
/// of hashes has exactly one such tree, so equal content has an equal root, in
/// whatever order and in whatever batches it came to be.
///
/// A clone is `O(1)` and shares all nodes. A change replaces the nodes on the way
/// to it and leaves every clone as it was: a block is executed on a clone, which
/// is then kept or dropped.
///
/// **Adversary.** Chooses the keys. Their hashes are what places them, so to make
/// the path to a key `d` nodes long takes keys that share its first 1, 2, … `d`
/// bits, found by about `2^d` evaluations of SHA-256 (and all of them inserted).
/// A path is therefore not longer than the logarithm of the work, and can never
/// exceed 256 ([`STATE_PATH_MAX`]): recursion and proofs are bounded by that. Two
/// keys with one hash would be a collision of SHA-256, and stop the machine.
#[derive(Clone, Default)]
pub struct StateTree {
    root: Option<Arc<Node>>,
    len: usize,
}

/// By its root, which commits to every entry.
impl core::hash::Hash for StateTree {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        (self.root(), self.len).hash(state);
    }
}

/// An entry of a [`StateTree`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateEntry<'a> {
    /// The place of the key; what an iteration is resumed from.
    pub hash: KeyHash,
    pub key: &'a Bytes,
    pub value: &'a Bytes,
}

/// The entries of a [`StateTree`] in the order of [`StateEntry::hash`].
#[derive(Clone)]
pub struct StateIter<'a> {
    /// Subtrees still to visit, the next one last: at most one for each node of a
    /// path.
    stack: Vec<&'a Node>,
}

/// A subtree. Its hash is computed once, when it is made.
enum Node {
    Leaf(Leaf),
    Inner(Inner),
}

struct Leaf {
    hash: Digest,
    place: KeyHash,
    key: Bytes,
    value: Bytes,
}

struct Inner {
    hash: Digest,
    /// The first bit in which the places below differ: zero on the left.
    bit: u8,
    /// The bits before, which all places below share.
    prefix: KeyHash,
    left: Arc<Node>,
    right: Arc<Node>,
}

/// What is to become of one key: a value, or nothing.
struct Change {
    place: KeyHash,
    key: Bytes,
    value: Option<Bytes>,
}

impl StateTree {
    /// The map without entries.
    pub const fn new() -> Self {
        Self { root: None, len: 0 }
    }

    /// The hash over all entries. It says nothing of the order in which they came.
    pub fn root(&self) -> Digest {
        self.root
            .as_ref()
            .map_or_else(empty_state_root, |node| *node.hash())
    }

    /// The number of entries.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no entries.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Option<&Bytes> {
        let place = KeyHash::of(key);
        let mut node = self.root.as_deref()?;
        loop {
            match node {
                Node::Inner(inner) => node = inner.child(&place),
                Node::Leaf(leaf) if leaf.place == place => {
                    assert_eq!(leaf.key, key, "two keys with one hash");
                    return Some(&leaf.value);
                }
                Node::Leaf(_) => return None,
            }
        }
    }

    /// Gives a key a value, and a proof of it is possible from then on. The bounds
    /// are those of [`StateTree::apply`].
    pub fn insert(&mut self, key: Bytes, value: Bytes) {
        self.apply_sorted(&[Change::new(key, Some(value))]);
    }

    /// Takes a key away; without effect if it is absent.
    pub fn remove(&mut self, key: &[u8]) {
        self.apply_sorted(&[Change::new(Bytes::copy_from_slice(key), None)]);
    }

    /// Gives each key its value, or takes it away if that is `None`. However many
    /// keys change, every node is hashed at most once; a change that changes
    /// nothing hashes no node.
    ///
    /// That keys to insert have at most [`STATE_KEY_BYTES_MAX`] bytes and values
    /// at most [`STATE_VALUE_BYTES_MAX`] is the caller's to check before: larger
    /// ones could not be proven to anybody, and panic here.
    pub fn apply(&mut self, changes: BTreeMap<Bytes, Option<Bytes>>) {
        let changes = changes.into_iter();
        let mut changes: Vec<_> = changes
            .map(|(key, value)| Change::new(key, value))
            .collect();
        changes.sort_unstable_by_key(|change| change.place);
        self.apply_sorted(&changes);
    }

    /// The entries in the order of their keys' hashes.
    pub fn iter(&self) -> StateIter<'_> {
        StateIter {
            stack: self.root.as_deref().into_iter().collect(),
        }
    }

    /// The entries whose keys' hashes are greater than a place. Nothing has to
    /// stand there, so who copies a state page by page goes on from the last hash
    /// of a page, even in another version of the state.
    pub fn iter_after(&self, after: &KeyHash) -> StateIter<'_> {
        let mut stack = Vec::new();
        let mut next = self.root.as_deref();
        while let Some(node) = next.take() {
            match node {
                Node::Leaf(leaf) if leaf.place > *after => stack.push(node),
                Node::Leaf(_) => {}
                Node::Inner(inner) if inner.prefix != after.prefix(inner.bit) => {
                    if inner.prefix > *after {
                        stack.push(node);
                    }
                }
                Node::Inner(inner) if after.bit(inner.bit) => next = Some(&inner.right),
                Node::Inner(inner) => {
                    stack.push(&inner.right);
                    next = Some(&inner.left);
                }
            }
        }
        StateIter { stack }
    }

    /// Proves what the key has: its value, or that it is absent. The proof is as
    /// long as the path to the place of the key.
    pub fn prove(&self, key: &[u8]) -> StateProof {
        let place = KeyHash::of(key);
        let mut path = Vec::new();
        let Some(mut node) = self.root.as_deref() else {
            return StateProof {
                path,
                end: StateEnd::Empty,
            };
        };
        let end = loop {
            match node {
                Node::Inner(inner) => {
                    path.push(inner.step_beside(&place));
                    node = inner.child(&place);
                }
                Node::Leaf(leaf) if leaf.place == place => {
                    break StateEnd::Value(leaf.value.clone());
                }
                Node::Leaf(leaf) => {
                    let content = content_hash(&leaf.key, &leaf.value);
                    break StateEnd::Other {
                        place: leaf.place,
                        content,
                    };
                }
            }
        };
        assert!(path.len() <= STATE_PATH_MAX);
        // The walk went down; a path is read from the leaf up.
        path.reverse();
        StateProof { path, end }
    }

    /// Applies changes that are sorted by their places.
    fn apply_sorted(&mut self, changes: &[Change]) {
        assert!(
            changes.is_sorted_by(|one, two| one.place < two.place),
            "two keys with one hash"
        );
        let mut len = self.len;
        self.root = merged(self.root.as_ref(), changes, &mut len);
        self.len = len;
        assert_eq!(self.root.is_none(), self.len == 0);
    }
}

#[cfg(test)]
impl StateTree {
    /// Sets an entry at a place of the test's choice: paths of full depth, which
    /// no known key has.
    pub(super) fn set_at(&mut self, place: KeyHash, value: Option<Bytes>) {
        let key = Bytes::copy_from_slice(&place.0.0);
        self.apply_sorted(&[Change { place, key, value }]);
    }
}

impl Change {
    fn new(key: Bytes, value: Option<Bytes>) -> Self {
        if let Some(value) = &value {
            assert!(key.len() <= STATE_KEY_BYTES_MAX, "the caller bounds keys");
            assert!(
                value.len() <= STATE_VALUE_BYTES_MAX,
                "the caller bounds values"
            );
        }
        Self {
            place: KeyHash::of(&key),
            key,
            value,
        }
    }
}

impl Node {
    fn leaf(change: &Change, value: &Bytes) -> Arc<Self> {
        let content = content_hash(&change.key, value);
        Arc::new(Self::Leaf(Leaf {
            hash: leaf_hash(&change.place, &content),
            place: change.place,
            key: change.key.clone(),
            value: value.clone(),
        }))
    }

    fn inner(bit: u8, left: Arc<Self>, right: Arc<Self>) -> Arc<Self> {
        let prefix = left.place().prefix(bit);
        assert!(!left.place().bit(bit) && right.place().bit(bit));
        assert_eq!(prefix, right.place().prefix(bit));
        Arc::new(Self::Inner(Inner {
            hash: inner_hash(bit, left.hash(), right.hash()),
            bit,
            prefix,
            left,
            right,
        }))
    }

    const fn hash(&self) -> &Digest {
        match self {
            Self::Leaf(leaf) => &leaf.hash,
            Self::Inner(inner) => &inner.hash,
        }
    }

    /// The bits that all places below share; of an inner node only those before
    /// its own bit count.
    const fn place(&self) -> &KeyHash {
        match self {
            Self::Leaf(leaf) => &leaf.place,
            Self::Inner(inner) => &inner.prefix,
        }
    }

    /// The bit at which the node parts, if it does.
    const fn bit(&self) -> Option<u8> {
        match self {
            Self::Leaf(_) => None,
            Self::Inner(inner) => Some(inner.bit),
        }
    }
}

impl Inner {
    /// The child on whose side a place lies.
    fn child(&self, place: &KeyHash) -> &Node {
        if place.bit(self.bit) {
            &self.right
        } else {
            &self.left
        }
    }

    /// The step of a proof past this node: the child on the other side.
    fn step_beside(&self, place: &KeyHash) -> StateStep {
        let sibling = if place.bit(self.bit) {
            &self.left
        } else {
            &self.right
        };
        StateStep {
            bit: self.bit,
            sibling: *sibling.hash(),
        }
    }
}

/// A subtree after changes that are sorted, and that share with it and with each
/// other the bits which the recursion has passed. Each level of it passes at
/// least one bit, so it is at most [`STATE_PATH_MAX`] deep, and each node is made
/// only when both children are final.
fn merged(old: Option<&Arc<Node>>, changes: &[Change], len: &mut usize) -> Option<Arc<Node>> {
    let (Some(first), Some(last)) = (changes.first(), changes.last()) else {
        return old.cloned();
    };
    let node = old.map(Arc::as_ref);
    let Some(bit) = parting_bit(node, &first.place, &last.place) else {
        assert_eq!(changes.len(), 1, "two keys with one hash");
        return settled(old, first, len);
    };
    let (old_left, old_right) = match node {
        Some(Node::Inner(inner)) if inner.bit == bit => (Some(&inner.left), Some(&inner.right)),
        // The node lies on one side as a whole.
        Some(node) if node.place().bit(bit) => (None, old),
        _ => (old, None),
    };
    let middle = changes.partition_point(|change| !change.place.bit(bit));
    let left = merged(old_left, &changes[..middle], len);
    let right = merged(old_right, &changes[middle..], len);
    match (left, right) {
        (Some(left), Some(right)) => {
            let is_same = |new: &Arc<Node>, old: Option<&Arc<Node>>| {
                old.is_some_and(|old| Arc::ptr_eq(new, old))
            };
            if is_same(&left, old_left) && is_same(&right, old_right) {
                return old.cloned();
            }
            Some(Node::inner(bit, left, right))
        }
        // A node has two children or does not exist: this is what makes the shape
        // a matter of the content alone.
        (alone, None) | (None, alone) => alone,
    }
}

/// The first bit in which the subtree and the sorted changes do not all agree, or
/// `None` if they are about one place.
fn parting_bit(node: Option<&Node>, first: &KeyHash, last: &KeyHash) -> Option<u8> {
    let Some(node) = node else {
        return first.first_difference(last);
    };
    let place = node.place();
    // Bits of the prefix from the node's own on mean nothing: the minimum with
    // that bit hides them.
    let bits = [
        node.bit(),
        first.first_difference(place),
        last.first_difference(place),
    ];
    bits.into_iter().flatten().min()
}

/// What stands at the place of a change after it.
fn settled(old: Option<&Arc<Node>>, change: &Change, len: &mut usize) -> Option<Arc<Node>> {
    let Some(old) = old else {
        let value = change.value.as_ref()?;
        *len += 1;
        return Some(Node::leaf(change, value));
    };
    let Node::Leaf(leaf) = old.as_ref() else {
        unreachable!("an inner node parts at a bit");
    };
    assert_eq!(leaf.key, change.key, "two keys with one hash");
    match &change.value {
        None => {
            *len -= 1;
            None
        }
        Some(value) if *value == leaf.value => Some(Arc::clone(old)),
        Some(value) => Some(Node::leaf(change, value)),
    }
}

impl<'a> Iterator for StateIter<'a> {
    type Item = StateEntry<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.stack.pop()? {
                Node::Inner(inner) => {
                    self.stack.push(&inner.right);
                    self.stack.push(&inner.left);
                }
                Node::Leaf(leaf) => {
                    return Some(StateEntry {
                        hash: leaf.place,
                        key: &leaf.key,
                        value: &leaf.value,
                    });
                }
            }
        }
    }
}

impl<'a> IntoIterator for &'a StateTree {
    type Item = StateEntry<'a>;
    type IntoIter = StateIter<'a>;

    fn into_iter(self) -> StateIter<'a> {
        self.iter()
    }
}

impl PartialEq for StateTree {
    /// Equal roots are equal content.
    fn eq(&self, other: &Self) -> bool {
        self.root() == other.root()
    }
}

impl Eq for StateTree {}

impl fmt::Debug for StateTree {
    /// Size and root: a state has too many entries to print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateTree")
            .field("len", &self.len)
            .field("root", &self.root())
            .finish()
    }
}

impl fmt::Debug for StateIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateIter")
            .field("subtrees", &self.stack.len())
            .finish()
    }
}

const _: () = {
    const fn is_shared_between_threads<T: Send + Sync>() {}
    is_shared_between_threads::<StateTree>();
};
