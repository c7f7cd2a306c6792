//! From the paths on the command line to the roots of a snapshot.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use decube_core::limits::{SNAPSHOT_PATH_BYTES_MAX, SNAPSHOT_ROOTS_MAX};
use decube_core::snapshot::name_is_valid;

use super::super::error::SnapshotError;

/// A source path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// As the user gave it; this is what is opened.
    pub given: PathBuf,
    /// Where a restore puts it below its target.
    pub path: Vec<u8>,
}

/// Checks the source paths and says where a restore will put each.
///
/// The place is the path without its leading slash, without `.` components and
/// repeated slashes: `/usr/share/doc` becomes `TARGET/usr/share/doc`, `data/a`
/// becomes `TARGET/data/a`. A path with `..` is first replaced by what it leads
/// to, as an absolute path. `/` and `.` become `TARGET` itself.
pub(super) fn resolve(paths: &[PathBuf]) -> Result<Vec<Source>, SnapshotError> {
    let usage = |text: String| Err(SnapshotError::Usage(text));
    if paths.is_empty() || paths.len() > SNAPSHOT_ROOTS_MAX {
        return usage(format!("1 to {SNAPSHOT_ROOTS_MAX} paths are needed"));
    }
    let mut sources: Vec<Source> = Vec::new();
    for given in paths {
        // A trailing slash asks for the directory behind a symbolic link, as in
        // every other program.
        let exists = match given.as_os_str().as_bytes().ends_with(b"/") {
            true => fs::metadata(given).map(drop),
            false => fs::symlink_metadata(given).map(drop),
        };
        exists.map_err(SnapshotError::disk("read", given))?;
        let path = restored_path(given)?;
        if path.len() > SNAPSHOT_PATH_BYTES_MAX {
            return usage(format!("the path {} is too long", given.display()));
        }
        let clash = sources
            .iter()
            .find(|other| inside(&other.path, &path) || inside(&path, &other.path));
        if let Some(other) = clash {
            return usage(format!(
                "{} and {} overlap: one contains the other, or both would be restored to the \
                 same place",
                other.given.display(),
                given.display()
            ));
        }
        sources.push(Source {
            given: given.clone(),
            path,
        });
    }
    Ok(sources)
}

/// Where a restore puts a path below its target.
fn restored_path(given: &Path) -> Result<Vec<u8>, SnapshotError> {
    let leads_up = given.components().any(|part| part == Component::ParentDir);
    let resolved = match leads_up {
        true => fs::canonicalize(given).map_err(SnapshotError::disk("resolve", given))?,
        false => given.to_path_buf(),
    };
    let mut path = OsString::new();
    for part in resolved.components() {
        if let Component::Normal(name) = part {
            if !name_is_valid(name.as_bytes()) {
                let text = format!("{} has a name that is too long", given.display());
                return Err(SnapshotError::Usage(text));
            }
            if !path.is_empty() {
                path.push("/");
            }
            path.push(name);
        }
    }
    Ok(path.into_vec())
}

/// Whether a path is, or lies inside, another; the empty path contains all.
fn inside(outer: &[u8], inner: &[u8]) -> bool {
    match inner.strip_prefix(outer) {
        Some(rest) => outer.is_empty() || rest.is_empty() || rest.first() == Some(&b'/'),
        None => false,
    }
}
