//! A slot: what outlives a process, and the process.

use std::collections::{BTreeMap, VecDeque};

use decube_core::node::Event;
use decube_core::raft::Role;
use decube_core::types::RequestId;

use crate::clock::Clock;
use crate::device::Device;
use crate::shell::{Doom, Exit};
use crate::subject::Subject;

/// One slot.
#[derive(Debug)]
pub(super) struct Host<S: Subject> {
    /// The running process.
    pub(super) subject: Option<S>,
    /// Counts processes, so that what belongs to a dead one can be told.
    pub(super) process: u64,
    pub(super) clock: Clock,
    pub(super) device: Device,
    /// Whether it took a step since the last checkpoint.
    pub(super) stepped: bool,
    pub(super) paused: bool,
    /// Whether its membership was joint when it was looked at last.
    pub(super) was_joint: bool,
    /// The role that it showed last.
    pub(super) role: Option<Role>,
    /// What happened while it was paused.
    pub(super) backlog: VecDeque<Event>,
    pub(super) doom: Option<Doom>,
    /// Requests without an answer, and whose they are.
    pub(super) open: BTreeMap<RequestId, Option<usize>>,
    /// Who watches; `None` if it has left, and the paused node does not know yet.
    pub(super) watchers: BTreeMap<RequestId, Option<usize>>,
    /// The wakes that are queued: one for the end of the turn and one for a
    /// deadline further away. The second may come too early, and is then queued
    /// again: that is cheaper than one in the queue for each new deadline.
    pub(super) wakes: [Option<u64>; 2],
    /// The process asked to end: by a graceful stop, or because it halted.
    pub(super) exits: Option<Exit>,
    /// The event in which the process became ready.
    pub(super) ready: Option<u64>,
    /// How often in a row it halted as soon as it was ready, or before.
    pub(super) futile_starts: u64,
    /// It will not be started again.
    pub(super) dead: bool,
    pub(super) wall_offset: i64,
    /// How long it stays down after the graceful stop under way.
    pub(super) stop_down: u64,
}

impl<S: Subject> Host<S> {
    pub(super) fn new(seed: u64, slot: usize) -> Self {
        let entity = u64::try_from(slot).expect("few slots");
        Self {
            subject: None,
            process: 0,
            clock: Clock::new(0, 0, 0, 0),
            device: Device::new(seed, entity),
            stepped: false,
            paused: false,
            was_joint: false,
            role: None,
            backlog: VecDeque::new(),
            doom: None,
            open: BTreeMap::new(),
            watchers: BTreeMap::new(),
            wakes: [None; 2],
            exits: None,
            ready: None,
            futile_starts: 0,
            dead: false,
            wall_offset: 0,
            stop_down: 0,
        }
    }
}
