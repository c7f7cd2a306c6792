//! The chain of blocks as a node takes part in it and keeps it.
//!
//! | file | holds |
//! |---|---|
//! | `consensus.rs` | between the validator and what it orders |
//! | `compact.rs` | how a leader's block travels |
//! | `storage.rs` `record.rs` `recovery.rs` | log and store |
//! | `history.rs` | the tree over all blocks in the store, proofs from it |
//! | `pruning.rs` | which blocks are kept whole, and who has the others |
//! | `recent.rs` | the last blocks, in memory |

pub(in crate::ledger) mod compact;
pub(in crate::ledger) mod consensus;
pub(in crate::ledger) mod fork;
pub(in crate::ledger) mod history;
pub(in crate::ledger) mod pruning;
pub(in crate::ledger) mod recent;
pub(in crate::ledger) mod record;
pub(in crate::ledger) mod recovery;
pub(in crate::ledger) mod storage;
