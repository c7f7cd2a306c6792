//! What a volume of a slot is kept on: a disk for its log, and a store.

use std::collections::VecDeque;

use decube_core::io::{Done, FileOp, FileOpId, FileResult};
use decube_core::mutant::Mutant;

use crate::config::DiskSettings;
use crate::disk::Disk;
use crate::rng::{Domain, Keyed};
use crate::shell::StoreTask;
use crate::store::SimStore;

/// One device.
#[derive(Debug)]
pub(crate) struct Device {
    /// Tells its draws from those of others.
    entity: u64,
    pub(crate) disk: Disk,
    pub(crate) store: SimStore,
    store_tasks: VecDeque<StoreTask>,
    store_operations: u64,
    /// Syncs under way with the event that asked for them, and whether they are of records.
    sync_asked: VecDeque<(FileOpId, u64, bool)>,
    /// Whether its log was ever synced.
    pub(crate) is_used: bool,
    /// Its contents were damaged: its part may rightly halt.
    pub(crate) damaged: bool,
    /// The operation whose failure its part cannot survive.
    fatal: Option<FileOpId>,
    /// A planted bug: a sync marks the volume as used although that failed.
    marks_after_failure: bool,
    /// That failure was reported: the part must halt in this step.
    pub(crate) must_halt: bool,
    /// The part has halted or stopped.
    pub(crate) has_ended: bool,
}

/// A file operation that has completed.
#[derive(Debug)]
pub(crate) struct Completed {
    /// What the machine hears.
    pub(crate) done: Done,
    /// Whether it failed.
    pub(crate) failed: bool,
    /// It could not be read: what was there is lost.
    pub(crate) is_read_lost: bool,
    /// Sectors that turned out damaged.
    pub(crate) sectors_damaged: u64,
    /// What was asked for in or before this event is durable.
    pub(crate) synced: Option<u64>,
}

impl Device {
    pub(crate) fn new(seed: u64, entity: u64) -> Self {
        Self {
            entity,
            disk: Disk::new(seed, entity),
            store: SimStore::new(seed, entity),
            store_tasks: VecDeque::new(),
            store_operations: 0,
            sync_asked: VecDeque::new(),
            is_used: false,
            damaged: false,
            fatal: None,
            marks_after_failure: false,
            must_halt: false,
            has_ended: false,
        }
    }

    /// Takes a file operation that was asked for in the step of `event`. Whether it is the
    /// next one, so that its end has to be scheduled.
    pub(crate) fn submit(&mut self, event: u64, id: FileOpId, op: FileOp, mutant: Mutant) -> bool {
        self.marks_after_failure = mutant.is(Mutant::ShellMarksUseAfterFailure);
        if matches!(op, FileOp::Sync { .. }) {
            let records = op.makes_records_durable() || mutant.is(Mutant::ShellMarksUseEarly);
            self.sync_asked.push_back((id, event, records));
        }
        self.disk.submit(id, op)
    }

    /// The file operation under way completes.
    pub(crate) fn complete(&mut self, settings: &DiskSettings) -> Completed {
        let is_changing = self.disk.is_changing();
        let damaged = self.disk.stats.damaged;
        let (id, result) = self.disk.complete(settings);
        let failed = matches!(result, FileResult::Failed(_));
        let is_read_lost = failed && !is_changing;
        self.damaged |= is_read_lost;
        if failed && is_changing {
            self.fatal = Some(id);
        }
        let asked = match self.sync_asked.front() {
            Some((sync, ..)) if *sync == id => self.sync_asked.pop_front(),
            _ => None,
        };
        // Behind a change that failed nothing counts as durable, whatever is synced: the log
        // has to halt, and must not tell anybody of what this sync was asked for.
        let counts = !failed && self.fatal.is_none();
        let marks = counts || (!failed && self.marks_after_failure);
        self.is_used |= asked.is_some_and(|(.., records)| records && marks);
        let synced = asked.filter(|_| counts).map(|(_, asked, _)| asked);
        Completed {
            done: Done::File { id, result },
            failed,
            is_read_lost,
            sectors_damaged: self.disk.stats.damaged - damaged,
            synced,
        }
    }

    /// The machine is about to hear of something.
    pub(crate) fn hears(&mut self, done: &Done) {
        if let Done::File { id, .. } = done {
            self.must_halt |= self.fatal == Some(*id);
        }
    }

    /// Takes a task of the store. Whether it is the next one.
    pub(crate) fn queue(&mut self, task: StoreTask) -> bool {
        self.store_tasks.push_back(task);
        self.store_tasks.len() == 1
    }

    /// How long the next task of the store takes, if there is one.
    pub(crate) fn begin_task(&mut self, seed: u64, settings: &DiskSettings) -> Option<u64> {
        let mean = match self.store_tasks.front()?.is_sync() {
            true => settings.sync_mean_us,
            false => settings.store_mean_us,
        };
        self.store_operations += 1;
        let draws = Keyed::new(seed, Domain::DiskDelay);
        let draw = draws.at(self.entity | 1 << 32, self.store_operations);
        Some(draw.exponential(mean * 1_000))
    }

    /// The task of the store under way completes.
    pub(crate) fn complete_task(&mut self) -> Done {
        let task = self.store_tasks.pop_front().expect("a task was under way");
        task.carry_out(&mut self.store)
    }

    /// The process that uses it ends. What was not synced is at risk if `power` is lost.
    /// Returns how many sectors of synced data turned out damaged.
    pub(crate) fn crash(&mut self, settings: &DiskSettings, power: bool) -> u64 {
        let revealed = self.disk.crash(settings, power);
        self.store.crash(power);
        revealed
    }

    /// Another process uses it.
    pub(crate) fn forget_process(&mut self) {
        self.store_tasks.clear();
        self.sync_asked.clear();
        self.fatal = None;
        self.must_halt = false;
        self.has_ended = false;
    }

    /// Empty ones are put in its place, which have faults of their own.
    pub(crate) fn replace(&mut self, seed: u64, process: u64) {
        let entity = self.entity | (process + 1) << 8;
        let stats = self.disk.stats;
        self.disk = Disk::new(seed, entity);
        self.disk.stats = stats;
        self.store = SimStore::new(seed, entity);
    }
}
