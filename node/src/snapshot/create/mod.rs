//! Making a snapshot: walk, cut, hash, upload, and last of all register.
//!
//! One thread walks and reads; hashing and a few uploads run beside it. At most
//! `uploads + 3` segments are in memory: the open ones of the two streams, one
//! between the threads, and those on their way.
//!
//! Nothing is visible before the record is registered, and that happens after
//! every segment was acknowledged as durable. An interrupted or failed attempt
//! leaves only segments that no snapshot refers to; the next attempt finds those
//! it needs again by their hashes.

mod content;
mod packer;
mod sources;
mod upload;
mod walk;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use decube_core::codec::{Decode as _, Encode as _};
use decube_core::limits::SEGMENT_BYTES;
use decube_core::snapshot::{Manifest, SegmentId, SnapshotId, segments_root};
use tokio::sync::mpsc;

use self::packer::Packer;
use self::sources::Source;
use self::walk::{Walked, Walker};
use super::error::SnapshotError;
use super::progress::Progress;
use super::remote::{Record, Registration, Remote, RemoteError, ensure_segment};

/// Stack of the walking thread: a deep tree is walked by recursion.
const WALK_STACK_BYTES: usize = 64 << 20;

/// What to snapshot, and how.
#[derive(Clone)]
pub struct CreateRequest {
    /// The name.
    pub id: SnapshotId,
    /// The source paths.
    pub paths: Vec<PathBuf>,
    /// Register the snapshot even if files could not be stored; it is then marked
    /// as partial and lists them.
    pub allow_partial: bool,
    /// Leave out file systems mounted below the sources.
    pub one_file_system: bool,
    /// The size that the streams are cut at.
    pub segment_bytes: u64,
    /// Uploads at once.
    pub uploads_max: usize,
    /// Called with the path of each file between its reading and the check for
    /// changes.
    #[cfg(test)]
    pub probe: Option<Probe>,
}

/// See [`CreateRequest::probe`].
#[cfg(test)]
pub type Probe = Arc<dyn Fn(&[u8]) -> std::io::Result<()> + Send + Sync>;

/// A snapshot that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Its hash: the segment that holds the manifest.
    pub hash: SegmentId,
    pub manifest: Manifest,
}

impl CreateRequest {
    /// The request of the plain command.
    pub fn new(id: SnapshotId, paths: Vec<PathBuf>) -> Self {
        Self {
            id,
            paths,
            allow_partial: false,
            one_file_system: false,
            segment_bytes: SEGMENT_BYTES,
            uploads_max: 3,
            #[cfg(test)]
            probe: None,
        }
    }
}

/// Makes a snapshot. Setting `cancelled`, or dropping the future, stops it.
pub async fn create<R: Remote>(
    remote: &Arc<R>,
    request: CreateRequest,
    progress: &Arc<Progress>,
    cancelled: &Arc<AtomicBool>,
) -> Result<Created, SnapshotError> {
    if remote.lookup(&request.id).await?.is_some() {
        return Err(SnapshotError::Exists(request.id));
    }
    let sources = sources::resolve(&request.paths)?;
    progress.phase("reading");
    progress.scan(&request.paths);
    let (walker, sealed) = walker(&request, progress, cancelled);
    let walk = spawn_walk(walker, sources);
    let uploaded = upload::upload_all(remote, sealed, request.uploads_max, progress).await;
    if cancelled.load(Ordering::Relaxed) {
        return Err(SnapshotError::Interrupted);
    }
    let segments = uploaded?;
    let walked = walk.await.expect("the walk neither panics nor is aborted");
    let walked = walked.map_err(|packer::Stopped| SnapshotError::Interrupted)?;
    let omitted = !walked.omissions.is_empty();
    if omitted && (!request.allow_partial || walked.omissions_cut || walked.roots.is_empty()) {
        return Err(SnapshotError::Incomplete(walked.omissions));
    }
    let Walked {
        roots,
        totals,
        omissions,
        ..
    } = walked;
    let manifest = Manifest {
        id: request.id,
        created_unix_ns: unix_ns_now(),
        segment_bytes: request.segment_bytes,
        roots,
        totals,
        merkle_root: segments_root(&segments),
        segments,
        omissions,
    };
    progress.phase("registering");
    let hash = publish(remote, &manifest).await?;
    Ok(Created { hash, manifest })
}

/// Stores the manifest and registers the snapshot.
async fn publish<R: Remote>(
    remote: &Arc<R>,
    manifest: &Manifest,
) -> Result<SegmentId, SnapshotError> {
    let bytes = manifest.to_bytes();
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > SEGMENT_BYTES {
        let text = "the snapshot's manifest is too large; make several of parts of the tree";
        return Err(SnapshotError::Usage(text.to_owned()));
    }
    // What is about to be referred to for ever must be readable.
    let read_back = Manifest::from_bytes(&bytes);
    assert_eq!(
        read_back.as_ref(),
        Ok(manifest),
        "a manifest reads back as itself"
    );
    let hash = SegmentId::of(&bytes);
    ensure_segment(remote, hash, bytes).await?;
    let record = Record::new(manifest, hash);
    match remote.register(&record).await {
        Ok(()) => return Ok(hash),
        Err(RemoteError::Refused(reason)) => return Err(RemoteError::Refused(reason).into()),
        Err(RemoteError::Conflict | RemoteError::Unavailable(_)) => {}
    }
    // An answer may have been lost after the record was registered: look before
    // saying anything.
    match remote.lookup(&manifest.id).await? {
        Some(found) if is_ours(&found, hash) => Ok(hash),
        Some(_) => Err(SnapshotError::Exists(manifest.id.clone())),
        None => {
            remote.register(&record).await?;
            Ok(hash)
        }
    }
}

fn is_ours(record: &Record, hash: SegmentId) -> bool {
    Registration::of(record).is_some_and(|registration| registration.manifest == hash)
}

/// A walker and the segments that it will send.
fn walker(
    request: &CreateRequest,
    progress: &Arc<Progress>,
    cancelled: &Arc<AtomicBool>,
) -> (Walker, mpsc::Receiver<packer::Sealed>) {
    let (sink, sealed) = mpsc::channel(1);
    let segment_bytes = usize::try_from(request.segment_bytes).expect("at most 64 MiB");
    let packer = Packer::new(segment_bytes, sink);
    let mut walker = Walker::new(packer, progress.clone(), cancelled.clone());
    walker.one_file_system = request.one_file_system;
    #[cfg(test)]
    {
        walker.probe.clone_from(&request.probe);
    }
    (walker, sealed)
}

/// Runs the walk on a thread of its own.
fn spawn_walk(
    walker: Walker,
    sources: Vec<Source>,
) -> tokio::sync::oneshot::Receiver<Result<Walked, packer::Stopped>> {
    let (done, result) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("snapshot-walk".to_owned())
        .stack_size(WALK_STACK_BYTES)
        .spawn(move || {
            // Nobody listens any more if the command was stopped.
            let _ = done.send(walker.run(&sources));
        })
        .expect("a thread can be started");
    result
}

fn unix_ns_now() -> u64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}
