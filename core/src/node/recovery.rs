//! From files and store pages to a running Raft.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use super::effect::Effect;
use super::records::{self, BaseRecord, Content};
use super::state::{Inner, Node, Ops, Phase};
use crate::kv::{Kv, Loader, wipe_ops};
use crate::machine::Outbox;
use crate::raft::{Base, Entry, HardState, Raft, Recovered};
use crate::types::{Index, Time};
use crate::wal;

/// What has been read so far.
#[derive(Debug)]
pub(super) struct Recovery {
    wal: Option<wal::Recovered>,
    loader: Option<Loader>,
    store: Option<StoreImage>,
    /// Removes what an interrupted installation left in the store.
    cleanup: Ops,
}

/// What the store held.
#[derive(Debug)]
enum StoreImage {
    /// Nothing: a new node.
    Empty,
    /// A sound state.
    State(Box<Kv>),
    /// Something that is not what was written: it must be replaced.
    Damaged,
}

impl Node {
    /// Begins to read the log and the store, side by side.
    pub(super) fn start(&mut self, now: Time, out: &mut Outbox<Effect>) {
        assert!(matches!(self.phase, Phase::New), "a node starts once");
        self.requests.seed_forward_ids(self.clock.wall);
        let loader = Some(Loader::new(self.config.kv_config()));
        self.phase = Phase::Recovering(Box::new(Recovery {
            wal: None,
            loader,
            store: None,
            cleanup: Ops::new(),
        }));
        self.step_wal(now, wal::Event::Start);
        out.push(Effect::StoreScan { from: Bytes::new() });
    }

    pub(super) fn on_wal_recovered(
        &mut self,
        now: Time,
        recovered: wal::Recovered,
        out: &mut Outbox<Effect>,
    ) {
        let Phase::Recovering(recovery) = &mut self.phase else {
            return;
        };
        recovery.wal = Some(recovered);
        self.finish_recovery(now, out);
    }

    pub(super) fn on_store_page(
        &mut self,
        now: Time,
        pairs: Vec<(Bytes, Bytes)>,
        done: bool,
        out: &mut Outbox<Effect>,
    ) {
        let Phase::Recovering(recovery) = &mut self.phase else {
            return;
        };
        let Some(mut loader) = recovery.loader.take() else {
            return;
        };
        let next = pairs.last().map(|(key, _)| key.clone());
        loader.push(pairs);
        if let Some(from) = next
            && !done
        {
            recovery.loader = Some(loader);
            out.push(Effect::StoreScan { from });
            return;
        }
        self.storage.set_generation(loader.next_generation());
        recovery.cleanup = loader.cleanup();
        recovery.store = Some(match loader.finish() {
            Ok(None) => StoreImage::Empty,
            Ok(Some(kv)) => StoreImage::State(Box::new(kv)),
            Err(_) => StoreImage::Damaged,
        });
        self.finish_recovery(now, out);
    }

    fn finish_recovery(&mut self, now: Time, out: &mut Outbox<Effect>) {
        let Phase::Recovering(recovery) = &mut self.phase else {
            return;
        };
        if recovery.wal.is_none() || recovery.store.is_none() {
            return;
        }
        let log = recovery.wal.take().expect("checked above");
        let store = recovery.store.take().expect("checked above");
        let cleanup = core::mem::take(&mut recovery.cleanup);
        let mut replay = Replay::default();
        if let Err(reason) = replay.run(&log) {
            self.halt(reason, out);
            return;
        }
        let store_damaged = matches!(store, StoreImage::Damaged);
        if let StoreImage::State(kv) = store {
            self.kv = *kv;
        }
        self.storage.stored = self.kv.applied().index;
        let recovered = match replay.finish(&log, self.kv.applied().index) {
            Some(recovered) => recovered,
            None => self.bootstrap(now),
        };
        let cleanup = if store_damaged { wipe_ops() } else { cleanup };
        self.enter(now, recovered, cleanup, out);
    }

    /// An empty disk: the log begins with the first members.
    fn bootstrap(&mut self, now: Time) -> Recovered {
        let membership = self.config.bootstrap.clone();
        let base = Base {
            membership,
            ..Base::default()
        };
        self.persist_bootstrap(now, base.clone());
        Recovered {
            base,
            ..Recovered::default()
        }
    }

    fn enter(&mut self, now: Time, recovered: Recovered, cleanup: Ops, out: &mut Outbox<Effect>) {
        self.storage.hard_state = recovered.hard_state;
        self.storage.base = recovered.base.clone();
        self.set_wal_head(now);
        if !cleanup.is_empty() {
            self.commit_to_store(cleanup, Index::ZERO, false, out);
        }
        let raft = Raft::new(
            now,
            self.config.raft_config(),
            recovered,
            &mut self.raft_out,
        );
        self.queue.extend(self.raft_out.drain().map(Inner::Raft));
        self.raft = Some(raft);
        self.phase = Phase::Running;
        out.push(Effect::Ready);
    }
}

/// The log, record by record.
#[derive(Debug, Default)]
struct Replay {
    hard_state: HardState,
    base: Option<Base>,
    entries: Vec<Entry>,
    /// Set while entries are skipped because one before them is missing.
    broken: bool,
    /// The highest index seen at all.
    highest: Index,
}

impl Replay {
    fn run(&mut self, log: &wal::Recovered) -> Result<(), &'static str> {
        for record in &log.records {
            let content = records::decode(record).map_err(|_| {
                "the log holds records that this version does not understand: \
                 start the node with the version that wrote them"
            })?;
            match content {
                Content::HardState(hard_state) => self.hard_state = hard_state,
                Content::Base(record) => self.on_base(record),
                Content::Truncate(from) => self.truncate(from),
                Content::Entry(entry) => self.on_entry(entry),
            }
        }
        Ok(())
    }

    fn last(&self) -> Index {
        let base = self.base.as_ref().map_or(Index::ZERO, |base| base.id.index);
        self.entries.last().map_or(base, |entry| entry.id.index)
    }

    fn on_base(&mut self, BaseRecord { base, reset }: BaseRecord) {
        self.highest = self.highest.max(base.id.index);
        if reset {
            self.entries.clear();
            self.broken = false;
        } else {
            self.entries.retain(|entry| entry.id.index > base.id.index);
        }
        // The head of a segment repeats a base that is older than entries that
        // were dropped with earlier segments; then the log goes on after it.
        if self
            .entries
            .first()
            .is_some_and(|entry| entry.id.index != base.id.index.next())
        {
            self.entries.clear();
            self.broken = true;
        }
        self.base = Some(base);
    }

    fn truncate(&mut self, from: Index) {
        self.entries.retain(|entry| entry.id.index < from);
        if from <= self.last().next() {
            self.broken = false;
        }
    }

    fn on_entry(&mut self, entry: Entry) {
        self.highest = self.highest.max(entry.id.index);
        let base = self.base.as_ref().map_or(Index::ZERO, |base| base.id.index);
        if entry.id.index <= base {
            return;
        }
        // Entries are appended without a gap, so a gap is a hole in the log:
        // nothing behind it can be used until it is cut off or filled.
        self.broken |= entry.id.index != self.last().next();
        if !self.broken {
            self.entries.push(entry);
        }
    }

    /// What Raft starts from, or `None` for an empty disk.
    fn finish(self, log: &wal::Recovered, applied: Index) -> Option<Recovered> {
        if self.base.is_none() && log.damage.is_empty() {
            assert!(self.entries.is_empty(), "a log begins with its base");
            return None;
        }
        let hard_state_lost =
            self.base.is_none() || log.damage.iter().any(|damage| damage.may_hide_state);
        let base = self.base.unwrap_or_default();
        let damaged = !log.damage.is_empty() || self.broken;
        Some(Recovered {
            hard_state: self.hard_state,
            base,
            entries: self.entries,
            applied,
            damaged_upto: damaged.then_some(self.highest),
            hard_state_lost,
        })
    }
}
