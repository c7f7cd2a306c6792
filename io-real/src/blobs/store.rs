//! Opening a store, and what needs no bytes: stat, list, delete.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use decube_core::limits::SEGMENT_BYTES;
use decube_core::snapshot::SegmentId;
use rustix::fs::{FlockOperation, flock, statvfs, syncfs};
use tokio::sync::Semaphore;

use super::directory::{Shard, blob_path, make_directory, sync_directory};
use super::error::BlobError;

/// What the file `FORMAT` says.
const FORMAT: &[u8] = b"decube blobs 1\n";

/// The settings of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobConfig {
    /// Free bytes of the file system that puts leave alone. One percent of the
    /// file system is left alone in any case.
    pub reserve_bytes: u64,
    /// Puts at once; more wait for their turn.
    pub writes_max: usize,
}

/// A local content-addressed store; clones share it. Methods may be cancelled at
/// any time: a cancelled put keeps nothing.
#[derive(Debug, Clone)]
pub struct BlobStore {
    pub(super) inner: Arc<Inner>,
}

/// A blob that is present and durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobStat {
    /// Its name.
    pub id: SegmentId,
    /// Its length in bytes.
    pub length: u64,
}

/// What the clones of a store share. Its methods block.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) root: PathBuf,
    config: BlobConfig,
    /// Holds the lock on the store as long as it is open.
    _lock: File,
    shards: Vec<Mutex<Shard>>,
    next_temporary: AtomicU64,
    poisoned: AtomicBool,
    pub(super) writes: Arc<Semaphore>,
}

impl Default for BlobConfig {
    fn default() -> Self {
        Self {
            reserve_bytes: 2 * SEGMENT_BYTES,
            writes_max: 8,
        }
    }
}

impl BlobStore {
    /// Opens the store in a directory, which is made if it does not exist, and
    /// clears what an earlier crash left. Blocks.
    pub fn open(root: impl Into<PathBuf>, config: BlobConfig) -> Result<Self, BlobError> {
        assert!(config.writes_max > 0, "a store that cannot be written");
        let root = root.into();
        fs::create_dir_all(&root).map_err(BlobError::disk("create", &root))?;
        let lock = lock(&root)?;
        check_format(&root)?;
        for name in ["seg", "quarantine", "tmp"] {
            make_directory(&root.join(name))?;
        }
        sweep(&root.join("tmp"))?;
        // A crash may have come between a rename and the sync of its directory.
        // What is visible from here on must be durable.
        syncfs(&lock).map_err(|error| BlobError::disk("sync", &root)(error.into()))?;
        Ok(Self {
            inner: Arc::new(Inner {
                root,
                config,
                _lock: lock,
                shards: (0..256).map(|_| Mutex::default()).collect(),
                next_temporary: AtomicU64::new(0),
                poisoned: AtomicBool::new(false),
                writes: Arc::new(Semaphore::new(config.writes_max)),
            }),
        })
    }

    /// Whether a blob is present and durable. Its bytes are not checked.
    pub async fn stat(&self, id: SegmentId) -> Result<Option<BlobStat>, BlobError> {
        self.blocking(move |inner| inner.stat(id)).await
    }

    /// Blobs in the order of their names, after `after`, at most `count_max`.
    pub async fn list(
        &self,
        after: Option<SegmentId>,
        count_max: usize,
    ) -> Result<Vec<BlobStat>, BlobError> {
        self.blocking(move |inner| inner.list(after, count_max))
            .await
    }

    /// Removes a blob; whether it was there. Whether anything still needs the
    /// blob is the caller's business. The removal may be undone by a crash.
    pub async fn delete(&self, id: SegmentId) -> Result<bool, BlobError> {
        self.blocking(move |inner| inner.delete(id)).await
    }

    /// Runs blocking work on tokio's threads for that.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, BlobError> + Send + 'static,
    ) -> Result<T, BlobError> {
        let inner = self.inner.clone();
        let work = tokio::task::spawn_blocking(move || {
            inner.check()?;
            work(&inner)
        });
        work.await
            .expect("blocking work neither panics nor is aborted")
    }
}

impl Inner {
    /// Refuses to work after a failure that left the state unknown.
    pub(super) fn check(&self) -> Result<(), BlobError> {
        match self.poisoned.load(Ordering::Acquire) {
            true => Err(BlobError::Poisoned),
            false => Ok(()),
        }
    }

    pub(super) fn poison(&self) {
        self.poisoned.store(true, Ordering::Release);
    }

    /// The lock over the blobs whose names begin like this one.
    pub(super) fn shard(&self, id: &SegmentId) -> MutexGuard<'_, Shard> {
        let shard = &self.shards[usize::from(id.0[0])];
        // A panic elsewhere cannot leave a shard half-changed: it only remembers
        // which directories are synced.
        shard
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) fn path(&self, id: &SegmentId) -> PathBuf {
        blob_path(&self.root, id)
    }

    /// A name in `tmp/` that no other put of this process has.
    pub(super) fn temporary_path(&self) -> PathBuf {
        let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
        self.root.join("tmp").join(number.to_string())
    }

    /// Refuses a put that would eat into the reserve.
    pub(super) fn check_space(&self, bytes: u64) -> Result<(), BlobError> {
        let space = statvfs(&self.root)
            .map_err(|error| BlobError::disk("stat", &self.root)(error.into()))?;
        let available_bytes = space.f_bavail.saturating_mul(space.f_frsize);
        let total_bytes = space.f_blocks.saturating_mul(space.f_frsize);
        let reserve_bytes = self.config.reserve_bytes.max(total_bytes / 100);
        let needed_bytes = reserve_bytes.saturating_add(bytes);
        if available_bytes < needed_bytes {
            return Err(BlobError::NoSpace {
                available_bytes,
                needed_bytes,
            });
        }
        Ok(())
    }

    pub(super) fn stat(&self, id: SegmentId) -> Result<Option<BlobStat>, BlobError> {
        let _shard = self.shard(&id);
        self.check()?;
        let path = self.path(&id);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(Some(BlobStat {
                id,
                length: metadata.len(),
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BlobError::disk("stat", path)(error)),
        }
    }

    fn delete(&self, id: SegmentId) -> Result<bool, BlobError> {
        let _shard = self.shard(&id);
        let path = self.path(&id);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(BlobError::disk("remove", path)(error)),
        }
    }

    fn list(&self, after: Option<SegmentId>, count_max: usize) -> Result<Vec<BlobStat>, BlobError> {
        // Digits order names as bytes do, so directories before the one of
        // `after` can be passed over unread.
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        let mut found = Vec::new();
        let seg = self.root.join("seg");
        for first in sorted_names(&seg)? {
            if first.as_str() < after.get(..2).unwrap_or("") {
                continue;
            }
            for second in sorted_names(&seg.join(&first))? {
                if format!("{first}{second}").as_str() < after.get(..4).unwrap_or("") {
                    continue;
                }
                for name in sorted_names(&seg.join(&first).join(&second))? {
                    let Ok(id) = name.parse() else { continue };
                    if name <= after {
                        continue;
                    }
                    if found.len() == count_max {
                        return Ok(found);
                    }
                    found.extend(self.stat(id)?);
                }
            }
        }
        Ok(found)
    }
}

/// The names in a directory in order; those that are not UTF-8 are not ours.
fn sorted_names(path: &Path) -> Result<Vec<String>, BlobError> {
    let failed = |error| BlobError::disk("list", path)(error);
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        names.extend(name.to_str().map(str::to_owned));
    }
    names.sort_unstable();
    Ok(names)
}

/// Takes the lock that keeps a second process out.
fn lock(root: &Path) -> Result<File, BlobError> {
    let path = root.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(BlobError::disk("open", &path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(BlobError::InUse {
            path: root.to_path_buf(),
        }),
        Err(error) => Err(BlobError::disk("lock", path)(error.into())),
    }
}

/// Marks a new store, and refuses a directory of something else.
fn check_format(root: &Path) -> Result<(), BlobError> {
    let path = root.join("FORMAT");
    match fs::read(&path) {
        Ok(found) if found == FORMAT => Ok(()),
        Ok(found) if !found.is_empty() => Err(BlobError::Format {
            path: root.to_path_buf(),
        }),
        // Absent, or empty because a crash came right after it was made.
        Ok(_) => write_format(root, &path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let foreign = |name: &OsStr| name != "lock";
            let entries = fs::read_dir(root).map_err(BlobError::disk("list", root))?;
            if entries.flatten().any(|entry| foreign(&entry.file_name())) {
                return Err(BlobError::Format {
                    path: root.to_path_buf(),
                });
            }
            write_format(root, &path)
        }
        Err(error) => Err(BlobError::disk("read", path)(error)),
    }
}

fn write_format(root: &Path, path: &Path) -> Result<(), BlobError> {
    fs::write(path, FORMAT).map_err(BlobError::disk("write", path))?;
    sync_directory(root)
}

/// Removes what unfinished writes left. Nothing in `tmp/` is ever reused: its
/// content was never verified.
fn sweep(tmp: &Path) -> Result<(), BlobError> {
    for entry in fs::read_dir(tmp).map_err(BlobError::disk("list", tmp))? {
        let path = entry.map_err(BlobError::disk("list", tmp))?.path();
        fs::remove_file(&path).map_err(BlobError::disk("remove", &path))?;
    }
    Ok(())
}
