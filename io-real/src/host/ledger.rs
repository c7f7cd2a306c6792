//! The ledger's part of a host: its orders, its clients, and who follows its blocks.

use std::collections::BTreeMap;
use std::sync::Arc;

use decube_core::ledger::{Effect, Event, FinalBlock, Request, Response};
use decube_core::types::RequestId;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::LEDGER_BLOCKS_KEPT;
use super::metrics::{Counter, Metrics};
use super::status::HostStatus;
use crate::ports::{Disk, DiskEvent, LedgerPorts, StoreEvent, StoreQueue};

/// A question to the ledger on its way to the host.
#[derive(Debug)]
pub(super) struct LedgerAsk {
    pub(super) id: RequestId,
    pub(super) request: Request,
    pub(super) answer: oneshot::Sender<Response>,
}

/// What the host keeps for the ledger.
#[derive(Debug)]
pub(super) struct LedgerHost<D, S> {
    ports: Option<LedgerPorts<D, S>>,
    pub(super) asks: mpsc::Receiver<LedgerAsk>,
    /// Whether handles exist that can ask.
    pub(super) asks_open: bool,
    open: BTreeMap<RequestId, oneshot::Sender<Response>>,
    blocks: broadcast::Sender<Arc<FinalBlock>>,
    orders_open: usize,
}

/// What the ledger's disk or store has to say.
pub(super) enum LedgerInput {
    Disk(Option<DiskEvent>),
    Store(Option<StoreEvent>),
}

/// What an effect means to the host beyond an order.
pub(super) enum Happened {
    Nothing,
    Ready,
    Halted(&'static str),
}

impl Happened {
    /// Notes it in the state of the host; whether there was something to note.
    pub(super) const fn note(&self, status: &mut HostStatus) -> bool {
        match self {
            Self::Nothing => return false,
            Self::Ready => status.ledger_ready = true,
            Self::Halted(reason) => {
                status.ledger_ready = false;
                status.ledger_halted = Some(reason);
            }
        }
        true
    }
}

impl<D: Disk, S: StoreQueue> LedgerHost<D, S> {
    pub(super) fn new(
        ports: Option<LedgerPorts<D, S>>,
        asks: mpsc::Receiver<LedgerAsk>,
        blocks: broadcast::Sender<Arc<FinalBlock>>,
    ) -> Self {
        Self {
            ports,
            asks,
            asks_open: true,
            open: BTreeMap::new(),
            blocks,
            orders_open: 0,
        }
    }

    /// Orders that are not carried out yet.
    pub(super) const fn orders_open(&self) -> usize {
        self.orders_open
    }

    pub(super) const fn is_present(&self) -> bool {
        self.ports.is_some()
    }

    /// What to wait for: questions, and the disk or the store (for ever, if there is
    /// no ledger). Both may be given up and begun again.
    pub(super) fn sources(
        &mut self,
    ) -> (
        &mut mpsc::Receiver<LedgerAsk>,
        impl Future<Output = LedgerInput>,
    ) {
        (&mut self.asks, completion(self.ports.as_mut()))
    }

    /// What has completed already.
    pub(super) fn try_completion(&mut self) -> Option<LedgerInput> {
        let ports = self.ports.as_mut()?;
        if let Ok(event) = ports.disk_events.try_recv() {
            return Some(LedgerInput::Disk(Some(event)));
        }
        let event = ports.store_events.try_recv().ok()?;
        Some(LedgerInput::Store(Some(event)))
    }

    /// The event that a completion is; nothing if an adapter is gone.
    pub(super) fn event(&mut self, input: LedgerInput) -> Option<Event> {
        self.orders_open = self.orders_open.saturating_sub(1);
        Some(match input {
            LedgerInput::Disk(None) | LedgerInput::Store(None) => return None,
            LedgerInput::Disk(Some(DiskEvent { id, result })) => Event::File { id, result },
            LedgerInput::Store(Some(StoreEvent::Committed(seq))) => Event::StoreCommitted { seq },
            LedgerInput::Store(Some(StoreEvent::Read { id, pairs })) => {
                Event::StoreRead { id, pairs }
            }
            LedgerInput::Store(Some(StoreEvent::Failed { reason })) => {
                tracing::error!(reason, "the store of the ledger failed");
                Event::StoreFailed
            }
            LedgerInput::Store(Some(StoreEvent::Page { .. })) => {
                unreachable!("the ledger asks for no pages")
            }
        })
    }

    /// Remembers who asked; the event to step.
    pub(super) fn ask(&mut self, ask: LedgerAsk) -> Option<Event> {
        let LedgerAsk {
            id,
            request,
            answer,
        } = ask;
        if answer.is_closed() {
            return None;
        }
        if !self.is_present() {
            // A client that left meanwhile does not miss the answer.
            let _ = answer.send(Response::Unavailable);
            return None;
        }
        self.open.insert(id, answer);
        Some(Event::Request { id, request })
    }

    /// Forgets who asked; whether the machine still knows the request.
    pub(super) fn cancel(&mut self, id: RequestId) -> bool {
        self.open.remove(&id).is_some()
    }

    pub(super) fn perform(&mut self, effect: Effect, metrics: &Metrics) -> Happened {
        let ports = self.ports.as_mut().expect("a ledger has ports");
        match effect {
            Effect::File { id, op } => {
                self.orders_open = self.orders_open.saturating_add(1);
                ports.disk.submit(id, op);
            }
            Effect::StoreCommit(batch) => {
                self.orders_open = self.orders_open.saturating_add(1);
                ports.store.commit(batch);
            }
            Effect::StoreRead {
                id,
                from,
                to,
                bytes_max,
            } => {
                self.orders_open = self.orders_open.saturating_add(1);
                ports.store.read(id, from, to, bytes_max);
            }
            Effect::Reply { id, response } => {
                if let Some(answer) = self.open.remove(&id) {
                    // A receiver that is gone needs no answer.
                    let _ = answer.send(response);
                }
            }
            Effect::Final(block) => {
                let header = block.block.header();
                tracing::debug!(
                    height = header.height.0,
                    transactions = block.block.items().len(),
                    "block is final"
                );
                let operations = u64::try_from(block.results.len()).unwrap_or(u64::MAX);
                metrics.add(Counter::LedgerBlocks, 1);
                metrics.add(Counter::LedgerOperations, operations);
                // Without followers there is nobody to tell.
                let _ = self.blocks.send(block);
            }
            Effect::StateFetched { height } => {
                tracing::info!(height = height.0, "took over the state of the ledger");
            }
            Effect::Ready => {
                tracing::info!("the ledger is ready");
                return Happened::Ready;
            }
            Effect::SafetyViolation { culprits } => {
                tracing::error!(
                    ?culprits,
                    "the ledger is forked: these validators signed both sides"
                );
            }
            Effect::Halted { reason } => {
                tracing::error!(reason, "the ledger has halted");
                return Happened::Halted(reason);
            }
            Effect::Send { .. } => unreachable!("the node sends for the ledger"),
        }
        Happened::Nothing
    }

    pub(super) async fn close(self) {
        if let Some(ports) = self.ports {
            ports.disk.close().await;
            ports.store.close().await;
        }
    }
}

/// The channel over which followers get blocks.
pub(super) fn blocks() -> broadcast::Sender<Arc<FinalBlock>> {
    broadcast::channel(LEDGER_BLOCKS_KEPT).0
}

async fn completion<D, S>(ports: Option<&mut LedgerPorts<D, S>>) -> LedgerInput {
    let Some(ports) = ports else {
        return std::future::pending().await;
    };
    tokio::select! {
        biased;
        event = ports.disk_events.recv() => LedgerInput::Disk(event),
        event = ports.store_events.recv() => LedgerInput::Store(event),
    }
}
