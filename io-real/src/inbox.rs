//! Queues with a bound for each part of a node, so that what one part does not take holds
//! back that part alone.
//!
//! Who puts something into a full queue waits, or is told; who takes out names the parts
//! that accept, and those take turns.

use std::task::{Context, Poll};

use decube_core::node::PartId;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::{SendError, TryRecvError, TrySendError};

use crate::ports::NetworkEvent;

const PARTS: usize = PartId::ALL.len();

/// Some of the parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartSet([bool; PARTS]);

impl PartSet {
    /// All parts that there are.
    pub const ALL: Self = Self([true; PARTS]);

    /// Those of which this is true.
    pub fn of(is_member: impl Fn(PartId) -> bool) -> Self {
        Self(PartId::ALL.map(is_member))
    }

    /// Whether a part is among them.
    pub const fn contains(&self, part: PartId) -> bool {
        self.0[part as usize]
    }
}

/// The way in. Clones are the same.
#[derive(Debug)]
pub(crate) struct PartSender<T>([mpsc::Sender<T>; PARTS]);

/// A way in that does not keep the queues open.
#[derive(Debug)]
pub(crate) struct WeakPartSender<T>([mpsc::WeakSender<T>; PARTS]);

/// The way out.
#[derive(Debug)]
pub(crate) struct PartReceiver<T> {
    queues: [mpsc::Receiver<T>; PARTS],
    /// Whose turn it is.
    next: usize,
}

/// Queues that each hold so much.
pub(crate) fn part_queues<T>(bound: usize) -> (PartSender<T>, PartReceiver<T>) {
    let pairs = PartId::ALL.map(|_| mpsc::channel(bound));
    let senders = pairs.each_ref().map(|(sender, _)| sender.clone());
    let receiver = PartReceiver {
        queues: pairs.map(|(_, receiver)| receiver),
        next: 0,
    };
    (PartSender(senders), receiver)
}

impl<T> Clone for PartSender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Clone for WeakPartSender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> PartSender<T> {
    /// The queue of a part.
    pub(crate) const fn of(&self, part: PartId) -> &mpsc::Sender<T> {
        &self.0[part as usize]
    }

    pub(crate) fn downgrade(&self) -> WeakPartSender<T> {
        WeakPartSender(self.0.each_ref().map(mpsc::Sender::downgrade))
    }
}

impl<T> WeakPartSender<T> {
    /// The way in, if there is still another one.
    pub(crate) fn upgrade(&self) -> Option<PartSender<T>> {
        // All of them are dropped together, so one tells of all.
        let senders = self.0.each_ref().map(mpsc::WeakSender::upgrade);
        let all = senders.iter().all(Option::is_some);
        all.then(|| PartSender(senders.map(|sender| sender.expect("just seen"))))
    }
}

impl<T> PartReceiver<T> {
    /// What waits for a part that accepts; nothing if nobody can put anything in any
    /// more.
    pub(crate) fn take(&mut self, accepts: PartSet, look: &mut Look<'_, '_>) -> Poll<Option<T>> {
        let mut is_open = false;
        for place in self.next..self.next.saturating_add(PARTS) {
            let place = place % PARTS;
            if !accepts.0[place] {
                is_open |= !self.queues[place].is_closed();
                continue;
            }
            match look.next(&mut self.queues[place]) {
                Poll::Ready(Some(item)) => {
                    self.next = (place + 1) % PARTS;
                    return Poll::Ready(Some(item));
                }
                Poll::Ready(None) => {}
                Poll::Pending => is_open = true,
            }
        }
        match is_open {
            true => Poll::Pending,
            false => Poll::Ready(None),
        }
    }

    /// What is there already for a part that accepts.
    pub(crate) fn try_recv(&mut self, accepts: PartSet) -> Option<T> {
        match self.take(accepts, &mut Look::Now) {
            Poll::Ready(item) => item,
            Poll::Pending => None,
        }
    }
}

/// A way to look into queues.
pub(crate) enum Look<'a, 'b> {
    /// What is there already. Registers no waker: one that nobody needs costs more than
    /// the look.
    Now,
    /// The task is woken when there is more.
    Waiting(&'a mut Context<'b>),
}

impl Look<'_, '_> {
    /// The next of a queue with a bound.
    pub(crate) fn next<T>(&mut self, queue: &mut mpsc::Receiver<T>) -> Poll<Option<T>> {
        match self {
            // Most are empty most of the time, and to see that is cheaper.
            Self::Now if queue.is_empty() && !queue.is_closed() => Poll::Pending,
            Self::Now => found(queue.try_recv()),
            Self::Waiting(cx) => queue.poll_recv(cx),
        }
    }

    /// The next of a queue without one.
    pub(crate) fn next_of_all<T>(
        &mut self,
        queue: &mut mpsc::UnboundedReceiver<T>,
    ) -> Poll<Option<T>> {
        match self {
            Self::Now if queue.is_empty() && !queue.is_closed() => Poll::Pending,
            Self::Now => found(queue.try_recv()),
            Self::Waiting(cx) => queue.poll_recv(cx),
        }
    }
}

fn found<T>(found: Result<T, TryRecvError>) -> Poll<Option<T>> {
    match found {
        Ok(item) => Poll::Ready(Some(item)),
        Err(TryRecvError::Empty) => Poll::Pending,
        Err(TryRecvError::Disconnected) => Poll::Ready(None),
    }
}

/// A transport's way to its host. Clones are the same.
#[derive(Debug, Clone)]
pub struct NetworkSender {
    /// What is of no part: peers that come and go, and messages of no known part.
    news: mpsc::Sender<NetworkEvent>,
    messages: PartSender<NetworkEvent>,
}

/// What a transport has brought in.
#[derive(Debug)]
pub struct NetworkInbox {
    news: mpsc::Receiver<NetworkEvent>,
    messages: PartReceiver<NetworkEvent>,
    /// News were the last that was taken. They take turns with messages: a peer that
    /// sends what is of no part must not keep the others from being heard.
    was_news: bool,
}

/// The queues between a transport and its host: one for each part, and one for what is of
/// no part, each with this bound.
pub fn network_inbox(bound: usize) -> (NetworkSender, NetworkInbox) {
    let (news, news_rx) = mpsc::channel(bound);
    let (messages, messages_rx) = part_queues(bound);
    let inbox = NetworkInbox {
        news: news_rx,
        messages: messages_rx,
        was_news: false,
    };
    (NetworkSender { news, messages }, inbox)
}

impl NetworkSender {
    fn queue(&self, event: &NetworkEvent) -> &mpsc::Sender<NetworkEvent> {
        let part = match event {
            NetworkEvent::Message { bytes, .. } => PartId::of_message(bytes),
            NetworkEvent::Up(_) | NetworkEvent::Down(_) => None,
        };
        part.map_or(&self.news, |part| self.messages.of(part))
    }

    /// Queues an event, and waits for room.
    ///
    /// # Errors
    /// The host is gone.
    pub async fn send(&self, event: NetworkEvent) -> Result<(), SendError<NetworkEvent>> {
        self.queue(&event).send(event).await
    }

    /// Queues an event if there is room.
    ///
    /// # Errors
    /// The queue is full, or the host is gone.
    pub fn try_send(&self, event: NetworkEvent) -> Result<(), TrySendError<NetworkEvent>> {
        self.queue(&event).try_send(event)
    }
}

impl NetworkInbox {
    /// The next for a part that accepts; nothing when the transport is gone.
    pub(crate) fn take(
        &mut self,
        accepts: PartSet,
        look: &mut Look<'_, '_>,
    ) -> Poll<Option<NetworkEvent>> {
        if self.was_news
            && let Poll::Ready(Some(message)) = self.messages.take(accepts, look)
        {
            self.was_news = false;
            return Poll::Ready(Some(message));
        }
        match look.next(&mut self.news) {
            Poll::Ready(Some(event)) => {
                self.was_news = true;
                Poll::Ready(Some(event))
            }
            // Both end together; what is queued is taken first.
            Poll::Ready(None) | Poll::Pending => self.messages.take(accepts, look),
        }
    }

    /// Waits for an event: a message only for a part that accepts. Nothing when the
    /// transport is gone. Cancel-safe.
    pub async fn recv(&mut self, accepts: PartSet) -> Option<NetworkEvent> {
        std::future::poll_fn(|cx| self.take(accepts, &mut Look::Waiting(cx))).await
    }

    /// What is there already; a transport that is gone looks as if nothing were.
    pub fn try_recv(&mut self, accepts: PartSet) -> Option<NetworkEvent> {
        match self.take(accepts, &mut Look::Now) {
            Poll::Ready(event) => event,
            Poll::Pending => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use decube_core::node::PartId;
    use decube_core::types::NodeId;

    use super::{PartSet, network_inbox};
    use crate::ports::{NetworkEvent, Peer};

    const BOUND: usize = 4;

    fn message(part: u8) -> NetworkEvent {
        NetworkEvent::Message {
            from: Peer::of_cluster(NodeId(2)),
            bytes: Bytes::copy_from_slice(&[part]),
        }
    }

    #[test]
    fn a_part_that_takes_nothing_holds_back_itself_alone() {
        let (sender, mut inbox) = network_inbox(BOUND);
        for _ in 0..BOUND {
            sender.try_send(message(1)).unwrap();
        }
        sender.try_send(message(1)).unwrap_err();
        sender.try_send(message(0)).unwrap();
        let up = NetworkEvent::Up(Peer::of_cluster(NodeId(2)));
        sender.try_send(up.clone()).unwrap();
        let accepts = PartSet::of(|part| part == PartId::Cluster);
        assert_eq!(inbox.try_recv(accepts), Some(up), "news wait for no part");
        assert_eq!(inbox.try_recv(accepts), Some(message(0)));
        assert_eq!(inbox.try_recv(accepts), None);
        assert_eq!(inbox.try_recv(PartSet::ALL), Some(message(1)));
    }

    #[test]
    fn parts_take_turns() {
        let (sender, mut inbox) = network_inbox(BOUND);
        for _ in 0..2 {
            sender.try_send(message(0)).unwrap();
            sender.try_send(message(1)).unwrap();
        }
        let taken: Vec<_> = (0..4)
            .filter_map(|_| inbox.try_recv(PartSet::ALL))
            .collect();
        assert_eq!(taken, [message(0), message(1), message(0), message(1)]);
    }

    #[test]
    fn what_is_of_no_part_keeps_nobody_waiting() {
        let (sender, mut inbox) = network_inbox(BOUND);
        for _ in 0..2 {
            sender.try_send(message(7)).unwrap();
            sender.try_send(message(0)).unwrap();
        }
        let taken: Vec<_> = (0..4)
            .filter_map(|_| inbox.try_recv(PartSet::ALL))
            .collect();
        assert_eq!(taken, [message(7), message(0), message(7), message(0)]);
    }

    #[tokio::test]
    async fn the_end_of_the_transport_is_seen_after_what_it_brought() {
        let (sender, mut inbox) = network_inbox(BOUND);
        sender.send(message(7)).await.unwrap();
        sender.send(message(1)).await.unwrap();
        drop(sender);
        let unknown = inbox.recv(PartSet::ALL).await;
        assert_eq!(unknown, Some(message(7)), "of no part that there is");
        assert_eq!(inbox.recv(PartSet::ALL).await, Some(message(1)));
        assert_eq!(inbox.recv(PartSet::ALL).await, None);
    }
}
