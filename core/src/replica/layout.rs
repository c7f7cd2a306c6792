//! How the state is laid out as pairs of bytes.
//!
//! The *image* is the state as an ordered set of pairs; snapshots and digests are
//! made of it. The durable store holds the same pairs under a generation, so that
//! a whole new state can be written beside the old one and take its place in one
//! atomic batch. The first byte of an image key, its *space*, says whose pair it is.
//!
//! | image key | value |
//! |---|---|
//! | `00` (snapshots only) | [`Header`] |
//! | `40` ‖ session | nonce, ttl, expires at, answered up to |
//! | `41` ‖ session ‖ sequence | the outcome, whose first byte says of which module |
//! | `42` ‖ module | nothing: the module is on |
//! | any other | a module's, see [`Module::owns_space`] |
//!
//! | store key | value |
//! |---|---|
//! | `00` | [`Meta`]: the generation in force, the header, the digest |
//! | `01` ‖ generation ‖ image key | the image value |
//!
//! [`Module::owns_space`]: super::Module::owns_space

use alloc::vec::Vec;

use bytes::Bytes;

use super::command::{LogTime, SessionId};
use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::limits::{KV_KEY_BYTES_MAX, KV_VALUE_BYTES_MAX, STORE_KEY_BYTES_MAX};
use crate::types::{LogId, Revision, Span};

/// The image key of the header in a snapshot, and the store key of [`Meta`].
pub(crate) const HEADER_KEY: &[u8] = &[0x00];
/// The first byte of every store key of a generation.
const STORE_PAIRS: u8 = 0x01;
/// Every store key of the state is below this.
const STORE_END: u8 = 0x02;
/// Store prefix: the tag and the generation.
pub(super) const STORE_PREFIX_BYTES: usize = 1 + 8;

/// The space of sessions.
pub(super) const SESSION: u8 = 0x40;
/// The space of the answers that sessions keep.
pub(super) const ANSWER: u8 = 0x41;
/// The space of the switches of modules.
pub(super) const SWITCH: u8 = 0x42;

/// Bytes of an image key.
pub(super) const IMAGE_KEY_BYTES_MAX: usize = 1 + KV_KEY_BYTES_MAX;
/// Bytes of an image value: an answer may quote a key and its value.
pub(super) const IMAGE_VALUE_BYTES_MAX: usize = KV_VALUE_BYTES_MAX + KV_KEY_BYTES_MAX + 64;

const _: () = assert!(STORE_PREFIX_BYTES + IMAGE_KEY_BYTES_MAX <= STORE_KEY_BYTES_MAX);

/// Tells apart the states that a store holds side by side while one replaces the
/// other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Generation(pub u64);

impl Generation {
    /// The generation of a state that began empty.
    pub const FIRST: Self = Self(1);

    /// The following generation. Overflow is a broken invariant and panics.
    pub const fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("generation overflow"))
    }

    /// A store key with room for an image key of `bytes` bytes behind it.
    pub(super) fn prefix(self, bytes: usize) -> Writer {
        let mut writer = Writer::with_capacity(STORE_PREFIX_BYTES + bytes);
        writer.u8(STORE_PAIRS);
        writer.u64(self.0);
        writer
    }

    /// The first store key of this generation.
    pub(crate) fn first_key(self) -> Bytes {
        self.prefix(0).into_bytes()
    }

    /// The first store key after this generation.
    pub(super) fn end_key(self) -> Bytes {
        match self.0.checked_add(1) {
            Some(next) => Self(next).first_key(),
            None => store_end(),
        }
    }
}

/// The first store key that does not belong to the state.
pub(super) fn store_end() -> Bytes {
    Bytes::from_static(&[STORE_END])
}

/// Takes a store key apart into generation and image key.
pub(super) fn split_store_key(key: &Bytes) -> Option<(Generation, Bytes)> {
    let mut reader = Reader::new(key);
    if reader.u8().ok()? != STORE_PAIRS {
        return None;
    }
    let generation = reader.u64().ok()?;
    Some((Generation(generation), key.slice(STORE_PREFIX_BYTES..)))
}

/// What the state is besides its pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub(super) struct Header {
    /// The last entry applied.
    pub(super) applied: LogId,
    /// The log's time.
    pub(super) log_time: LogTime,
    /// The last entry that changed a user's key.
    pub(super) revision: Revision,
    /// How many pairs the image has.
    pub(super) pairs: u64,
    /// Bytes of all keys and values of the image.
    pub(super) bytes: u64,
}

/// The record that says which generation is the state, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(super) struct Meta {
    pub(super) generation: Generation,
    pub(super) header: Header,
    /// The digest of header and pairs.
    pub(super) digest: [u8; 32],
}

/// The stored form of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(super) struct SessionRecord {
    pub(super) nonce: u128,
    pub(super) ttl: Span,
    pub(super) expires_at: LogTime,
    pub(super) answered_upto: u64,
}

/// One pair of a session, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Session(SessionId, SessionRecord),
    Answer(SessionId, u64),
}

impl Record {
    /// Takes apart a pair of unknown origin in a space of sessions. `O` is what
    /// answers are.
    ///
    /// # Errors
    /// It is not what a session writes.
    pub(super) fn decode<O: Decode>(key: &Bytes, value: &Bytes) -> Result<Self, DecodeError> {
        let mut name = Reader::from_bytes(key);
        let mut content = Reader::from_bytes(value);
        let record = match name.u8()? {
            SESSION => Self::Session(name.get()?, content.get()?),
            ANSWER => {
                content.get::<O>()?;
                Self::Answer(name.get()?, name.u64()?)
            }
            tag => {
                return Err(DecodeError::UnknownTag {
                    what: "space of sessions",
                    tag,
                });
            }
        };
        name.finish()?;
        content.finish()?;
        Ok(record)
    }
}

/// The name of a session's pair.
pub(super) const fn session_name(session: SessionId) -> [u8; 8] {
    session.0.to_be_bytes()
}

/// The name of an answer's pair.
pub(super) fn answer_name(session: SessionId, sequence: u64) -> [u8; 16] {
    let joined = (u128::from(session.0) << 64) | u128::from(sequence);
    joined.to_be_bytes()
}

/// The key of a pair inside the image.
pub(crate) fn image_key(space: u8, name: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + name.len());
    key.push(space);
    key.extend_from_slice(name);
    key
}
