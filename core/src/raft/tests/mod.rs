//! Tests of the Raft core, on a small deterministic world of their own.

mod check;
mod cluster;
#[cfg(feature = "mutants")]
mod mutants;
mod props;
mod smoke;
