//! Transfers of blobs: bulk bytes that never pass through the core.
//!
//! One stream carries one transfer. The opener says hello and, without waiting,
//! what it wants; the acceptor says hello and answers. `GET` is answered with a
//! length and so many bytes, `PUT` is followed by the bytes and answered when the
//! other side has stored them durably. Bytes flow as fast as the receiver takes
//! them; nothing buffers a whole blob.
//!
//! **Trust.** The bytes of a `GET` are what the peer sent. Whoever asked knows the
//! hash and must check it; a service must check the bytes of a `PUT` before it
//! acknowledges them.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use decube_core::codec::{Decode, Encode};
use decube_core::types::NodeId;
use futures::StreamExt as _;
use libp2p::PeerId;
use libp2p_stream::IncomingStreams;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader, ReadBuf};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::compat::FuturesAsyncReadCompatExt as _;

use super::shared::{Shared, bump};
use super::{BLOB_PROTOCOL, HANDSHAKE_MAX, frame, hello, link};

/// Transfers that this node serves at once; more are answered `Busy`.
pub const TRANSFERS_MAX: usize = 64;
/// A transfer that does not move for so long is given up.
pub const STALL_MAX: Duration = Duration::from_secs(30);
/// Bytes that are copied at once.
const COPY_BYTES: usize = 128 << 10;
/// More than any request or answer needs.
const HEADER_BYTES_MAX: usize = 64;

/// The SHA-256 of a blob's bytes, which is its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct BlobHash(pub [u8; 32]);

/// Why a blob was not transferred.
#[derive(Debug, thiserror::Error)]
pub enum BlobTransferError {
    /// The other side does not have it.
    #[error("the peer does not have the blob")]
    NotFound,
    /// The other side has too much to do; ask again later or elsewhere.
    #[error("the peer is busy")]
    Busy,
    /// The range or length is not possible, or the bytes do not have the hash.
    #[error("the peer calls the transfer invalid")]
    Invalid,
    /// The other side could not; what it has of the blob is unknown.
    #[error("the peer failed")]
    Failed,
    /// The connection failed. For a `PUT`: the blob may be stored or not.
    #[error("transfer: {0}")]
    Io(#[from] io::Error),
}

/// Bytes on their way: a length that is known, and a reader of so many bytes.
pub struct BlobBody {
    len: u64,
    reader: Pin<Box<dyn AsyncRead + Send>>,
}

/// Serves the blobs of this node to its peers. Dropping a future cancels the
/// work; a cancelled `put` must leave nothing that looks whole.
pub trait BlobService: Send + Sync + 'static {
    /// The bytes `offset..offset + len` of a blob, fewer at its end.
    fn get(
        &self,
        from: NodeId,
        hash: BlobHash,
        offset: u64,
        len: u64,
    ) -> impl Future<Output = Result<BlobBody, BlobTransferError>> + Send;

    /// Takes a blob, checks that its bytes have the hash, and returns when it is
    /// durable. A body that ends early is an error of its reader.
    fn put(
        &self,
        from: NodeId,
        hash: BlobHash,
        body: BlobBody,
    ) -> impl Future<Output = Result<(), BlobTransferError>> + Send;
}

/// Has no blobs and takes none.
impl BlobService for () {
    async fn get(
        &self,
        _from: NodeId,
        _hash: BlobHash,
        _offset: u64,
        _len: u64,
    ) -> Result<BlobBody, BlobTransferError> {
        Err(BlobTransferError::NotFound)
    }

    async fn put(
        &self,
        _from: NodeId,
        _hash: BlobHash,
        _body: BlobBody,
    ) -> Result<(), BlobTransferError> {
        Err(BlobTransferError::Invalid)
    }
}

/// Transfers blobs from and to peers. Cheap to clone.
#[derive(Clone)]
pub struct BlobClient {
    shared: Arc<Shared>,
    control: libp2p_stream::Control,
}

impl BlobClient {
    pub(super) fn new(shared: Arc<Shared>, control: libp2p_stream::Control) -> Self {
        Self { shared, control }
    }

    /// The bytes `offset..offset + len` of a peer's blob, fewer at its end. The
    /// caller checks the hash.
    pub async fn get(
        &self,
        peer: NodeId,
        hash: BlobHash,
        offset: u64,
        len: u64,
    ) -> Result<BlobBody, BlobTransferError> {
        let request = Request::Get { hash, offset, len };
        let mut stream = self.open(peer, &request).await?;
        let found = read_answer(&mut stream).await?;
        if found > len {
            return Err(frame::invalid("more bytes than were asked for").into());
        }
        Ok(BlobBody::new(found, stream))
    }

    /// Gives a blob to a peer; returns when the peer has it durably. A body that
    /// ends early is an error, and the peer keeps nothing of it.
    pub async fn put(
        &self,
        peer: NodeId,
        hash: BlobHash,
        body: BlobBody,
    ) -> Result<(), BlobTransferError> {
        let len = body.len;
        let stream = self.open(peer, &Request::Put { hash, len }).await?;
        let (mut reading, mut writing) = tokio::io::split(stream);
        let answer = frame::read(&mut reading, HEADER_BYTES_MAX);
        tokio::pin!(answer);
        // A peer that refuses does so before it has taken everything.
        let sent = tokio::select! {
            biased;
            answer = &mut answer => {
                parse_answer(&answer?)?;
                return Err(frame::invalid("an acknowledgement of half a blob").into());
            }
            sent = copy(body, &mut writing) => sent,
        };
        match sent {
            // The dropped stream tells the peer that the rest does not come.
            Err(CopyError::Source(error)) => Err(error.into()),
            Ok(()) | Err(CopyError::Target(_)) => {
                let answer = timeout(STALL_MAX, answer).await;
                parse_answer(&answer.unwrap_or_else(|_| Err(stalled()))?).map(drop)
            }
        }
    }

    async fn open(
        &self,
        node: NodeId,
        request: &Request,
    ) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static + use<>, BlobTransferError>
    {
        let mut control = self.control.clone();
        let opened = timeout(HANDSHAKE_MAX, async {
            let peer = link::connect(&self.shared, node).await?;
            let stream = control.open_stream(peer, BLOB_PROTOCOL).await;
            let mut stream = stream.map_err(io::Error::other)?.compat();
            frame::write(&mut stream, self.shared.hello()).await?;
            frame::write(&mut stream, &request.to_bytes()).await?;
            let found = hello::finish_open(&self.shared, peer, &mut stream).await?;
            match found == node {
                true => Ok(stream),
                false => Err(io::Error::other(format!("node {found} answers there"))),
            }
        });
        let opened: io::Result<_> = opened.await.unwrap_or_else(|_| Err(stalled()));
        Ok(opened?)
    }
}

impl BlobBody {
    /// So many bytes of a reader; the reader may hold more.
    pub fn new(len: u64, reader: impl AsyncRead + Send + 'static) -> Self {
        let reader = Box::pin(reader);
        Self { len, reader }
    }

    /// How many bytes are left.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Ends after exactly the announced bytes; a source that ends before that is an
/// error, never a short body.
impl AsyncRead for BlobBody {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = usize::try_from(self.len)
            .unwrap_or(usize::MAX)
            .min(buf.remaining());
        if room == 0 {
            return Poll::Ready(Ok(()));
        }
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        match self.reader.as_mut().poll_read(cx, &mut part) {
            Poll::Ready(Ok(())) => {
                let count = part.filled().len();
                if count == 0 {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                buf.advance(count);
                self.len = self
                    .len
                    .saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
                Poll::Ready(Ok(()))
            }
            other => other,
        }
    }
}

/// Serves transfers until the transport is closed.
pub(super) async fn serve(
    shared: Arc<Shared>,
    mut incoming: IncomingStreams,
    service: Arc<impl BlobService>,
) {
    let room = Arc::new(Semaphore::new(TRANSFERS_MAX));
    // Those that are told that the node is busy need a little room as well.
    let lobby = Arc::new(Semaphore::new(2 * TRANSFERS_MAX));
    while let Some((peer, stream)) = incoming.next().await {
        let Ok(admitted) = lobby.clone().try_acquire_owned() else {
            bump(&shared.counters.streams_dropped);
            continue;
        };
        let (shared, service, room) = (shared.clone(), service.clone(), room.clone());
        tokio::spawn(async move {
            let stream = BufReader::new(stream.compat());
            let permit = room.try_acquire_owned().ok();
            let service = permit.is_some().then_some(&*service);
            if let Err(error) = answer(&shared, peer, stream, service).await {
                tracing::debug!(%peer, %error, "blob transfer");
            }
            drop((permit, admitted));
        });
    }
}

/// One transfer; without a service the answer is `Busy`.
async fn answer(
    shared: &Shared,
    peer: PeerId,
    mut stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    service: Option<&impl BlobService>,
) -> Result<(), BlobTransferError> {
    let request = timeout(HANDSHAKE_MAX, async {
        let from = hello::accept(shared, peer, &mut stream).await?;
        let request = frame::read(&mut stream, HEADER_BYTES_MAX).await?;
        let request = Request::from_bytes(&request);
        let request = request.map_err(|_| frame::invalid("an undecodable blob request"))?;
        Ok((from, request))
    });
    let request: io::Result<_> = request.await.unwrap_or_else(|_| Err(stalled()));
    let (from, request) = request?;
    let Some(service) = service else {
        return refuse(&mut stream, BlobTransferError::Busy).await;
    };
    match request {
        Request::Get { hash, offset, len } => match service.get(from, hash, offset, len).await {
            Ok(body) => {
                assert!(
                    body.len <= len,
                    "a service gives at most what was asked for"
                );
                frame::write(&mut stream, &Answer::Ok(body.len).to_bytes()).await?;
                copy(body, &mut stream).await?;
                Ok(stream.shutdown().await?)
            }
            Err(error) => refuse(&mut stream, error).await,
        },
        Request::Put { hash, len } => {
            let (reading, mut writing) = tokio::io::split(stream);
            let body = BlobBody::new(len, Moving::new(reading));
            match service.put(from, hash, body).await {
                Ok(()) => {
                    frame::write(&mut writing, &Answer::Ok(0).to_bytes()).await?;
                    Ok(writing.shutdown().await?)
                }
                Err(error) => refuse(&mut writing, error).await,
            }
        }
    }
}

async fn refuse(
    stream: &mut (impl AsyncWrite + Unpin),
    error: BlobTransferError,
) -> Result<(), BlobTransferError> {
    let answer = match &error {
        BlobTransferError::NotFound => Answer::NotFound,
        BlobTransferError::Busy => Answer::Busy,
        BlobTransferError::Invalid => Answer::Invalid,
        BlobTransferError::Failed | BlobTransferError::Io(_) => Answer::Failed,
    };
    frame::write(stream, &answer.to_bytes()).await?;
    stream.shutdown().await?;
    Err(error)
}

/// The length that follows, or why nothing does. The other side may have to make
/// a large blob durable first, so this waits longer than a handshake.
async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) -> Result<u64, BlobTransferError> {
    let answer = timeout(STALL_MAX, frame::read(stream, HEADER_BYTES_MAX));
    parse_answer(&answer.await.unwrap_or_else(|_| Err(stalled()))?)
}

fn parse_answer(answer: &Bytes) -> Result<u64, BlobTransferError> {
    match Answer::from_bytes(answer) {
        Ok(Answer::Ok(len)) => Ok(len),
        Ok(Answer::NotFound) => Err(BlobTransferError::NotFound),
        Ok(Answer::Busy) => Err(BlobTransferError::Busy),
        Ok(Answer::Invalid) => Err(BlobTransferError::Invalid),
        Ok(Answer::Failed) => Err(BlobTransferError::Failed),
        Err(_) => Err(frame::invalid("an undecodable blob answer").into()),
    }
}

/// Copies a whole body; each piece must move within [`STALL_MAX`].
async fn copy(mut body: BlobBody, stream: &mut (impl AsyncWrite + Unpin)) -> Result<(), CopyError> {
    let mut buffer = vec![0; COPY_BYTES];
    while !body.is_empty() {
        let count = body.read(&mut buffer).await.map_err(CopyError::Source)?;
        let written = timeout(STALL_MAX, stream.write_all(&buffer[..count]));
        let written = written.await.unwrap_or_else(|_| Err(stalled()));
        written.map_err(CopyError::Target)?;
    }
    let flushed = timeout(STALL_MAX, stream.flush()).await;
    flushed
        .unwrap_or_else(|_| Err(stalled()))
        .map_err(CopyError::Target)
}

/// Which end of a copy failed.
#[derive(Debug)]
enum CopyError {
    Source(io::Error),
    Target(io::Error),
}

impl From<CopyError> for BlobTransferError {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Source(error) | CopyError::Target(error) => error.into(),
        }
    }
}

fn stalled() -> io::Error {
    io::ErrorKind::TimedOut.into()
}

/// A reader that fails when nothing comes for [`STALL_MAX`].
struct Moving<R> {
    reader: R,
    stalled: Pin<Box<tokio::time::Sleep>>,
}

impl<R> Moving<R> {
    fn new(reader: R) -> Self {
        let stalled = Box::pin(tokio::time::sleep(STALL_MAX));
        Self { reader, stalled }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Moving<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.reader).poll_read(cx, buf) {
            let next = tokio::time::Instant::now() + STALL_MAX;
            self.stalled.as_mut().reset(next);
            return Poll::Ready(read);
        }
        match self.stalled.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(stalled())),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// What an opener wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[codec(what = "blob request")]
pub(super) enum Request {
    #[codec(tag = 0)]
    Get {
        hash: BlobHash,
        offset: u64,
        len: u64,
    },
    #[codec(tag = 1)]
    Put { hash: BlobHash, len: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[codec(what = "blob answer")]
pub(super) enum Answer {
    #[codec(tag = 0)]
    Ok(u64),
    #[codec(tag = 1)]
    NotFound,
    #[codec(tag = 2)]
    Busy,
    #[codec(tag = 3)]
    Invalid,
    #[codec(tag = 4)]
    Failed,
}
