//! Every DeCube protocol as a pure, deterministic step machine.
//!
//! This crate holds the whole logic of the platform and none of its I/O: the
//! same compiled code is driven by the real host (`io-real`) and by the seeded
//! simulator (`io-sim`). It is `no_std`, so the compiler itself refuses clocks,
//! files, sockets and threads.
//!
//! | module | what it holds |
//! |---|---|
//! | [`machine`] | the contract between a machine and its shell |
//! | [`limits`] | every bound of the system, with const-asserted relations |
//! | [`types`] | ids, time and quantities as newtypes |
//! | [`codec`] | the one canonical encoding; decoders are total |
//! | [`crypto`] | hashes, signatures, keys |
//! | [`merkle`] | the RFC 6962 tree and strict verifiers |
//! | [`ledger_types`] | the vocabulary of the ledger: transactions, outcomes, genesis |
//! | [`proof`] | pure verifiers of portable proofs |
//! | [`io`] | the words between a node and its shell about storage |
//! | [`store`] | the vocabulary of the key-value engine of a volume |
//! | [`wal`] | the write-ahead log as a machine over file effects |
//! | [`bft`] | consensus over all clusters: the ledger's chain of blocks |
//! | [`raft`] | consensus inside a cluster |
//! | [`replica`] | the replicated state machine of a cluster |
//! | [`kv`] | its first module: keys, leases, locks |
//! | [`part`] | what nodes are made of |
//! | [`cluster`] | a node's part in its cluster: Raft, log, state, clients |
//! | [`ledger`] | a node's part in the ledger of all clusters |
//! | `toy` | a small part behind a feature, for tests of how parts are put together |
//! | [`node`] | the composition root: the one machine that shells drive |
//! | `rig` | what tests drive machines with; in no program |
//! | [`snapshot`] | the formats of snapshots: manifest, tree, layout |
//! | [`trace`] | the record and replay format |
//! | [`mutant`] | planted bugs |
#![no_std]

extern crate alloc;
// What the derive macros write names this crate as others do.
extern crate self as decube_core;

pub mod bft;
pub mod cluster;
pub mod codec;
pub mod crypto;
#[cfg(test)]
mod golden;
pub mod io;
pub mod kv;
pub mod ledger;
pub mod ledger_types;
pub mod limits;
pub mod machine;
pub mod merkle;
pub mod mutant;
pub mod node;
pub mod part;
pub mod proof;
pub mod raft;
pub mod replica;
#[cfg(any(test, feature = "toy"))]
pub mod rig;
pub mod snapshot;
pub mod store;
#[cfg(feature = "toy")]
pub mod toy;
pub mod trace;
pub mod types;
pub mod wal;
