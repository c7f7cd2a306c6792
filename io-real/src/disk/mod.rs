//! The files of a write-ahead log.
//!
//! For each volume one thread carries out one operation after the other: the order of the log's
//! file operations is the order of its safety argument, and a disk gains nothing
//! from two writers on one log. A thread, because files block.
//!
//! | file | holds |
//! |---|---|
//! | `directory.rs` | [`Directory`]: one operation on real files |
//! | `thread.rs` | [`DiskThread`]: the port, and the thread behind it |

mod directory;
mod thread;

#[cfg(test)]
mod tests;

pub use directory::Directory;
pub use thread::{DiskThread, FileSystem};
