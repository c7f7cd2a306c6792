//! Files and directories that are there after a power loss, whole.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::{DataDirError, io_error};

/// Creates a directory that only its owner can enter, and those above it, and
/// makes their names durable. An existing one is left as it is.
pub(super) fn create_directory(path: &Path) -> Result<(), DataDirError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = parent_of(path) {
        create_directory(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(io_error(path)(error)),
    }
}

/// Writes a file so that after a crash it is there whole or not at all: under
/// another name, synced, renamed, the directory synced.
pub(super) fn write_file(path: &Path, content: &[u8], mode: u32) -> Result<(), DataDirError> {
    let temporary = path.with_added_extension("tmp");
    write_temporary(&temporary, content, mode).map_err(io_error(&temporary))?;
    fs::rename(&temporary, path).map_err(io_error(path))?;
    sync_parent(path)
}

fn write_temporary(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    // What a crash left of an earlier attempt.
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn sync_parent(path: &Path) -> Result<(), DataDirError> {
    let Some(parent) = parent_of(path) else {
        return Ok(());
    };
    File::open(parent)
        .and_then(|directory| directory.sync_all())
        .map_err(io_error(parent))
}

/// The directory that holds the name of `path`.
fn parent_of(path: &Path) -> Option<&Path> {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Some(Path::new(".")),
        parent => parent,
    }
}
