//! Numbers and names of the ledger as types of their own.

use core::fmt;

use crate::codec::{Decode, Encode};
use crate::crypto::{Digest, HexError, PublicKey, hex, tagged};

/// Who signs transactions: the first 20 bytes of a tagged hash of the key that the
/// account began with. It stays when the key is changed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct AccountId(pub [u8; 20]);

/// One of the independent sequences of an account. Clients that share an account
/// and use a lane each never wait for one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct Lane(pub u16);

/// The place of an operation in its lane, from 0, without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct Sequence(pub u64);

/// What names one operation for ever: a hash over everything that its signer
/// signed, and not over the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct TxId(pub Digest);

/// Wall-clock time in milliseconds since 1970, as blocks carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct TimeMs(pub u64);

impl AccountId {
    /// The account that begins with this key.
    pub fn of(key: &PublicKey) -> Self {
        let digest = tagged("decube/account/v1", &[&key.to_compressed()]);
        let mut id = [0; 20];
        id.copy_from_slice(&digest.0[..20]);
        Self(id)
    }
}

impl Sequence {
    /// The sequence so many places later, if there is one.
    pub const fn plus(self, count: u64) -> Option<Self> {
        match self.0.checked_add(count) {
            Some(sequence) => Some(Self(sequence)),
            None => None,
        }
    }
}

impl fmt::Display for AccountId {
    /// 40 lowercase hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(f, &self.0)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountId#{self}")
    }
}

impl core::str::FromStr for AccountId {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        hex::decode_array(text).map(Self)
    }
}

impl fmt::Display for TxId {
    /// 64 lowercase hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(f, &self.0.0)
    }
}

impl core::str::FromStr for TxId {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        hex::decode_array(text).map(|bytes| Self(Digest(bytes)))
    }
}
