//! How the state is laid out as pairs of bytes.
//!
//! The *image* is the state as an ordered set of pairs; snapshots and digests are
//! made of it. The durable store holds the same pairs under a generation, so that
//! a whole new state can be written beside the old one and take its place in one
//! atomic batch.
//!
//! | image key | value |
//! |---|---|
//! | `00` (snapshots only) | [`Header`] |
//! | `10` ‖ user key | created, modified, lease or 0 (`u64` each) ‖ user value |
//! | `20` ‖ lease | ttl, expires at |
//! | `30` ‖ lock name | token, lease |
//! | `40` ‖ session | nonce, ttl, expires at, answered up to |
//! | `41` ‖ session ‖ sequence | the [`Outcome`] |
//!
//! | store key | value |
//! |---|---|
//! | `00` | [`Meta`]: the generation in force, the header, the digest |
//! | `01` ‖ generation ‖ image key | the image value |

use bytes::Bytes;

use super::command::{FencingToken, LeaseId, LogTime, Outcome, SessionId};
use super::query::Pair;
use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::limits::{KV_KEY_BYTES_MAX, KV_VALUE_BYTES_MAX, STORE_KEY_BYTES_MAX};
use crate::types::{LogId, Revision, Span};

/// The image key of the header in a snapshot, and the store key of [`Meta`].
pub(super) const HEADER_KEY: &[u8] = &[0x00];
/// The first byte of every store key of a generation.
const STORE_PAIRS: u8 = 0x01;
/// Every store key of this module is below this.
const STORE_END: u8 = 0x02;
/// Store prefix: the tag and the generation.
pub(super) const STORE_PREFIX_BYTES: usize = 1 + 8;

pub(super) const DATA: u8 = 0x10;
pub(super) const LEASE: u8 = 0x20;
pub(super) const LOCK: u8 = 0x30;
pub(super) const SESSION: u8 = 0x40;
pub(super) const ANSWER: u8 = 0x41;

/// Bytes in front of a user's value.
pub(super) const DATA_PREFIX_BYTES: usize = 24;
/// Bytes of an image key.
pub(super) const IMAGE_KEY_BYTES_MAX: usize = 1 + KV_KEY_BYTES_MAX;
/// Bytes of an image value: an answer may quote a key and its value.
pub(super) const IMAGE_VALUE_BYTES_MAX: usize = KV_VALUE_BYTES_MAX + KV_KEY_BYTES_MAX + 64;

const _: () = assert!(STORE_PREFIX_BYTES + IMAGE_KEY_BYTES_MAX <= STORE_KEY_BYTES_MAX);

/// Tells apart the states that a store holds side by side while one replaces the
/// other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    pub(super) fn first_key(self) -> Bytes {
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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

impl Encode for Header {
    fn encode(&self, writer: &mut Writer) {
        writer.put(&self.applied);
        writer.put(&self.log_time);
        writer.put(&self.revision);
        writer.u64(self.pairs);
        writer.u64(self.bytes);
    }
}

impl Decode for Header {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            applied: reader.get()?,
            log_time: reader.get()?,
            revision: reader.get()?,
            pairs: reader.u64()?,
            bytes: reader.u64()?,
        })
    }
}

/// The record that says which generation is the state, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) generation: Generation,
    pub(super) header: Header,
    /// The digest of header and pairs.
    pub(super) digest: [u8; 32],
}

impl Encode for Meta {
    fn encode(&self, writer: &mut Writer) {
        writer.u64(self.generation.0);
        writer.put(&self.header);
        writer.raw(&self.digest);
    }
}

impl Decode for Meta {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            generation: Generation(reader.u64()?),
            header: reader.get()?,
            digest: reader.array()?,
        })
    }
}

/// The stored form of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SessionRecord {
    pub(super) nonce: u128,
    pub(super) ttl: Span,
    pub(super) expires_at: LogTime,
    pub(super) answered_upto: u64,
}

impl Encode for SessionRecord {
    fn encode(&self, writer: &mut Writer) {
        writer.u128(self.nonce);
        writer.put(&self.ttl);
        writer.put(&self.expires_at);
        writer.u64(self.answered_upto);
    }
}

/// One pair of the image, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Data(Pair),
    Lease(LeaseId, Span, LogTime),
    Lock(Bytes, FencingToken, LeaseId),
    Session(SessionId, SessionRecord),
    Answer(SessionId, u64),
}

impl Record {
    /// Takes apart a pair of unknown origin.
    pub(super) fn decode(key: &Bytes, value: &Bytes) -> Result<Self, DecodeError> {
        let mut name = Reader::from_bytes(key);
        let mut content = Reader::from_bytes(value);
        let record = match name.u8()? {
            DATA => {
                check_name(key.len() - 1)?;
                check_length(value.len(), DATA_PREFIX_BYTES + KV_VALUE_BYTES_MAX)?;
                content.raw(DATA_PREFIX_BYTES)?;
                return Ok(Self::Data(data_pair(key, value)));
            }
            LOCK => {
                check_name(key.len() - 1)?;
                let lock = Self::Lock(key.slice(1..), content.get()?, content.get()?);
                content.finish()?;
                return Ok(lock);
            }
            LEASE => Self::Lease(name.get()?, content.get()?, content.get()?),
            SESSION => Self::Session(
                name.get()?,
                SessionRecord {
                    nonce: content.u128()?,
                    ttl: content.get()?,
                    expires_at: content.get()?,
                    answered_upto: content.u64()?,
                },
            ),
            ANSWER => {
                content.get::<Outcome>()?;
                Self::Answer(name.get()?, name.u64()?)
            }
            tag => {
                return Err(DecodeError::UnknownTag {
                    what: "key space",
                    tag,
                });
            }
        };
        name.finish()?;
        content.finish()?;
        Ok(record)
    }
}

/// The pair under an image key of the data space; the value has its prefix.
pub(super) fn data_pair(key: &Bytes, value: &Bytes) -> Pair {
    assert!(
        key.first() == Some(&DATA),
        "only the data space holds pairs"
    );
    let [created, modified, lease] = data_prefix(value);
    Pair {
        key: key.slice(1..),
        value: value.slice(DATA_PREFIX_BYTES..),
        created: Revision(created),
        modified: Revision(modified),
        lease: (lease != 0).then_some(LeaseId(lease)),
    }
}

/// From a value of the data space: when its key was made, and its lease.
pub(super) fn data_origin(value: &Bytes) -> (Revision, Option<LeaseId>) {
    let [created, _, lease] = data_prefix(value);
    (Revision(created), (lease != 0).then_some(LeaseId(lease)))
}

fn data_prefix(value: &Bytes) -> [u64; 3] {
    let mut prefix = Reader::new(value);
    [(); 3].map(|()| prefix.u64().expect("every data value has its prefix"))
}

/// The value of the data space.
pub(super) fn data_value(
    created: Revision,
    modified: Revision,
    lease: Option<LeaseId>,
    value: &[u8],
) -> Bytes {
    assert!(lease != Some(LeaseId(0)), "zero stands for no lease");
    let mut writer = Writer::with_capacity(DATA_PREFIX_BYTES + value.len());
    writer.put(&created);
    writer.put(&modified);
    writer.u64(lease.map_or(0, |lease| lease.0));
    writer.raw(value);
    writer.into_bytes()
}

/// The value of the lease space.
pub(super) fn lease_value(ttl: Span, expires_at: LogTime) -> Bytes {
    let mut writer = Writer::with_capacity(16);
    writer.put(&ttl);
    writer.put(&expires_at);
    writer.into_bytes()
}

/// The value of the lock space.
pub(super) fn lock_value(token: FencingToken, lease: LeaseId) -> Bytes {
    let mut writer = Writer::with_capacity(16);
    writer.put(&token);
    writer.put(&lease);
    writer.into_bytes()
}

/// Token and holder from a value of the lock space.
pub(super) fn lock_parts(value: &Bytes) -> (FencingToken, LeaseId) {
    let mut reader = Reader::new(value);
    let token = reader.get().expect("every lock value has a token");
    let lease = reader.get().expect("every lock value has a holder");
    (token, lease)
}

fn check_name(length: usize) -> Result<(), DecodeError> {
    match length {
        0 => Err(DecodeError::Invalid { what: "empty name" }),
        length => check_length(length, KV_KEY_BYTES_MAX),
    }
}

fn check_length(length: usize, limit: usize) -> Result<(), DecodeError> {
    if length > limit {
        return Err(DecodeError::TooLong { length, limit });
    }
    Ok(())
}
