//! What is special about RocksDB: changes of its log, damage of its files, and
//! failures of its threads.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use decube_core::store::conformance::{self, Harness};
use decube_core::store::{Store, StoreBatch, StoreOp, StoreSeq};
use tempfile::TempDir;

use crate::store::rocks::{LOG_BYTES, RocksError, RocksStore};

/// So short a log is changed every few batches.
const SHORT_LOG_BYTES: u64 = 4096;

/// The engine with a log of some length. A crash is a copy of its directory,
/// taken when no thread of the engine works: a copy is not made at one instant.
struct Rocks {
    place: TempDir,
    log_bytes: u64,
}

impl Rocks {
    fn with_log(log_bytes: u64) -> Self {
        let place = TempDir::new().unwrap();
        Self { place, log_bytes }
    }

    fn open(&self) -> RocksStore {
        RocksStore::open_with(self.place.path(), self.log_bytes).unwrap()
    }
}

impl Harness for Rocks {
    type Store = RocksStore;

    fn fresh(&mut self) -> RocksStore {
        self.place = TempDir::new().unwrap();
        self.open()
    }

    fn reopen(&mut self, store: RocksStore) -> RocksStore {
        drop(store);
        self.open()
    }

    fn crash(&mut self, store: RocksStore) -> Option<RocksStore> {
        store.database.cancel_all_background_work(true);
        self.place = copy(self.place.path());
        drop(store);
        Some(self.open())
    }
}

#[test]
fn the_engine_conforms() {
    conformance::run(&mut Rocks::with_log(LOG_BYTES), 3);
}

#[test]
fn the_engine_conforms_when_it_changes_its_log_often() {
    conformance::run(&mut Rocks::with_log(SHORT_LOG_BYTES), 4);
}

#[test]
fn a_full_log_is_followed_by_another() {
    let place = TempDir::new().unwrap();
    let mut store = open_short(place.path());
    // A batch costs a thousand bytes and a little, so every fourth fills a log.
    let changes: Vec<bool> = (1..=8)
        .map(|number| {
            let before = newest_log(place.path());
            commit(&mut store, number, false).unwrap();
            newest_log(place.path()) != before
        })
        .collect();
    let (yes, no) = (true, false);
    assert_eq!(changes, [no, no, no, yes, no, no, no, yes]);
    drop(store);
    let all: Vec<u32> = (1..=8).collect();
    assert_eq!(held(&open_short(place.path())), all);
}

#[test]
fn many_lives_lose_nothing() {
    let place = TempDir::new().unwrap();
    for life in 0..8 {
        let mut store = open_short(place.path());
        assert_eq!(held(&store), (1..=life * 5).collect::<Vec<_>>());
        let numbers = life * 5 + 1..=life * 5 + 5;
        numbers.for_each(|number| commit(&mut store, number, number % 3 == 0).unwrap());
    }
}

#[test]
fn a_torn_log_keeps_a_prefix_with_all_that_was_synced() {
    let place = TempDir::new().unwrap();
    let mut store = RocksStore::open(place.path()).unwrap();
    (1..=5).for_each(|number| commit(&mut store, number, number == 5).unwrap());
    let synced = fs::metadata(newest_log(place.path())).unwrap().len();
    (6..=10).for_each(|number| commit(&mut store, number, false).unwrap());
    let written = fs::metadata(newest_log(place.path())).unwrap().len();
    assert!(written > synced + 5000);
    for lost in [
        0,
        1,
        7,
        100,
        999,
        1500,
        3000,
        written - synced - 1,
        written - synced,
    ] {
        let copy = copy(place.path());
        let log = fs::File::options()
            .write(true)
            .open(newest_log(copy.path()))
            .unwrap();
        log.set_len(written - lost).unwrap();
        let found = held(&RocksStore::open(copy.path()).unwrap());
        let last = u32::try_from(found.len()).unwrap();
        assert_eq!(found, (1..=last).collect::<Vec<_>>(), "{lost} bytes lost");
        assert!(
            last >= 5 && (lost > 0) == (last < 10),
            "{lost} bytes lost, {last} left"
        );
    }
}

#[test]
fn damage_inside_a_log_is_refused() {
    let place = TempDir::new().unwrap();
    let mut store = RocksStore::open(place.path()).unwrap();
    (1..=10).for_each(|number| commit(&mut store, number, true).unwrap());
    let log = newest_log(place.path());
    for part in [1, 4, 8] {
        let copy = copy(place.path());
        let mut bytes = fs::read(&log).unwrap();
        let middle = bytes.len() * part / 10;
        bytes[middle] ^= 1;
        fs::write(copy.path().join(log.file_name().unwrap()), bytes).unwrap();
        let refused = RocksStore::open(copy.path()).err();
        assert!(
            matches!(refused, Some(RocksError::Engine(_))),
            "{refused:?}"
        );
    }
    drop(store);
    assert_eq!(held(&RocksStore::open(place.path()).unwrap()).len(), 10);
}

#[test]
fn damage_of_a_table_is_reported_by_who_reads_it() {
    let place = TempDir::new().unwrap();
    let mut store = open_short(place.path());
    (1..=12).for_each(|number| commit(&mut store, number, false).unwrap());
    drop(store);
    // A reopening writes what the log held into a table.
    drop(open_short(place.path()));
    for table in files(place.path(), "sst") {
        let mut bytes = fs::read(&table).unwrap();
        bytes[20] ^= 1;
        fs::write(table, bytes).unwrap();
    }
    let read = RocksStore::open(place.path()).and_then(|store| store.scan(b"", None, 1 << 20));
    assert!(matches!(read, Err(RocksError::Engine(_))), "{read:?}");
}

#[test]
fn a_table_that_can_not_be_written_ends_the_store() {
    let place = TempDir::new().unwrap();
    let mut store = open_short(place.path());
    // Directories stand where the tables are to be, so that only the thread in
    // the background meets an error.
    for number in 1..100 {
        let table = place.path().join(format!("{number:06}.sst"));
        if !table.exists() {
            fs::create_dir(table).unwrap();
        }
    }
    // The engine lets few buffers wait, so that the error surfaces soon.
    let failed = (1..100).find_map(|number| commit(&mut store, number, false).err());
    assert!(failed.is_some(), "the error must surface");
    // It stays: nothing goes on after an error.
    commit(&mut store, 101, false).unwrap_err();
    commit(&mut store, 102, true).unwrap_err();
}

#[test]
fn a_store_is_opened_once_and_only_in_a_directory() {
    let place = TempDir::new().unwrap();
    let store = RocksStore::open(place.path()).unwrap();
    let second = RocksStore::open(place.path()).unwrap_err();
    assert!(second.to_string().contains("rocksdb store: "), "{second}");
    drop(store);
    RocksStore::open(place.path()).unwrap();

    let file = place.path().join("file");
    fs::write(&file, "not a directory").unwrap();
    RocksStore::open(&file).unwrap_err();
    assert_eq!(fs::read(&file).unwrap(), b"not a directory");
}

fn open_short(place: &Path) -> RocksStore {
    RocksStore::open_with(place, SHORT_LOG_BYTES).unwrap()
}

/// A batch of one pair of about a thousand bytes that do not compress to nothing.
fn commit(store: &mut RocksStore, number: u32, sync: bool) -> Result<(), RocksError> {
    let value: Vec<u8> = (0..1000_u32)
        .map(|i| (i.wrapping_mul(i).wrapping_mul(number) >> 3).to_le_bytes()[0])
        .collect();
    store.commit(&StoreBatch {
        seq: StoreSeq(u64::from(number)),
        ops: vec![StoreOp::Put {
            key: Bytes::copy_from_slice(&number.to_be_bytes()),
            value: Bytes::from(value),
        }],
        sync,
    })
}

/// The numbers of the batches that are there.
fn held(store: &RocksStore) -> Vec<u32> {
    let page = store.scan(b"", None, 1 << 30).unwrap();
    let number = |key: &Bytes| u32::from_be_bytes(key[..].try_into().unwrap());
    page.pairs.iter().map(|(key, _)| number(key)).collect()
}

fn copy(place: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    for entry in fs::read_dir(place).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

fn files(place: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(place).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths
        .filter(|path| path.is_file() && path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files
}

/// The log that is written.
fn newest_log(place: &Path) -> PathBuf {
    files(place, "log").pop().expect("an open store has a log")
}
