//! Which engine a directory belongs to.

use std::path::Path;

use tempfile::TempDir;

use crate::store::other_engine;

#[test]
fn an_empty_or_missing_directory_belongs_to_nobody() {
    let place = TempDir::new().unwrap();
    assert_eq!(other_engine(place.path(), "embedded"), None);
    assert_eq!(other_engine(place.path(), "rocksdb"), None);
    assert_eq!(other_engine(Path::new("/does/not/exist"), "rocksdb"), None);
}

#[cfg(feature = "embedded")]
#[test]
fn the_store_of_the_embedded_engine_is_recognised() {
    let place = TempDir::new().unwrap();
    drop(crate::store::EmbeddedStore::open(place.path()).unwrap());
    assert_eq!(other_engine(place.path(), "embedded"), None);
    assert_eq!(other_engine(place.path(), "rocksdb"), Some("embedded"));
}

#[cfg(feature = "rocksdb")]
#[test]
fn the_store_of_rocksdb_is_recognised() {
    let place = TempDir::new().unwrap();
    drop(crate::store::RocksStore::open(place.path()).unwrap());
    assert_eq!(other_engine(place.path(), "rocksdb"), None);
    assert_eq!(other_engine(place.path(), "embedded"), Some("rocksdb"));
}
