//! The vocabulary of the ledger: what is signed, what comes of it, and who decides.
//!
//! | file | holds |
//! |---|---|
//! | `types.rs` | ids and numbers of accounts, lanes, operations; time |
//! | `operation.rs` `transaction.rs` | what a client signs |
//! | `outcome.rs` | how an operation ended |
//! | `params.rs` `members.rs` `genesis.rs` | what validators decide, who they are, how it begins |

pub(in crate::ledger) mod genesis;
pub(in crate::ledger) mod members;
pub(in crate::ledger) mod operation;
pub(in crate::ledger) mod outcome;
pub(in crate::ledger) mod params;
pub(in crate::ledger) mod transaction;
pub(in crate::ledger) mod types;
