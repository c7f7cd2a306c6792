//! The vocabulary of the ledger: what is signed, what comes of it, and who decides.
//!
//! [`ledger`](crate::ledger), which executes it, and [`proof`](crate::proof), which
//! proves it to outsiders, both rest on these types; they rest on neither.
//!
//! | file | holds |
//! |---|---|
//! | `types.rs` | ids and numbers of accounts, lanes, operations; time |
//! | `operation.rs` `transaction.rs` | what a client signs |
//! | `outcome.rs` | how an operation ended |
//! | `params.rs` `members.rs` `genesis.rs` | what validators decide, who they are, how it begins |

mod genesis;
mod members;
mod operation;
mod outcome;
pub(crate) mod params;
mod transaction;
mod types;

#[cfg(test)]
pub(crate) mod tests;

pub use genesis::{Genesis, GenesisError};
pub use members::{CLUSTER_POWER, Member, WEIGHT_MAX, normalise};
pub use operation::{
    KeyOwner, KeyProof, Name, NameError, Operation, SnapshotRecord, ValidatorChange,
};
pub use outcome::{OpResult, Outcome, ResultsHead};
pub use params::{Param, ParamError, Params};
pub use transaction::{Checked, Intent, Transaction, TxError};
pub use types::{AccountId, Lane, Sequence, TimeMs, TxId};
