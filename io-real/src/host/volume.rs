//! A volume on its adapters: operations out, completions in.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::task::Poll;
use std::time::Duration;

use decube_core::io::{Done, FileError, FileName, FileOp, FileOpId, FileResult, Io, Volume};
use decube_core::wal::file_name;
use tokio::time::Instant;

use super::metrics::{Metrics, VolumeCounter};
use super::run::count;
use super::status::SlowVolume;
use crate::inbox::Look;
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
    /// Operations in flight to the log, in the order in which they are carried out.
    files: VecDeque<(FileOpId, InFlight)>,
    /// The same of the store.
    store: VecDeque<InFlight>,
    /// The last failure that can stop the part, for people.
    failure: Option<String>,
}

/// An operation in flight.
#[derive(Debug)]
struct InFlight {
    what: What,
    at: Instant,
}

/// What was ordered, as people are told.
#[derive(Debug, Clone, Copy)]
enum What {
    List,
    Create(FileName),
    Write(FileName),
    Sync(FileName),
    ReadFile(FileName),
    Remove(FileName),
    Commit,
    Read,
}

impl What {
    const fn of(op: &FileOp) -> Self {
        match op {
            FileOp::List => Self::List,
            FileOp::Create { file, .. } => Self::Create(*file),
            FileOp::Write { file, .. } => Self::Write(*file),
            FileOp::Sync { file } => Self::Sync(*file),
            FileOp::Read { file, .. } => Self::ReadFile(*file),
            FileOp::Remove { file } => Self::Remove(*file),
        }
    }

    /// Whether a log does not go on after it has failed: one that cannot be read is
    /// repaired, and what cannot be removed stays.
    const fn is_vital(self) -> bool {
        !matches!(self, Self::ReadFile(_) | Self::Remove(_))
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, file) = match self {
            Self::List => return f.write_str("list of the log's files"),
            Self::Commit => return f.write_str("commit to the store"),
            Self::Read => return f.write_str("read of the store"),
            Self::Create(file) => ("creation", file),
            Self::Write(file) => ("write", file),
            Self::Sync(file) => ("sync", file),
            Self::ReadFile(file) => ("read", file),
            Self::Remove(file) => ("removal", file),
        };
        write!(f, "{what} of {}", file_name(*file))
    }
}

impl<D: Disk, S: StoreQueue> Volumes<D, S> {
    pub(super) fn new(ports: BTreeMap<Volume, VolumePorts<D, S>>) -> Self {
        let attach = |(volume, ports)| {
            let attached = Attached {
                ports,
                files: VecDeque::new(),
                store: VecDeque::new(),
                failure: None,
            };
            (volume, attached)
        };
        Self {
            all: ports.into_iter().map(attach).collect(),
        }
    }

    /// Orders of a volume that are not carried out yet.
    pub(super) fn in_flight(&self, volume: Volume) -> usize {
        self.all.get(&volume).map_or(0, Attached::open)
    }

    /// Volumes whose oldest operation in flight is older than `bound`, and that operation.
    pub(super) fn slow(&self, bound: Duration) -> BTreeMap<Volume, SlowVolume> {
        let oldest = |one: &Attached<D, S>| {
            let file = one.files.front().map(|(_, operation)| operation);
            let each = file.into_iter().chain(one.store.front());
            let oldest = each.min_by_key(|operation| operation.at)?;
            let age = oldest.at.elapsed();
            (age > bound).then(|| SlowVolume {
                operation: oldest.what.to_string(),
                seconds: age.as_secs(),
            })
        };
        let all = self.all.iter();
        all.filter_map(|(volume, one)| Some((*volume, oldest(one)?)))
            .collect()
    }

    /// What the system said when a volume failed, where that may have stopped its part.
    pub(super) fn failure(&self, volume: Volume) -> Option<&str> {
        self.all.get(&volume)?.failure.as_deref()
    }

    /// Those that were used before.
    pub(super) fn used(&self) -> std::collections::BTreeSet<Volume> {
        let used = self.all.iter().filter(|(_, one)| one.ports.is_used);
        used.map(|(volume, _)| *volume).collect()
    }

    /// What has completed already.
    pub(super) fn try_completion(&mut self) -> Option<VolumeInput> {
        match self.take(&mut Look::Now) {
            Poll::Ready(input) => Some(input),
            Poll::Pending => None,
        }
    }

    /// The volumes take turns by their order alone: a completion frees room, and is
    /// taken before any new work.
    pub(super) fn take(&mut self, look: &mut Look<'_, '_>) -> Poll<VolumeInput> {
        for (volume, one) in &mut self.all {
            let volume = *volume;
            match look.next_of_all(&mut one.ports.disk_events) {
                Poll::Ready(Some(event)) => return Poll::Ready(VolumeInput::Disk(volume, event)),
                Poll::Ready(None) => return Poll::Ready(VolumeInput::Gone(volume, "disk")),
                Poll::Pending => {}
            }
            match look.next_of_all(&mut one.ports.store_events) {
                Poll::Ready(Some(event)) => return Poll::Ready(VolumeInput::Store(volume, event)),
                Poll::Ready(None) => return Poll::Ready(VolumeInput::Gone(volume, "store")),
                Poll::Pending => {}
            }
        }
        Poll::Pending
    }

    /// Passes an operation on, of a step at this time.
    pub(super) fn submit(&mut self, volume: Volume, io: Io, at: Instant, metrics: &Metrics) {
        let one = self.all.get_mut(&volume);
        let one = one.expect("each part of a node has its volume");
        let operation = |what| InFlight { what, at };
        match io {
            Io::File { id, op } => {
                if let FileOp::Write { data, .. } = &op {
                    metrics.add_of(volume, VolumeCounter::BytesWritten, count(data.len()));
                }
                one.files.push_back((id, operation(What::of(&op))));
                one.ports.disk.submit(id, op);
            }
            Io::Commit(batch) => {
                one.store.push_back(operation(What::Commit));
                one.ports.store.commit(batch);
            }
            Io::Read(read) => {
                one.store.push_back(operation(What::Read));
                one.ports.store.read(read);
            }
        }
        metrics.set_open(volume, one.open());
    }

    /// What a completion tells the node.
    pub(super) fn disk_done(
        &mut self,
        volume: Volume,
        event: DiskEvent,
        metrics: &Metrics,
    ) -> Done {
        let one = self
            .all
            .get_mut(&volume)
            .expect("it completed an operation");
        let DiskEvent { id, result, said } = event;
        let place = one.files.iter().position(|(open, _)| *open == id);
        let operation = place.and_then(|place| one.files.remove(place));
        metrics.set_open(volume, one.open());
        if let Some((_, operation)) = operation {
            if matches!(operation.what, What::Sync(_)) {
                metrics.add_of(volume, VolumeCounter::Syncs, 1);
                let latency = &metrics.of(volume).sync_latency;
                latency.record_duration(operation.at.elapsed());
            }
            if let FileResult::Failed(error) = &result {
                metrics.add_of(volume, VolumeCounter::FileErrors, 1);
                one.note_failure(volume, operation.what, *error, said);
            }
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
        let one = self
            .all
            .get_mut(&volume)
            .expect("it completed an operation");
        let operation = one.store.pop_front();
        metrics.set_open(volume, one.open());
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
                let what = operation.map_or(What::Commit, |operation| operation.what);
                let volume = volume.name();
                let failure = format!("volume {volume}: {what}: {reason}");
                tracing::error!(failure, "the store failed");
                one.failure = Some(failure);
                Done::Failed
            }
        }
    }

    /// Carries out what is queued and releases files and engines.
    pub(super) async fn close(self) {
        for one in self.all.into_values() {
            one.ports.disk.close().await;
            one.ports.store.close().await;
        }
    }
}

impl<D, S> Attached<D, S> {
    /// Orders that are not carried out yet.
    fn open(&self) -> usize {
        self.files.len().saturating_add(self.store.len())
    }

    /// Says what has failed, what the system said and what to do.
    fn note_failure(&mut self, volume: Volume, what: What, error: FileError, said: Option<String>) {
        let volume = volume.name();
        let said = said.map_or_else(String::new, |said| format!(": {said}"));
        let advice = match error {
            FileError::Full => "the disk is full: free space on it, then restart the node",
            FileError::Io => "check the disk, then restart the node",
            FileError::Missing => "a file of the log is gone: nobody but the node may touch them",
            FileError::Exists => "a file is in the way: nobody but the node may make any there",
        };
        let failure = format!("volume {volume}: {what}{said}: {advice}");
        tracing::warn!(failure, "file operation failed");
        if what.is_vital() {
            self.failure = Some(failure);
        }
    }
}
