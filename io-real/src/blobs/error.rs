//! Why the blob store failed.

use std::io;
use std::path::PathBuf;

use decube_core::snapshot::SegmentId;

/// Why an operation of the blob store failed. Whatever the variant, a blob that
/// was reported present before is still there, or has been found damaged.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The bytes do not have the hash they were announced under. Nothing was kept.
    #[error("the bytes hash to {found}, not to {expected}")]
    Mismatch {
        /// The announced name.
        expected: SegmentId,
        /// The name of the bytes that came.
        found: SegmentId,
    },
    /// More bytes came than the caller allows. Nothing was kept.
    #[error("more than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// The file system has too little space, the reserve included. Nothing was kept.
    #[error("too little free space: {available_bytes} bytes, {needed_bytes} needed")]
    NoSpace {
        /// Bytes available to this process.
        available_bytes: u64,
        /// Bytes that the put and the reserve need.
        needed_bytes: u64,
    },
    /// The stored bytes no longer have their name; they were moved to quarantine.
    #[error("blob {id} is damaged and was quarantined")]
    Damaged {
        /// The blob.
        id: SegmentId,
    },
    /// A range does not lie within the blob.
    #[error("the range {start}..{end} does not lie within {length} bytes")]
    Range {
        /// The first byte wanted.
        start: u64,
        /// The first byte not wanted.
        end: u64,
        /// Bytes of the blob.
        length: u64,
    },
    /// Another process has the store open.
    #[error("the store {path} is open in another process")]
    InUse {
        /// The store.
        path: PathBuf,
    },
    /// The directory holds something else, or a newer format.
    #[error("{path} is not a blob store of a known format")]
    Format {
        /// The directory.
        path: PathBuf,
    },
    /// Reading the body failed. Nothing was kept.
    #[error("the body could not be read")]
    Body(#[source] io::Error),
    /// The file system failed. Nothing of a put was kept.
    #[error("{action} {path}")]
    Disk {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// An earlier failure left the store in an unknown state; it must be reopened.
    #[error("the store failed before and must be reopened")]
    Poisoned,
}

impl BlobError {
    /// Whether the file system refused for lack of space.
    pub fn is_no_space(&self) -> bool {
        match self {
            Self::NoSpace { .. } => true,
            Self::Disk { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ),
            _ => false,
        }
    }

    /// For `map_err`: names the action and the path.
    pub(super) fn disk(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Disk {
            action,
            path,
            source,
        }
    }
}
