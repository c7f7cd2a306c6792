//! The key-value engines of the volumes: under the replicated state of the cluster, and
//! under the blocks of the ledger.
//!
//! An engine holds nothing that could not be rebuilt from the log or fetched from other
//! nodes. What it must promise
//! is [`decube_core::store::Store`]; every engine here passes
//! `decube_core::store::conformance`.
//!
//! | engine | feature | for |
//! |---|---|---|
//! | [`MemoryStore`] | always | tests and simulation lanes: loses everything when dropped |
//! | `EmbeddedStore` | `embedded` | the default: pure Rust |
//! | `RocksStore` | `rocksdb` | states that are written much: merges in the background, compresses, needs a C++ library |
//!
//! **Why redb is the default.** `bench/store-engines` runs the node's access
//! pattern on redb 4.6 and fjall 3.1 (two rounds on a shared two-core virtual
//! machine, so the rates vary by three from round to round; the starts do not):
//!
//! | | redb | fjall |
//! |---|---|---|
//! | batches of 64 puts, sync every 1000 batches | 88 000 to 102 000 puts/s | 77 000 to 307 000 |
//! | batches of 1 put, sync every 10 000 | 22 000 to 23 000 | 74 000 to 315 000 |
//! | batches of 64 puts, each synced | 15 000 to 22 000 | 13 000 to 116 000 |
//! | start after a kill, 395 000 pairs read | 0.3 to 0.6 s | 1.2 to 1.8 s |
//! | start after an orderly stop | 0.1 to 0.3 s | 1.2 to 2.1 s |
//! | on disk after all | 213 MiB | 289 MiB |
//!
//! fjall writes faster, redb starts faster and is one file without threads. A
//! node writes in the background, in joined batches, and its start is what people
//! wait for. redb also lets a test put its own disk under it, which is how
//! `tests/power_loss.rs` tears its writes.
//!
//! One thread owns an engine ([`StoreThread`]), carries orders out in order and
//! joins consecutive batches into one commit, so that many small batches cost
//! one sync.

#[cfg(feature = "embedded")]
mod embedded;
mod memory;
#[cfg(feature = "rocksdb")]
mod rocks;
mod thread;

#[cfg(test)]
mod tests;

#[cfg(feature = "embedded")]
pub use embedded::{EmbeddedError, EmbeddedStore};
pub use memory::MemoryStore;
#[cfg(feature = "rocksdb")]
pub use rocks::{RocksError, RocksStore};
pub use thread::StoreThread;

use std::path::Path;

/// A file that a directory has once an engine has made its store there, and the
/// name of the engine in a configuration.
const MARKS: [(&str, &str); 2] = [("state.redb", "embedded"), ("CURRENT", "rocksdb")];

/// The engine other than `engine` that has its store in a directory, if there is
/// one. Two stores in one directory would mean two states of one node, of which
/// one is out of date.
pub fn other_engine(directory: &Path, engine: &str) -> Option<&'static str> {
    let mut others = MARKS.iter().filter(|(_, name)| *name != engine);
    let found = others.find(|(file, _)| directory.join(file).exists());
    found.map(|(_, name)| *name)
}
