//! Clusters of real processes on the loopback network: the `decube` binary, its
//! files, its sockets, and signals that kill it.

mod config;
mod crash;
mod dev;
mod history;
mod http;
mod process;
