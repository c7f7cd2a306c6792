//! Batches of the log and of the store, and when the log may be compacted.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::effect::Effect;
use super::records;
use super::state::{Cluster, Ops, Phase};
use crate::io::Io;
use crate::limits::PERSISTS_PENDING_MAX;
use crate::machine::Outbox;
use crate::proof::AppliedLog;
use crate::raft::{self, Base, HardState, Persist, PersistSeq};
use crate::replica::Generation;
use crate::store::{StoreBatch, StoreOp, StoreSeq};
use crate::types::{Index, Time};
use crate::wal::{self, WalSeq};

/// What is under way to the disk.
#[derive(Debug, Default, Hash)]
pub(super) struct Storage {
    /// The last batch appended to the log.
    wal_seq: WalSeq,
    /// Batches of the log that are not durable yet.
    wal_pending: VecDeque<Pending>,
    /// The last term, vote and base written: the head of every new segment.
    pub(super) hard_state: HardState,
    pub(super) base: Base,
    /// The log accumulator up to the base, if it is known.
    pub(super) log_accumulator: Option<AppliedLog>,
    /// The last batch given to the store.
    store_seq: StoreSeq,
    /// Batches in the store's hands: number, what they cover, whether synced.
    store_pending: VecDeque<(StoreSeq, Index, bool)>,
    store_committed: StoreSeq,
    /// The last index whose effects are durable in the store.
    pub(super) stored: Index,
    /// Set while a synced batch for a compaction is under way.
    compacting: bool,
    /// The generation under which the next snapshot goes into the store.
    next_generation: Option<Generation>,
}

/// A batch of the log and what its durability means.
#[derive(Debug, Hash)]
struct Pending {
    seq: WalSeq,
    persist: Option<PersistSeq>,
    /// Entries below this index are not needed once the batch is durable.
    prune_below: Option<Index>,
}

impl Storage {
    pub(super) fn committed_seq(&self) -> StoreSeq {
        self.store_committed
    }

    /// The first generation that the store has no pairs of.
    pub(super) fn set_generation(&mut self, generation: Generation) {
        self.next_generation = Some(generation);
    }

    /// A generation that was never used before in this store.
    pub(super) fn take_generation(&mut self) -> Generation {
        let generation = self.next_generation.expect("set by recovery");
        self.next_generation = Some(generation.next());
        generation
    }

    fn next_store_seq(&mut self) -> StoreSeq {
        self.store_seq = StoreSeq(
            self.store_seq
                .0
                .checked_add(1)
                .expect("batch numbers suffice"),
        );
        self.store_seq
    }
}

impl Cluster {
    /// Whether the store lags so far behind that no more load is welcome.
    pub(super) fn is_congested(&self) -> bool {
        self.storage.store_pending.len() >= self.config.raft.persists_pending_max
    }

    /// Appends one write of Raft to the log, as one atomic batch.
    pub(super) fn persist(&mut self, now: Time, persist: &Persist) {
        let prune_below = persist.base.as_ref().map(|base| base.id.index.next());
        let accumulator = persist
            .base
            .as_ref()
            .and_then(|base| self.move_log_tree(base));
        self.append(now, Some(persist.seq), prune_below, |seq| {
            records::batch(seq, persist, accumulator.as_ref())
        });
        if persist.hard_state.is_none() && persist.base.is_none() {
            return;
        }
        if let Some(hard_state) = &persist.hard_state {
            self.storage.hard_state = **hard_state;
        }
        if let Some(base) = &persist.base {
            self.storage.base = Base::clone(base);
            self.storage.log_accumulator = accumulator;
        }
        self.set_wal_head(now);
    }

    /// Begins a new cluster's log: its first members, and the empty hard state.
    pub(super) fn persist_bootstrap(&mut self, now: Time, base: Base) {
        self.storage.base = base;
        let head = self.wal_head();
        self.append(now, None, None, |seq| wal::Batch { seq, records: head });
        self.set_wal_head(now);
    }

    fn append(
        &mut self,
        now: Time,
        persist: Option<PersistSeq>,
        prune_below: Option<Index>,
        batch: impl FnOnce(WalSeq) -> wal::Batch,
    ) {
        assert!(
            self.storage.wal_pending.len() <= PERSISTS_PENDING_MAX,
            "Raft bounds its writes"
        );
        let seq = WalSeq(
            self.storage
                .wal_seq
                .0
                .checked_add(1)
                .expect("batch numbers suffice"),
        );
        self.storage.wal_seq = seq;
        self.storage.wal_pending.push_back(Pending {
            seq,
            persist,
            prune_below,
        });
        self.step_wal(now, wal::Event::Append(batch(seq)));
    }

    fn wal_head(&self) -> Vec<wal::Record> {
        alloc::vec![
            records::hard_state_record(&self.storage.hard_state),
            records::base_record(
                &self.storage.base,
                self.storage.log_accumulator.as_ref(),
                false
            ),
        ]
    }

    /// Tells the log what each new segment must begin with.
    pub(super) fn set_wal_head(&mut self, now: Time) {
        let head = self.wal_head();
        self.step_wal(now, wal::Event::SetHead(head));
    }

    pub(super) fn on_wal_durable(&mut self, now: Time, seq: WalSeq) {
        while let Some(pending) = self.storage.wal_pending.front() {
            if pending.seq > seq {
                break;
            }
            let pending = self
                .storage
                .wal_pending
                .pop_front()
                .expect("front was there");
            if let Some(seq) = pending.persist {
                self.step_raft(now, raft::Event::Persisted { seq });
            }
            if let Some(below) = pending.prune_below {
                self.step_wal(now, wal::Event::Prune { below: below.0 });
            }
        }
    }

    /// Gives a batch to the store. `upto` is what the store covers with it.
    pub(super) fn commit_to_store(
        &mut self,
        ops: Vec<StoreOp>,
        upto: Index,
        sync: bool,
        out: &mut Outbox<Effect>,
    ) -> StoreSeq {
        let seq = self.storage.next_store_seq();
        self.storage.store_pending.push_back((seq, upto, sync));
        out.push(Effect::Io(Io::Commit(StoreBatch { seq, ops, sync })));
        seq
    }

    /// Makes everything that was given to the store durable.
    pub(super) fn sync_store(&mut self, out: &mut Outbox<Effect>) -> StoreSeq {
        let upto = self.replica.applied().index;
        self.commit_to_store(Ops::new(), upto, true, out)
    }

    pub(super) fn on_store_committed(
        &mut self,
        now: Time,
        seq: StoreSeq,
        out: &mut Outbox<Effect>,
    ) {
        while let Some((pending, upto, sync)) = self.storage.store_pending.front().copied() {
            if pending > seq {
                break;
            }
            self.storage.store_pending.pop_front();
            self.storage.store_committed = pending;
            if sync {
                self.storage.stored = self.storage.stored.max(upto);
            }
        }
        self.on_install_progress(now, out);
        if self.storage.compacting && self.storage.store_committed >= self.storage.store_seq {
            self.compact(now);
        }
    }

    /// Starts a compaction when the log has grown: first the store is synced.
    pub(super) fn maybe_compact(&mut self, out: &mut Outbox<Effect>) {
        if self.storage.compacting || !matches!(self.phase, Phase::Running) {
            return;
        }
        let Some(raft) = &self.raft else { return };
        if self.snapshots.is_installing() {
            return;
        }
        let applied = self.replica.applied().index.0;
        let kept = applied.saturating_sub(raft.base().id.index.0);
        let large = raft.log_bytes() > crate::limits::LOG_BYTES_MAX
            && kept > self.config.log_trailing_entries;
        if kept > self.config.log_entries_max || large {
            self.storage.compacting = true;
            self.sync_store(out);
        }
    }

    /// The store is synced: drop what lies further back than slow peers need.
    fn compact(&mut self, now: Time) {
        self.storage.compacting = false;
        let Some(raft) = &self.raft else { return };
        let keep_from = self
            .replica
            .applied()
            .index
            .0
            .saturating_sub(self.config.log_trailing_entries);
        let upto = Index(keep_from).min(self.storage.stored);
        if upto > raft.base().id.index {
            self.follow_log();
            self.step_raft(now, raft::Event::Compact { upto });
        }
    }
}
