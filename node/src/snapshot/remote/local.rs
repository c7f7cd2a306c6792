//! Snapshots in a local directory, without a node.

use std::fs::{self, File};
use std::io::{Cursor, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use decube_core::limits::SEGMENT_BYTES;
use decube_core::snapshot::{SegmentId, SnapshotId};
use decube_io_real::blobs::{BlobConfig, BlobError, BlobStore};

use super::{Record, Remote, RemoteError};

/// A directory with a blob store in `blobs/` and one JSON file for each snapshot
/// in `snapshots/`.
#[derive(Debug)]
pub struct LocalRemote {
    blobs: BlobStore,
    records: PathBuf,
}

impl LocalRemote {
    /// Opens a directory; it is made if it does not exist. One process at a time.
    pub fn open(root: &Path) -> Result<Self, RemoteError> {
        let records = root.join("snapshots");
        fs::create_dir_all(&records).map_err(|error| refused("create", &records, error))?;
        let blobs = BlobStore::open(root.join("blobs"), BlobConfig::default());
        Ok(Self {
            blobs: blobs.map_err(blob_error)?,
            records,
        })
    }

    fn record_path(&self, id: &SnapshotId) -> PathBuf {
        self.records.join(format!("{id}.json"))
    }

    /// Writes a record under a name that must be free, durably.
    fn write_record(&self, record: &Record, id: &SnapshotId) -> std::io::Result<()> {
        let path = self.record_path(id);
        let temporary = self.records.join(format!(".{id}.tmp"));
        let mut file = File::create(&temporary)?;
        writeln!(file, "{:#}", record.to_json())?;
        file.sync_all()?;
        // A link, unlike a rename, fails if the name is taken.
        let linked = fs::hard_link(&temporary, &path);
        fs::remove_file(&temporary)?;
        linked?;
        File::open(&self.records)?.sync_all()
    }
}

impl Remote for LocalRemote {
    async fn has_segment(&self, id: SegmentId, length: u64) -> Result<bool, RemoteError> {
        let stat = self.blobs.stat(id).await.map_err(blob_error)?;
        Ok(stat.is_some_and(|stat| stat.length == length))
    }

    async fn put_segment(&self, id: SegmentId, bytes: Bytes) -> Result<(), RemoteError> {
        let stored = self.blobs.put(id, Cursor::new(bytes), SEGMENT_BYTES).await;
        stored.map(drop).map_err(blob_error)
    }

    async fn get_segment(
        &self,
        id: SegmentId,
        bytes_max: u64,
    ) -> Result<Option<Bytes>, RemoteError> {
        match self.blobs.read(id, bytes_max).await {
            // Quarantined: the segment is gone, as a node would say.
            Err(BlobError::Damaged { .. }) => Ok(None),
            read => read.map_err(blob_error),
        }
    }

    async fn register(&self, record: &Record) -> Result<(), RemoteError> {
        let id = record.snapshot_id();
        let id = id.ok_or_else(|| RemoteError::Refused("not a snapshot's name".to_owned()))?;
        match self.write_record(record, &id) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(RemoteError::Conflict),
            Err(error) => Err(refused("write", &self.record_path(&id), error)),
        }
    }

    async fn lookup(&self, id: &SnapshotId) -> Result<Option<Record>, RemoteError> {
        let path = self.record_path(id);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refused("read", &path, error)),
        };
        let value = serde_json::from_slice(&text).ok();
        match value.as_ref().and_then(Record::from_json) {
            Some(record) => Ok(Some(record)),
            None => Err(RemoteError::Refused(format!(
                "{} is not a record",
                path.display()
            ))),
        }
    }

    async fn list(&self) -> Result<Vec<Record>, RemoteError> {
        let failed = |error| refused("list", &self.records, error);
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.records).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(".json"));
            ids.extend(id.and_then(|id| id.parse::<SnapshotId>().ok()));
        }
        ids.sort();
        let mut records = Vec::new();
        for id in ids {
            records.extend(self.lookup(&id).await?);
        }
        Ok(records)
    }

    async fn unregister(&self, id: &SnapshotId) -> Result<bool, RemoteError> {
        let path = self.record_path(id);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(refused("remove", &path, error)),
        }
    }
}

fn refused(action: &str, path: &Path, error: std::io::Error) -> RemoteError {
    RemoteError::Refused(format!("{action} {}: {error}", path.display()))
}

/// An error of the store with its cause on one line.
fn blob_error(error: BlobError) -> RemoteError {
    match std::error::Error::source(&error) {
        Some(source) => RemoteError::Refused(format!("{error}: {source}")),
        None => RemoteError::Refused(error.to_string()),
    }
}
