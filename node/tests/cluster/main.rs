//! Clusters of real processes on the loopback network: the `decube` binary, its
//! files, its sockets, and signals that kill it.

#![allow(
    clippy::disallowed_methods,
    reason = "there is no runtime here: these threads wait for other processes"
)]

mod config;
mod crash;
mod dev;
mod history;
mod http;
mod ledger;
mod process;
mod proofs;
mod replay;
mod restart;
mod snapshots;
