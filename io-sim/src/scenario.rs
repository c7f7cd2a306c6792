//! The scenarios: who is in a run, and which faults and loads a seed may draw.

use decube_core::mutant::Mutant;

use crate::cast::Cast;
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
    /// Validators of the ledger are Byzantine while everything else fails as well.
    BftByzantine,
    /// More than a third is Byzantine: forks must convict their authors.
    BftFork,
    /// Several clusters share a ledger, some of whose validators are Byzantine.
    Platform,
}

impl Scenario {
    /// All scenarios.
    pub const ALL: [Self; 7] = [
        Self::RaftKv,
        Self::RaftReconfig,
        Self::RaftSnapshot,
        Self::WholeNode,
        Self::BftByzantine,
        Self::BftFork,
        Self::Platform,
    ];

    /// Its name on the command line and in traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RaftKv => "raft-kv",
            Self::RaftReconfig => "raft-reconfig",
            Self::RaftSnapshot => "raft-snapshot",
            Self::WholeNode => "whole-node",
            Self::BftByzantine => "bft-byzantine",
            Self::BftFork => "bft-fork",
            Self::Platform => "platform",
        }
    }

    /// What it is about, in one line.
    pub const fn about(self) -> &'static str {
        match self {
            Self::RaftKv => "a cluster of fixed members serves clients under every fault",
            Self::RaftReconfig => "members come and go while clients are served",
            Self::RaftSnapshot => "logs are so short that those who lag need snapshots",
            Self::WholeNode => "everything at once, damaged disks included",
            Self::BftByzantine => {
                "validators of the ledger are Byzantine while everything else fails"
            }
            Self::BftFork => {
                "more than a third of the validators are Byzantine: forks convict their authors, and nobody honest"
            }
            Self::Platform => {
                "clusters share a ledger, some of whose validators are Byzantine, under every fault"
            }
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
            Self::BftByzantine => Ranges {
                nodes: (1, 9),
                spares: 2,
                reconfigurations: 6,
                short_logs: true,
                damage: true,
                wipes: 0,
            },
            Self::Platform => Ranges {
                nodes: (3, 12),
                spares: 3,
                reconfigurations: 4,
                short_logs: true,
                damage: true,
                wipes: 2,
            },
            Self::BftFork => Ranges {
                nodes: (4, 9),
                spares: 0,
                reconfigurations: 0,
                short_logs: true,
                damage: false,
                wipes: 0,
            },
        }
    }

    /// Who is in it.
    pub fn cast(self) -> Cast {
        match self {
            Self::RaftKv | Self::RaftReconfig | Self::RaftSnapshot | Self::WholeNode => {
                Cast::of_one_cluster()
            }
            Self::BftByzantine | Self::BftFork | Self::Platform => Cast::of_ledger(),
        }
    }

    /// Everything that a seed decides.
    pub fn setup(self, seed: u64, mutant: Mutant) -> Setup {
        let config = match self {
            Self::BftByzantine => SimConfig::draw_ledger(seed, &self.ranges(), false),
            Self::BftFork => SimConfig::draw_ledger(seed, &self.ranges(), true),
            Self::Platform => SimConfig::draw_platform(seed, &self.ranges()),
            _ => SimConfig::draw(seed, &self.ranges()),
        };
        let plan = plan::draw(seed, &config);
        Setup {
            seed,
            cast: self.cast(),
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
