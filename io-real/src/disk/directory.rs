//! One operation on real files.
//!
//! Durability rules: a file appears under its name only when it has its full
//! length and both are durable (written under a temporary name, synced, renamed,
//! the directory synced). A removal is synced as well, so that a segment that
//! was reported gone does not come back. After a failed write or sync the file's
//! content is unknown: nothing is retried here, because a kernel that failed a
//! sync once reports success the next time although the pages are lost. The
//! machine above halts the node.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use decube_core::io::{FileError, FileName, FileOp, FileResult};
use decube_core::limits::WAL_SEGMENT_BYTES;
use decube_core::wal::{file_name, parse_file_name};

use super::thread::FileSystem;

/// Ends the names of files that are not complete yet.
const TEMPORARY_SUFFIX: &str = ".tmp";

/// The files of a log in a directory of the file system.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Kept open, so that a sync reaches this directory whatever happens to its
    /// path.
    handle: File,
    files: BTreeMap<FileName, File>,
    /// What the system said of the last operation, if it failed.
    said: Option<String>,
}

impl Directory {
    /// Opens a directory, which must exist, and removes what a crash left of
    /// unfinished files.
    pub fn open(path: &Path) -> io::Result<Self> {
        let handle = File::open(path)?;
        let directory = Self {
            path: path.to_owned(),
            handle,
            files: BTreeMap::new(),
            said: None,
        };
        directory.remove_unfinished()?;
        Ok(directory)
    }

    fn remove_unfinished(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry
                .file_name()
                .to_string_lossy()
                .ends_with(TEMPORARY_SUFFIX)
            {
                fs::remove_file(entry.path())?;
            }
        }
        self.handle.sync_all()
    }

    fn list(&self) -> io::Result<Vec<(FileName, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            // Files of other names are not the log's; they are left alone.
            if let Some(file) = entry.file_name().to_str().and_then(parse_file_name) {
                files.push((file, entry.metadata()?.len()));
            }
        }
        // The order of a directory is the file system's whim.
        files.sort_unstable();
        Ok(files)
    }

    fn create(&mut self, name: FileName, len: u64) -> io::Result<()> {
        let path = self.path_of(name);
        if path.try_exists()? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let temporary = self
            .path
            .join(format!("{}{TEMPORARY_SUFFIX}", file_name(name)));
        let created = self.create_as(&temporary, &path, len);
        match created {
            Ok(file) => {
                self.files.insert(name, file);
                Ok(())
            }
            Err(error) => {
                // Give the space back; if that fails as well, the next start does.
                let _ = fs::remove_file(&temporary);
                Err(error)
            }
        }
    }

    fn create_as(&self, temporary: &Path, path: &Path, len: u64) -> io::Result<File> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(temporary)?;
        reserve(&file, len)?;
        file.sync_all()?;
        fs::rename(temporary, path)?;
        self.handle.sync_all()?;
        Ok(file)
    }

    fn write(&mut self, name: FileName, offset: u64, data: &Bytes) -> io::Result<()> {
        let file = self.file(name)?;
        let end = offset.checked_add(data.len() as u64);
        let len = file.metadata()?.len();
        if end.is_none_or(|end| end > len) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a write must lie inside the file",
            ));
        }
        file.write_all_at(data, offset)
    }

    fn read(&mut self, name: FileName, offset: u64, len: u64) -> io::Result<Bytes> {
        let file = self.file(name)?;
        let available = file.metadata()?.len().saturating_sub(offset);
        let len = len.min(available).min(WAL_SEGMENT_BYTES);
        let mut data = BytesMut::zeroed(usize::try_from(len).map_err(io::Error::other)?);
        file.read_exact_at(&mut data, offset)?;
        Ok(data.freeze())
    }

    fn remove(&mut self, name: FileName) -> io::Result<()> {
        self.files.remove(&name);
        match fs::remove_file(self.path_of(name)) {
            Ok(()) => self.handle.sync_all(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The open file; opened at its first use.
    fn file(&mut self, name: FileName) -> io::Result<&File> {
        if !self.files.contains_key(&name) {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .open(self.path_of(name))?;
            self.files.insert(name, file);
        }
        Ok(&self.files[&name])
    }

    fn path_of(&self, name: FileName) -> PathBuf {
        self.path.join(file_name(name))
    }
}

impl FileSystem for Directory {
    fn perform(&mut self, op: FileOp) -> FileResult {
        let result = match &op {
            FileOp::List => self.list().map(FileResult::Listed),
            FileOp::Read { file, offset, len } => {
                let data = self.read(*file, *offset, *len);
                data.map(FileResult::Data)
            }
            FileOp::Create { file, len } => done(self.create(*file, *len)),
            FileOp::Write { file, offset, data } => done(self.write(*file, *offset, data)),
            FileOp::Sync { file } => done(self.file(*file).and_then(File::sync_data)),
            FileOp::Remove { file } => done(self.remove(*file)),
        };
        self.said = result.as_ref().err().map(io::Error::to_string);
        result.unwrap_or_else(|error| FileResult::Failed(kind_of(&error)))
    }

    fn said(&mut self) -> Option<String> {
        self.said.take()
    }
}

fn done(result: io::Result<()>) -> io::Result<FileResult> {
    result.map(|()| FileResult::Done)
}

fn kind_of(error: &io::Error) -> FileError {
    match error.kind() {
        io::ErrorKind::NotFound => FileError::Missing,
        io::ErrorKind::AlreadyExists => FileError::Exists,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FileError::Full,
        _ => FileError::Io,
    }
}

/// Gives a file its length and its blocks, so that no later write inside it can
/// find the disk full. The blocks read as zeros.
fn reserve(file: &File, len: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;
    match fallocate(file, FallocateFlags::empty(), 0, len) {
        Ok(()) => Ok(()),
        // Some file systems cannot reserve; a sparse file works everywhere and
        // only makes a full disk show later, as a failed write.
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => file.set_len(len),
        Err(error) => Err(error.into()),
    }
}
