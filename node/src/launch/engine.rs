//! The key-value engine that the configuration names.

use std::path::Path;

use decube_io_real::ports::StoreEvent;
#[cfg(feature = "rocksdb")]
use decube_io_real::store::RocksStore;
use decube_io_real::store::{EmbeddedStore, StoreThread, other_engine};
use tokio::sync::mpsc::UnboundedReceiver;

use super::{LaunchError, system};

/// The engines of this build.
const BUILT_IN: &[&str] = &[
    "embedded",
    #[cfg(feature = "rocksdb")]
    "rocksdb",
];

/// Whether this build has an engine.
pub fn check(engine: &str) -> Result<(), LaunchError> {
    if BUILT_IN.contains(&engine) {
        return Ok(());
    }
    Err(LaunchError::Unsupported(format!(
        "storage.engine: this build has no {engine} engine; build it with \
         `cargo build --release -p node --features {engine}`, or set storage.engine to embedded"
    )))
}

/// Opens the store in a directory and starts its thread.
pub fn start(
    engine: &str,
    directory: &Path,
) -> Result<(StoreThread, UnboundedReceiver<StoreEvent>), LaunchError> {
    check(engine)?;
    if let Some(other) = other_engine(directory, engine) {
        return Err(LaunchError::Unsupported(format!(
            "storage.engine: {} holds a store of the {other} engine; set storage.engine to \
             {other}, or change the engine as docs/src/how-to/rocksdb.md tells",
            directory.display()
        )));
    }
    let started = match engine {
        #[cfg(feature = "rocksdb")]
        "rocksdb" => {
            StoreThread::start(RocksStore::open(directory).map_err(system("open the store"))?)
        }
        _ => StoreThread::start(EmbeddedStore::open(directory).map_err(system("open the store"))?),
    };
    started.map_err(system("start a thread"))
}
