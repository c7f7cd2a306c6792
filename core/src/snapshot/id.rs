//! Names of segments and snapshots.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use crate::codec::{Decode, Encode};
use crate::crypto::{Digest, sha256};
use crate::limits::SNAPSHOT_ID_BYTES_MAX;

/// The name of a segment: the SHA-256 of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct SegmentId(pub [u8; 32]);

/// Text is not the name of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 hash: 64 hexadecimal digits are needed")]
pub struct InvalidSegmentId;

/// The name that a user gave a snapshot: 1 to 128 ASCII letters, digits, `.`,
/// `_` and `-`, not starting with `.` or `-`. It is a part of URLs and of catalog
/// keys (where `:` separates) and may become a file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[codec(check = SnapshotId::check)]
pub struct SnapshotId(#[codec(max = SNAPSHOT_ID_BYTES_MAX)] String);

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
        Self(sha256(bytes).0)
    }
}

impl SnapshotId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn check(&self) -> Result<(), &'static str> {
        let Self(text) = self;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let valid = !text.is_empty()
            && text.len() <= SNAPSHOT_ID_BYTES_MAX
            && !text.starts_with(['.', '-'])
            && text.bytes().all(allowed);
        if valid { Ok(()) } else { Err("snapshot id") }
    }
}

impl fmt::Display for SegmentId {
    /// 64 lowercase hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Digest(self.0), f)
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
        let digest: Result<Digest, _> = text.parse();
        digest
            .map(|Digest(bytes)| Self(bytes))
            .map_err(|_| InvalidSegmentId)
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
        let id = Self(text.to_owned());
        match id.check() {
            Ok(()) => Ok(id),
            Err(_) => Err(InvalidSnapshotId),
        }
    }
}
