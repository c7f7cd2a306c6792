//! Who waits for which answer.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use decube_core::limits::REQUESTS_OPEN_MAX;
use decube_core::node::{Request, Response};
use decube_core::types::RequestId;
use tokio::sync::{mpsc, oneshot};

use super::handle::StreamEnd;

/// A request on its way from a handle to the host.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) id: RequestId,
    pub(super) request: Request,
    pub(super) waiter: Waiter,
}

/// Where the answers to a request go.
#[derive(Debug)]
pub(super) enum Waiter {
    /// To who waits for one.
    Once(oneshot::Sender<Response>),
    /// To who reads a stream of them.
    Stream(StreamSender),
}

/// The host's end of a stream.
#[derive(Debug)]
pub(super) struct StreamSender {
    pub(super) queue: mpsc::Sender<Response>,
    /// Set once, before `queue` is dropped.
    pub(super) end: Arc<OnceLock<StreamEnd>>,
}

/// What became of a part of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// Queued.
    Queued,
    /// Nobody reads any more, or too slowly: the machine should be told.
    Ended,
}

/// All requests that the machine has not answered.
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

    /// Passes the last answer on. An answer to a request that nobody waits for any
    /// more is dropped: its cancellation crossed the answer.
    pub(super) fn answer(&mut self, id: RequestId, response: Response) {
        match self.open.remove(&id) {
            None => {}
            // A receiver that is gone has sent a cancellation of its own.
            Some(Waiter::Once(answer)) => drop(answer.send(response)),
            // Only the first end counts.
            Some(Waiter::Stream(stream)) => {
                drop(stream.end.set(StreamEnd::Answered(Box::new(response))));
            }
        }
    }

    /// Passes a part of an answer on.
    pub(super) fn stream(&mut self, id: RequestId, response: Response) -> Delivery {
        let Some(Waiter::Stream(stream)) = self.open.get(&id) else {
            // Who asked for one answer and gets a stream is told nothing, and ends it.
            self.open.remove(&id);
            return Delivery::Ended;
        };
        match stream.queue.try_send(response) {
            Ok(()) => Delivery::Queued,
            Err(error) => {
                if matches!(error, mpsc::error::TrySendError::Full(_)) {
                    // Only the first end counts, and none was set before.
                    let _ = stream.end.set(StreamEnd::Lagged);
                }
                self.open.remove(&id);
                Delivery::Ended
            }
        }
    }

    /// How many requests are open.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }
}

impl Waiter {
    /// Whether the asker is gone already.
    pub(super) fn is_abandoned(&self) -> bool {
        match self {
            Self::Once(answer) => answer.is_closed(),
            Self::Stream(stream) => stream.queue.is_closed(),
        }
    }

    /// Answers without asking the machine.
    pub(super) fn refuse(self, response: Response) {
        match self {
            // A client that left meanwhile does not miss the answer.
            Self::Once(answer) => drop(answer.send(response)),
            Self::Stream(stream) => {
                drop(stream.end.set(StreamEnd::Answered(Box::new(response))));
            }
        }
    }
}
