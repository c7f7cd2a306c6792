//! The segmented write-ahead log as a sans-IO machine.

pub mod effect;
pub mod event;
pub mod record;

pub use effect::{Effect, FileName, FileOp, Recovered};
pub use event::{Event, FileError, FileOpId, FileResult};
pub use record::{Batch, Damage, Record, RecordKind, WalSeq};
