//! The stream to one peer, kept alive: dial, introduce, send, and begin again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use decube_core::limits::MESSAGE_BYTES_MAX;
use decube_core::types::NodeId;
use libp2p::{Multiaddr, PeerId};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Instant, interval, sleep, sleep_until, timeout};
use tokio_util::compat::FuturesAsyncReadCompatExt as _;

use super::shared::{Shared, bump};
use super::swarm::Command;
use super::{
    HANDSHAKE_MAX, KEEPALIVE, PEER_PROTOCOL, QUEUE_BYTES_MAX, QUEUE_MESSAGES_MAX, SILENCE_MAX,
    frame, hello,
};
use crate::ports::{Dropped, NetworkEvent, Peer};

/// The first pause after a failure; it doubles up to the last one.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LAST: Duration = Duration::from_secs(5);
/// Bytes of frames that are written together.
const WRITE_BYTES: usize = 256 << 10;

/// The sending end of a link. Dropping it closes the link.
#[derive(Debug)]
pub(super) struct Link {
    queue: mpsc::Sender<Bytes>,
    state: Arc<State>,
    together: Arc<Together>,
    task: AbortHandle,
}

#[derive(Debug, Default)]
struct State {
    up: AtomicBool,
    queued_bytes: AtomicUsize,
}

/// The links to one peer, which is there when all of them are: whoever is told so may
/// speak to each of its parts.
#[derive(Debug)]
pub(super) struct Together {
    all: usize,
    /// How many are up. Held while the host is told, so that it hears in order.
    up: Mutex<usize>,
    is_peer_up: AtomicBool,
}

impl Together {
    /// So many links, none of them up.
    pub(super) fn of(all: usize) -> Arc<Self> {
        Arc::new(Self {
            all,
            up: Mutex::new(0),
            is_peer_up: AtomicBool::new(false),
        })
    }
}

impl Link {
    /// Begins to reach for a peer. Of the links to one peer the main one begins with a
    /// new connection when its stream is dead.
    pub(super) fn start(
        peer: Peer,
        is_main: bool,
        together: Arc<Together>,
        shared: Arc<Shared>,
        control: libp2p_stream::Control,
    ) -> Self {
        let (queue, queued) = mpsc::channel(QUEUE_MESSAGES_MAX);
        let state = Arc::new(State::default());
        let task = LinkTask {
            peer,
            is_main,
            shared,
            control,
            queued,
            state: state.clone(),
            together: together.clone(),
        };
        let task = tokio::spawn(task.run()).abort_handle();
        Self {
            queue,
            state,
            together,
            task,
        }
    }

    /// Queues a message. While there is no stream it is dropped: it would be
    /// stale when there is one.
    pub(super) fn send(&self, message: Bytes) -> Result<(), Dropped> {
        assert!(message.len() <= MESSAGE_BYTES_MAX, "the caller checks");
        if !self.state.up.load(Ordering::Acquire) {
            return Err(Dropped::NotConnected);
        }
        let length = message.len();
        let before = self.state.queued_bytes.fetch_add(length, Ordering::AcqRel);
        if before.saturating_add(length) <= QUEUE_BYTES_MAX && self.queue.try_send(message).is_ok()
        {
            return Ok(());
        }
        self.state.queued_bytes.fetch_sub(length, Ordering::AcqRel);
        Err(Dropped::QueueFull)
    }

    /// Whether the host was told that the peer is there.
    pub(super) fn is_peer_up(&self) -> bool {
        self.together.is_peer_up.load(Ordering::Acquire)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct LinkTask {
    peer: Peer,
    is_main: bool,
    shared: Arc<Shared>,
    control: libp2p_stream::Control,
    queued: mpsc::Receiver<Bytes>,
    state: Arc<State>,
    together: Arc<Together>,
}

impl LinkTask {
    async fn run(mut self) {
        let mut pause = PAUSE_FIRST;
        loop {
            bump(&self.shared.counters.attempts);
            let node = self.peer.node;
            match reach(&self.shared, &mut self.control, node).await {
                Ok((peer, mut stream)) => {
                    pause = PAUSE_FIRST;
                    let error = self.serve(&mut stream).await;
                    tracing::info!(%node, %error, self.is_main, "link lost");
                    if self.is_main {
                        // A dead stream means a dead connection: begin with a new one.
                        let _ = self.shared.commands.send(Command::Disconnect(peer)).await;
                    }
                }
                Err(error) => tracing::debug!(%node, %error, "peer not reached"),
            }
            sleep(jittered(pause)).await;
            pause = (pause * 2).min(PAUSE_LAST);
        }
    }

    /// Sends until something breaks. The host is told before and afterwards.
    async fn serve(&mut self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Error {
        // What was queued for an earlier stream is stale.
        self.discard_queue();
        self.state.up.store(true, Ordering::Release);
        bump(&self.shared.counters.links_up);
        self.note_up().await;
        let error = match pump(&mut self.queued, &self.state, stream).await {
            Ok(never) => match never {},
            Err(error) => error,
        };
        self.state.up.store(false, Ordering::Release);
        self.note_down().await;
        error
    }

    async fn note_up(&self) {
        let mut up = self.together.up.lock().await;
        *up += 1;
        assert!(*up <= self.together.all, "each link is up once");
        if *up == self.together.all {
            self.together.is_peer_up.store(true, Ordering::Release);
            self.tell(NetworkEvent::Up(self.peer)).await;
        }
    }

    async fn note_down(&self) {
        let mut up = self.together.up.lock().await;
        if *up == self.together.all {
            self.together.is_peer_up.store(false, Ordering::Release);
            self.tell(NetworkEvent::Down(self.peer)).await;
        }
        *up -= 1;
    }

    async fn tell(&self, event: NetworkEvent) {
        // A closed queue means that the host is gone; the port that holds this link goes
        // with it.
        let _ = self.shared.events.send(event).await;
    }

    fn discard_queue(&mut self) {
        while let Ok(message) = self.queued.try_recv() {
            self.state
                .queued_bytes
                .fetch_sub(message.len(), Ordering::AcqRel);
        }
    }
}

/// Sends what is queued and probes an idle stream, until something breaks.
async fn pump(
    queued: &mut mpsc::Receiver<Bytes>,
    state: &State,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> io::Result<std::convert::Infallible> {
    let (mut reading, mut writing) = tokio::io::split(stream);
    let mut buffer = BytesMut::with_capacity(WRITE_BYTES);
    let mut keepalive = interval(KEEPALIVE);
    let mut heard = Instant::now();
    let mut answer = [0; 4];
    loop {
        tokio::select! {
            biased;
            read = reading.read(&mut answer) => match read? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ => heard = Instant::now(),
            },
            _ = keepalive.tick() => {
                if heard.elapsed() > SILENCE_MAX {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                frame::put(&mut buffer, b"");
                write(&mut reading, &mut writing, &mut buffer, &mut heard).await?;
            }
            message = queued.recv() => {
                let Some(message) = message else {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                };
                gather(queued, state, message, &mut buffer);
                write(&mut reading, &mut writing, &mut buffer, &mut heard).await?;
            }
        }
    }
}

/// Puts a message and those right behind it into one buffer.
fn gather(queued: &mut mpsc::Receiver<Bytes>, state: &State, first: Bytes, buffer: &mut BytesMut) {
    let mut next = Some(first);
    while let Some(message) = next {
        state
            .queued_bytes
            .fetch_sub(message.len(), Ordering::AcqRel);
        frame::put(buffer, &message);
        next = match buffer.len() < WRITE_BYTES {
            true => queued.try_recv().ok(),
            false => None,
        };
    }
}

/// Writes what is gathered. A peer that takes nothing may have a part that is slow; one
/// that says nothing either is dead.
async fn write(
    reading: &mut (impl AsyncRead + Unpin),
    writing: &mut (impl AsyncWrite + Unpin),
    buffer: &mut BytesMut,
    heard: &mut Instant,
) -> io::Result<()> {
    let written = async {
        writing.write_all(buffer).await?;
        writing.flush().await
    };
    let mut written = std::pin::pin!(written);
    let mut answer = [0; 4];
    loop {
        tokio::select! {
            biased;
            written = &mut written => break written?,
            read = reading.read(&mut answer) => match read? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ => *heard = Instant::now(),
            },
            () = sleep_until(*heard + SILENCE_MAX) => {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }
    buffer.clear();
    Ok(())
}

/// A stream to a node that has proven to be that node.
async fn reach(
    shared: &Shared,
    control: &mut libp2p_stream::Control,
    node: NodeId,
) -> io::Result<(PeerId, impl AsyncRead + AsyncWrite + Unpin + use<>)> {
    let peer = connect(shared, node).await?;
    let opened = timeout(HANDSHAKE_MAX, async {
        let stream = control.open_stream(peer, PEER_PROTOCOL).await;
        let mut stream = stream.map_err(io::Error::other)?.compat();
        let found = hello::open(shared, peer, &mut stream).await?;
        match found == node {
            true => Ok(stream),
            false => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("node {found} answers there"),
            )),
        }
    });
    match opened
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    {
        Ok(stream) => Ok((peer, stream)),
        Err(error) => {
            if hello::is_other_version(&error) {
                shared.warn_of_version(node);
            }
            // A refusal is no fault of the connection, which may carry the other
            // direction. Anything else is: begin with a new one.
            if error.kind() != io::ErrorKind::PermissionDenied {
                shared.forget(node);
                let _ = shared.commands.send(Command::Disconnect(peer)).await;
            }
            Err(error)
        }
    }
}

/// A connection to a node: the one there is, or a new one to one of its addresses.
pub(super) async fn connect(shared: &Shared, node: NodeId) -> io::Result<PeerId> {
    let dial_lock = shared.dialing(node);
    let _dialing = dial_lock.lock().await;
    let known = shared.peer_of(node);
    if let Some(peer) = known
        && let Ok(peer) = ask(shared, Some(peer), None).await
    {
        return Ok(peer);
    }
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no address is known");
    for address in shared.addresses_of(node) {
        let found = match address.resolve().await {
            Ok(found) => found,
            Err(error) => {
                last = error;
                continue;
            }
        };
        for address in found {
            // A node that lost its transport key answers with another one, so
            // the expected one is only tried first.
            for peer in known.map(Some).into_iter().chain([None]) {
                match ask(shared, peer, Some(address.clone())).await {
                    Ok(peer) => {
                        shared.set_answered(node, peer);
                        return Ok(peer);
                    }
                    Err(error) => last = error,
                }
            }
        }
    }
    Err(last)
}

async fn ask(
    shared: &Shared,
    peer: Option<PeerId>,
    address: Option<Multiaddr>,
) -> io::Result<PeerId> {
    let (reply, answer) = oneshot::channel();
    let command = Command::Connect {
        peer,
        address,
        reply,
    };
    let gone = |_| io::Error::from(io::ErrorKind::ConnectionAborted);
    shared.commands.send(command).await.map_err(|_| gone(()))?;
    answer
        .await
        .map_err(|_| gone(()))?
        .map_err(io::Error::other)
}

/// Half to all of a pause, so that peers that lost each other together do not
/// come back together.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0_u8; 4];
    // Without entropy all nodes pause for as long as each other: no harm done.
    let _ = getrandom::fill(&mut random);
    let share = u32::from_be_bytes(random) % 512;
    pause / 2 + pause * share / 1024
}

/// A link that has nothing to send, on any stream: how it ends.
#[cfg(test)]
pub(super) async fn pump_alone(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Error {
    let (_queue, mut queued) = mpsc::channel(1);
    match pump(&mut queued, &State::default(), &mut stream).await {
        Ok(never) => match never {},
        Err(error) => error,
    }
}
