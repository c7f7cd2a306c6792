//! The default engine: redb, a copy-on-write B+tree in one file.
//!
//! A batch without `sync` is a commit that readers see at once and that the next
//! synced commit makes durable: a crash goes back to the last synced batch, which
//! is a prefix as [`StoreBatch::sync`] asks. redb checksums its pages and checks
//! the two roots at open, so a torn write is found and the older root is used.

use std::fs::File;
use std::path::Path;

use bytes::Bytes;
use decube_core::store::{Page, Store, StoreBatch, StoreOp};
use redb::{
    Builder, Database, Durability, ReadableDatabase, StorageBackend, Table, TableDefinition,
};

/// The one table: keys and values as the core made them.
const PAIRS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("pairs");
/// The file inside the store's directory.
const FILE_NAME: &str = "state.redb";
/// Memory for pages. The hot state is in the core's memory as well, so the
/// engine mostly writes.
const CACHE_BYTES: usize = 64 << 20;

/// The pure-Rust engine.
#[derive(Debug)]
pub struct EmbeddedStore {
    database: Database,
}

/// Why the engine failed. Its content is unknown from then on.
#[derive(Debug, thiserror::Error)]
#[error("embedded store: {0}")]
pub struct EmbeddedError(#[source] Box<redb::Error>);

impl EmbeddedStore {
    /// Opens the store in a directory, which must exist, and creates it if the
    /// directory holds none.
    pub fn open(directory: &Path) -> Result<Self, EmbeddedError> {
        let path = directory.join(FILE_NAME);
        let is_new = !path.exists();
        let database = builder().create(&path)?;
        let store = Self::with_table(database)?;
        if is_new {
            // The engine syncs its file; its name must be durable as well.
            let synced = File::open(directory).and_then(|handle| handle.sync_all());
            synced.map_err(redb::Error::Io)?;
        }
        Ok(store)
    }

    /// Opens the store on something that behaves like a file.
    pub fn open_backend(backend: impl StorageBackend) -> Result<Self, EmbeddedError> {
        Self::with_table(builder().create_with_backend(backend)?)
    }

    /// Makes sure that the table exists, so that reads of a new store find it.
    fn with_table(database: Database) -> Result<Self, EmbeddedError> {
        let transaction = database.begin_write()?;
        transaction.open_table(PAIRS)?;
        transaction.commit()?;
        Ok(Self { database })
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

impl Store for EmbeddedStore {
    type Error = EmbeddedError;

    fn commit(&mut self, batch: &StoreBatch) -> Result<(), EmbeddedError> {
        let mut transaction = self.database.begin_write()?;
        let durability = match batch.sync {
            true => Durability::Immediate,
            false => Durability::None,
        };
        transaction.set_durability(durability)?;
        {
            let mut table = transaction.open_table(PAIRS)?;
            batch.ops.iter().try_for_each(|op| apply(&mut table, op))?;
        }
        transaction.commit()?;
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EmbeddedError> {
        let table = self.database.begin_read()?.open_table(PAIRS)?;
        let value = table.get(key)?;
        Ok(value.map(|value| Bytes::copy_from_slice(value.value())))
    }

    fn scan(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        bytes_max: usize,
    ) -> Result<Page, EmbeddedError> {
        if to.is_some_and(|to| to <= from) {
            return Ok(Page::NONE);
        }
        let table = self.database.begin_read()?.open_table(PAIRS)?;
        let range = match to {
            Some(to) => table.range(from..to)?,
            None => table.range(from..)?,
        };
        let copy = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
        let pairs = range.map(|pair| {
            let (key, value) = pair?;
            Ok((copy(key.value()), copy(value.value())))
        });
        Page::collect(pairs, bytes_max)
    }
}

fn apply(table: &mut Table<'_, &[u8], &[u8]>, op: &StoreOp) -> Result<(), EmbeddedError> {
    match op {
        StoreOp::Put { key, value } => {
            table.insert(&key[..], &value[..])?;
        }
        StoreOp::Delete { key } => {
            table.remove(&key[..])?;
        }
        StoreOp::DeleteRange { from, to } if from < to => {
            table.retain_in(&from[..]..&to[..], |_, _| false)?;
        }
        StoreOp::DeleteRange { .. } => {}
    }
    Ok(())
}

impl<E: Into<redb::Error>> From<E> for EmbeddedError {
    fn from(error: E) -> Self {
        Self(Box::new(error.into()))
    }
}
