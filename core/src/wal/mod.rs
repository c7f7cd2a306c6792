//! The segmented write-ahead log as a sans-IO machine.

pub mod effect;
pub mod event;
pub mod record;

mod config;
mod flush;
mod frame;
mod invariants;
mod mark;
mod name;
mod recover;
mod scan;
mod state;
mod step;
mod stitch;
mod superblock;

#[cfg(test)]
mod tests;

pub use config::{BLOCK_BYTES, Config, IDLE_MARK};
pub use effect::{Effect, FileName, FileOp, Recovered};
pub use event::{Event, FileError, FileOpId, FileResult};
pub use name::{file_name, parse_file_name};
pub use record::{Batch, Damage, Record, RecordKind, WalSeq};
pub use state::Wal;
