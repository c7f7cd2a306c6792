//! What tests drive machines with. Nothing of it is in a program.
//!
//! | file | holds |
//! |---|---|
//! | `disk.rs` | a volume in memory: what was written, what of it is durable, what a crash takes |

mod disk;

pub use disk::{Disk, Loss};
