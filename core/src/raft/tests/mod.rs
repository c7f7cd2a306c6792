//! Tests of the Raft core, on a small deterministic world of their own.

mod cases;
mod chain;
mod check;
mod cluster;
mod digest;
mod disk;
mod golden;
mod hostile;
mod log;
#[cfg(feature = "mutants")]
mod mutants;
mod paper;
mod paper_later;
mod props;
mod repair;
mod smoke;
mod solo;
mod wire;
