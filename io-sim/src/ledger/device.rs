//! What a volume of a slot is kept on: a disk for its log, and a store.

use std::collections::VecDeque;

use decube_core::io::FileOpId;

use crate::config::SimConfig;
use crate::disk::Disk;
use crate::shell::StoreTask;
use crate::store::SimStore;

/// One device.
#[derive(Debug)]
pub(super) struct Device {
    /// Tells its draws from those of others.
    pub(super) entity: u64,
    pub(super) disk: Disk,
    pub(super) store: SimStore,
    pub(super) store_tasks: VecDeque<StoreTask>,
    pub(super) store_operations: u64,
    /// Syncs under way with the event that asked for them, and whether they are of records.
    pub(super) sync_asked: VecDeque<(FileOpId, u64, bool)>,
    /// Whether its log was ever synced.
    pub(super) is_used: bool,
    /// Its contents were damaged: its part may rightly halt.
    pub(super) damaged: bool,
    /// The operation whose failure its part can not survive.
    pub(super) fatal: Option<FileOpId>,
    /// That failure was reported: the part must halt in this step.
    pub(super) must_halt: bool,
    /// The part has halted or stopped.
    pub(super) has_ended: bool,
}

impl Device {
    pub(super) fn new(seed: u64, entity: u64) -> Self {
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
            must_halt: false,
            has_ended: false,
        }
    }

    /// The process that uses it ends. What was not synced is at risk if `power` is lost.
    pub(super) fn crash(&mut self, config: &SimConfig, power: bool) {
        self.disk.crash(config, power);
        self.store.crash(power);
    }

    /// Another process uses it.
    pub(super) fn forget_process(&mut self) {
        self.store_tasks.clear();
        self.sync_asked.clear();
        self.fatal = None;
        self.must_halt = false;
        self.has_ended = false;
    }

    /// Empty ones are put in its place, which have faults of their own.
    pub(super) fn replace(&mut self, seed: u64, process: u64) {
        let entity = self.entity | (process + 1) << 8;
        let stats = self.disk.stats;
        self.disk = Disk::new(seed, entity);
        self.disk.stats = stats;
        self.store = SimStore::new(seed, entity);
    }
}
