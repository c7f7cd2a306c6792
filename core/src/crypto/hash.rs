//! SHA-256 (FIPS 180-4), and the digest as a type of its own.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use sha2::Digest as _;

use super::hex::{self, HexError};
use crate::codec::{Decode, Encode};

/// A SHA-256 digest.
///
/// As text it prints as bare lowercase hexadecimal; [`Digest::to_0x`] gives the
/// `0x` form that transaction and block hashes have on the public surface.
/// Parsing takes the bare form, `0x…` and `sha256:…`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct Digest(pub [u8; 32]);

/// SHA-256 of one byte string.
pub fn sha256(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(bytes);
    hasher.finish()
}

/// SHA-256 of parts under a domain, injective in `(domain, parts)`: the domain,
/// the number of parts and every part carry a `u32` length, so no two different
/// lists hash the same bytes (`["tx1", "transfer"]` is not `["tx1t", "ransfer"]`).
pub fn tagged(domain: &str, parts: &[&[u8]]) -> Digest {
    let mut hasher = Hasher::new();
    hasher.length(domain.len());
    hasher.update(domain.as_bytes());
    hasher.length(parts.len());
    for part in parts {
        hasher.length(part.len());
        hasher.update(part);
    }
    hasher.finish()
}

/// SHA-256 over bytes that arrive in pieces. The pieces leave no trace: only
/// their concatenation counts.
#[derive(Clone, Default)]
pub struct Hasher {
    state: sha2::Sha256,
}

impl Hasher {
    /// A hasher that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
    }

    /// The digest of everything added.
    pub fn finish(self) -> Digest {
        Digest(self.state.finalize().into())
    }

    /// Adds a big-endian `u32` length. Longer than that is a broken invariant:
    /// every caller bounds what it hashes far below.
    fn length(&mut self, length: usize) {
        let length = u32::try_from(length).expect("hashed part longer than u32::MAX");
        self.update(&length.to_be_bytes());
    }
}

impl Digest {
    /// Bytes of a digest.
    pub const BYTES: usize = 32;
    /// All zero bits: the value before the first, never the digest of known data.
    pub const ZERO: Self = Self([0; 32]);

    /// The digest as bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The `0x` form of transaction and block hashes.
    pub fn to_0x(&self) -> String {
        let mut text = String::from("0x");
        text.push_str(&hex::encode(&self.0));
        text
    }

    /// The first 16 bytes as a big-endian number: how ids are derived.
    pub fn first_u128(&self) -> u128 {
        let mut head = [0; 16];
        head.copy_from_slice(&self.0[..16]);
        u128::from_be_bytes(head)
    }
}

impl FromStr for Digest {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        let digits = text
            .strip_prefix("0x")
            .or_else(|| text.strip_prefix("sha256:"))
            .unwrap_or(text);
        hex::decode_array(digits).map(Self)
    }
}

impl fmt::Display for Digest {
    /// 64 lowercase hexadecimal digits, without a prefix.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(f, &self.0)
    }
}

impl fmt::Debug for Digest {
    /// The first eight digits: enough for a log line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest#")?;
        hex::write(f, &self.0[..4])
    }
}

impl fmt::Debug for Hasher {
    /// The inner state of a hash may be derived from secrets, so it is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").finish_non_exhaustive()
    }
}
