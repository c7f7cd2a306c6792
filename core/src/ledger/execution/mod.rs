//! The execution of blocks.
//!
//! | file | holds |
//! |---|---|
//! | `ledger_state.rs` | the state, and what its keys mean |
//! | `executor.rs` | one block: what is charged, what changes |
//! | `apply.rs` | one operation |
//! | `branch.rs` | executed blocks that are not final yet |

mod apply;
pub(in crate::ledger) mod branch;
pub(in crate::ledger) mod executor;
pub(in crate::ledger) mod ledger_state;
