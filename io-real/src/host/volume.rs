//! A volume on its adapters: orders out, completions in.

use std::collections::BTreeMap;
use std::task::{Context, Poll};

use decube_core::io::{Done, FileOp, FileOpId, FileResult, Io, Volume};
use tokio::time::Instant;

use super::metrics::{Metrics, VolumeCounter};
use super::run::count;
use crate::ports::{Disk, DiskEvent, StoreEvent, StoreQueue, VolumePorts};

/// All volumes of a node.
#[derive(Debug)]
pub(super) struct Volumes<D, S> {
    all: BTreeMap<Volume, Attached<D, S>>,
}

/// What a volume has to say.
#[derive(Debug)]
pub(super) enum VolumeInput {
    Disk(Volume, DiskEvent),
    Store(Volume, StoreEvent),
    /// An adapter is gone.
    Gone(Volume, &'static str),
}

#[derive(Debug)]
struct Attached<D, S> {
    ports: VolumePorts<D, S>,
    orders_open: usize,
    /// When each open sync was ordered.
    syncs_open: BTreeMap<FileOpId, Instant>,
}

impl<D: Disk, S: StoreQueue> Volumes<D, S> {
    pub(super) fn new(ports: BTreeMap<Volume, VolumePorts<D, S>>) -> Self {
        let attach = |(volume, ports)| {
            let attached = Attached {
                ports,
                orders_open: 0,
                syncs_open: BTreeMap::new(),
            };
            (volume, attached)
        };
        Self {
            all: ports.into_iter().map(attach).collect(),
        }
    }

    /// Orders of all volumes that are not carried out yet.
    pub(super) fn orders_open(&self) -> usize {
        let each = self.all.values().map(|one| one.orders_open);
        each.fold(0, usize::saturating_add)
    }

    /// Those that were used before.
    pub(super) fn used(&self) -> std::collections::BTreeSet<Volume> {
        let used = self.all.iter().filter(|(_, one)| one.ports.is_used);
        used.map(|(volume, _)| *volume).collect()
    }

    /// Waits for a completion. May be given up and begun again.
    pub(super) async fn completion(&mut self) -> VolumeInput {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// What has completed already.
    pub(super) fn try_completion(&mut self) -> Option<VolumeInput> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match self.poll(&mut cx) {
            Poll::Ready(input) => Some(input),
            Poll::Pending => None,
        }
    }

    /// The volumes take turns by their order alone: a completion frees room, and is
    /// taken before any new work.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<VolumeInput> {
        for (volume, one) in &mut self.all {
            let volume = *volume;
            match one.ports.disk_events.poll_recv(cx) {
                Poll::Ready(Some(event)) => return Poll::Ready(VolumeInput::Disk(volume, event)),
                Poll::Ready(None) => return Poll::Ready(VolumeInput::Gone(volume, "disk")),
                Poll::Pending => {}
            }
            match one.ports.store_events.poll_recv(cx) {
                Poll::Ready(Some(event)) => return Poll::Ready(VolumeInput::Store(volume, event)),
                Poll::Ready(None) => return Poll::Ready(VolumeInput::Gone(volume, "store")),
                Poll::Pending => {}
            }
        }
        Poll::Pending
    }

    /// Passes an order on.
    pub(super) fn order(&mut self, volume: Volume, io: Io, metrics: &Metrics) {
        let one = self.all.get_mut(&volume);
        let one = one.expect("each part of a node has its volume");
        one.orders_open = one.orders_open.saturating_add(1);
        match io {
            Io::File { id, op } => {
                match &op {
                    FileOp::Write { data, .. } => {
                        metrics.add_of(volume, VolumeCounter::BytesWritten, count(data.len()));
                    }
                    FileOp::Sync { .. } => {
                        one.syncs_open.insert(id, Instant::now());
                    }
                    FileOp::List
                    | FileOp::Create { .. }
                    | FileOp::Read { .. }
                    | FileOp::Remove { .. } => {}
                }
                one.ports.disk.submit(id, op);
            }
            Io::Commit(batch) => one.ports.store.commit(batch),
            Io::Read(read) => one.ports.store.read(read),
        }
        metrics.set_open(volume, one.orders_open);
    }

    /// What a completion tells the node.
    pub(super) fn disk_done(
        &mut self,
        volume: Volume,
        event: DiskEvent,
        metrics: &Metrics,
    ) -> Done {
        let one = self.completed(volume, metrics);
        let DiskEvent { id, result } = event;
        if let Some(ordered_at) = one.syncs_open.remove(&id) {
            metrics.add_of(volume, VolumeCounter::Syncs, 1);
            metrics
                .of(volume)
                .sync_latency
                .record_duration(ordered_at.elapsed());
        }
        if let FileResult::Failed(error) = &result {
            metrics.add_of(volume, VolumeCounter::FileErrors, 1);
            tracing::warn!(
                volume = volume.name(),
                ?error,
                id = id.0,
                "file operation failed"
            );
        }
        Done::File { id, result }
    }

    /// What a completion tells the node.
    pub(super) fn store_done(
        &mut self,
        volume: Volume,
        event: StoreEvent,
        metrics: &Metrics,
    ) -> Done {
        self.completed(volume, metrics);
        match event {
            StoreEvent::Committed(seq) => {
                metrics.add_of(volume, VolumeCounter::StoreCommits, 1);
                Done::Committed { seq }
            }
            StoreEvent::Read { id, page } => {
                metrics.add_of(volume, VolumeCounter::StoreReads, 1);
                Done::Read { id, page }
            }
            StoreEvent::Failed { reason } => {
                tracing::error!(volume = volume.name(), reason, "the store failed");
                Done::Failed
            }
        }
    }

    fn completed(&mut self, volume: Volume, metrics: &Metrics) -> &mut Attached<D, S> {
        let one = self.all.get_mut(&volume).expect("it answered an order");
        one.orders_open = one.orders_open.saturating_sub(1);
        metrics.set_open(volume, one.orders_open);
        one
    }

    /// Carries out what is queued and releases files and engines.
    pub(super) async fn close(self) {
        for one in self.all.into_values() {
            one.ports.disk.close().await;
            one.ports.store.close().await;
        }
    }
}
