//! The `decube` binary: configuration, REST API and command line. No protocol
//! lives here: every decision is made by the core, this crate translates.

pub mod api;
pub mod backend;
pub mod blobs;
pub mod cli;
pub mod config;
pub mod launch;
pub mod ledger;
pub mod logproof;
pub mod snapshot;
#[cfg(test)]
mod testing;
