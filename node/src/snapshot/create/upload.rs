//! Hashes and uploads segments while the walk goes on.

use std::collections::BTreeMap;
use std::sync::Arc;

use decube_core::limits::SNAPSHOT_SEGMENTS_MAX;
use decube_core::snapshot::{SegmentId, SegmentKind, SegmentRef};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::super::error::SnapshotError;
use super::super::progress::Progress;
use super::super::remote::{Remote, RemoteError, ensure_segment};
use super::packer::Sealed;

/// Takes segments until the walk ends, a few at once, and returns all of them in
/// the order of the manifest. Returns early on the first error, which makes the
/// walk stop at its next segment.
pub(super) async fn upload_all<R: Remote>(
    remote: &Arc<R>,
    mut sealed: mpsc::Receiver<Sealed>,
    uploads_max: usize,
    progress: &Arc<Progress>,
) -> Result<Vec<SegmentRef>, SnapshotError> {
    assert!(uploads_max > 0);
    let mut uploads: JoinSet<Result<_, RemoteError>> = JoinSet::new();
    let mut done = BTreeMap::new();
    loop {
        let open = uploads.len();
        tokio::select! {
            biased;
            Some(finished) = uploads.join_next() => {
                let (place, segment) = finished.expect("uploads neither panic nor are aborted")?;
                done.insert(place, segment);
            }
            next = sealed.recv(), if open < uploads_max => match next {
                Some(next) => {
                    let (remote, progress) = (remote.clone(), progress.clone());
                    uploads.spawn(upload(remote, next, progress));
                }
                None if open == 0 => break,
                None => {
                    while let Some(finished) = uploads.join_next().await {
                        let finished = finished.expect("uploads neither panic nor are aborted");
                        let (place, segment) = finished?;
                        done.insert(place, segment);
                    }
                    break;
                }
            },
        }
    }
    if done.len() > SNAPSHOT_SEGMENTS_MAX {
        let text = "the snapshot is too large; make several of parts of the tree";
        return Err(SnapshotError::Usage(text.to_owned()));
    }
    Ok(done.into_values().collect())
}

async fn upload<R: Remote>(
    remote: Arc<R>,
    sealed: Sealed,
    progress: Arc<Progress>,
) -> Result<((SegmentKind, usize), SegmentRef), RemoteError> {
    let Sealed { kind, index, bytes } = sealed;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let hashed = tokio::task::spawn_blocking(move || (SegmentId::of(&bytes), bytes));
    let (id, bytes) = hashed.await.expect("hashing neither panics nor is aborted");
    let sent = ensure_segment(&remote, id, bytes).await?;
    progress.add_segment(length, sent);
    Ok(((kind, index), SegmentRef { id, length, kind }))
}
