//! Names of segments and snapshots.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::limits::SNAPSHOT_ID_BYTES_MAX;

/// The name of a segment: the SHA-256 of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub [u8; 32]);

/// Text is not the name of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 hash: 64 hexadecimal digits are needed")]
pub struct InvalidSegmentId;

/// The name that a user gave a snapshot: 1 to 128 ASCII letters, digits, `.`,
/// `_` and `-`, not starting with `.` or `-`. It is a part of URLs and of catalog
/// keys (where `:` separates) and may become a file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(String);

/// Text is not a snapshot's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a snapshot's name has 1 to {SNAPSHOT_ID_BYTES_MAX} letters, digits, '.', '_' or '-', \
     and does not start with '.' or '-'"
)]
pub struct InvalidSnapshotId;

impl SegmentId {
    /// The name of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl SnapshotId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SegmentId {
    /// 64 lowercase hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SegmentId {
    /// The first eight digits: enough for a log line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "SegmentId#{a:02x}{b:02x}{c:02x}{d:02x}")
    }
}

impl FromStr for SegmentId {
    type Err = InvalidSegmentId;

    /// Takes the bare digits and the forms `sha256:…` and `0x…`.
    fn from_str(text: &str) -> Result<Self, InvalidSegmentId> {
        let digits = text
            .strip_prefix("sha256:")
            .or_else(|| text.strip_prefix("0x"))
            .unwrap_or(text);
        let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
        if pairs.len() != 32 || !rest.is_empty() {
            return Err(InvalidSegmentId);
        }
        let mut bytes = [0; 32];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = (hex_value(*high)? << 4) | hex_value(*low)?;
        }
        Ok(Self(bytes))
    }
}

impl Encode for SegmentId {
    fn encode(&self, writer: &mut Writer) {
        writer.raw(&self.0);
    }
}

impl Decode for SegmentId {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.array().map(Self)
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SnapshotId {
    type Err = InvalidSnapshotId;

    fn from_str(text: &str) -> Result<Self, InvalidSnapshotId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let valid = !text.is_empty()
            && text.len() <= SNAPSHOT_ID_BYTES_MAX
            && !text.starts_with(['.', '-'])
            && text.bytes().all(allowed);
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidSnapshotId)
        }
    }
}

impl Encode for SnapshotId {
    fn encode(&self, writer: &mut Writer) {
        writer.blob(self.0.as_bytes());
    }
}

impl Decode for SnapshotId {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = reader.blob(SNAPSHOT_ID_BYTES_MAX)?;
        core::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or(DecodeError::Invalid {
                what: "snapshot id",
            })
    }
}

/// The value of one hexadecimal digit.
const fn hex_value(digit: u8) -> Result<u8, InvalidSegmentId> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(InvalidSegmentId),
    }
}
