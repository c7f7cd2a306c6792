//! Writing blobs.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use decube_core::snapshot::SegmentId;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;

use super::directory::PublishError;
use super::error::BlobError;
use super::get::hash_file;
use super::store::{BlobStore, Inner};

/// Bytes collected before they are handed to the writing thread.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces waiting for the writing thread.
const PIECES_MAX: usize = 4;

/// The acknowledgement of a put: the blob is durable under this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub id: SegmentId,
    /// Its length in bytes.
    pub length: u64,
    /// Whether it was there before.
    pub existed: bool,
}

/// What the writing thread is told. A channel that closes before `Finish` means
/// that the put was cancelled.
enum WriterCommand {
    Write(Bytes),
    Finish,
}

/// A file in `tmp/` that is removed unless it is published.
struct Temporary {
    path: PathBuf,
    file: File,
    hasher: Sha256,
    length: u64,
}

impl BlobStore {
    /// Stores the bytes of `body` under their announced name. Memory stays
    /// bounded whatever the length.
    pub async fn put(
        &self,
        id: SegmentId,
        body: impl AsyncRead + Unpin,
        bytes_max: u64,
    ) -> Result<Stored, BlobError> {
        self.write(Some(id), body, bytes_max).await
    }

    /// Stores the bytes of `body` under the name that they turn out to have.
    pub async fn put_unnamed(
        &self,
        body: impl AsyncRead + Unpin,
        bytes_max: u64,
    ) -> Result<Stored, BlobError> {
        self.write(None, body, bytes_max).await
    }

    async fn write(
        &self,
        expected: Option<SegmentId>,
        mut body: impl AsyncRead + Unpin,
        bytes_max: u64,
    ) -> Result<Stored, BlobError> {
        let permit = self.inner.writes.clone().acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        let (commands, received) = mpsc::channel(PIECES_MAX);
        let inner = self.inner.clone();
        let writer = tokio::task::spawn_blocking(move || {
            // The permit is given back with the thread's work, even if the caller is gone.
            let _permit = permit;
            write_blocking(&inner, expected, received)
        });
        let sent = send_pieces(&mut body, bytes_max, commands).await;
        let written = writer
            .await
            .expect("the writer neither panics nor is aborted");
        match (sent, written) {
            (Err(error), _) => Err(error),
            (Ok(()), Ok(Some(stored))) => Ok(stored),
            (Ok(()), Err(error)) => Err(error),
            (Ok(()), Ok(None)) => unreachable!("a finished put is never taken for cancelled"),
        }
    }
}

/// Reads the body and sends it on. A writer that has stopped is no error here: it
/// reports its own.
async fn send_pieces(
    body: &mut (impl AsyncRead + Unpin),
    bytes_max: u64,
    commands: mpsc::Sender<WriterCommand>,
) -> Result<(), BlobError> {
    let mut total = 0_u64;
    loop {
        let mut piece = BytesMut::with_capacity(PIECE_BYTES);
        while piece.len() < PIECE_BYTES {
            if body.read_buf(&mut piece).await.map_err(BlobError::Body)? == 0 {
                break;
            }
        }
        let at_end = piece.len() < PIECE_BYTES;
        total = total.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if total > bytes_max {
            return Err(BlobError::TooLarge { bytes_max });
        }
        if commands
            .send(WriterCommand::Write(piece.freeze()))
            .await
            .is_err()
        {
            return Ok(());
        }
        if at_end {
            let _ = commands.send(WriterCommand::Finish).await;
            return Ok(());
        }
    }
}

/// Writes what comes; `None` if the put was cancelled.
fn write_blocking(
    inner: &Arc<Inner>,
    expected: Option<SegmentId>,
    mut commands: mpsc::Receiver<WriterCommand>,
) -> Result<Option<Stored>, BlobError> {
    inner.check()?;
    let mut temporary = Temporary::create(inner)?;
    loop {
        match commands.blocking_recv() {
            Some(WriterCommand::Write(piece)) => temporary.write(inner, &piece)?,
            Some(WriterCommand::Finish) => break,
            None => return Ok(None),
        }
    }
    temporary.finish(inner, expected).map(Some)
}

impl Temporary {
    fn create(inner: &Inner) -> Result<Self, BlobError> {
        inner.check_space(0)?;
        let path = inner.temporary_path();
        let file = File::options()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(BlobError::disk("create", &path))?;
        Ok(Self {
            path,
            file,
            hasher: Sha256::new(),
            length: 0,
        })
    }

    fn write(&mut self, inner: &Inner, piece: &[u8]) -> Result<(), BlobError> {
        let piece_bytes = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        let before = self.length;
        self.length = before.saturating_add(piece_bytes);
        // Once in 16 MiB: the check is a system call, and other writers move too.
        if before >> 24 != self.length >> 24 {
            inner.check_space(piece_bytes)?;
        }
        self.hasher.update(piece);
        self.file
            .write_all(piece)
            .map_err(BlobError::disk("write", &self.path))
    }

    /// Checks the name, and makes the blob durable and visible.
    fn finish(mut self, inner: &Inner, expected: Option<SegmentId>) -> Result<Stored, BlobError> {
        let found = SegmentId(self.hasher.finalize_reset().into());
        let id = expected.unwrap_or(found);
        if id != found {
            return Err(BlobError::Mismatch {
                expected: id,
                found,
            });
        }
        self.file
            .sync_data()
            .map_err(BlobError::disk("sync", &self.path))?;
        let mut shard = inner.shard(&id);
        let stored = |existed| Stored {
            id,
            length: self.length,
            existed,
        };
        let target = inner.path(&id);
        match hash_file(&target) {
            Ok(Some((present, _))) if present == id => return Ok(stored(true)),
            // Damaged or unreadable: keep it for the operator, then replace it.
            Ok(Some(_)) | Err(_) => inner.quarantine(&id, &target)?,
            Ok(None) => {}
        }
        match shard.publish(&self.path, &target) {
            Ok(()) => Ok(stored(false)),
            Err(PublishError::Clean(error)) => Err(error),
            Err(PublishError::Unknown(error)) => {
                inner.poison();
                Err(error)
            }
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After publishing the name is gone. What cannot be removed now is swept
        // when the store is opened.
        let _ = fs::remove_file(&self.path);
    }
}
