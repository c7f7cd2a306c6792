//! Why a snapshot command failed, and the exit code that tells scripts.

use std::io;
use std::path::PathBuf;

use decube_core::snapshot::{BadTree, Omission, SegmentId, SnapshotId};

use super::remote::RemoteError;
use crate::cli::exit;

/// Why a snapshot command failed. None of the variants leaves a snapshot
/// half-visible: what was uploaded is reused by the next attempt.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The command makes no sense as it was given. Nothing was done.
    #[error("{0}")]
    Usage(String),
    /// The name is taken. Nothing was done.
    #[error("snapshot {0} exists already; choose another name or delete it first")]
    Exists(SnapshotId),
    /// There is no such snapshot. Nothing was done.
    #[error("there is no snapshot {0}")]
    NotFound(SnapshotId),
    /// Files could not be stored faithfully. Nothing was registered.
    #[error("{} could not be stored; nothing was registered", paths(.0.len()))]
    Incomplete(Vec<Omission>),
    /// What is stored is not what was stored once. A restore has written nothing
    /// from the damaged parts.
    #[error("snapshot {id} is damaged")]
    Damaged {
        /// The snapshot.
        id: SnapshotId,
        /// Each damage found.
        findings: Vec<String>,
    },
    /// The node or the local store failed.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The local file system failed.
    #[error("{action} {}", path.display())]
    Disk {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The user stopped the command.
    #[error("interrupted")]
    Interrupted,
}

/// Why stored bytes cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// A segment is missing, or its bytes are not what its name says.
    #[error("segment {index} ({id}): {reason}")]
    Segment {
        /// Its place in the manifest.
        index: usize,
        /// Its name.
        id: SegmentId,
        /// What is wrong.
        reason: String,
    },
    /// The tree is not one that this program writes.
    #[error("the tree: {0}")]
    Tree(String),
    /// The node or the local store failed.
    #[error(transparent)]
    Remote(#[from] RemoteError),
}

impl SnapshotError {
    /// The exit code of the command.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => exit::USAGE,
            Self::NotFound(_) => exit::NOT_FOUND,
            Self::Exists(_) | Self::Remote(RemoteError::Conflict) => exit::CONFLICT,
            Self::Remote(RemoteError::Unavailable(_)) => exit::UNAVAILABLE,
            Self::Damaged { .. } => exit::INTEGRITY,
            Self::Incomplete(_) => exit::INCOMPLETE,
            Self::Interrupted => exit::INTERRUPTED,
            Self::Remote(RemoteError::Refused(_)) | Self::Disk { .. } => exit::FAILED,
        }
    }

    /// For `map_err`: names the action and the path.
    pub(super) fn disk<E: Into<io::Error>>(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(E) -> Self {
        let path = path.into();
        move |source| Self::Disk {
            action,
            path,
            source: source.into(),
        }
    }

    /// What a failed fetch means for a snapshot.
    pub(super) fn fetch(id: &SnapshotId, error: FetchError) -> Self {
        match error {
            FetchError::Remote(error) => Self::Remote(error),
            FetchError::Segment { .. } | FetchError::Tree(_) => Self::Damaged {
                id: id.clone(),
                findings: vec![error.to_string()],
            },
        }
    }
}

impl From<BadTree> for FetchError {
    fn from(error: BadTree) -> Self {
        Self::Tree(error.to_string())
    }
}

/// A count of paths in words.
fn paths(count: usize) -> String {
    match count {
        1 => "1 path".to_owned(),
        count => format!("{count} paths"),
    }
}
