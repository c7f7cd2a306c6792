//! The hash functions of the state tree, and the bits of a key's hash.
//!
//! ```text
//! hash of a key   SHA-256(0x13 ‖ key)
//! content         SHA-256(0x12 ‖ u64 bytes of the key ‖ key ‖ value)
//! leaf            SHA-256(0x10 ‖ hash of the key ‖ content)
//! inner node      SHA-256(0x11 ‖ bit ‖ left ‖ right)
//! empty tree      SHA-256(0x14)
//! ```
//!
//! The first byte keeps the five apart from each other and from the leaves and
//! nodes of RFC 6962 (`0x00`, `0x01`), and all but the content and the hash of a
//! key have a fixed length. A leaf holds key and value behind one more hash, so
//! that a proof of absence shows of a stranger's entry 64 bytes instead of a key
//! and a value of any size.

use core::fmt;

use crate::codec::{Decode, Encode};
use crate::crypto::{Digest, Hasher};

const LEAF: u8 = 0x10;
const INNER: u8 = 0x11;
const CONTENT: u8 = 0x12;
const KEY: u8 = 0x13;
const EMPTY: u8 = 0x14;

/// The hash of a key: where the key stands in a state tree. The order of these
/// hashes is the order of the tree.
///
/// Any 32 bytes are a place, also one where nothing stands, so a place from
/// outside is good enough to go on from. That a *key* stands there is known only
/// of the hash from [`KeyHash::of`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct KeyHash(pub Digest);

impl KeyHash {
    /// The place of a key.
    pub fn of(key: &[u8]) -> Self {
        Self(hash(KEY, &[key]))
    }

    /// One bit, counted from the most significant one of the first byte, so that
    /// left before right is ascending order.
    pub(super) const fn bit(&self, bit: u8) -> bool {
        let byte = self.0.0[(bit >> 3) as usize];
        byte >> (7 - (bit & 7)) & 1 == 1
    }

    /// The first bit in which two hashes differ, or `None` if they are equal.
    pub(super) fn first_difference(&self, other: &Self) -> Option<u8> {
        let bytes = self.0.0.iter().zip(&other.0.0);
        let (byte, difference) = (0u8..)
            .zip(bytes.map(|(one, two)| one ^ two))
            .find(|(_, difference)| *difference != 0)?;
        let bit = u8::try_from(difference.leading_zeros()).expect("a byte has eight bits");
        Some(byte * 8 + bit)
    }

    /// The hash with only its first `count` bits; the others are zero.
    pub(super) fn prefix(&self, count: u8) -> Self {
        let (whole, rest) = (usize::from(count / 8), count % 8);
        let mut bytes = [0; Digest::BYTES];
        bytes[..whole].copy_from_slice(&self.0.0[..whole]);
        // A whole number of bytes below 32, so there is one more.
        bytes[whole] = self.0.0[whole] & !(0xff >> rest);
        Self(Digest(bytes))
    }
}

/// What a leaf says about key and value.
pub(super) fn content_hash(key: &[u8], value: &[u8]) -> Digest {
    let length = u64::try_from(key.len()).expect("a length fits 64 bits");
    hash(CONTENT, &[&length.to_be_bytes(), key, value])
}

/// The hash of a leaf.
pub(super) fn leaf_hash(key: &KeyHash, content: &Digest) -> Digest {
    hash(LEAF, &[&key.0.0, &content.0])
}

/// The hash of an inner node, whose children part at `bit`. The bit is hashed:
/// without it one hash could be read as a node of any place, and a key that is
/// present be walked past.
pub(super) fn inner_hash(bit: u8, left: &Digest, right: &Digest) -> Digest {
    hash(INNER, &[&[bit], &left.0, &right.0])
}

/// The root of the tree without entries.
pub(super) fn empty_state_root() -> Digest {
    hash(EMPTY, &[])
}

/// SHA-256 of the parts behind a domain byte.
fn hash(domain: u8, parts: &[&[u8]]) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(&[domain]);
    for part in parts {
        hasher.update(part);
    }
    hasher.finish()
}

impl fmt::Debug for KeyHash {
    /// The first eight digits: enough for a log line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
