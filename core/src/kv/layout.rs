//! How keys, leases and locks are laid out as pairs of bytes.
//!
//! | image key | value |
//! |---|---|
//! | `10` ‖ user key | created, modified, lease or 0 (`u64` each) ‖ user value |
//! | `20` ‖ lease | ttl, expires at |
//! | `30` ‖ lock name | token, lease |

use bytes::Bytes;

use super::command::{FencingToken, LeaseId};
use super::query::Pair;
use crate::codec::{DecodeError, Reader, Writer};
use crate::limits::{KV_KEY_BYTES_MAX, KV_VALUE_BYTES_MAX};
use crate::replica::LogTime;
use crate::types::{Revision, Span};

/// The space of users' keys.
pub(super) const DATA: u8 = 0x10;
/// The space of leases.
pub(super) const LEASE: u8 = 0x20;
/// The space of locks.
pub(super) const LOCK: u8 = 0x30;

/// Bytes in front of a user's value.
pub(super) const DATA_PREFIX_BYTES: usize = 24;

/// One pair of the image, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Data(Pair),
    Lease(LeaseId, Span, LogTime),
    Lock(Bytes, FencingToken, LeaseId),
}

impl Record {
    /// Takes apart a pair of unknown origin.
    pub(super) fn decode(key: &Bytes, value: &Bytes) -> Result<Self, DecodeError> {
        let mut name = Reader::from_bytes(key);
        let mut content = Reader::from_bytes(value);
        let record = match name.u8()? {
            DATA => {
                check_name(key.len() - 1)?;
                check_length(value.len(), DATA_PREFIX_BYTES + KV_VALUE_BYTES_MAX, "value")?;
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
        length => check_length(length, KV_KEY_BYTES_MAX, "key"),
    }
}

fn check_length(length: usize, limit: usize, field: &'static str) -> Result<(), DecodeError> {
    if length > limit {
        let what = "pair of the state";
        return Err(DecodeError::TooLong {
            what,
            field,
            length,
            limit,
        });
    }
    Ok(())
}
