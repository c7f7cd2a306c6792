//! The execution of blocks.
//!
//! | file | holds |
//! |---|---|
//! | `world.rs` | the state, and what its keys mean |
//! | `session.rs` | one block: what is charged, what changes |
//! | `apply.rs` | one operation |
//! | `branch.rs` | executed blocks that are not final yet |

mod apply;
pub(in crate::ledger) mod branch;
pub(in crate::ledger) mod session;
pub(in crate::ledger) mod world;
