//! How clients inside the process talk to a host.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use decube_core::ledger::{self, FinalBlock};
use decube_core::node::{Changes, Request, Response};
use decube_core::raft::Refusal;
use decube_core::types::{RequestId, Revision};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::WATCH_QUEUE_MAX;
use super::ledger::LedgerAsk;
use super::metrics::{Counter, Metrics};
use super::requests::{Ask, ChangeSender, Waiter};
use super::status::{HostExit, HostStatus};

/// A client's way to a node. Cheap to clone; when the last one is dropped the
/// host stops gracefully.
#[derive(Debug, Clone)]
pub struct NodeHandle {
    requests: mpsc::Sender<Ask>,
    control: mpsc::UnboundedSender<Control>,
    status: watch::Receiver<HostStatus>,
    metrics: Arc<Metrics>,
    next_id: Arc<AtomicU64>,
    ledger: mpsc::Sender<LedgerAsk>,
    blocks: broadcast::Sender<Arc<FinalBlock>>,
}

/// The host has ended. A request that was open may have happened or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node has stopped; the request may or may not have been carried out")]
pub struct HostGone;

/// A running watch. Dropping it ends it on the node.
#[derive(Debug)]
pub struct Watch {
    revision: Revision,
    changes: mpsc::Receiver<Changes>,
    end: Arc<OnceLock<WatchEnd>>,
    _cancel: CancelOnDrop,
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
    /// Nobody waits for this question to the ledger any more.
    CancelLedger(RequestId),
    /// Stop gracefully.
    Shutdown,
}

/// The host's ends of a handle's channels.
#[derive(Debug)]
pub(super) struct HandlePorts {
    pub(super) requests: mpsc::Receiver<Ask>,
    pub(super) control: mpsc::UnboundedReceiver<Control>,
    pub(super) status: watch::Sender<HostStatus>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) ledger: mpsc::Receiver<LedgerAsk>,
    pub(super) blocks: broadcast::Sender<Arc<FinalBlock>>,
}

impl NodeHandle {
    pub(super) fn new(queue_max: usize) -> (Self, HandlePorts) {
        let (requests, requests_rx) = mpsc::channel(queue_max);
        let (control, control_rx) = mpsc::unbounded_channel();
        let (status_tx, status) = watch::channel(HostStatus::default());
        let metrics = Arc::new(Metrics::default());
        let (ledger, ledger_rx) = mpsc::channel(queue_max);
        let blocks = super::ledger::blocks();
        let handle = Self {
            requests,
            control,
            status,
            metrics: metrics.clone(),
            next_id: Arc::new(AtomicU64::new(1)),
            ledger,
            blocks: blocks.clone(),
        };
        let ports = HandlePorts {
            requests: requests_rx,
            control: control_rx,
            status: status_tx,
            metrics,
            ledger: ledger_rx,
            blocks,
        };
        (handle, ports)
    }

    /// Asks the node and waits for its answer. A full queue is answered
    /// `Refused(Busy)` at once. Dropping the future cancels the request, which
    /// does not undo it.
    pub async fn request(&self, request: Request) -> Result<Response, HostGone> {
        match self.ask(request, None)? {
            Asked::Busy => Ok(Response::Refused(Refusal::Busy)),
            Asked::Waiting(answer, mut cancel) => {
                let response = answer.await.map_err(|_| HostGone);
                cancel.disarm();
                response
            }
        }
    }

    /// Asks the ledger and waits for its answer. Dropping the future cancels the
    /// question, which does not undo a submission.
    pub async fn ledger(&self, request: ledger::Request) -> Result<ledger::Response, HostGone> {
        let id = RequestId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let (answer, answered) = oneshot::channel();
        let ask = LedgerAsk {
            id,
            request,
            answer,
        };
        match self.ledger.try_send(ask) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => return Ok(ledger::Response::Busy),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(HostGone),
        }
        let mut cancel = CancelOnDrop {
            control: self.control.clone(),
            message: Some(Control::CancelLedger(id)),
        };
        let response = answered.await.map_err(|_| HostGone);
        cancel.disarm();
        response
    }

    /// Final blocks as they come, from now on. Who takes them too slowly is told how
    /// many it missed and asks for them.
    pub fn blocks(&self) -> broadcast::Receiver<Arc<FinalBlock>> {
        self.blocks.subscribe()
    }

    /// Follows the changes of keys in `from..to` (to the end without `to`), from
    /// revision `since` on; 0 is "from now on".
    pub async fn watch(
        &self,
        from: Bytes,
        to: Option<Bytes>,
        since: Revision,
    ) -> Result<Watch, WatchEnd> {
        let (queue, changes) = mpsc::channel(WATCH_QUEUE_MAX);
        let end = Arc::new(OnceLock::new());
        let sender = ChangeSender {
            queue,
            end: end.clone(),
        };
        let request = Request::Watch { from, to, since };
        let asked = self
            .ask(request, Some(sender))
            .map_err(|HostGone| WatchEnd::HostGone)?;
        let Asked::Waiting(answer, mut cancel) = asked else {
            return Err(WatchEnd::Refused(Refusal::Busy));
        };
        let refusal = match answer.await {
            Ok(Response::Watching { revision }) => {
                return Ok(Watch {
                    revision,
                    changes,
                    end,
                    _cancel: cancel,
                });
            }
            Ok(Response::Compacted { oldest }) => WatchEnd::Compacted { oldest },
            Ok(Response::Refused(refusal)) => WatchEnd::Refused(refusal),
            Ok(_) => WatchEnd::Ended,
            Err(_) => WatchEnd::HostGone,
        };
        cancel.disarm();
        Err(refusal)
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

    fn ask(&self, request: Request, changes: Option<ChangeSender>) -> Result<Asked, HostGone> {
        // Ids only have to be unique in this process; order means nothing.
        let id = RequestId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let (answer, answered) = oneshot::channel();
        let waiter = Waiter {
            answer: Some(answer),
            changes,
        };
        match self.requests.try_send(Ask {
            id,
            request,
            waiter,
        }) {
            Ok(()) => Ok(Asked::Waiting(
                answered,
                CancelOnDrop {
                    control: self.control.clone(),
                    message: Some(Control::Cancel(id)),
                },
            )),
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.metrics.add(Counter::RequestsRefused, 1);
                Ok(Asked::Busy)
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(HostGone),
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
        match self.changes.recv().await {
            Some(changes) => Ok(changes),
            None => Err(self.end.get().copied().unwrap_or(WatchEnd::HostGone)),
        }
    }
}

enum Asked {
    Busy,
    Waiting(oneshot::Receiver<Response>, CancelOnDrop),
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
