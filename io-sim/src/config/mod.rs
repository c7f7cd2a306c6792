//! Everything that is drawn once per seed.
//!
//! Swarm testing (Groce et al. 2012): each family of faults is switched off with
//! probability one half, because a fault that is always there hides what only
//! its absence shows. All settings are whole numbers with their unit in the name,
//! so that a trace can list them, and a replay can take them from the trace
//! instead of drawing them again.

//!
//! | file | holds |
//! |---|---|
//! | `sections.rs` | the settings, one section for each concern |
//! | `draw.rs` | those of a seed of one cluster |
//! | `ledger.rs` | those of a seed of the ledger, and of clusters that share one |

mod draw;
mod ledger;
mod sections;

use std::fmt;

use crate::rng::{Domain, Stream};

pub use ledger::CLUSTERS_MAX;
pub use sections::*;

/// Which faults a scenario may draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ranges {
    /// Voters at the start, at least and at most.
    pub nodes: (u64, u64),
    /// Spare nodes at most.
    pub spares: u64,
    /// Membership changes at most.
    pub reconfigurations: u64,
    /// Whether logs are kept so short that snapshots must be sent.
    pub short_logs: bool,
    /// Whether synced sectors may be damaged.
    pub damage: bool,
    /// Machines replaced at most.
    pub wipes: u64,
}

impl SimConfig {
    /// Draws the settings of a seed.
    pub fn draw(seed: u64, ranges: &Ranges) -> Self {
        let mut stream = Stream::new(seed, Domain::Config);
        let mut config = Self::default();
        config.draw_topology(&mut stream, ranges);
        config.draw_network(&mut stream);
        config.draw_disk(&mut stream, ranges);
        config.draw_process(&mut stream);
        config.draw_node(&mut stream, ranges);
        config.draw_load(&mut stream);
        config.draw_late(&mut stream, ranges);
        config
    }

    /// A calm world but for these settings. Panics if there is none of a name.
    pub fn with(settings: &[(&str, u64)]) -> Self {
        let mut config = Self::default();
        for (name, value) in settings {
            assert!(config.set(name, *value), "no setting is called {name}");
        }
        config
    }

    /// The horizon in nanoseconds.
    pub const fn horizon_ns(&self) -> u64 {
        self.span.horizon_ms * 1_000_000
    }

    /// All slots: voters, spares, and those who replace wiped machines.
    pub const fn slots(&self) -> u64 {
        self.replacements_from() + self.topology.wipes
    }

    /// The slots to which clients turn.
    pub fn contact_slots(&self) -> u64 {
        match self.load.contacts {
            0 => self.slots(),
            contacts => contacts.min(self.slots()),
        }
    }

    /// The first slot that stays empty until it replaces a wiped machine.
    pub const fn replacements_from(&self) -> u64 {
        self.topology.nodes + self.topology.spares
    }
}

impl fmt::Display for SimConfig {
    /// One line with what differs from the calm world.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calm = Self::default();
        let mut first = true;
        for ((name, value), (_, usual)) in self.pairs().into_iter().zip(calm.pairs()) {
            if value != usual {
                write!(f, "{}{name}={value}", if first { "" } else { " " })?;
                first = false;
            }
        }
        Ok(())
    }
}
