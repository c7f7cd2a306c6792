//! The data directory of a node.
//!
//! | path | what it is |
//! |---|---|
//! | `LOCK` | held by the one process that uses the directory; names its pid |
//! | `FORMAT` | the version of the layout |
//! | `keys/identity.key` | the P-256 key that the node is known by |
//! | `keys/transport.key` | the Ed25519 key that its connections are known by |
//! | `keys/*-began` | marks: a record was made durable in this volume |
//! | `wal/`, `store/` | the volume of the cluster: write-ahead log and key-value engine |
//! | `ledger/wal/`, `ledger/store/` | that of the ledger |
//!
//! A volume whose mark is there and whose log is empty has lost what it held. The node is
//! told so at its start, and each part decides what follows.
//!
//! Whoever holds two processes on one log has lost it, so a second start is
//! refused. Whoever loses the identity but keeps the log has a log that votes
//! under a name that never voted, so that is refused too.

mod durable;
mod keys;
mod lock;

#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use decube_core::io::{FileError, FileOp, FileResult, Volume};

use crate::disk::FileSystem;

pub use keys::{NodeKeys, create_key, read_key};
pub use lock::DirLock;

/// The layout that this version writes and reads.
const FORMAT: &str = "decube data directory, format 1\n";
/// What may lie in a directory that is not yet a data directory.
const HARMLESS: [&str; 3] = ["LOCK", "FORMAT.tmp", "lost+found"];

/// A data directory that this process owns until the value is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: DirLock,
}

/// Why a data directory cannot be used. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process uses it.
    #[error("{path} is in use by {}; stop that process first", owner_text(*owner))]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The process, if it said.
        owner: Option<u32>,
    },
    /// It holds something else.
    #[error("{path} holds {found:?}, which is not a node's data; choose an empty directory")]
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// A file in it.
        found: String,
    },
    /// Another version of this program wrote it.
    #[error("{path} has the layout {found:?}; this version reads {FORMAT:?}")]
    OtherFormat {
        /// The directory.
        path: PathBuf,
        /// The layout it names.
        found: String,
    },
    /// Others than the owner can read a secret.
    #[error(
        "{path} has mode {mode:03o}; secrets must be readable by their owner alone (chmod 600)"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A key file holds no key.
    #[error(
        "{path} is damaged: {what}; restore it from a backup, or give the node a new directory"
    )]
    DamagedKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// The log is there and the key of the node that wrote it is not.
    #[error(
        "{path} is missing although the directory holds a log; restore it, or give the node a new directory"
    )]
    LostKey {
        /// The key file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// Where a volume is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeDirs {
    /// The files of its log.
    pub wal: PathBuf,
    /// Its key-value engine.
    pub store: PathBuf,
    /// The file that says that something was made durable in the volume. It lies beside
    /// the keys: who restores those after a loss of the disk restores it as well, or has
    /// to say that the node has promised something before.
    pub mark: PathBuf,
    /// Whether there is such a mark.
    pub is_used: bool,
    /// Whether the log holds no file at all.
    pub is_empty: bool,
}

impl DataDir {
    /// Takes a directory for this process, and makes it a data directory if it
    /// is new or empty.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        durable::create_directory(path)?;
        let lock = DirLock::take(path)?;
        check_format(path)?;
        for part in ["keys", "wal", "store"] {
            durable::create_directory(&path.join(part))?;
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directories of a volume, made at the first call.
    ///
    /// # Errors
    /// The file system refused.
    pub fn volume(&self, volume: Volume) -> Result<VolumeDirs, DataDirError> {
        let path = match volume {
            // From before there were others.
            Volume::Cluster => self.path.clone(),
            other => self.path.join(other.name()),
        };
        let mark = format!("{}-began", volume.name());
        let (wal, store) = (path.join("wal"), path.join("store"));
        for part in [&path, &wal, &store] {
            durable::create_directory(part)?;
        }
        let mark = self.path.join("keys").join(mark);
        Ok(VolumeDirs {
            is_used: mark.try_exists().map_err(io_error(&mark))?,
            is_empty: is_empty(&wal)?,
            wal,
            store,
            mark,
        })
    }

    /// The keys of the node, made at the first call ever.
    pub fn keys(&self) -> Result<NodeKeys, DataDirError> {
        let holds_log = !is_empty(&self.path.join("wal"))?;
        keys::load_or_create(&self.path.join("keys"), holds_log)
    }
}

/// Writes the mark of a volume when a record is made durable in its log for the first time,
/// before anybody hears of that: nothing rests on a volume whose loss would go unnoticed.
/// Superblocks are durable before: a node that dies then has lost nothing, and a mark would
/// keep it from ever starting. So it is behind a change that failed, whatever is synced: the
/// log has told nobody of a record and never will in this life.
#[derive(Debug)]
pub struct Marking<F> {
    files: F,
    /// The mark that is still to be written.
    mark: Option<PathBuf>,
    /// A change has failed.
    has_failed: bool,
    /// What the system said when the mark could not be written.
    said: Option<String>,
}

impl<F> Marking<F> {
    /// Files of a volume that is kept there.
    pub fn new(files: F, dirs: &VolumeDirs) -> Self {
        let mark = (!dirs.is_used).then(|| dirs.mark.clone());
        Self {
            files,
            mark,
            has_failed: false,
            said: None,
        }
    }
}

impl<F: FileSystem> FileSystem for Marking<F> {
    fn perform(&mut self, op: FileOp) -> FileResult {
        let (is_change, is_record) = (op.is_change(), op.makes_records_durable());
        let result = self.files.perform(op);
        self.has_failed |= is_change && matches!(result, FileResult::Failed(_));
        if !is_record || self.has_failed {
            return result;
        }
        if let Some(mark) = &self.mark {
            let text = b"a record was made durable in this volume\n";
            if let Err(error) = durable::write_file(mark, text, 0o600) {
                let place = mark.display();
                self.said = Some(format!("the mark {place} cannot be written: {error}"));
                return FileResult::Failed(FileError::Io);
            }
            self.mark = None;
        }
        result
    }

    fn said(&mut self) -> Option<String> {
        self.said.take().or_else(|| self.files.said())
    }
}

fn is_empty(directory: &Path) -> Result<bool, DataDirError> {
    let mut entries = fs::read_dir(directory).map_err(io_error(directory))?;
    Ok(entries.next().is_none())
}

fn check_format(path: &Path) -> Result<(), DataDirError> {
    let file = path.join("FORMAT");
    match fs::read(&file) {
        Ok(found) if found == FORMAT.as_bytes() => Ok(()),
        Ok(found) => {
            let mut found = String::from_utf8_lossy(&found).into_owned();
            found.truncate(found.floor_char_boundary(100));
            let path = path.to_owned();
            Err(DataDirError::OtherFormat { path, found })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            refuse_strangers(path)?;
            durable::write_file(&file, FORMAT.as_bytes(), 0o644)
        }
        Err(error) => Err(io_error(&file)(error)),
    }
}

fn refuse_strangers(path: &Path) -> Result<(), DataDirError> {
    for entry in fs::read_dir(path).map_err(io_error(path))? {
        let name = entry.map_err(io_error(path))?.file_name();
        if !HARMLESS.iter().any(|harmless| name == *harmless) {
            let found = name.to_string_lossy().into_owned();
            let path = path.to_owned();
            return Err(DataDirError::NotOurs { path, found });
        }
    }
    Ok(())
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> DataDirError + '_ {
    |source| DataDirError::Io {
        path: path.to_owned(),
        source,
    }
}

fn owner_text(owner: Option<u32>) -> String {
    match owner {
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    }
}
