//! Frames on a stream: a big-endian `u32` length and so many bytes. A frame of
//! length 0 is a keepalive.

use std::io;

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Reads a frame of at most `limit` bytes. The length is checked before anything
/// is allocated for it.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin), limit: usize) -> io::Result<Bytes> {
    let length = stream.read_u32().await?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > limit {
        return Err(invalid("a frame is larger than allowed"));
    }
    let mut frame = BytesMut::zeroed(length);
    stream.read_exact(&mut frame).await?;
    Ok(frame.freeze())
}

/// Appends a frame to a buffer.
pub(super) fn put(buffer: &mut BytesMut, frame: &[u8]) {
    let length = u32::try_from(frame.len()).expect("messages are limited far below 4 GiB");
    buffer.put_u32(length);
    buffer.put_slice(frame);
}

/// Writes one frame.
pub(super) async fn write(stream: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(frame.len() + 4);
    put(&mut buffer, frame);
    stream.write_all(&buffer).await?;
    stream.flush().await
}

/// The other side breaks the protocol.
pub(super) fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
