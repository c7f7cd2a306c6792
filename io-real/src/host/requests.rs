//! Who waits for which answer.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use decube_core::limits::REQUESTS_OPEN_MAX;
use decube_core::node::{Changes, Request, Response};
use decube_core::types::RequestId;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use super::handle::WatchEnd;

/// A request on its way from a handle to the host.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) id: RequestId,
    pub(super) request: Request,
    pub(super) waiter: Waiter,
}

/// Where the answers to a request go.
#[derive(Debug)]
pub(super) struct Waiter {
    /// Taken by the first answer.
    pub(super) answer: Option<oneshot::Sender<Response>>,
    /// For a watch: where its changes go.
    pub(super) changes: Option<ChangeSender>,
}

/// The host's end of a watch.
#[derive(Debug)]
pub(super) struct ChangeSender {
    pub(super) queue: mpsc::Sender<Changes>,
    /// Set once, before `queue` is dropped.
    pub(super) end: Arc<OnceLock<WatchEnd>>,
}

/// What became of changes for a watcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// Queued.
    Queued,
    /// Nobody watches any more, or too slowly: the machine should be told.
    Ended,
}

/// All requests that the machine has not answered, and all watches.
#[derive(Debug, Default)]
pub(super) struct Requests {
    open: BTreeMap<RequestId, Waiter>,
}

impl Requests {
    /// Whether one more request can be opened.
    pub(super) fn has_room(&self) -> bool {
        self.open.len() < REQUESTS_OPEN_MAX
    }

    /// Remembers who waits.
    pub(super) fn open(&mut self, id: RequestId, waiter: Waiter) {
        assert!(self.has_room(), "the caller checks for room first");
        let previous = self.open.insert(id, waiter);
        assert!(previous.is_none(), "request ids are never reused");
    }

    /// Forgets who waits; returns whether the machine still knows the request.
    pub(super) fn cancel(&mut self, id: RequestId) -> bool {
        self.open.remove(&id).is_some()
    }

    /// Passes an answer on. An answer to a request that nobody waits for any
    /// more is dropped: its cancellation crossed the answer.
    pub(super) fn answer(&mut self, id: RequestId, response: Response) {
        let Some(waiter) = self.open.get_mut(&id) else {
            return;
        };
        let goes_on = waiter.changes.is_some() && matches!(response, Response::Watching { .. });
        match waiter.answer.take() {
            // A receiver that is gone has sent a cancellation of its own.
            Some(answer) => drop(answer.send(response)),
            None => waiter.end_watch(response),
        }
        if !goes_on {
            self.open.remove(&id);
        }
    }

    /// Passes changes on to a watcher.
    pub(super) fn changed(&mut self, id: RequestId, changes: Changes) -> Delivery {
        let Some(waiter) = self.open.get_mut(&id) else {
            return Delivery::Ended;
        };
        let Some(watcher) = &waiter.changes else {
            return Delivery::Ended;
        };
        match watcher.queue.try_send(changes) {
            Ok(()) => Delivery::Queued,
            Err(error) => {
                if matches!(error, mpsc::error::TrySendError::Full(_)) {
                    // Only the first end counts, and none was set before.
                    let _ = watcher.end.set(WatchEnd::Lagged);
                }
                self.open.remove(&id);
                Delivery::Ended
            }
        }
    }

    /// How many requests and watches are open.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }
}

impl Waiter {
    /// Whether the asker is gone already.
    pub(super) fn is_abandoned(&self) -> bool {
        self.answer.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// A second answer to a watch ends it.
    fn end_watch(&self, response: Response) {
        if let Some(watcher) = &self.changes {
            let end = match response {
                Response::Compacted { oldest } => WatchEnd::Compacted { oldest },
                _ => WatchEnd::Ended,
            };
            // Only the first end counts.
            let _ = watcher.end.set(end);
        }
    }
}

/// What a source has: nothing yet, its end, or an event.
pub(super) fn ready<T>(received: Result<T, TryRecvError>) -> Option<Option<T>> {
    match received {
        Ok(event) => Some(Some(event)),
        Err(TryRecvError::Disconnected) => Some(None),
        Err(TryRecvError::Empty) => None,
    }
}
