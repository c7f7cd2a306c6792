//! Paths of blobs, and directories that are known to be on the disk.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use decube_core::snapshot::SegmentId;

use super::error::BlobError;

/// One of the 256 directories `seg/aa`: everything below it changes under its lock.
#[derive(Debug, Default)]
pub(super) struct Shard {
    /// Directories below that this process has synced into their parents. One
    /// that merely exists may be lost by a crash: another attempt may have made
    /// it and failed to sync.
    settled: BTreeSet<PathBuf>,
}

/// Where a blob lies.
pub(super) fn blob_path(root: &Path, id: &SegmentId) -> PathBuf {
    let name = id.to_string();
    root.join("seg")
        .join(&name[..2])
        .join(&name[2..4])
        .join(name)
}

/// Makes a directory for this user only; one that exists is fine.
pub(super) fn make_directory(path: &Path) -> Result<(), BlobError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(BlobError::disk("create", path)(error))
        }
        _ => Ok(()),
    }
}

/// Puts the names in a directory on the disk.
pub(super) fn sync_directory(path: &Path) -> Result<(), BlobError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(BlobError::disk("sync", path))
}

impl Shard {
    /// Renames a finished and synced file to its place and makes the name durable.
    /// On an error the name is removed again; if even that fails the store must
    /// not be used any more, because it would report a blob that may vanish.
    pub(super) fn publish(&mut self, from: &Path, to: &Path) -> Result<(), PublishError> {
        let directory = to.parent().expect("a blob lies in a directory");
        let above = directory.parent().expect("which lies in seg/aa");
        let top = above.parent().expect("which lies in seg");
        let rename = self
            .settle(above, top)
            .and_then(|()| self.settle(directory, above))
            .and_then(|()| fs::rename(from, to).map_err(BlobError::disk("rename to", to)));
        rename.map_err(PublishError::Clean)?;
        sync_directory(directory).map_err(|error| match fs::remove_file(to) {
            Ok(()) => PublishError::Clean(error),
            Err(_) => PublishError::Unknown(error),
        })
    }

    /// Makes a directory and syncs its name, once in the life of this process.
    fn settle(&mut self, directory: &Path, parent: &Path) -> Result<(), BlobError> {
        if self.settled.contains(directory) {
            return Ok(());
        }
        make_directory(directory)?;
        sync_directory(parent)?;
        self.settled.insert(directory.to_path_buf());
        Ok(())
    }
}

/// How publishing failed.
pub(super) enum PublishError {
    /// The blob is not visible.
    Clean(BlobError),
    /// The blob is visible and may not be durable.
    Unknown(BlobError),
}
