//! The scenarios: which faults and loads a seed may draw.

use decube_core::mutant::Mutant;

use crate::config::{Ranges, SimConfig};
use crate::plan;
use crate::workload::Workload;
use crate::world::Setup;

/// A kind of run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// A cluster of fixed members serves clients under every fault.
    RaftKv,
    /// Members come and go as well.
    RaftReconfig,
    /// Logs are so short that those who lag need snapshots.
    RaftSnapshot,
    /// Everything at once, damaged disks included.
    WholeNode,
}

impl Scenario {
    /// All scenarios.
    pub const ALL: [Self; 4] = [
        Self::RaftKv,
        Self::RaftReconfig,
        Self::RaftSnapshot,
        Self::WholeNode,
    ];

    /// Its name on the command line and in traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RaftKv => "raft-kv",
            Self::RaftReconfig => "raft-reconfig",
            Self::RaftSnapshot => "raft-snapshot",
            Self::WholeNode => "whole-node",
        }
    }

    /// What it is about, in one line.
    pub const fn about(self) -> &'static str {
        match self {
            Self::RaftKv => "a cluster of fixed members serves clients under every fault",
            Self::RaftReconfig => "members come and go while clients are served",
            Self::RaftSnapshot => "logs are so short that those who lag need snapshots",
            Self::WholeNode => "everything at once, damaged disks included",
        }
    }

    /// The scenario with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|scenario| scenario.name() == name)
    }

    /// What may be drawn.
    pub const fn ranges(self) -> Ranges {
        match self {
            Self::RaftKv => Ranges {
                nodes: (1, 7),
                spares: 0,
                reconfigurations: 0,
                short_logs: false,
                damage: false,
                wipes: 1,
            },
            Self::RaftReconfig => Ranges {
                nodes: (1, 5),
                spares: 3,
                reconfigurations: 12,
                short_logs: true,
                damage: false,
                wipes: 0,
            },
            Self::RaftSnapshot => Ranges {
                nodes: (2, 5),
                spares: 0,
                reconfigurations: 0,
                short_logs: true,
                damage: false,
                wipes: 1,
            },
            Self::WholeNode => Ranges {
                nodes: (3, 5),
                spares: 0,
                reconfigurations: 0,
                short_logs: true,
                damage: true,
                wipes: 1,
            },
        }
    }

    /// Everything that a seed decides.
    pub fn setup(self, seed: u64, mutant: Mutant) -> Setup {
        let config = SimConfig::draw(seed, &self.ranges());
        let plan = plan::draw(seed, &config);
        Setup {
            seed,
            config,
            plan,
            workload: Workload::new(seed),
            overrides: Vec::new(),
            mutant,
            events_max: u64::MAX,
            log: None,
        }
    }
}
