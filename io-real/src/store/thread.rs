//! The port to the store, and the thread behind it.

use std::fmt::Display;
use std::io;
use std::sync::mpsc as std_mpsc;
use std::thread;

use decube_core::io::Read;
use decube_core::store::{Store, StoreBatch, StoreOp, StoreSeq};
use tokio::sync::{mpsc, oneshot};

use crate::ports::{StoreEvent, StoreQueue};

/// Bytes of keys and values that are joined into one commit.
const GROUP_BYTES_MAX: usize = 8 << 20;

/// Carries out the orders to a store on a thread of their own, in order.
#[derive(Debug)]
pub struct StoreThread {
    orders: std_mpsc::Sender<Order>,
    ended: oneshot::Receiver<()>,
}

#[derive(Debug)]
enum Order {
    Commit(StoreBatch),
    Read(Read),
}

impl StoreThread {
    /// Starts the thread. The receiver gets one event for each order, in order,
    /// up to the first failure.
    pub fn start<S>(store: S) -> io::Result<(Self, mpsc::UnboundedReceiver<StoreEvent>)>
    where
        S: Store<Error: Display> + Send + 'static,
    {
        let (orders, orders_rx) = std_mpsc::channel();
        let (events, events_rx) = mpsc::unbounded_channel();
        let (end, ended) = oneshot::channel();
        thread::Builder::new().name("store".into()).spawn(move || {
            let mut worker = Worker {
                store,
                orders: orders_rx,
                events,
            };
            if let Err(reason) = worker.run() {
                // A host that is gone needs no answer.
                let _ = worker.events.send(StoreEvent::Failed { reason });
                // The host's channel stays open until the host lets go, so that
                // the failure and not the closed channel is what it sees.
                while worker.orders.recv().is_ok() {}
            }
            drop(worker);
            let _ = end.send(());
        })?;
        Ok((Self { orders, ended }, events_rx))
    }
}

impl StoreQueue for StoreThread {
    fn commit(&mut self, batch: StoreBatch) {
        // If the thread is gone, the closed channel of events tells the host.
        let _ = self.orders.send(Order::Commit(batch));
    }

    fn read(&mut self, read: Read) {
        let _ = self.orders.send(Order::Read(read));
    }

    async fn close(self) {
        drop(self.orders);
        // An error means that the thread is gone already.
        let _ = self.ended.await;
    }
}

struct Worker<S> {
    store: S,
    orders: std_mpsc::Receiver<Order>,
    events: mpsc::UnboundedSender<StoreEvent>,
}

impl<S: Store<Error: Display>> Worker<S> {
    /// Works until the host closes the queue. The error is what the engine said.
    fn run(&mut self) -> Result<(), String> {
        let mut next = None;
        loop {
            let order = match next.take() {
                Some(order) => order,
                None => match self.orders.recv() {
                    Ok(order) => order,
                    Err(_) => return Ok(()),
                },
            };
            match order {
                Order::Commit(first) => next = self.commit(first)?,
                Order::Read(read) => self.read(&read)?,
            }
        }
    }

    /// Commits a batch together with those that wait right behind it. Returns an
    /// order that was taken from the queue and is not a batch.
    fn commit(&mut self, first: StoreBatch) -> Result<Option<Order>, String> {
        let mut done = vec![first.seq];
        let mut group = first;
        let mut bytes = size_of_ops(&group.ops);
        let mut next = None;
        while bytes < GROUP_BYTES_MAX {
            match self.orders.try_recv() {
                Ok(Order::Commit(batch)) => {
                    assert!(batch.seq > group.seq, "batches come in order");
                    bytes = bytes.saturating_add(size_of_ops(&batch.ops));
                    group.seq = batch.seq;
                    group.sync |= batch.sync;
                    group.ops.extend(batch.ops);
                    done.push(batch.seq);
                }
                Ok(other) => {
                    next = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        self.store
            .commit(&group)
            .map_err(|error| error.to_string())?;
        done.into_iter()
            .for_each(|seq: StoreSeq| self.tell(StoreEvent::Committed(seq)));
        Ok(next)
    }

    fn read(&mut self, read: &Read) -> Result<(), String> {
        let Read {
            id,
            from,
            to,
            bytes_max,
        } = read;
        let page = self.store.scan(from, to.as_deref(), *bytes_max);
        let page = page.map_err(|error| error.to_string())?;
        self.tell(StoreEvent::Read { id: *id, page });
        Ok(())
    }

    fn tell(&self, event: StoreEvent) {
        // A host that is gone needs no answers; its batches are committed still.
        let _ = self.events.send(event);
    }
}

fn size_of_ops(ops: &[StoreOp]) -> usize {
    ops.iter()
        .map(|op| match op {
            StoreOp::Put { key, value } => key.len() + value.len(),
            StoreOp::Delete { key } => key.len(),
            StoreOp::DeleteRange { from, to } => from.len() + to.len(),
        })
        .sum()
}
