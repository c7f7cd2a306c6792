//! A slot: what outlives a process of a node, and the process.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use decube_core::bft::{Epoch, ValidatorSet};
use decube_core::crypto::SharedSigner;
use decube_core::io::Volume;
use decube_core::ledger::Ledger;
use decube_core::node::Event;
use decube_core::raft::Role;
use decube_core::types::{NodeId, RequestId};

use super::calls::Caller;
use super::inbox::Waiting;
use crate::adversary::ByzantineNode;
use crate::clock::Clock;
use crate::device::Device;
use crate::disk::Disk;
use crate::shell::{Exit, PendingCrash};
use crate::subject::Subject;

/// What a slot is to the others.
#[derive(Debug)]
pub(super) enum Part {
    /// It does what the protocol says.
    Honest,
    /// Its messages pass a Byzantine node on their way out.
    Byzantine(Box<ByzantineNode>),
    /// One of two honest processes with one key: together they are a Byzantine node.
    Twin,
}

/// One slot.
#[derive(Debug)]
pub struct Host<S: Subject> {
    /// Under which name it speaks; twins share one.
    pub(super) node: NodeId,
    pub(crate) key: SharedSigner,
    /// A further key, with which an honest one votes where the set names it.
    pub(crate) voting_key: Option<SharedSigner>,
    pub(super) part: Part,
    /// The running process.
    pub(super) subject: Option<S>,
    /// Counts processes, so that what belongs to a dead one can be told.
    pub(super) process: u64,
    pub(super) clock: Clock,
    pub(super) wall_offset: i64,
    /// What its volumes are kept on.
    pub(super) devices: BTreeMap<Volume, Device>,
    /// The role in its cluster that it showed last.
    pub(super) role: Option<Role>,
    /// Whether its cluster's membership was joint when it was looked at last.
    pub(super) was_joint: bool,
    /// Its disk is new although its key has signed: it must ask before it votes.
    pub(super) has_lost_disk: bool,
    /// The epoch in which it was let in again. It has to ask once more in the next.
    pub(super) rejoined_in: Option<Epoch>,
    /// Who votes in the epoch that it is in, or was in when it went down.
    pub(super) set: Option<Arc<ValidatorSet>>,
    pub(super) stepped: bool,
    pub(super) paused: bool,
    /// What happened while it was paused.
    pub(super) backlog: VecDeque<Event>,
    /// Messages for parts that do not take them now; nothing empty is kept.
    pub(super) inbox: Vec<Waiting>,
    pub(super) pending_crash: Option<PendingCrash>,
    /// Requests without an answer, whose they are, and since when the process could have
    /// answered.
    pub(super) open: BTreeMap<RequestId, (Caller, u64)>,
    /// Of each slot, whether the process wants to be connected to it: none before it has
    /// named any.
    pub(super) connected: Vec<bool>,
    /// The wakes that are queued: one for the end of the iteration and one for a
    /// deadline further away. The second may come too early, and is then queued
    /// again: that is cheaper than one in the queue for each new deadline.
    pub(super) wakes: [Option<u64>; 2],
    /// Why the process ends after this step.
    pub(super) exits: Option<Exit>,
    /// How long it stays down after the graceful stop under way.
    pub(super) stop_down: u64,
    /// The parts of the process that have been ready, by their volumes.
    pub(super) ready_parts: BTreeSet<Volume>,
    /// The event in which the last of them was.
    pub(super) ready: Option<u64>,
    /// How often in a row it halted as soon as it was ready, or before.
    pub(super) futile_starts: u64,
    /// It is not started any more, or not yet.
    pub(super) dead: bool,
    /// What its cluster rests on was damaged, or will turn out to be: it may end for ever.
    pub(super) is_at_risk: bool,
    /// It was wiped: nobody ever starts it again.
    pub(super) is_gone: bool,
}

/// Tells the draws of devices of further volumes from those of others.
const ENTITY: u64 = 1 << 36;

/// Gives each slot a device for each further volume of its machine.
pub(super) fn add_volumes<S: Subject>(seed: u64, hosts: &mut [Host<S>]) {
    for (number, volume) in (1..).zip(S::MORE_VOLUMES) {
        for (slot, host) in (0..).zip(hosts.iter_mut()) {
            let device = Device::new(seed, slot + number * ENTITY);
            host.devices.insert(*volume, device);
        }
    }
}

/// What everybody may look at.
impl<S: Subject> Host<S> {
    /// Under which name it speaks; twins share one.
    pub const fn name(&self) -> NodeId {
        self.node
    }

    /// The role in its cluster that it showed after its last step: before the one that it is
    /// taking.
    pub const fn role_before(&self) -> Option<Role> {
        self.role
    }

    /// The running process, if one runs.
    pub const fn subject(&self) -> Option<&S> {
        self.subject.as_ref()
    }

    /// The running process's part in the ledger.
    pub fn ledger(&self) -> Option<&Ledger> {
        self.subject.as_ref().and_then(Subject::ledger)
    }

    /// Whether a process runs.
    pub const fn is_up(&self) -> bool {
        self.subject.is_some()
    }

    /// Whether what it does is held to the rules.
    pub const fn is_honest(&self) -> bool {
        matches!(self.part, Part::Honest)
    }

    /// Whether it is not started any more, or not yet.
    pub const fn is_dead(&self) -> bool {
        self.dead
    }

    /// Whether what its cluster rests on was damaged so that it does not start any more.
    pub fn is_lost(&self) -> bool {
        let device = self.devices.get(&Volume::Cluster);
        device.is_some_and(|device| device.damaged) && self.futile_starts > 1
    }

    /// The disk with its votes on the ledger.
    pub fn ledger_disk(&self) -> &Disk {
        &self.devices[&Volume::Ledger].disk
    }

    /// File operations that wait at one of its disks, at most.
    pub fn files_queued(&self) -> usize {
        let queued = self.devices.values().map(|device| device.disk.queued());
        queued.max().unwrap_or(0)
    }

    /// Requests that it has not answered.
    pub fn requests_open(&self) -> usize {
        self.open.len()
    }
}

impl<S: Subject> Host<S> {
    /// A slot without a volume: what its parts are decides which it has.
    pub(super) fn new(node: NodeId, key: SharedSigner) -> Self {
        Self {
            node,
            key,
            voting_key: None,
            part: Part::Honest,
            subject: None,
            process: 0,
            clock: Clock::new(0, 0, 0, 0),
            wall_offset: 0,
            devices: BTreeMap::new(),
            role: None,
            was_joint: false,
            has_lost_disk: false,
            rejoined_in: None,
            set: None,
            stepped: false,
            paused: false,
            backlog: VecDeque::new(),
            inbox: Vec::new(),
            pending_crash: None,
            open: BTreeMap::new(),
            connected: Vec::new(),
            wakes: [None; 2],
            exits: None,
            stop_down: 0,
            ready_parts: BTreeSet::new(),
            ready: None,
            futile_starts: 0,
            dead: false,
            is_at_risk: false,
            is_gone: false,
        }
    }

    /// What a volume of it is kept on.
    pub(super) fn device(&mut self, volume: Volume) -> &mut Device {
        let device = self.devices.get_mut(&volume);
        device.expect("a node asks for its own volumes")
    }

    /// A part of the process is ready.
    pub(super) fn part_ready(&mut self, volume: Volume, event: u64) {
        self.ready_parts.insert(volume);
        if self.ready_parts.len() == self.devices.len() {
            self.ready.get_or_insert(event);
        }
    }

    /// Whether it is in a cluster as well.
    pub(super) fn has_cluster(&self) -> bool {
        self.devices.contains_key(&Volume::Cluster)
    }

    /// Whether it lost its disk and is not sure of its way back for ever. One that is
    /// no validator now has to ask when it becomes one again.
    pub(super) fn asks(&self) -> bool {
        let sure = self.rejoined_in.map(|epoch| Epoch(epoch.0 + 2));
        let votes_in = self.votes_in();
        self.has_lost_disk && sure.is_none_or(|sure| votes_in < Some(sure))
    }

    /// Notes where it is, and whether it was let in again.
    pub(super) fn note_progress(&mut self) {
        if let Some(bft) = self.ledger().and_then(Ledger::bft) {
            self.set = Some(bft.epoch().validators.clone());
        }
        if self.has_lost_disk && self.rejoined_in.is_none() {
            self.rejoined_in = self.votes_in();
        }
    }

    /// The epoch in which it takes part in votes, if it does.
    fn votes_in(&self) -> Option<Epoch> {
        let bft = self.ledger().and_then(Ledger::bft)?;
        let votes = bft.validator().is_some() && bft.is_running() && !bft.is_silent();
        votes.then(|| bft.epoch().epoch)
    }

    /// The key by which a set knows it.
    pub(crate) fn key_in(&self, set: &ValidatorSet) -> &SharedSigner {
        let listed = set
            .index_of(self.node)
            .and_then(|place| Some(set.get(place)?.key));
        let further = self.voting_key.as_ref();
        let further = further.filter(|key| listed.as_ref() == Some(key.public_key()));
        further.unwrap_or(&self.key)
    }
}
