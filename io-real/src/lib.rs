//! The real shell: one task that feeds one core `Node`, and the adapters that
//! carry out what the node asks.
//!
//! Nothing here decides anything about a protocol. The host moves events into
//! the machine and effects out of it, in order; the adapters own the sockets,
//! files and engines. Whatever can be got wrong about durability or ordering is
//! settled in the core, so that the simulator tests it; what is left for this
//! crate is bytes, threads and back-pressure.
//!
//! | module | what it holds |
//! |---|---|
//! | [`host`] | the task that owns the machine, the handle for clients, status, counters |
//! | [`inbox`] | queues with a bound for each part |
//! | [`ports`] | the traits between the host and its adapters |
//! | [`disk`] | the files of a write-ahead log, on a thread for each volume |
//! | [`store`] | the key-value engines, on a thread for each volume |
//! | `blobs` | the local content-addressed store of segments |
//! | [`data_dir`] | the lock, the keys, the volumes and their marks, the format of a data directory |
//! | [`journal`] | the flight recorder and the replay of what it wrote |
//! | `verifier` | checks signatures faster than the core can |
//! | [`network`] | connections between nodes: in one process, or over libp2p |
//!
//! Features: `embedded` (the pure-Rust store), `rocksdb` (the store in C++),
//! `libp2p`, `blobs`, `fast-crypto`. Without any of them what is left is the host, its ports and
//! the file disk: what the simulation lanes need, and quick to compile.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a panic is how a test fails")
)]

#[cfg(feature = "blobs")]
pub mod blobs;
pub mod data_dir;
pub mod disk;
pub mod host;
pub mod inbox;
pub mod journal;
pub mod network;
pub mod ports;
pub mod store;
#[cfg(feature = "fast-crypto")]
pub mod verifier;
