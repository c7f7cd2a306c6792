//! Writes to the log and to the store, and when the log may be cut.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::history::History;
use super::pruning::Pruning;
use super::record::{
    FinalBlock, HEAD_KEY, Head, LogHead, LogRecord, block_key, epoch_key, header_key, location_key,
    state_key,
};
use crate::bft::{self, BlockRef, Epoch, PersistSeq, View};
use crate::codec::Encode;
use crate::crypto::Digest;
use crate::io::Io;
use crate::ledger::effect::Effect;
use crate::ledger::execution::branch::Branch;
use crate::ledger::reads::request::OperationLocation;
use crate::ledger::state::Ledger;
use crate::ledger_types::TxId;
use crate::limits::{LEDGER_STORE_LAG_MAX, LEDGER_SYNC_BLOCKS};
use crate::machine::Outbox;
use crate::mutant::Mutant;
use crate::proof::ledger::EpochEnd;
use crate::store::{StoreBatch, StoreOp, StoreSeq};
use crate::wal::{self, Record, RecordKind, WalSeq};

/// What is under way to the disk.
#[derive(Debug, Default, Hash)]
pub(in crate::ledger) struct Storage {
    /// The last final block, which the store is given with all it changed.
    pub(in crate::ledger) tip: BlockRef,
    /// The block that the present epoch rests on.
    pub(in crate::ledger) epoch_root: Digest,
    pub(in crate::ledger) head: LogHead,
    pub(in crate::ledger) history: History,
    pub(in crate::ledger) pruning: Pruning,
    wal_seq: WalSeq,
    wal_pending: VecDeque<Pending>,
    /// The highest view that records with each index speak of: an index may be
    /// dropped when all of them are settled in the store.
    written: BTreeMap<u64, (Epoch, View)>,
    /// Records with a lower index may be gone. It never falls.
    pruned_below: u64,
    store_seq: StoreSeq,
    store_committed: StoreSeq,
    /// The synced batch that is under way, and what the store covers with it.
    syncing: Option<(StoreSeq, Epoch, BlockRef)>,
    blocks_since_sync: u64,
}

/// A batch of the log, and what its durability means.
#[derive(Debug, Hash)]
struct Pending {
    seq: WalSeq,
    /// The write of the validator of this epoch.
    persist: Option<(Epoch, PersistSeq)>,
    prune_below: Option<u64>,
}

impl Storage {
    /// The last batch that the store has.
    pub(in crate::ledger) const fn committed_seq(&self) -> StoreSeq {
        self.store_committed
    }

    /// The last batch that the store was given.
    pub(in crate::ledger) const fn given_seq(&self) -> StoreSeq {
        self.store_seq
    }

    /// The last batch that the log was given.
    pub(in crate::ledger) const fn written_seq(&self) -> WalSeq {
        self.wal_seq
    }

    /// Records of the log with a lower index may be gone.
    pub(in crate::ledger) const fn pruned_below(&self) -> u64 {
        self.pruned_below
    }

    /// G7 Log and store do what they were given, in order.
    pub(in crate::ledger) fn check_order(&self) {
        assert!(
            self.store_committed <= self.store_seq,
            "G7: the store has what it was given"
        );
        let last = self.wal_pending.back();
        assert!(
            last.is_none_or(|last| last.seq == self.wal_seq),
            "G7: the last batch of the log waits last"
        );
        if let Some((seq, _, place)) = self.syncing {
            assert!(
                self.store_committed < seq && seq <= self.store_seq,
                "G7: what is synced is under way"
            );
            assert!(
                place.height <= self.tip.height,
                "G7: only what is final is synced"
            );
        }
    }

    /// G7 Batches of the log wait in order, and nothing is known of what it has cut off.
    pub(in crate::ledger) fn check_writes(&self) {
        let seqs = || self.wal_pending.iter().map(|pending| pending.seq.0);
        assert!(
            seqs()
                .zip(seqs().skip(1))
                .all(|(one, next)| one + 1 == next),
            "G7: no batch of the log is left out"
        );
        let first = self.written.first_key_value().map(|(index, _)| *index);
        assert!(
            first.is_none_or(|first| first >= self.pruned_below),
            "G7: what was cut off is forgotten"
        );
    }

    /// Notes what recovery found in the log.
    pub(in crate::ledger) fn note_written(&mut self, index: u64, epoch: Epoch, view: View) {
        let last = self.written.entry(index).or_default();
        *last = (*last).max((epoch, view));
    }

    /// Notes that a synced batch is under way, and what the store covers with it.
    pub(in crate::ledger) const fn note_syncing(
        &mut self,
        seq: StoreSeq,
        epoch: Epoch,
        place: BlockRef,
    ) {
        self.syncing = Some((seq, epoch, place));
        self.blocks_since_sync = 0;
    }

    /// The lowest index that may still be needed once everything up to a final
    /// block is in the store.
    fn needed_from(&self, epoch: Epoch, view: View) -> Option<u64> {
        let open = |settled: &(Epoch, View)| *settled > (epoch, view);
        let first_open = self.written.iter().find(|(_, settled)| open(settled));
        let last = self.written.keys().next_back().copied()?;
        Some(first_open.map_or(last, |(index, _)| *index))
    }
}

impl Ledger {
    /// Writes what the validator of an epoch wants to keep, as one atomic batch.
    pub(in crate::ledger) fn persist(
        &mut self,
        epoch: Epoch,
        seq: PersistSeq,
        records: Vec<bft::Record>,
    ) {
        let index = self.storage.tip.height.next().0;
        let mut batch = Vec::with_capacity(records.len());
        for record in records {
            self.storage.note_written(index, epoch, record.view());
            let payload = LogRecord { epoch, record }.to_bytes();
            batch.push(Record {
                kind: RecordKind::Entry,
                index,
                payload,
            });
        }
        if batch.is_empty() {
            // Something waits for earlier writes only; the head is small.
            batch.push(head_record(&self.storage.head));
        }
        self.append(batch, Some((epoch, seq)), None);
    }

    /// Notes that the node has to ask before it votes up to an epoch, or that it
    /// has no longer.
    pub(in crate::ledger) fn write_head(&mut self, head: LogHead) {
        self.storage.head = head;
        self.append(alloc::vec![head_record(&head)], None, None);
        self.set_wal_head();
    }

    fn append(
        &mut self,
        records: Vec<Record>,
        persist: Option<(Epoch, PersistSeq)>,
        prune_below: Option<u64>,
    ) {
        let seq = WalSeq(self.storage.wal_seq.0.checked_add(1).expect("few batches"));
        self.storage.wal_seq = seq;
        self.storage.wal_pending.push_back(Pending {
            seq,
            persist,
            prune_below,
        });
        self.step_wal(wal::Event::Append(wal::Batch { seq, records }));
    }

    fn set_wal_head(&mut self) {
        let base = base_record(self.storage.pruned_below);
        let records = alloc::vec![head_record(&self.storage.head), base];
        self.step_wal(wal::Event::SetHead(records));
    }

    pub(in crate::ledger) fn on_wal_durable(&mut self, seq: WalSeq) {
        assert!(
            seq <= self.storage.wal_seq,
            "G7: only what was written is durable"
        );
        while let Some(pending) = self.storage.wal_pending.front() {
            if pending.seq > seq {
                break;
            }
            let done = self.storage.wal_pending.pop_front().expect("just seen");
            if let Some((epoch, seq)) = done.persist {
                // A validator of an epoch that has ended waits for nothing.
                let running = self.phase.running();
                if running.is_some_and(|running| running.bft.epoch().epoch == epoch) {
                    self.step_bft(bft::Event::Persisted { seq });
                }
            }
            if let Some(below) = done.prune_below {
                self.step_wal(wal::Event::Prune { below });
            }
        }
    }

    /// Gives a final block to the store, with everything that it changed.
    pub(in crate::ledger) fn store_block(
        &mut self,
        block: &Arc<FinalBlock>,
        branch: &Branch,
        located: &[(TxId, OperationLocation)],
        out: &mut Outbox<Effect>,
    ) {
        let header = block.block.header();
        let mut ops: Vec<StoreOp> = Vec::new();
        for (key, value) in &branch.executed.changes {
            let key = state_key(key);
            ops.push(match value {
                Some(value) => StoreOp::Put {
                    key,
                    value: value.clone(),
                },
                None => StoreOp::Delete { key },
            });
        }
        ops.push(put(block_key(header.height), &**block));
        ops.push(put(header_key(header.height), header));
        let places = located.iter();
        ops.extend(places.map(|(id, place)| put(location_key(id), place)));
        if header.content.ends_epoch {
            let end = EpochEnd {
                finality: block.finality(),
                next: (**branch.ledger_state().epoch().set()).clone(),
            };
            ops.push(put(epoch_key(header.epoch), &end));
        }
        if header.content.ends_epoch {
            self.storage.epoch_root = branch.hash;
        }
        ops.extend(self.storage.history.append(branch.hash));
        self.storage.blocks_since_sync = self.storage.blocks_since_sync.saturating_add(1);
        let sync = self.storage.syncing.is_none()
            && (self.storage.blocks_since_sync >= LEDGER_SYNC_BLOCKS || header.content.ends_epoch);
        if sync {
            ops.extend(self.prune());
        }
        ops.push(self.head_op(header.epoch, branch));
        let seq = self.commit_to_store(ops, sync, out);
        if sync {
            let place = block.block.place();
            self.storage.note_syncing(seq, header.epoch, place);
        }
    }

    /// Gives block 0 to the store, with the state that it stands for.
    pub(in crate::ledger) fn store_genesis(&mut self, branch: &Branch, out: &mut Outbox<Effect>) {
        let entries = branch.ledger_state().tree().iter();
        let mut ops: Vec<StoreOp> = entries
            .map(|entry| StoreOp::Put {
                key: state_key(entry.key),
                value: entry.value.clone(),
            })
            .collect();
        ops.extend(self.storage.history.append(branch.hash));
        ops.push(self.head_op(Epoch(0), branch));
        self.commit_to_store(ops, false, out);
    }

    /// Whether the store is so far behind that the node takes part in no new block:
    /// what the log alone holds has to be executed again at the next start.
    pub(in crate::ledger) fn is_store_behind(&self) -> bool {
        let (given, done) = (self.storage.store_seq.0, self.storage.store_committed.0);
        let is_behind = given.saturating_sub(done) > LEDGER_STORE_LAG_MAX;
        is_behind && !self.config.mutant.is(Mutant::LedgerOutrunsItsStore)
    }

    /// Where the next start begins.
    pub(in crate::ledger) fn head_op(&self, epoch: Epoch, branch: &Branch) -> StoreOp {
        let head = Head {
            epoch,
            place: self.storage.tip,
            time: branch.time,
            results_root: branch.executed.results_root,
            epoch_root: self.storage.epoch_root,
            history: branch.history.clone(),
            state: branch.ledger_state().root(),
            base: self.storage.pruning.base(),
        };
        assert_eq!(head.place.hash, branch.hash, "the head is the tip");
        assert!(self.storage.history.is(&head.history), "with its tiles");
        put(HEAD_KEY.to_vec().into(), &head)
    }

    pub(in crate::ledger) fn commit_to_store(
        &mut self,
        ops: Vec<StoreOp>,
        sync: bool,
        out: &mut Outbox<Effect>,
    ) -> StoreSeq {
        let seq = StoreSeq(
            self.storage
                .store_seq
                .0
                .checked_add(1)
                .expect("few batches"),
        );
        self.storage.store_seq = seq;
        out.push(Effect::Io(Io::Commit(StoreBatch { seq, ops, sync })));
        seq
    }

    /// The store has what it was given; if it is synced, the log may be cut.
    pub(in crate::ledger) fn on_store_committed(&mut self, seq: StoreSeq) {
        let was_behind = self.is_store_behind();
        self.storage.store_committed = self.storage.store_committed.max(seq);
        if was_behind && !self.is_store_behind() {
            self.unpark();
        }
        let Some((syncing, epoch, place)) = self.storage.syncing else {
            return;
        };
        if seq < syncing {
            return;
        }
        self.storage.syncing = None;
        let Some(below) = self.storage.needed_from(epoch, place.view) else {
            return;
        };
        assert!(
            below >= self.storage.pruned_below,
            "G7: the log is cut upwards"
        );
        self.storage.written = self.storage.written.split_off(&below);
        self.storage.pruned_below = self.storage.pruned_below.max(below);
        self.append(
            alloc::vec![head_record(&self.storage.head), base_record(below)],
            None,
            Some(below),
        );
        self.set_wal_head();
    }
}

fn put(key: bytes::Bytes, value: &impl Encode) -> StoreOp {
    StoreOp::Put {
        key,
        value: value.to_bytes(),
    }
}

pub(in crate::ledger) fn head_record(head: &LogHead) -> Record {
    Record {
        kind: RecordKind::State,
        index: 0,
        payload: head.to_bytes(),
    }
}

/// Tells the log that entries below an index may be gone.
pub(in crate::ledger) fn base_record(below: u64) -> Record {
    Record {
        kind: RecordKind::Base,
        index: below.saturating_sub(1),
        payload: bytes::Bytes::new(),
    }
}

#[cfg(test)]
#[path = "../tests/asserts_storage.rs"]
mod tests;
