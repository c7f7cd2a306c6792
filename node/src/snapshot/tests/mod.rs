//! Tests of the whole pipeline on real directories.

#![allow(clippy::unwrap_used)]

mod describe;
mod failures;
mod generate;
mod memory;
mod roundtrip;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use self::describe::describe;
use self::memory::MemoryRemote;
use super::create::{CreateRequest, Created, create};
use super::error::SnapshotError;
use super::progress::Progress;
use super::restore::{RestoreRequest, Restored, restore};
use super::verify::verify;

/// Small segments, so that small trees have many.
const SEGMENT_BYTES: u64 = 4096;

fn request(paths: &[&Path]) -> CreateRequest {
    let paths: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
    CreateRequest {
        segment_bytes: SEGMENT_BYTES,
        ..CreateRequest::new("test-snapshot".parse().unwrap(), paths)
    }
}

async fn create_with(
    remote: &Arc<MemoryRemote>,
    request: CreateRequest,
) -> Result<Created, SnapshotError> {
    let cancelled = Arc::new(AtomicBool::new(false));
    create(remote, request, &Progress::new(true), &cancelled).await
}

async fn verify_it(remote: &Arc<MemoryRemote>) -> Result<(), SnapshotError> {
    let id = "test-snapshot".parse().unwrap();
    let cancelled = Arc::new(AtomicBool::new(false));
    let verified = verify(remote, &id, &Progress::new(true), &cancelled).await;
    verified.map(drop)
}

async fn restore_to(
    remote: &Arc<MemoryRemote>,
    target: &Path,
    force: bool,
) -> Result<Restored, SnapshotError> {
    let request = RestoreRequest {
        id: "test-snapshot".parse().unwrap(),
        target: target.to_path_buf(),
        force,
    };
    let cancelled = Arc::new(AtomicBool::new(false));
    restore(remote, request, &Progress::new(true), &cancelled).await
}

/// Where a restore to `target` puts an absolute source path.
fn restored(target: &Path, source: &Path) -> PathBuf {
    target.join(source.strip_prefix("/").unwrap())
}

/// Creates, verifies and restores, and compares every source with its copy.
async fn round_trip(sources: &[&Path]) -> Created {
    let remote = MemoryRemote::new();
    let expected: Vec<_> = sources.iter().map(|source| describe(source)).collect();
    let created = create_with(&remote, request(sources)).await.unwrap();
    verify_it(&remote).await.unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let target = scratch.path().join("target");
    let done = restore_to(&remote, &target, false).await.unwrap();
    assert_eq!(done.manifest.as_ref(), &created.manifest);
    for (source, expected) in sources.iter().zip(expected) {
        assert_eq!(describe(&restored(&target, source)), expected);
    }
    created
}
