//! The ledger at the HTTP API: its documents in JSON, and the genesis file.
//!
//! A document is made from what the core proved or knows, and read back into it.
//! A reader makes the document again from what it has read and compares: so every
//! field that a person may look at is covered, also those that only repeat or
//! explain what others say.
//!
//! | file | holds |
//! |---|---|
//! | `genesis.rs` | the genesis file |
//! | `json.rs` | headers, certificates, transactions as documents |
//! | `receipt.rs` | receipts, checkpoints and extensions |
//! | `note.rs` | checkpoints as signed notes of transparency logs |
//! | `trust.rs` | what a verifier begins with |
//! | `read.rs` | getting fields out of documents |
//! | `client.rs` | signing transactions for an account of a node |

pub mod client;
pub mod genesis;
pub mod json;
pub mod note;
pub mod read;
pub mod receipt;
pub mod trust;

#[cfg(test)]
mod tests;
