//! The engine for large states: RocksDB, a log-structured merge tree.
//!
//! Nothing is switched on that its own history names with a loss of data: no
//! recycled, manually flushed or disabled log, no unordered writes, no mapped
//! files. Two of its habits do not fit the contract of
//! [`StoreBatch::sync`](decube_core::store::StoreBatch::sync):
//!
//! - **A damaged log.** The default recovery opens it and drops what follows the
//!   damage, acknowledged or not. `TolerateCorruptedTailRecords` forgives a torn
//!   end alone and refuses the rest, so that the owner rebuilds the state.
//! - **A change of the log.** When the buffer for writes is full, the engine begins
//!   a new log and leaves the old one unsynced. A loss of power may then take the
//!   end of the old log and leave the new one: a hole, which that recovery does not
//!   notice. So [`RocksStore`] changes the log itself: it syncs the batch before,
//!   and the engine's own limit is so far away that it is never met.
//!
//! The bindings offer no way to go on after an error in the background (a table
//! that cannot be written), so that the first one is final, even where the engine
//! would still take writes.

use std::path::Path;

use bytes::Bytes;
use decube_core::store::{Page, Store, StoreBatch, StoreOp};
use rocksdb::properties::BACKGROUND_ERRORS;
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, DBRecoveryMode, Direction, FlushOptions,
    IteratorMode, Options, ReadOptions, WriteBatch, WriteOptions,
};

/// Memory for blocks that are read.
const CACHE_BYTES: usize = 256 << 20;
/// Bytes of batches after which a table is written and the log begins again.
pub(super) const LOG_BYTES: u64 = 64 << 20;
/// What a change costs in memory and log beyond its bytes, counted generously.
const OP_OVERHEAD_BYTES: u64 = 128;
/// How far the engine's own limit is from [`LOG_BYTES`].
const BUFFER_FACTOR: usize = 2;
/// Buffers that may wait for their tables before writes wait for them.
const BUFFERS_MAX: i32 = 3;
/// Threads that write and merge tables.
const BACKGROUND_JOBS_MAX: i32 = 2;
/// What the engine tells about itself: bytes of a file, and files kept.
const INFO_FILE_BYTES: usize = 8 << 20;
const INFO_FILES: usize = 4;

/// The RocksDB engine.
#[derive(Debug)]
pub struct RocksStore {
    pub(super) database: DB,
    /// Bytes of batches after which the log is changed.
    log_bytes_max: u64,
    /// Bytes of batches since the last change of the log.
    log_bytes: u64,
}

/// Why the engine failed. Its content is unknown from then on.
#[derive(Debug, thiserror::Error)]
pub enum RocksError {
    /// An order failed.
    #[error("rocksdb store: {0}")]
    Engine(#[from] rocksdb::Error),
    /// A thread of the engine failed; the file `LOG` of its directory says why.
    #[error("rocksdb store: {0} errors in the background; the file LOG of the store says why")]
    Background(u64),
}

impl RocksStore {
    /// Opens the store in a directory, and creates it if the directory holds none.
    pub fn open(directory: &Path) -> Result<Self, RocksError> {
        Self::open_with(directory, LOG_BYTES)
    }

    /// The same with a log of another length.
    pub(super) fn open_with(directory: &Path, log_bytes_max: u64) -> Result<Self, RocksError> {
        let database = DB::open(&options()?, directory)?;
        Ok(Self {
            database,
            log_bytes_max,
            log_bytes: 0,
        })
    }

    /// Begins a new log. The caller has synced the one before.
    fn change_log(&mut self) -> Result<(), RocksError> {
        let mut flush = FlushOptions::default();
        // The change itself happens before the return; the table may follow.
        flush.set_wait(false);
        self.database.flush_opt(&flush)?;
        self.log_bytes = 0;
        Ok(())
    }

    fn check_background(&self) -> Result<(), RocksError> {
        match self.database.property_int_value(BACKGROUND_ERRORS)? {
            None | Some(0) => Ok(()),
            Some(errors) => Err(RocksError::Background(errors)),
        }
    }
}

impl Store for RocksStore {
    type Error = RocksError;

    fn commit(&mut self, batch: &StoreBatch) -> Result<(), RocksError> {
        self.log_bytes = self.log_bytes.saturating_add(size_of_ops(&batch.ops));
        let log_is_full = self.log_bytes >= self.log_bytes_max;
        let mut options = WriteOptions::default();
        options.set_sync(batch.sync || log_is_full);
        self.database.write_opt(write_batch(&batch.ops), &options)?;
        if log_is_full {
            self.change_log()?;
        }
        self.check_background()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, RocksError> {
        Ok(self.database.get(key)?.map(Bytes::from))
    }

    fn scan(&self, from: &[u8], to: Option<&[u8]>, bytes_max: usize) -> Result<Page, RocksError> {
        if to.is_some_and(|to| to <= from) {
            return Ok(Page::NONE);
        }
        let mut options = ReadOptions::default();
        if let Some(to) = to {
            options.set_iterate_upper_bound(to);
        }
        let first = IteratorMode::From(from, Direction::Forward);
        let pairs = self.database.iterator_opt(first, options).map(|pair| {
            let (key, value) = pair?;
            Ok((Bytes::from(key), Bytes::from(value)))
        });
        Page::collect(pairs, bytes_max)
    }
}

fn write_batch(ops: &[StoreOp]) -> WriteBatch {
    let mut write = WriteBatch::default();
    for op in ops {
        match op {
            StoreOp::Put { key, value } => write.put(key, value),
            StoreOp::Delete { key } => write.delete(key),
            // A reversed range is an error to the engine.
            StoreOp::DeleteRange { from, to } if from < to => write.delete_range(from, to),
            StoreOp::DeleteRange { .. } => {}
        }
    }
    write
}

fn size_of_ops(ops: &[StoreOp]) -> u64 {
    ops.iter()
        .map(|op| match op {
            StoreOp::Put { key, value } => key.len() + value.len(),
            StoreOp::Delete { key } => key.len(),
            StoreOp::DeleteRange { from, to } => from.len() + to.len(),
        })
        .map(|bytes| u64::try_from(bytes).unwrap_or(u64::MAX))
        .fold(0, |sum, bytes| {
            sum.saturating_add(bytes).saturating_add(OP_OVERHEAD_BYTES)
        })
}

fn options() -> Result<Options, RocksError> {
    let cache = Cache::new_lru_cache(CACHE_BYTES).made()?;
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&cache);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_block_based_table_factory(&blocks);
    // What is damaged is refused.
    options.set_paranoid_checks(true);
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_recycle_log_file_num(0);
    options.set_manual_wal_flush(false);
    options.set_unordered_write(false);
    options.set_allow_mmap_reads(false);
    options.set_allow_mmap_writes(false);
    // With one column family this limits only the space set aside for a log.
    options.set_max_total_wal_size(LOG_BYTES);
    let buffer_bytes = usize::try_from(LOG_BYTES).unwrap_or(usize::MAX);
    options.set_write_buffer_size(buffer_bytes.saturating_mul(BUFFER_FACTOR));
    options.set_max_write_buffer_number(BUFFERS_MAX);
    options.set_max_background_jobs(BACKGROUND_JOBS_MAX);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_bottommost_compression_type(DBCompressionType::Zstd);
    options.set_max_log_file_size(INFO_FILE_BYTES);
    options.set_keep_log_file_num(INFO_FILES);
    Ok(options)
}

/// The value of a call that can fail in one version of the bindings and not in
/// another.
trait Made<T> {
    fn made(self) -> Result<T, rocksdb::Error>;
}

impl Made<Cache> for Cache {
    fn made(self) -> Result<Cache, rocksdb::Error> {
        Ok(self)
    }
}

impl Made<Cache> for Result<Cache, rocksdb::Error> {
    fn made(self) -> Result<Cache, rocksdb::Error> {
        self
    }
}

/// Stands in for settings that older bindings do not have. Where they have them,
/// their own method is the one that is called.
#[allow(dead_code, reason = "newer bindings need no stand-in")]
trait NewerSettings {
    /// A closed log that is missing or too short is refused at open. Without it
    /// such a loss passes for an older state, which the applied index tells.
    fn set_track_and_verify_wals_in_manifest(&mut self, _on: bool) {}
}

impl NewerSettings for Options {}
