//! An ordered map of byte strings whose clones share their content.
//!
//! Two levels: a sorted vector of leaves, each a shared sorted vector of at most
//! [`LEAF_PAIRS_MAX`] pairs. A lookup is two binary searches. A clone copies the
//! upper level only (about `n / 64` reference counts), after which the first
//! write to a leaf copies that leaf: this is what makes freezing the state for a
//! snapshot cheap while the original goes on changing.
//!
//! The shape of the leaves depends on the history of the map; its content and
//! iteration order do not. Nothing that is hashed or sent may depend on the shape.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;

use bytes::Bytes;

/// Pairs in a leaf. Small enough that an insertion moves little memory, large
/// enough that the upper level stays small.
const LEAF_PAIRS_MAX: usize = 128;
/// A leaf with fewer pairs looks for a neighbour to join.
const LEAF_PAIRS_LOW: usize = 32;
/// Two neighbours are joined if they have no more pairs together, so that the
/// next insertion does not split them again.
const LEAF_PAIRS_JOINED_MAX: usize = 96;

/// An ordered map of byte strings whose clones share their content.
#[derive(Debug, Clone, Default)]
pub struct CowMap {
    leaves: Vec<Leaf>,
    len: usize,
}

/// A place in a [`CowMap`]; valid until the map changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    leaf: usize,
    slot: usize,
}

/// One shared run of pairs, never empty.
#[derive(Debug, Clone)]
struct Leaf {
    /// The key of the first pair, here so that a search touches no other leaf.
    first: Key,
    pairs: Arc<Vec<(Key, Bytes)>>,
}

/// A key with its first bytes in line: a search compares those and follows a
/// pointer only where they are equal, which is what makes it fast.
#[derive(Debug, Clone)]
struct Key {
    /// The first 16 bytes, padded with zeros. Orders as the bytes do, except that
    /// it takes a key for equal to the key padded with zeros.
    prefix: u128,
    bytes: Bytes,
}

impl CowMap {
    /// How many pairs there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// The stored key and value of a key.
    pub fn get_pair(&self, key: &[u8]) -> Option<(&Bytes, &Bytes)> {
        let leaf = self.leaves.get(self.leaf_of(key)?)?;
        let slot = leaf.search(key).ok()?;
        let (stored, value) = &leaf.pairs[slot];
        assert!(
            stored.bytes == key,
            "a search must find the key it looked for"
        );
        Some((&stored.bytes, value))
    }

    /// Sets a key and gives back the value it had.
    pub fn insert(&mut self, key: Bytes, value: Bytes) -> Option<Bytes> {
        let Some(index) = self.leaf_of(&key) else {
            self.leaves
                .push(Leaf::of(Vec::from([(Key::of(key), value)])));
            self.len = 1;
            return None;
        };
        let is_last = index + 1 == self.leaves.len();
        let leaf = &mut self.leaves[index];
        match leaf.search(&key) {
            Ok(slot) => {
                let pairs = Arc::make_mut(&mut leaf.pairs);
                Some(core::mem::replace(&mut pairs[slot].1, value))
            }
            Err(slot) if slot == LEAF_PAIRS_MAX && is_last => {
                // Ascending insertion, as when loading: full leaves, no split.
                self.leaves
                    .push(Leaf::of(Vec::from([(Key::of(key), value)])));
                self.len += 1;
                None
            }
            Err(slot) => {
                let key = Key::of(key);
                if slot == 0 {
                    leaf.first = key.clone();
                }
                Arc::make_mut(&mut leaf.pairs).insert(slot, (key, value));
                self.len += 1;
                self.split(index);
                None
            }
        }
    }

    /// Removes a key and gives back the value it had.
    pub fn remove(&mut self, key: &[u8]) -> Option<Bytes> {
        let index = self.leaf_of(key)?;
        let leaf = &mut self.leaves[index];
        let slot = leaf.search(key).ok()?;
        let (_, value) = Arc::make_mut(&mut leaf.pairs).remove(slot);
        self.len -= 1;
        match leaf.pairs.first() {
            None => {
                self.leaves.remove(index);
            }
            Some((first, _)) => {
                if slot == 0 {
                    leaf.first = first.clone();
                }
                self.join(index);
            }
        }
        Some(value)
    }

    /// All pairs with `from <= key`, in key order.
    pub fn range_from(&self, from: &[u8]) -> Pairs<'_> {
        let position = match self.leaf_of(from) {
            None => Position::default(),
            Some(leaf) => {
                let slot = self.leaves[leaf].search(from).unwrap_or_else(|slot| slot);
                Position { leaf, slot }
            }
        };
        self.iter_at(position)
    }

    /// All pairs in key order.
    pub fn iter(&self) -> Pairs<'_> {
        self.iter_at(Position::default())
    }

    /// All pairs from a position on, in key order.
    pub fn iter_at(&self, position: Position) -> Pairs<'_> {
        Pairs {
            map: self,
            position,
        }
    }

    /// The leaf whose range a key lies in; `None` if the map is empty.
    fn leaf_of(&self, key: &[u8]) -> Option<usize> {
        if self.leaves.is_empty() {
            return None;
        }
        let prefix = prefix_of(key);
        let after = self
            .leaves
            .partition_point(|leaf| leaf.first.compare(prefix, key) != Ordering::Greater);
        Some(after.saturating_sub(1))
    }

    /// Splits a leaf that has grown too large.
    fn split(&mut self, index: usize) {
        let leaf = &mut self.leaves[index];
        if leaf.pairs.len() <= LEAF_PAIRS_MAX {
            return;
        }
        let pairs = Arc::make_mut(&mut leaf.pairs);
        let upper = pairs.split_off(pairs.len() / 2);
        self.leaves.insert(index + 1, Leaf::of(upper));
    }

    /// Joins a leaf that has grown small with a neighbour, if both fit.
    fn join(&mut self, index: usize) {
        let pairs = |index: usize| self.leaves.get(index).map(|leaf| leaf.pairs.len());
        let own = pairs(index).expect("the caller has the leaf");
        if own >= LEAF_PAIRS_LOW {
            return;
        }
        let fits = |other: Option<usize>| other.is_some_and(|n| n + own <= LEAF_PAIRS_JOINED_MAX);
        let lower = if fits(pairs(index + 1)) {
            index
        } else if index > 0 && fits(pairs(index - 1)) {
            index - 1
        } else {
            return;
        };
        let upper = self.leaves.remove(lower + 1);
        let lower = Arc::make_mut(&mut self.leaves[lower].pairs);
        lower.extend(upper.pairs.iter().cloned());
    }
}

impl Leaf {
    fn of(pairs: Vec<(Key, Bytes)>) -> Self {
        let (first, _) = pairs.first().expect("a leaf is never empty");
        Self {
            first: first.clone(),
            pairs: Arc::new(pairs),
        }
    }

    fn search(&self, key: &[u8]) -> Result<usize, usize> {
        let prefix = prefix_of(key);
        self.pairs
            .binary_search_by(|(stored, _)| stored.compare(prefix, key))
    }
}

impl Key {
    fn of(bytes: Bytes) -> Self {
        Self {
            prefix: prefix_of(&bytes),
            bytes,
        }
    }

    fn compare(&self, prefix: u128, key: &[u8]) -> Ordering {
        let by_prefix = self.prefix.cmp(&prefix);
        by_prefix.then_with(|| self.bytes.as_ref().cmp(key))
    }
}

fn prefix_of(key: &[u8]) -> u128 {
    let mut prefix = [0; 16];
    let length = key.len().min(prefix.len());
    prefix[..length].copy_from_slice(&key[..length]);
    u128::from_be_bytes(prefix)
}

/// The pairs of a [`CowMap`] from a position on.
#[derive(Debug, Clone)]
pub struct Pairs<'a> {
    map: &'a CowMap,
    position: Position,
}

impl Pairs<'_> {
    /// Where the next pair is.
    pub const fn position(&self) -> Position {
        self.position
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a Bytes, &'a Bytes);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let leaf = self.map.leaves.get(self.position.leaf)?;
            if let Some((key, value)) = leaf.pairs.get(self.position.slot) {
                self.position.slot += 1;
                return Some((&key.bytes, value));
            }
            self.position.leaf += 1;
            self.position.slot = 0;
        }
    }
}
