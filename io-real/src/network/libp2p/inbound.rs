//! Streams that peers open.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use decube_core::limits::MESSAGE_BYTES_MAX;
use futures::StreamExt as _;
use libp2p::PeerId;
use libp2p_stream::IncomingStreams;
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::compat::FuturesAsyncReadCompatExt as _;

use super::shared::{Shared, bump};
use super::{HANDSHAKE_MAX, INBOUND_STREAMS_MAX, KEEPALIVE, SILENCE_MAX, frame, hello};
use crate::ports::NetworkEvent;

/// Bytes that are read from a stream at once.
const READ_BYTES: usize = 64 << 10;

/// Takes message streams until the transport is closed.
pub(super) async fn serve(shared: Arc<Shared>, mut incoming: IncomingStreams) {
    let room = Arc::new(Semaphore::new(INBOUND_STREAMS_MAX));
    while let Some((peer, stream)) = incoming.next().await {
        let Ok(permit) = room.clone().try_acquire_owned() else {
            bump(&shared.counters.streams_dropped);
            continue;
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            let stream = BufReader::with_capacity(READ_BYTES, stream.compat());
            let error = match receive(&shared, peer, stream).await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            tracing::debug!(%peer, %error, "inbound stream ended");
            drop(permit);
        });
    }
}

/// Passes on what one peer says, until the stream ends.
async fn receive(
    shared: &Shared,
    peer: PeerId,
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
) -> io::Result<std::convert::Infallible> {
    let silent = |_| io::Error::from(io::ErrorKind::TimedOut);
    let from = timeout(HANDSHAKE_MAX, hello::accept(shared, peer, &mut stream));
    let from = from.await.map_err(silent)??;
    loop {
        let message = timeout(SILENCE_MAX, frame::read(&mut stream, MESSAGE_BYTES_MAX));
        let bytes: Bytes = message.await.map_err(silent)??;
        if bytes.is_empty() {
            let answer = timeout(SILENCE_MAX, frame::write(&mut stream, b""));
            answer.await.map_err(silent)??;
            continue;
        }
        let from = shared.peer(from);
        hand_over(shared, &mut stream, NetworkEvent::Message { from, bytes }).await?;
    }
}

/// Gives an event to the host. One that is behind stops the reading, and so the sender,
/// who is told now and then that this node is not dead.
async fn hand_over(
    shared: &Shared,
    stream: &mut (impl AsyncWrite + Unpin),
    event: NetworkEvent,
) -> io::Result<()> {
    let mut sent = std::pin::pin!(shared.events.send(event));
    loop {
        match timeout(KEEPALIVE, &mut sent).await {
            Ok(sent) => {
                return sent.map_err(|_| io::ErrorKind::ConnectionAborted.into());
            }
            Err(_) => {
                let alive = timeout(SILENCE_MAX, frame::write(stream, b"")).await;
                alive.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            }
        }
    }
}
