//! Whole nodes in one process: the real core, real files, the embedded store,
//! and either of the networks.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod in_process;
mod old_data;
#[cfg(feature = "libp2p")]
mod over_libp2p;
mod rig;
mod scenarios;
