//! Where snapshots are kept: a running node, or a local directory.

mod http;
mod local;
mod record;

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use decube_core::snapshot::{SegmentId, SnapshotId};

pub use http::HttpRemote;
pub use local::LocalRemote;
pub use record::{Record, Registration};

/// A place that keeps segments and the records of snapshots.
///
/// The order is the contract: every segment is acknowledged as durable before the
/// record that refers to it is registered, so that an interrupted upload leaves
/// nothing half-visible.
pub trait Remote: Send + Sync + 'static {
    /// Whether a segment is present and durable, with this length.
    fn has_segment(
        &self,
        id: SegmentId,
        length: u64,
    ) -> impl Future<Output = Result<bool, RemoteError>> + Send;

    /// Stores a segment; returns when it is durable.
    fn put_segment(
        &self,
        id: SegmentId,
        bytes: Bytes,
    ) -> impl Future<Output = Result<(), RemoteError>> + Send;

    /// The bytes of a segment, at most `bytes_max`; unverified.
    fn get_segment(
        &self,
        id: SegmentId,
        bytes_max: u64,
    ) -> impl Future<Output = Result<Option<Bytes>, RemoteError>> + Send;

    /// Makes a snapshot visible. [`RemoteError::Conflict`] if the name is taken.
    fn register(&self, record: &Record) -> impl Future<Output = Result<(), RemoteError>> + Send;

    /// The record of a snapshot.
    fn lookup(
        &self,
        id: &SnapshotId,
    ) -> impl Future<Output = Result<Option<Record>, RemoteError>> + Send;

    /// All snapshots, by name.
    fn list(&self) -> impl Future<Output = Result<Vec<Record>, RemoteError>> + Send;

    /// Removes the record of a snapshot; whether there was one.
    fn unregister(&self, id: &SnapshotId)
    -> impl Future<Output = Result<bool, RemoteError>> + Send;
}

/// Why a remote failed.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// It could not be reached, or is overloaded. Another attempt may succeed.
    #[error("{0}")]
    Unavailable(String),
    /// The name of the snapshot is taken. Nothing changed.
    #[error("the name is taken")]
    Conflict,
    /// It refused; another attempt will fail too.
    #[error("{0}")]
    Refused(String),
}

/// Either kind of remote, chosen by the command line.
#[derive(Debug)]
pub enum AnyRemote {
    /// A running node.
    Http(HttpRemote),
    /// A local directory.
    Local(LocalRemote),
}

/// Calls the same method on whichever remote there is.
macro_rules! either {
    ($self:ident, $remote:ident => $call:expr) => {
        match $self {
            AnyRemote::Http($remote) => $call.await,
            AnyRemote::Local($remote) => $call.await,
        }
    };
}

impl Remote for AnyRemote {
    async fn has_segment(&self, id: SegmentId, length: u64) -> Result<bool, RemoteError> {
        either!(self, remote => remote.has_segment(id, length))
    }

    async fn put_segment(&self, id: SegmentId, bytes: Bytes) -> Result<(), RemoteError> {
        either!(self, remote => remote.put_segment(id, bytes))
    }

    async fn get_segment(
        &self,
        id: SegmentId,
        bytes_max: u64,
    ) -> Result<Option<Bytes>, RemoteError> {
        either!(self, remote => remote.get_segment(id, bytes_max))
    }

    async fn register(&self, record: &Record) -> Result<(), RemoteError> {
        either!(self, remote => remote.register(record))
    }

    async fn lookup(&self, id: &SnapshotId) -> Result<Option<Record>, RemoteError> {
        either!(self, remote => remote.lookup(id))
    }

    async fn list(&self) -> Result<Vec<Record>, RemoteError> {
        either!(self, remote => remote.list())
    }

    async fn unregister(&self, id: &SnapshotId) -> Result<bool, RemoteError> {
        either!(self, remote => remote.unregister(id))
    }
}

/// Attempts of one transfer before the command gives up.
const ATTEMPTS: u32 = 4;

/// Repeats a transfer while the remote is unavailable, with growing pauses.
pub(super) async fn with_retries<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, RemoteError>
where
    F: Future<Output = Result<T, RemoteError>>,
{
    let mut pause = std::time::Duration::from_millis(200);
    for _ in 1..ATTEMPTS {
        match attempt().await {
            Err(RemoteError::Unavailable(_)) => {}
            done => return done,
        }
        tokio::time::sleep(pause).await;
        pause *= 4;
    }
    attempt().await
}

/// Uploads a segment unless it is there already; whether bytes were sent.
pub(super) async fn ensure_segment<R: Remote>(
    remote: &Arc<R>,
    id: SegmentId,
    bytes: Bytes,
) -> Result<bool, RemoteError> {
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if with_retries(|| remote.has_segment(id, length)).await? {
        return Ok(false);
    }
    with_retries(|| remote.put_segment(id, bytes.clone())).await?;
    Ok(true)
}
