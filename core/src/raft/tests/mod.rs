//! Tests of the Raft core, on a small deterministic world of their own.

mod check;
mod cluster;
mod disk;
#[cfg(feature = "mutants")]
mod mutants;
mod paper;
mod props;
mod smoke;
mod solo;
mod wire;
