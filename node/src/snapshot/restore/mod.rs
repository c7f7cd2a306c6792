//! Writing a snapshot back to a file system.
//!
//! Each root becomes `TARGET/` and its path; directories above it that the
//! snapshot does not hold are made with ordinary permissions. A target that does
//! not exist is built beside its place and renamed when it is complete, so it
//! appears whole or not at all. An existing one must be empty, unless `force` is
//! given: then files of the snapshot replace files of the same path (each by one
//! rename) and everything else stays.
//!
//! **Safety.** Bytes are written only from segments whose hash was checked. All
//! names are single components, opened relative to directories that were made or
//! opened without following links, so no snapshot can write outside of the
//! target. Nothing in a target should be changed by others meanwhile.
//!
//! **Order.** Content first; then owner, extended attributes, permissions and
//! times, in this order, because each of these calls may undo a later one. A
//! directory gets its own after its content. One sync of the file system at the
//! end puts everything on the disk before success is reported.
//!
//! Owners are restored only by root; what could not be set is noted.

mod attributes;
mod place;
mod target;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use decube_core::snapshot::{Manifest, SnapshotId};
use rustix::fs::syncfs;
use tokio::runtime::Handle;

use self::place::Placer;
use self::target::Target;
use super::error::SnapshotError;
use super::fetch::{Fetcher, TreeReader, open};
use super::on_thread;
use super::progress::Progress;
use super::remote::Remote;

/// What to restore, and where.
#[derive(Debug, Clone)]
pub struct RestoreRequest {
    /// The snapshot.
    pub id: SnapshotId,
    /// The directory to restore into.
    pub target: PathBuf,
    /// Write into a target that is not empty.
    pub force: bool,
}

/// A restore that was completed.
#[derive(Debug, Clone)]
pub struct Restored {
    /// The snapshot's manifest.
    pub manifest: Arc<Manifest>,
    /// What could not be restored as it was, for people: owners, devices,
    /// attributes. Contents and names are always complete.
    pub notes: Vec<String>,
}

/// Restores a snapshot. Setting `cancelled` stops it.
pub async fn restore<R: Remote>(
    remote: &Arc<R>,
    request: RestoreRequest,
    progress: &Arc<Progress>,
    cancelled: &Arc<AtomicBool>,
) -> Result<Restored, SnapshotError> {
    let manifest = open(remote, &request.id).await?;
    progress.phase("restoring");
    progress.total(manifest.totals.data_bytes);
    let fetcher = Fetcher::new(Handle::current(), remote.clone(), manifest.clone());
    let (restored, progress, cancelled) = (manifest.clone(), progress.clone(), cancelled.clone());
    let notes = on_thread("snapshot-restore", move || {
        restore_blocking(fetcher, &restored, &request, &progress, &cancelled)
    })
    .await?;
    Ok(Restored { manifest, notes })
}

fn restore_blocking<R: Remote>(
    fetcher: Fetcher<R>,
    manifest: &Manifest,
    request: &RestoreRequest,
    progress: &Progress,
    cancelled: &AtomicBool,
) -> Result<Vec<String>, SnapshotError> {
    let target = Target::prepare(&request.target, request.force)?;
    let tree = TreeReader::new(fetcher);
    let mut placer = Placer::new(tree, manifest, &target, progress, cancelled);
    for root in &manifest.roots {
        placer.root(root)?;
    }
    let notes = placer.finish()?;
    syncfs(target.directory()).map_err(SnapshotError::disk("sync", target.path()))?;
    target.complete()?;
    Ok(notes)
}
