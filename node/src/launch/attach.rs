//! The real node and the real stores behind the gateway's traits.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use decube_core::cluster::{Request, Response, Status};
use decube_core::crypto::PublicKey;
use decube_core::io::Volume;
use decube_core::ledger::{self, FinalBlock};
use decube_core::limits::SEGMENT_BYTES;
use decube_core::part::Health as PartHealth;
use decube_core::raft::Role;
use decube_core::types::{NodeId, Revision};
use decube_io_real::blobs::{BlobError as StoreError, BlobStore};
use decube_io_real::host::{
    self, Counter, HostGone, NodeHandle, VolumeCounter, VolumeMetrics, follow_blocks,
    follow_cluster,
};
use decube_io_real::network::libp2p::Libp2pControl;
use decube_io_real::network::libp2p::blob::{
    BlobBody, BlobClient, BlobHash, BlobService, BlobTransferError,
};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use tokio::io::AsyncReadExt;
use tokio::sync::{broadcast, watch};

use crate::backend::{Backend, Gone, Health, Sample, SampleValue, Watch, WatchEnd};
use crate::blobs::{BlobError, Blobs, Body, PeerBlobs, PeerFailed, SegmentId, Stored};

/// A node behind its handle.
pub struct HostBackend {
    id: NodeId,
    key: PublicKey,
    handle: NodeHandle,
    /// What the node says of its cluster, once it has recovered.
    cluster: watch::Receiver<Option<Status>>,
    blocks: broadcast::Sender<Arc<FinalBlock>>,
    transport: Libp2pControl,
    leader_changes: LeaderChanges,
}

/// Counts how often the known leader changed, as seen by whoever asks.
#[derive(Default)]
struct LeaderChanges {
    last_term: AtomicU64,
    count: AtomicU64,
}

impl HostBackend {
    /// The node with this key.
    pub fn new(key: PublicKey, handle: NodeHandle, transport: Libp2pControl) -> Self {
        Self {
            id: key.node_id(),
            key,
            cluster: follow_cluster(handle.clone()),
            blocks: follow_blocks(handle.clone()),
            handle,
            transport,
            leader_changes: LeaderChanges::default(),
        }
    }
}

impl HostBackend {
    /// What the node says of its cluster, once it has recovered.
    pub fn cluster(&self) -> watch::Receiver<Option<Status>> {
        self.cluster.clone()
    }
}

impl Backend for HostBackend {
    fn request(&self, request: Request) -> BoxFuture<'_, Result<Response, Gone>> {
        async move { self.handle.cluster(request).await.map_err(|HostGone| Gone) }.boxed()
    }

    fn watch(
        &self,
        from: Bytes,
        to: Option<Bytes>,
        since: Revision,
    ) -> BoxFuture<'_, Result<Watch, WatchEnd>> {
        async move {
            let watch = self
                .handle
                .watch(from, to, since)
                .await
                .map_err(watch_end)?;
            let revision = watch.revision();
            let changes = stream::unfold(Some(watch), |watch| async move {
                let mut watch = watch?;
                match watch.next().await {
                    Ok(changes) => Some((Ok(changes), Some(watch))),
                    Err(end) => Some((Err(watch_end(end)), None)),
                }
            });
            Ok(Watch {
                revision,
                changes: changes.boxed(),
            })
        }
        .boxed()
    }

    fn ledger(&self, request: ledger::Request) -> BoxFuture<'_, Result<ledger::Response, Gone>> {
        async move { self.handle.ledger(request).await.map_err(|HostGone| Gone) }.boxed()
    }

    fn blocks(&self) -> broadcast::Receiver<Arc<FinalBlock>> {
        self.blocks.subscribe()
    }

    fn health(&self) -> Health {
        let status = self.handle.status().borrow().clone();
        let known = self.cluster.borrow().clone();
        let parts = match status.exit {
            None => status.parts,
            // Only why it ended is of interest any more.
            Some(_) => {
                let ended = |health: &PartHealth| matches!(health, PartHealth::Halted(_));
                let parts = status.parts.into_iter();
                parts.filter(|(_, health)| ended(health)).collect()
            }
        };
        Health {
            node: self.id,
            slow: status.slow,
            role: known.as_ref().map_or(Role::Follower, |known| known.role),
            term: known.as_ref().map(|known| known.term).unwrap_or_default(),
            leader: known.as_ref().and_then(|known| known.leader),
            membership: known.map(|known| known.membership).unwrap_or_default(),
            parts,
        }
    }

    fn voter_keys(&self) -> BTreeMap<NodeId, PublicKey> {
        let mut keys = self.transport.node_keys();
        keys.insert(self.id, self.key);
        keys
    }

    fn samples(&self) -> Vec<Sample> {
        let metrics = self.handle.metrics();
        let counter = |name, help, counter| Sample {
            name,
            help,
            value: SampleValue::Counter(metrics.get(counter)),
        };
        let mut samples: Vec<Sample> = COUNTERS
            .iter()
            .map(|(name, help, which)| counter(*name, *help, *which))
            .collect();
        let term = self.cluster.borrow().as_ref().map(|known| known.term.0);
        let elections = self.leader_changes.observe(term.unwrap_or(0));
        samples.push(Sample {
            name: "raft_leader_elections_total",
            help: "Terms begun since this node started, as far as it saw them.",
            value: SampleValue::Counter(elections),
        });
        for (volume, names) in [
            (Volume::Cluster, &CLUSTER_VOLUME),
            (Volume::Ledger, &LEDGER_VOLUME),
        ] {
            samples.extend(volume_samples(metrics.of(volume), names));
        }
        with_old_names(samples)
    }
}

/// Former names of metrics and what they are called now. Each stays for one version, so that
/// a dashboard can be changed at leisure.
const OLD_NAMES: &[(&str, &str)] = &[
    (
        "decube_raft_volume_orders_open",
        "decube_raft_volume_operations_in_flight",
    ),
    (
        "decube_ledger_volume_orders_open",
        "decube_ledger_volume_operations_in_flight",
    ),
    ("decube_host_turns_total", "decube_host_iterations_total"),
];

/// These samples, and again those that had another name.
fn with_old_names(mut samples: Vec<Sample>) -> Vec<Sample> {
    for (old, new) in OLD_NAMES {
        let renamed = samples.iter().find(|sample| sample.name == *new);
        let renamed = renamed.expect("a metric that is renamed is there");
        samples.push(Sample {
            name: old,
            help: "An old name, which goes with the next version: see docs/reference/health.",
            value: renamed.value.clone(),
        });
    }
    samples
}

/// The names of what is counted of a volume.
struct VolumeNames {
    written: &'static str,
    syncs: &'static str,
    errors: &'static str,
    commits: &'static str,
    reads: &'static str,
    open: &'static str,
    latency: &'static str,
}

const CLUSTER_VOLUME: VolumeNames = VolumeNames {
    written: "decube_raft_log_written_bytes_total",
    syncs: "decube_raft_fsyncs_total",
    errors: "decube_raft_file_errors_total",
    commits: "decube_store_commits_total",
    reads: "decube_store_reads_total",
    open: "decube_raft_volume_operations_in_flight",
    latency: "decube_raft_fsync_duration_seconds",
};

const LEDGER_VOLUME: VolumeNames = VolumeNames {
    written: "decube_ledger_log_written_bytes_total",
    syncs: "decube_ledger_fsyncs_total",
    errors: "decube_ledger_file_errors_total",
    commits: "decube_ledger_store_commits_total",
    reads: "decube_ledger_store_reads_total",
    open: "decube_ledger_volume_operations_in_flight",
    latency: "decube_ledger_fsync_duration_seconds",
};

/// What is counted of a volume: of the cluster's Raft log and state, or of the ledger's
/// log and blocks.
fn volume_samples(metrics: &VolumeMetrics, names: &VolumeNames) -> Vec<Sample> {
    let counter = |name, help, counter| Sample {
        name,
        help,
        value: SampleValue::Counter(metrics.get(counter)),
    };
    let syncs = metrics.sync_latency.snapshot();
    vec![
        counter(
            names.written,
            "Bytes written to the log.",
            VolumeCounter::BytesWritten,
        ),
        counter(names.syncs, "Syncs of the log.", VolumeCounter::Syncs),
        counter(
            names.errors,
            "File operations that failed.",
            VolumeCounter::FileErrors,
        ),
        counter(
            names.commits,
            "Batches committed to the store.",
            VolumeCounter::StoreCommits,
        ),
        counter(
            names.reads,
            "Reads of the store.",
            VolumeCounter::StoreReads,
        ),
        Sample {
            name: names.open,
            help: "Operations on log and store in flight.",
            value: SampleValue::Gauge(metrics.open()),
        },
        Sample {
            name: names.latency,
            help: "Time from the request of a sync of the log to its completion.",
            value: SampleValue::Histogram {
                buckets: cumulative(&syncs.buckets),
                sum: seconds(syncs.sum),
                count: syncs.count,
            },
        },
    ]
}

impl LeaderChanges {
    fn observe(&self, term: u64) -> u64 {
        let last = self.last_term.swap(term, Ordering::Relaxed);
        let begun = if last == 0 {
            0
        } else {
            term.saturating_sub(last)
        };
        self.count.fetch_add(begun, Ordering::Relaxed) + begun
    }
}

/// The host's counters under the names of `/metrics`.
const COUNTERS: &[(&str, &str, Counter)] = &[
    (
        "decube_host_events_total",
        "Events taken by the machine.",
        Counter::Events,
    ),
    (
        "decube_host_iterations_total",
        "Iterations of the host's task.",
        Counter::Iterations,
    ),
    (
        "decube_consensus_operations_total",
        "Requests taken from clients.",
        Counter::Requests,
    ),
    (
        "decube_consensus_failures_total",
        "Requests refused because a queue was full.",
        Counter::RequestsRefused,
    ),
    (
        "decube_requests_cancelled_total",
        "Requests whose client went away.",
        Counter::RequestsCancelled,
    ),
    (
        "decube_watches_ended_total",
        "Watches and other streams ended for being slow or gone.",
        Counter::StreamsEnded,
    ),
    (
        "decube_peer_messages_received_total",
        "Messages from peers.",
        Counter::MessagesIn,
    ),
    (
        "decube_peer_received_bytes_total",
        "Bytes of messages from peers.",
        Counter::MessageBytesIn,
    ),
    (
        "decube_peer_messages_invalid_total",
        "Messages that could not be read.",
        Counter::MessagesInvalid,
    ),
    (
        "decube_peer_messages_sent_total",
        "Messages queued to peers.",
        Counter::MessagesOut,
    ),
    (
        "decube_peer_sent_bytes_total",
        "Bytes of messages queued to peers.",
        Counter::MessageBytesOut,
    ),
    (
        "decube_peer_messages_dropped_total",
        "Messages that were not sent.",
        Counter::MessagesDropped,
    ),
];

/// Buckets in microseconds to cumulative ones in seconds. The host's bounds are
/// exclusive and its values whole, so `below` is `not above` one less.
fn cumulative(buckets: &[(u64, u64)]) -> Vec<(f64, u64)> {
    let mut total: u64 = 0;
    let mut rising = Vec::new();
    for (bound, count) in buckets {
        total = total.saturating_add(*count);
        rising.push((seconds(bound.saturating_sub(1)), total));
    }
    rising
}

fn seconds(micros: u64) -> f64 {
    std::time::Duration::from_micros(micros).as_secs_f64()
}

fn watch_end(end: host::WatchEnd) -> WatchEnd {
    match end {
        host::WatchEnd::Lagged => WatchEnd::Lagged,
        host::WatchEnd::Compacted { oldest } => WatchEnd::Compacted { oldest },
        host::WatchEnd::Refused(refusal) => WatchEnd::Refused(refusal),
        host::WatchEnd::Ended => WatchEnd::Ended,
        host::WatchEnd::HostGone => WatchEnd::Gone,
    }
}

/// This node's store of segments.
pub struct LocalStore(pub BlobStore);

impl Blobs for LocalStore {
    fn put(
        &self,
        id: Option<SegmentId>,
        body: Body,
        bytes_max: u64,
    ) -> BoxFuture<'_, Result<Stored, BlobError>> {
        async move {
            let stored = match id {
                Some(id) => self.0.put(id, body, bytes_max).await,
                None => self.0.put_unnamed(body, bytes_max).await,
            };
            let stored = stored.map_err(store_error)?;
            Ok(Stored {
                id: stored.id,
                length: stored.length,
            })
        }
        .boxed()
    }

    fn get(
        &self,
        id: SegmentId,
        range: Range<u64>,
    ) -> BoxFuture<'_, Result<Option<Body>, BlobError>> {
        async move {
            let reader = self.0.get(id, Some(range)).await.map_err(store_error)?;
            Ok(reader.map(|reader| Box::pin(reader) as Body))
        }
        .boxed()
    }

    fn stat(&self, id: SegmentId) -> BoxFuture<'_, Result<Option<u64>, BlobError>> {
        async move {
            let stat = self.0.stat(id).await.map_err(store_error)?;
            Ok(stat.map(|stat| stat.length))
        }
        .boxed()
    }

    fn verify(&self, id: SegmentId) -> BoxFuture<'_, Result<Option<u64>, BlobError>> {
        async move { self.0.verify(id).await.map_err(store_error) }.boxed()
    }
}

fn store_error(error: StoreError) -> BlobError {
    match error {
        StoreError::Mismatch { expected, found } => BlobError::Mismatch { expected, found },
        StoreError::TooLarge { bytes_max } => BlobError::TooLarge { bytes_max },
        StoreError::Damaged { id } => BlobError::Damaged { id },
        StoreError::Body(error) => BlobError::Body(error.to_string()),
        full if full.is_no_space() => BlobError::NoSpace,
        StoreError::Disk {
            action,
            path,
            source,
        } => BlobError::Disk(format!("{action} {}: {source}", path.display())),
        other => BlobError::Disk(other.to_string()),
    }
}

/// The other members' stores over the transport.
pub struct ClusterPeers {
    me: NodeId,
    cluster: watch::Receiver<Option<Status>>,
    client: BlobClient,
}

impl ClusterPeers {
    /// The members that the node knows, reached by its transport.
    pub fn new(me: NodeId, cluster: watch::Receiver<Option<Status>>, client: BlobClient) -> Self {
        Self {
            me,
            cluster,
            client,
        }
    }
}

impl PeerBlobs for ClusterPeers {
    fn members(&self) -> Vec<NodeId> {
        let known = self.cluster.borrow();
        let members = known.as_ref().map(|known| known.membership.members());
        let mut members = members.unwrap_or_default();
        members.retain(|id| *id != self.me);
        members
    }

    fn stat(&self, peer: NodeId, id: SegmentId) -> BoxFuture<'_, Result<Option<u64>, PeerFailed>> {
        async move {
            // The answer begins with the length; the bytes are not waited for.
            match self
                .client
                .get(peer, BlobHash(id.0), 0, SEGMENT_BYTES)
                .await
            {
                Ok(body) => Ok(Some(body.len())),
                Err(BlobTransferError::NotFound) => Ok(None),
                Err(error) => Err(PeerFailed(error.to_string())),
            }
        }
        .boxed()
    }

    fn put(
        &self,
        peer: NodeId,
        stored: Stored,
        body: Body,
    ) -> BoxFuture<'_, Result<(), PeerFailed>> {
        async move {
            let body = BlobBody::new(stored.length, body);
            let put = self.client.put(peer, BlobHash(stored.id.0), body).await;
            put.map_err(|error| PeerFailed(error.to_string()))
        }
        .boxed()
    }

    fn get(&self, peer: NodeId, id: SegmentId) -> BoxFuture<'_, Result<Option<Body>, PeerFailed>> {
        async move {
            match self
                .client
                .get(peer, BlobHash(id.0), 0, SEGMENT_BYTES)
                .await
            {
                Ok(body) => Ok(Some(Box::pin(body) as Body)),
                Err(BlobTransferError::NotFound) => Ok(None),
                Err(error) => Err(PeerFailed(error.to_string())),
            }
        }
        .boxed()
    }
}

/// Serves this node's segments to the other members of its cluster.
pub struct ServedBlobs {
    store: BlobStore,
    /// Nodes that the transport lets in and that are no members.
    foreign: BTreeSet<NodeId>,
}

impl ServedBlobs {
    /// Serves everybody but these.
    pub fn new(store: BlobStore, foreign: BTreeSet<NodeId>) -> Self {
        Self { store, foreign }
    }
}

impl BlobService for ServedBlobs {
    async fn get(
        &self,
        from: NodeId,
        hash: BlobHash,
        offset: u64,
        len: u64,
    ) -> Result<BlobBody, BlobTransferError> {
        if self.foreign.contains(&from) {
            return Err(BlobTransferError::NotFound);
        }
        let id = SegmentId(hash.0);
        let stat = self
            .store
            .stat(id)
            .await
            .map_err(|error| transfer_error(&error))?;
        let length = stat.ok_or(BlobTransferError::NotFound)?.length;
        if offset > length {
            return Err(BlobTransferError::Invalid);
        }
        let end = offset.saturating_add(len).min(length);
        let reader = self.store.get(id, Some(offset..end)).await;
        let reader = reader.map_err(|error| transfer_error(&error))?;
        let reader = reader.ok_or(BlobTransferError::NotFound)?;
        Ok(BlobBody::new(end - offset, reader))
    }

    async fn put(
        &self,
        from: NodeId,
        hash: BlobHash,
        body: BlobBody,
    ) -> Result<(), BlobTransferError> {
        if self.foreign.contains(&from) {
            return Err(BlobTransferError::Invalid);
        }
        let announced = body.len();
        if announced > SEGMENT_BYTES {
            return Err(BlobTransferError::Invalid);
        }
        let put = self
            .store
            .put(SegmentId(hash.0), body.take(announced), announced)
            .await;
        put.map(|_| ()).map_err(|error| transfer_error(&error))
    }
}

fn transfer_error(error: &StoreError) -> BlobTransferError {
    match error {
        StoreError::Mismatch { .. } | StoreError::TooLarge { .. } | StoreError::Range { .. } => {
            BlobTransferError::Invalid
        }
        other => {
            tracing::warn!(error = %other, "a segment could not be served to a member");
            BlobTransferError::Failed
        }
    }
}
