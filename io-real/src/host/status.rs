//! What a host tells everyone about itself.

use std::collections::BTreeMap;

use decube_core::io::Volume;
use decube_core::node::PartId;
use decube_core::part::{Health, Reason};

/// The state of a host, as of the last iteration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostStatus {
    /// The health of each part that has told it.
    pub parts: BTreeMap<PartId, Health>,
    /// Volumes that have not done for too long what was asked of them first.
    pub slow: BTreeMap<Volume, SlowVolume>,
    /// How the host ended, if it has.
    pub exit: Option<HostExit>,
}

impl HostStatus {
    /// Whether a part has recovered and serves.
    pub fn is_serving(&self, part: PartId) -> bool {
        let health = self.parts.get(&part);
        self.exit.is_none() && health.is_some_and(Health::is_serving)
    }

    /// Why a part halted, if it did.
    pub fn halted(&self, part: PartId) -> Option<&Reason> {
        match self.parts.get(&part) {
            Some(Health::Halted(reason)) => Some(reason),
            _ => None,
        }
    }
}

/// The oldest open operation of a volume that is slow, as of the last tick of the clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlowVolume {
    /// The operation, for people.
    pub operation: String,
    /// How long it has been open.
    pub seconds: u64,
}

/// How a host ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostExit {
    /// The machine stopped as asked; everything is flushed and closed.
    Stopped,
    /// The machine was asked to stop and did not in time. Nothing acknowledged
    /// is lost, but leadership was not handed over.
    ShutdownTimedOut,
    /// The part without which a node is of no use gave up, for this reason. The
    /// process must end.
    Halted(Reason),
    /// An adapter's thread is gone. The process must end.
    AdapterGone(&'static str),
}
