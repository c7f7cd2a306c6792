//! The lock of a data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use super::{DataDirError, io_error};

/// Held by the one process that uses a data directory. The operating system
/// lets go of it when the process ends, however it ends, so there is never a
/// stale lock to remove.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
}

impl DirLock {
    /// Takes the lock, or says who has it.
    pub fn take(directory: &Path) -> Result<Self, DataDirError> {
        let path = directory.join("LOCK");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io_error(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let path = directory.to_owned();
                let owner = read_owner(&mut file);
                return Err(DataDirError::Locked { path, owner });
            }
            Err(TryLockError::Error(error)) => return Err(io_error(&path)(error)),
        }
        // Only for people; the lock itself does not rest on it.
        let text = format!("{}\nThis process uses the directory.\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()))
            .map_err(io_error(&path))?;
        Ok(Self { _file: file })
    }
}

fn read_owner(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(100).read_to_string(&mut text).ok()?;
    text.lines().next()?.parse().ok()
}
