//! Tests of the Raft core, on a small deterministic world of their own.

mod check;
mod cluster;
mod smoke;
