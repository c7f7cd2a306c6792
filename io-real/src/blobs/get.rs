//! Reading blobs, and finding damage.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use decube_core::snapshot::SegmentId;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncSeekExt as _, ReadBuf, Take};

use super::directory::sync_directory;
use super::error::BlobError;
use super::store::{BlobStore, Inner};

/// Bytes read at once when a file is hashed or streamed.
const READ_BYTES: usize = 1 << 20;

/// The bytes of a blob, or of a part of it, as they are on the disk: the receiver
/// checks the hash.
#[derive(Debug)]
pub struct BlobReader {
    file: Take<tokio::fs::File>,
    range: Range<u64>,
    blob_bytes: u64,
}

impl BlobReader {
    /// How many bytes will come, unless the disk fails.
    pub const fn length(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// How long the whole blob is.
    pub const fn blob_length(&self) -> u64 {
        self.blob_bytes
    }
}

impl AsyncRead for BlobReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_read(context, buffer)
    }
}

impl BlobStore {
    /// Opens a blob, or a range of it, for streaming. The bytes are not checked.
    pub async fn get(
        &self,
        id: SegmentId,
        range: Option<Range<u64>>,
    ) -> Result<Option<BlobReader>, BlobError> {
        let Some(stat) = self.stat(id).await? else {
            return Ok(None);
        };
        let range = range.unwrap_or(0..stat.length);
        if range.start > range.end || range.end > stat.length {
            return Err(BlobError::Range {
                start: range.start,
                end: range.end,
                length: stat.length,
            });
        }
        let path = self.inner.path(&id);
        let mut file = match tokio::fs::File::open(&path).await {
            Ok(file) => file,
            // Deleted in this moment.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(BlobError::disk("open", path)(error)),
        };
        file.set_max_buf_size(READ_BYTES);
        if range.start > 0 {
            let seek = file.seek(io::SeekFrom::Start(range.start)).await;
            seek.map_err(BlobError::disk("seek in", path))?;
        }
        Ok(Some(BlobReader {
            file: file.take(range.end - range.start),
            range,
            blob_bytes: stat.length,
        }))
    }

    /// The verified bytes of a blob that is at most `bytes_max` long. A damaged
    /// one is quarantined and is an error.
    pub async fn read(&self, id: SegmentId, bytes_max: u64) -> Result<Option<Bytes>, BlobError> {
        self.blocking(move |inner| inner.read(id, bytes_max)).await
    }

    /// Hashes a blob where it lies; its length. A damaged one is quarantined and
    /// is an error.
    pub async fn verify(&self, id: SegmentId) -> Result<Option<u64>, BlobError> {
        self.blocking(move |inner| match hash_file(&inner.path(&id))? {
            None => Ok(None),
            Some((found, length)) if found == id => Ok(Some(length)),
            Some(_) => Err(inner.report_damage(id)),
        })
        .await
    }
}

impl Inner {
    fn read(&self, id: SegmentId, bytes_max: u64) -> Result<Option<Bytes>, BlobError> {
        let path = self.path(&id);
        let failed = |error| BlobError::disk("read", &path)(error);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let length = file.metadata().map_err(failed)?.len();
        if length > bytes_max {
            return Err(BlobError::TooLarge { bytes_max });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        file.take(length).read_to_end(&mut bytes).map_err(failed)?;
        if SegmentId::of(&bytes) == id {
            Ok(Some(bytes.into()))
        } else {
            Err(self.report_damage(id))
        }
    }

    /// Quarantines a blob that a reader found damaged, unless it has been replaced
    /// since.
    fn report_damage(&self, id: SegmentId) -> BlobError {
        let _shard = self.shard(&id);
        let path = self.path(&id);
        match hash_file(&path) {
            Ok(Some((found, _))) if found == id => {}
            Ok(None) => {}
            Ok(Some(_)) | Err(_) => {
                if let Err(error) = self.quarantine(&id, &path) {
                    return error;
                }
            }
        }
        BlobError::Damaged { id }
    }

    /// Moves a blob out of the way. The caller holds the shard.
    pub(super) fn quarantine(&self, id: &SegmentId, path: &Path) -> Result<(), BlobError> {
        let directory = self.root.join("quarantine");
        // A blob can be damaged more than once; no evidence is overwritten.
        let target = (0_u32..)
            .map(|number| directory.join(format!("{id}.{number}")))
            .find(|target| !target.exists())
            .expect("fewer than 2^32 files");
        fs::rename(path, &target).map_err(BlobError::disk("quarantine", path))?;
        sync_directory(&directory)?;
        sync_directory(path.parent().expect("a blob lies in a directory"))
    }
}

/// The hash and the length of a file; `None` if there is none.
pub(super) fn hash_file(path: &Path) -> Result<Option<(SegmentId, u64)>, BlobError> {
    let failed = |error| BlobError::disk("read", path)(error);
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; READ_BYTES];
    let mut length = 0_u64;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                hasher.update(&buffer[..count]);
                length = length.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(Some((SegmentId(hasher.finalize().into()), length)))
}
