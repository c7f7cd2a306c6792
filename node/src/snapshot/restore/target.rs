//! The directory that a restore writes into.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::super::error::SnapshotError;

/// An open target directory, or one that is built beside its place.
#[derive(Debug)]
pub(super) struct Target {
    /// Where the user wants it.
    wanted: PathBuf,
    /// Where it is built, if it is not there yet.
    staging: Option<PathBuf>,
    directory: File,
}

impl Target {
    /// Opens or makes the directory to write into.
    pub(super) fn prepare(wanted: &Path, force: bool) -> Result<Self, SnapshotError> {
        match fs::read_dir(wanted) {
            Ok(mut entries) => {
                if entries.next().is_some() && !force {
                    return Err(SnapshotError::Usage(format!(
                        "{} is not empty; give another directory, or --force to write into it",
                        wanted.display()
                    )));
                }
                let directory = File::open(wanted);
                Ok(Self {
                    wanted: wanted.to_path_buf(),
                    staging: None,
                    directory: directory.map_err(SnapshotError::disk("open", wanted))?,
                })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Self::stage(wanted),
            Err(error) => Err(SnapshotError::disk("open", wanted)(error)),
        }
    }

    fn stage(wanted: &Path) -> Result<Self, SnapshotError> {
        let Some(name) = wanted.file_name() else {
            let text = format!("{} cannot be created", wanted.display());
            return Err(SnapshotError::Usage(text));
        };
        let parent = match wanted.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(parent).map_err(SnapshotError::disk("create", parent))?;
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".restoring-{}", std::process::id()));
        let staging = parent.join(hidden);
        DirBuilder::new()
            .create(&staging)
            .map_err(SnapshotError::disk("create", &staging))?;
        let directory = File::open(&staging).map_err(SnapshotError::disk("open", &staging))?;
        Ok(Self {
            wanted: wanted.to_path_buf(),
            staging: Some(staging),
            directory,
        })
    }

    /// The open directory.
    pub(super) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Where it is now.
    pub(super) fn path(&self) -> &Path {
        self.staging.as_deref().unwrap_or(&self.wanted)
    }

    /// Puts a finished restore in its place.
    pub(super) fn complete(mut self) -> Result<(), SnapshotError> {
        let Some(staging) = &self.staging else {
            return Ok(());
        };
        let renamed = renameat_with(CWD, staging, CWD, &self.wanted, RenameFlags::NOREPLACE);
        match renamed {
            // Some file systems cannot promise that; an empty directory in the
            // way would be replaced, a full one never is.
            Err(Errno::INVAL | Errno::NOSYS) => fs::rename(staging, &self.wanted)
                .map_err(SnapshotError::disk("rename to", &self.wanted))?,
            renamed => renamed.map_err(SnapshotError::disk("rename to", &self.wanted))?,
        }
        self.staging = None;
        let parent = self
            .wanted
            .parent()
            .filter(|path| !path.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        File::open(parent)
            .and_then(|directory| directory.sync_all())
            .map_err(SnapshotError::disk("sync", parent))
    }
}

impl Drop for Target {
    /// A restore that failed leaves nothing where nothing was.
    fn drop(&mut self) {
        if let Some(staging) = &self.staging
            && let Err(error) = fs::remove_dir_all(staging)
        {
            eprintln!(
                "the incomplete restore {} could not be removed: {error}",
                staging.display()
            );
        }
    }
}
