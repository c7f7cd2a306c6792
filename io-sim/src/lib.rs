//! The simulator: whole nodes, in clusters that may share a ledger, in one thread, in
//! virtual time, with faults.
//!
//! The same core that runs in production runs here against a simulated network,
//! disk, clock and clients. A run is a pure function of its seed; a failing seed
//! replays with one command. See [`world`] for the machinery, [`check`]
//! for what is held to be true, [`runner`] for how to start runs.
//!
//! | module | what it holds |
//! |---|---|
//! | [`rng`] | frozen randomness: keyed decisions, integer samplers |
//! | [`queue`] | what happens next |
//! | [`clock`] | clocks that disagree |
//! | [`network`] | what happens to each message |
//! | [`disk`], [`store`] | stable storage and how it fails |
//! | [`config`] | the settings of a run, drawn per seed |
//! | [`plan`] | the faults of a run |
//! | [`workload`], [`history`] | what clients do and see |
//! | [`actors`] | who asks something of nodes |
//! | [`adversary`] | Byzantine nodes |
//! | [`cast`] | who is in a run |
//! | [`subject`] | what the simulator knows of the machine under test |
//! | [`world`] | one run |
//! | `device`, `shell` | what lies around a node: its volumes, clocks, wakes |
//! | [`validators`] | the measuring bench of the consensus of the ledger |
//! | [`check`] | the judges |
//! | [`fingerprint`] | the rolling digest |
//! | [`scenario`], [`runner`] | what can be run, and running it |

pub mod actors;
pub mod adversary;
pub mod cast;
pub mod check;
pub mod clock;
pub mod config;
mod device;
pub mod disk;
pub mod fingerprint;
pub mod history;
pub mod network;
pub mod plan;
pub mod queue;
pub mod rng;
pub mod runner;
pub mod scenario;
mod shell;
pub mod store;
pub mod subject;
pub mod validators;
pub mod workload;
pub mod world;

#[cfg(test)]
mod tests;
