//! Snapshots of the state to peers that are too far behind, and from a leader.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::hash::{Hash, Hasher};

use bytes::Bytes;

use super::effect::Effect;
use super::log_tree;
use super::records;
use super::request::Response;
use super::requests::reply;
use super::state::Cluster;
use crate::machine::Outbox;
use crate::raft::{self, SnapshotMeta};
use crate::replica::{Frozen, ReplaceOps, Replica, Staging, is_switch};
use crate::store::StoreSeq;
use crate::types::{Index, NodeId, Time};

/// Nothing of it is installed: the state in force stays as it is.
const NEWER_SNAPSHOT: &str = "the leader's snapshot was written by a newer version, with modules \
                              that this one does not have: start the node with that version";

/// Transfers under way.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    /// To peers: the frozen states that they read.
    pub(super) outgoing: BTreeMap<NodeId, Frozen>,
    /// From a leader: the chunks so far.
    staging: Option<Incoming>,
    /// A complete snapshot on its way into the store.
    installing: Option<Installing>,
}

#[derive(Debug)]
struct Incoming {
    meta: Box<SnapshotMeta>,
    next_chunk: u64,
    staging: Staging,
}

#[derive(Debug)]
struct Installing {
    meta: Box<SnapshotMeta>,
    replica: Box<Replica>,
    /// Batches that are still to be given to the store.
    batches: ReplaceOps,
    /// The last batch given to it.
    under_way: StoreSeq,
}

impl Hash for Snapshots {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            outgoing,
            staging,
            installing,
        } = self;
        outgoing.len().hash(state);
        for (peer, frozen) in outgoing {
            (peer, frozen.applied(), frozen.digest()).hash(state);
        }
        (staging, installing).hash(state);
    }
}

impl Hash for Incoming {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            meta,
            next_chunk,
            // The chunks before the next one of what `meta` names.
            staging: _,
        } = self;
        (meta, next_chunk).hash(state);
    }
}

impl Hash for Installing {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            meta,
            replica,
            // How far they have come is told by the number of the last one.
            batches: _,
            under_way,
        } = self;
        (meta, replica.digest(), under_way).hash(state);
    }
}

impl Snapshots {
    pub(super) fn close(&mut self, peer: NodeId) {
        self.outgoing.remove(&peer);
    }

    pub(super) fn is_installing(&self) -> bool {
        self.installing.is_some()
    }
}

impl Cluster {
    /// Freezes the applied state for a peer.
    pub(super) fn open_snapshot(&mut self, now: Time, peer: NodeId) {
        let raft = self.raft.as_ref().expect("Raft asked for it");
        let frozen = self.replica.freeze();
        let base = raft
            .base_at(frozen.applied().index)
            .expect("what is applied is in the log");
        assert_eq!(
            base.id,
            frozen.applied(),
            "the snapshot covers what is applied"
        );
        let metadata = self.log_metadata(&base);
        let meta = Box::new(SnapshotMeta {
            base,
            digest: frozen.digest(),
            metadata,
        });
        self.snapshots.outgoing.insert(peer, frozen);
        self.step_raft(now, raft::Event::SnapshotOpened { peer, meta });
    }

    pub(super) fn read_snapshot(&mut self, now: Time, peer: NodeId, chunk: u64) {
        let Some(frozen) = self.snapshots.outgoing.get_mut(&peer) else {
            return;
        };
        let Some((data, last)) = frozen.chunk(chunk) else {
            return;
        };
        self.step_raft(
            now,
            raft::Event::SnapshotChunk {
                peer,
                chunk,
                data,
                last,
            },
        );
    }

    /// Takes a chunk of a leader's snapshot; the first one begins again.
    pub(super) fn stage_snapshot(
        &mut self,
        now: Time,
        meta: Box<SnapshotMeta>,
        chunk: u64,
        data: &Bytes,
        last: bool,
        out: &mut Outbox<Effect>,
    ) {
        if chunk == 0 {
            let staging = Staging::new(self.config.replica_config(), self.config.modules());
            self.snapshots.staging = Some(Incoming {
                meta: meta.clone(),
                next_chunk: 0,
                staging,
            });
        }
        let Some(incoming) = &mut self.snapshots.staging else {
            return;
        };
        assert_eq!(
            incoming.meta, meta,
            "Raft begins a new snapshot with chunk 0"
        );
        assert_eq!(incoming.next_chunk, chunk, "Raft stages chunks in order");
        incoming.next_chunk = chunk.checked_add(1).expect("chunk numbers suffice");
        if incoming.staging.push_chunk(data).is_err() {
            self.snapshots.staging = None;
            return self.step_raft(now, raft::Event::SnapshotRefused);
        }
        if last {
            self.begin_install(now, out);
        }
    }

    /// All chunks are here: check them, then make them the store's content.
    fn begin_install(&mut self, now: Time, out: &mut Outbox<Effect>) {
        let incoming = self
            .snapshots
            .staging
            .take()
            .expect("the last chunk was just staged");
        let generation = self.storage.take_generation();
        assert_ne!(
            generation,
            self.replica.generation(),
            "the state in force stays until the new one takes its place"
        );
        let replica = match incoming.staging.finish(incoming.meta.digest, generation) {
            Ok(replica) if replica.applied() == incoming.meta.base.id => replica,
            // Asking for it again would bring the same.
            Err(error) if error.is_newer() => return self.halt(NEWER_SNAPSHOT, out),
            _ => return self.step_raft(now, raft::Event::SnapshotRefused),
        };
        let batches = replica.replace_ops();
        let meta = incoming.meta;
        let under_way = StoreSeq::default();
        self.snapshots.installing = Some(Installing {
            meta,
            replica: Box::new(replica),
            batches,
            under_way,
        });
        self.on_install_progress(now, out);
    }

    /// A store batch completed: go on with the install, or finish it. One batch
    /// is in the store's hands at a time, so that a large snapshot does not fill
    /// memory twice.
    pub(super) fn on_install_progress(&mut self, now: Time, out: &mut Outbox<Effect>) {
        let committed = self.storage.committed_seq();
        let Some(installing) = &mut self.snapshots.installing else {
            return;
        };
        if committed < installing.under_way {
            return;
        }
        if let Some(mut ops) = installing.batches.next() {
            if is_switch(&ops) {
                let accumulator = log_tree::accumulator_in(&installing.meta.metadata);
                ops.push(records::installed_op(
                    &installing.meta.base,
                    accumulator.as_ref(),
                ));
            }
            let seq = self.commit_to_store(ops, Index::ZERO, true, out);
            let installing = self.snapshots.installing.as_mut().expect("still there");
            installing.under_way = seq;
            return;
        }
        let installing = self.snapshots.installing.take().expect("checked above");
        self.replica = *installing.replica;
        self.storage.stored = self.replica.applied().index;
        assert_eq!(self.replica.applied(), installing.meta.base.id);
        let accumulator = log_tree::accumulator_in(&installing.meta.metadata);
        self.begin_log_tree(&installing.meta.base, accumulator);
        self.end_watches(out);
        self.step_raft(
            now,
            raft::Event::SnapshotInstalled {
                meta: installing.meta,
            },
        );
        self.answer_reads(out);
        self.answer_head_requests(now, out);
    }

    /// The snapshot jumps over revisions that watchers never saw.
    fn end_watches(&mut self, out: &mut Outbox<Effect>) {
        let oldest = self.replica.revision();
        for id in core::mem::take(&mut self.watches).into_keys() {
            reply(id, Response::Compacted { oldest }, out);
        }
    }
}
