//! How clients inside the process talk to a host.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use decube_core::cluster::{self, Changes};
use decube_core::ledger;
use decube_core::node::{Request, Response};
use decube_core::raft::Refusal;
use decube_core::types::{RequestId, Revision};
use tokio::sync::{mpsc, oneshot, watch};

use super::STREAM_QUEUE_MAX;
use super::metrics::{Counter, Metrics};
use super::requests::{Ask, StreamSender, Waiter};
use super::status::{HostExit, HostStatus};
use crate::inbox::{PartReceiver, PartSender, WeakPartSender, part_queues};

/// A client's way to a node. Cheap to clone; when the last one is dropped the
/// host stops gracefully.
#[derive(Debug, Clone)]
pub struct NodeHandle {
    requests: PartSender<Ask>,
    control: mpsc::UnboundedSender<Control>,
    status: watch::Receiver<HostStatus>,
    metrics: Arc<Metrics>,
    next_id: Arc<AtomicU64>,
}

/// A handle that does not keep its host from stopping.
#[derive(Debug, Clone)]
pub(super) struct WeakHandle {
    requests: WeakPartSender<Ask>,
    control: mpsc::WeakUnboundedSender<Control>,
    status: watch::Receiver<HostStatus>,
    metrics: Arc<Metrics>,
    next_id: Arc<AtomicU64>,
}

impl WeakHandle {
    /// A handle, if there is still another one.
    pub(super) fn upgrade(&self) -> Option<NodeHandle> {
        Some(NodeHandle {
            requests: self.requests.upgrade()?,
            control: self.control.upgrade()?,
            status: self.status.clone(),
            metrics: self.metrics.clone(),
            next_id: self.next_id.clone(),
        })
    }
}

/// The host has ended. A request that was open may have happened or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node has stopped; the request may or may not have been carried out")]
pub struct HostGone;

/// Parts of an answer as they come. Dropping it ends the stream on the node.
#[derive(Debug)]
pub struct Answers {
    queue: mpsc::Receiver<Response>,
    end: Arc<OnceLock<StreamEnd>>,
    _cancel: CancelOnDrop,
}

/// Why a stream gives no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEnd {
    /// The node's last answer.
    Answered(Box<Response>),
    /// The parts were taken more slowly than they came.
    Lagged,
    /// The host has ended.
    HostGone,
}

/// A running watch. Dropping it ends it on the node.
#[derive(Debug)]
pub struct Watch {
    revision: Revision,
    answers: Answers,
}

/// Why a watch gives no more changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WatchEnd {
    /// The watcher took changes more slowly than they happened. List the keys
    /// again and watch from the revision of the list.
    #[error("the watch was too slow; list again and watch from there")]
    Lagged,
    /// The history that the watch needs is gone. List the keys again and watch
    /// from the revision of the list.
    #[error("history before revision {oldest} is gone; list again and watch from there")]
    Compacted {
        /// The oldest revision that a watch can begin at.
        oldest: Revision,
    },
    /// The node refused the watch when it was opened.
    #[error("the node refused the watch")]
    Refused(Refusal),
    /// The node ended the watch.
    #[error("the node ended the watch")]
    Ended,
    /// The host has ended.
    #[error("the node has stopped")]
    HostGone,
}

/// What a handle tells the host beside requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Control {
    /// Nobody waits for this request any more.
    Cancel(RequestId),
    /// Stop gracefully.
    Shutdown,
}

/// The host's ends of a handle's channels.
#[derive(Debug)]
pub(super) struct HandlePorts {
    pub(super) requests: PartReceiver<Ask>,
    pub(super) control: mpsc::UnboundedReceiver<Control>,
    pub(super) status: watch::Sender<HostStatus>,
    pub(super) metrics: Arc<Metrics>,
}

impl NodeHandle {
    pub(super) fn new(queue_max: usize) -> (Self, HandlePorts) {
        let (requests, requests_rx) = part_queues(queue_max);
        let (control, control_rx) = mpsc::unbounded_channel();
        let (status_tx, status) = watch::channel(HostStatus::default());
        let metrics = Arc::new(Metrics::default());
        let handle = Self {
            requests,
            control,
            status,
            metrics: metrics.clone(),
            next_id: Arc::new(AtomicU64::new(1)),
        };
        let ports = HandlePorts {
            requests: requests_rx,
            control: control_rx,
            status: status_tx,
            metrics,
        };
        (handle, ports)
    }

    /// Asks the node and waits for its answer. A full queue is answered at once: busy.
    /// Dropping the future cancels the request, which does not undo it.
    pub async fn request(&self, request: impl Into<Request>) -> Result<Response, HostGone> {
        let request = request.into();
        let (answer, answered) = oneshot::channel();
        match self.ask(request, Waiter::Once(answer))? {
            Err(refusal) => Ok(refusal),
            Ok(mut cancel) => {
                let response = answered.await.map_err(|_| HostGone);
                cancel.disarm();
                response
            }
        }
    }

    /// Asks the node's part in its cluster; otherwise like [`NodeHandle::request`].
    pub async fn cluster(&self, request: cluster::Request) -> Result<cluster::Response, HostGone> {
        match self.request(request).await? {
            Response::Cluster(response) => Ok(response),
            other => unreachable!("the cluster was asked: {other:?}"),
        }
    }

    /// Asks the node's part in the ledger; otherwise like [`NodeHandle::request`].
    pub async fn ledger(&self, request: ledger::Request) -> Result<ledger::Response, HostGone> {
        match self.request(request).await? {
            Response::Ledger(response) => Ok(response),
            other => unreachable!("the ledger was asked: {other:?}"),
        }
    }

    /// Asks the node for a stream. It queues [`STREAM_QUEUE_MAX`] parts for a slow
    /// reader, and ends then.
    pub fn stream(&self, request: impl Into<Request>) -> Result<Answers, StreamEnd> {
        let request = request.into();
        let (sender, queue) = mpsc::channel(STREAM_QUEUE_MAX);
        let end = Arc::new(OnceLock::new());
        let waiter = Waiter::Stream(StreamSender {
            queue: sender,
            end: end.clone(),
        });
        match self.ask(request, waiter) {
            Err(HostGone) => Err(StreamEnd::HostGone),
            Ok(Err(refusal)) => Err(StreamEnd::Answered(Box::new(refusal))),
            Ok(Ok(cancel)) => Ok(Answers {
                queue,
                end,
                _cancel: cancel,
            }),
        }
    }

    /// Follows the changes of keys in `from..to` (to the end without `to`), from
    /// revision `since` on; 0 is "from now on".
    pub async fn watch(
        &self,
        from: Bytes,
        to: Option<Bytes>,
        since: Revision,
    ) -> Result<Watch, WatchEnd> {
        let request = cluster::Request::Watch { from, to, since };
        let mut answers = self.stream(request)?;
        match answers.next().await? {
            Response::Cluster(cluster::Response::Watching { revision }) => {
                Ok(Watch { revision, answers })
            }
            _ => Err(WatchEnd::Ended),
        }
    }

    pub(super) fn downgrade(&self) -> WeakHandle {
        WeakHandle {
            requests: self.requests.downgrade(),
            control: self.control.downgrade(),
            status: self.status.clone(),
            metrics: self.metrics.clone(),
            next_id: self.next_id.clone(),
        }
    }

    /// The state of the host, and a way to wait for it to change.
    pub fn status(&self) -> watch::Receiver<HostStatus> {
        self.status.clone()
    }

    /// The host's counters.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Asks the node to hand leadership over, make everything durable and stop,
    /// and waits until its files and sockets are closed. Bounded by the host's
    /// own timeout. Asking twice is harmless. `None` means that the host ended
    /// without saying how: its task was aborted or panicked.
    pub async fn shutdown(&self) -> Option<HostExit> {
        // A host that is gone has nothing to be told.
        let _ = self.control.send(Control::Shutdown);
        self.ended().await
    }

    /// Waits until the host has ended; `None` if its task was aborted or panicked.
    pub async fn ended(&self) -> Option<HostExit> {
        let mut status = self.status();
        while status.changed().await.is_ok() {}
        status.borrow().exit.clone()
    }

    /// Queues a request, or answers it: it may be over a bound, or the queue full.
    fn ask(
        &self,
        request: Request,
        waiter: Waiter,
    ) -> Result<Result<CancelOnDrop, Response>, HostGone> {
        if let Some(refusal) = request.refusal() {
            self.metrics.add(Counter::RequestsRefused, 1);
            return Ok(Err(refusal));
        }
        let part = request.part();
        // Ids only have to be unique in this process; order means nothing.
        let id = RequestId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let queue = self.requests.of(part);
        let ask = Ask {
            id,
            request,
            waiter,
        };
        match queue.try_send(ask) {
            Ok(()) => Ok(Ok(CancelOnDrop {
                control: self.control.clone(),
                message: Some(Control::Cancel(id)),
            })),
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.metrics.add(Counter::RequestsRefused, 1);
                Ok(Err(Response::busy(part)))
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(HostGone),
        }
    }
}

impl Answers {
    /// The next part of the answer. Cancel-safe. After an error there are no more.
    pub async fn next(&mut self) -> Result<Response, StreamEnd> {
        match self.queue.recv().await {
            Some(response) => Ok(response),
            None => Err(self.end.get().cloned().unwrap_or(StreamEnd::HostGone)),
        }
    }
}

impl Watch {
    /// The revision of the state when the watch began.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The next changes. Cancel-safe. After an error there are no more.
    pub async fn next(&mut self) -> Result<Changes, WatchEnd> {
        match self.answers.next().await? {
            Response::Cluster(cluster::Response::Changed(changes)) => Ok(changes),
            _ => Err(WatchEnd::Ended),
        }
    }
}

impl From<StreamEnd> for WatchEnd {
    fn from(end: StreamEnd) -> Self {
        match end {
            StreamEnd::Answered(response) => match *response {
                Response::Cluster(cluster::Response::Compacted { oldest }) => {
                    Self::Compacted { oldest }
                }
                Response::Cluster(cluster::Response::Refused(refusal)) => Self::Refused(refusal),
                _ => Self::Ended,
            },
            StreamEnd::Lagged => Self::Lagged,
            StreamEnd::HostGone => Self::HostGone,
        }
    }
}

/// Tells the host when the asker loses interest.
#[derive(Debug)]
struct CancelOnDrop {
    control: mpsc::UnboundedSender<Control>,
    message: Option<Control>,
}

impl CancelOnDrop {
    fn disarm(&mut self) {
        self.message = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(message) = self.message {
            // A host that is gone has nothing to cancel.
            let _ = self.control.send(message);
        }
    }
}
