//! What the tests of the toy share: nodes with volumes in memory, driven effect by effect.
//!
//! | file | holds |
//! |---|---|
//! | `world.rs` | nodes, their orders and messages, and the crash of one of them |
//! | `nodes.rs` | what nodes are built from |
//! | `expect.rs` | what a toy must have, computed from the blocks alone |

pub mod expect;
pub mod nodes;
pub mod world;
