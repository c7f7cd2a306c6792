//! From files and store pages to a running Raft.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

use bytes::Bytes;

use super::effect::Effect;
use super::records::{self, BaseRecord, Content};
use super::state::{Cluster, Inner, Ops, Phase};
use crate::codec::Decode as _;
use crate::io::{Io, Read, ReadId};
use crate::limits::STORE_PAGE_BYTES;
use crate::machine::Outbox;
use crate::mutant::Mutant;
use crate::proof::AppliedLog;
use crate::raft::{Base, Entry, HardState, Raft, Recovered};
use crate::replica::{Loader, Replica, wipe_ops};
use crate::store::Page;
use crate::types::{Index, LogId, Time};
use crate::wal;

/// Votes and acknowledgements of an earlier life are gone with the log: the node could
/// vote twice in a term (Raft paper §5.2).
const LOST: &str = "the log of this node is gone although it was used before: replace the node by \
                    one with a new id, or bring its data directory back";

/// The stored state is kept as it is: what this version would leave out of it, or do
/// without, the nodes of the newer version have.
const NEWER_STATE: &str = "the state of this node was written by a newer version, with modules \
                           that this one does not have: start the node with that version";

/// What has been read so far.
#[derive(Debug)]
pub(super) struct Recovery {
    /// Whether the volume was used before.
    is_used: bool,
    wal: Option<wal::Recovered>,
    loader: Option<Loader>,
    /// Pages of the store that the loader was given.
    pages: u64,
    store: Option<StoreImage>,
    /// The base of the state that was installed last, as the store remembers it.
    installed: Option<BaseRecord>,
    /// Removes what an interrupted installation left in the store.
    cleanup: Ops,
}

/// What the store held.
#[derive(Debug)]
enum StoreImage {
    /// Nothing: a new node.
    Empty,
    /// A sound state.
    State(Box<Replica>),
    /// Something that is not what was written: it must be replaced.
    Damaged,
}

impl Hash for Recovery {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            is_used,
            wal,
            // It holds what the store has, up to the page that was read last.
            loader,
            pages,
            store,
            installed,
            cleanup,
        } = self;
        (is_used, wal, loader.is_some(), pages).hash(state);
        (store, installed, cleanup).hash(state);
    }
}

impl Hash for StoreImage {
    fn hash<H: Hasher>(&self, state: &mut H) {
        core::mem::discriminant(self).hash(state);
        if let Self::State(replica) = self {
            replica.digest().hash(state);
        }
    }
}

impl Cluster {
    /// Begins to read the log and the store, side by side.
    pub(super) fn start(&mut self, now: Time, is_used: bool, out: &mut Outbox<Effect>) {
        assert!(matches!(self.phase, Phase::New), "a node starts once");
        let loader = Some(Loader::new(
            self.config.replica_config(),
            self.config.modules(),
        ));
        self.phase = Phase::Recovering(Box::new(Recovery {
            is_used,
            wal: None,
            loader,
            pages: 0,
            store: None,
            installed: None,
            cleanup: Ops::new(),
        }));
        self.step_wal(now, wal::Event::Start);
        self.read_page(Bytes::new(), out);
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
        Page { mut pairs, is_last }: Page,
        out: &mut Outbox<Effect>,
    ) {
        let Phase::Recovering(recovery) = &mut self.phase else {
            return;
        };
        let Some(mut loader) = recovery.loader.take() else {
            return;
        };
        let next = pairs.last().map(|(key, _)| key.clone());
        if let Some((_, record)) = pairs.pop_if(|(key, _)| key == records::INSTALLED_KEY) {
            // One that does not decode is as good as none: the log is repaired.
            recovery.installed = BaseRecord::from_bytes(&record).ok();
        }
        loader.push(pairs);
        recovery.pages = recovery.pages.saturating_add(1);
        if let Some(from) = next
            && !is_last
        {
            recovery.loader = Some(loader);
            self.read_page(after(&from), out);
            return;
        }
        self.storage.set_generation(loader.next_generation());
        recovery.cleanup = loader.cleanup();
        recovery.store = Some(match loader.finish() {
            Ok(None) => StoreImage::Empty,
            Ok(Some(replica)) => StoreImage::State(Box::new(replica)),
            // It is sound, and only a newer version can read it: nothing is wiped.
            Err(error) if error.is_newer() => return self.halt(NEWER_STATE, out),
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
        let is_used = recovery.is_used;
        let log = recovery.wal.take().expect("checked above");
        let store = recovery.store.take().expect("checked above");
        let cleanup = core::mem::take(&mut recovery.cleanup);
        let installed = recovery.installed.take();
        let mut replay = Replay {
            mutant: self.config.mutant,
            ..Replay::default()
        };
        if let Err(reason) = replay.run(&log) {
            self.halt(reason, out);
            return;
        }
        let store_damaged = matches!(store, StoreImage::Damaged);
        if let StoreImage::State(replica) = store {
            self.replica = *replica;
        }
        self.storage.stored = self.replica.applied().index;
        self.storage.log_accumulator = replay.accumulator.take();
        let mut recovered = match replay.finish(&log, self.replica.applied()) {
            Some(recovered) => recovered,
            None if is_used => return self.halt(LOST, out),
            None => self.bootstrap(now),
        };
        let mut installed_accumulator = None;
        if let Some(record) = installed {
            recovered.installed = Some(record.base);
            installed_accumulator = record.accumulator;
        }
        let cleanup = if store_damaged { wipe_ops() } else { cleanup };
        self.enter(now, recovered, installed_accumulator, cleanup, out);
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

    fn enter(
        &mut self,
        now: Time,
        recovered: Recovered,
        installed_accumulator: Option<AppliedLog>,
        cleanup: Ops,
        out: &mut Outbox<Effect>,
    ) {
        self.requests.set_start_term(recovered.hard_state.term);
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
        // Raft may have begun its log again: behind an installed state, or empty.
        let base = raft.base().clone();
        self.raft = Some(raft);
        let accumulator = match base.id == self.storage.base.id {
            true => self.storage.log_accumulator.clone(),
            false => installed_accumulator,
        };
        self.begin_log_tree(&base, accumulator);
        self.follow_log();
        self.phase = Phase::Running;
        out.push(Effect::Peers);
    }

    /// Reads a page of the store. There is one read at a time.
    fn read_page(&self, from: Bytes, out: &mut Outbox<Effect>) {
        out.push(Effect::Io(Io::Read(Read {
            id: ReadId::default(),
            from,
            to: None,
            bytes_max: STORE_PAGE_BYTES,
        })));
    }
}

/// The first key behind `key`.
fn after(key: &[u8]) -> Bytes {
    [key, &[0]].concat().into()
}

/// The log, record by record.
///
/// Records repeat: each segment begins with copies of the hard state and the
/// base, and after a prune the first entries come before the base that they
/// follow. So entries are gathered by index, and held against the base at the end.
#[derive(Debug, Default)]
struct Replay {
    hard_state: HardState,
    base: Option<Base>,
    /// The log accumulator up to the base.
    accumulator: Option<AppliedLog>,
    entries: BTreeMap<Index, Entry>,
    /// The highest index seen at all.
    highest: Index,
    mutant: Mutant,
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
                Content::Entry(entry) => {
                    // An entry replaces what stood at its index and behind, even
                    // if the record that cut it off is lost in a hole.
                    self.truncate(entry.id.index);
                    self.highest = self.highest.max(entry.id.index);
                    self.entries.insert(entry.id.index, entry);
                }
            }
        }
        Ok(())
    }

    fn on_base(
        &mut self,
        BaseRecord {
            base,
            reset,
            accumulator,
        }: BaseRecord,
    ) {
        self.highest = self.highest.max(base.id.index);
        if reset || self.mutant.is(Mutant::ClusterLosesBaseEntries) {
            self.entries.clear();
        }
        self.base = Some(base);
        self.accumulator = accumulator;
    }

    fn truncate(&mut self, from: Index) {
        self.entries.split_off(&from);
    }

    /// What Raft starts from, or `None` for an empty disk.
    fn finish(mut self, log: &wal::Recovered, applied: LogId) -> Option<Recovered> {
        if self.base.is_none() && log.damage.is_empty() {
            assert!(self.entries.is_empty(), "a log begins with its base");
            return None;
        }
        let hard_state_lost =
            self.base.is_none() || log.damage.iter().any(|damage| damage.may_hide_state);
        let base = self.base.take().unwrap_or_default();
        let found = self.entries.keys().next_back().copied().unwrap_or_default();
        let entries = self.entries_after(base.id.index);
        let last = entries.last().map_or(base.id.index, |entry| entry.id.index);
        let is_loss = |damage: &wal::Damage| match damage.before_index {
            // Behind a hole below the base nothing is missing, nor around one
            // whose neighbours follow each other.
            Some(index) => index > base.id.index.next().0 && index != damage.after_index + 1,
            None => true,
        };
        let damaged = last < found || log.damage.iter().any(is_loss);
        Some(Recovered {
            hard_state: self.hard_state,
            base,
            entries,
            applied,
            installed: None,
            damaged_upto: damaged.then_some(self.highest),
            hard_state_lost,
        })
    }

    /// The entries behind the base, up to the first gap.
    fn entries_after(&mut self, base: Index) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut next = base.next();
        for (index, entry) in self.entries.split_off(&next) {
            if index != next {
                break;
            }
            next = next.next();
            entries.push(entry);
        }
        entries
    }
}
