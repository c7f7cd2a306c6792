//! Which engine a node starts with, and in which words it refuses.

use std::path::Path;

use super::{LaunchError, engine};

fn refused<T>(result: Result<T, LaunchError>) -> String {
    match result {
        Err(LaunchError::Unsupported(message)) => message,
        Err(other) => panic!("another refusal: {other}"),
        Ok(_) => panic!("must be refused"),
    }
}

/// Puts a file where an engine has one.
fn directory_with(file: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join(file), "").expect("written");
    directory
}

fn starts(name: &str, directory: &Path) {
    engine::check(name).expect("this build has it");
    for _ in 0..2 {
        let (thread, mut events) = engine::start(name, directory).expect("started");
        drop(thread);
        // The channel closes when the thread has closed the store.
        assert!(events.blocking_recv().is_none(), "nothing was ordered");
    }
}

#[test]
fn the_embedded_engine_is_in_every_build() {
    let directory = tempfile::tempdir().expect("a directory");
    starts("embedded", directory.path());
    assert!(directory.path().join("state.redb").exists());
}

#[cfg(feature = "rocksdb")]
#[test]
fn rocksdb_is_in_a_build_with_its_feature() {
    let directory = tempfile::tempdir().expect("a directory");
    starts("rocksdb", directory.path());
    assert!(directory.path().join("CURRENT").exists());
    let message = refused(engine::start("embedded", directory.path()));
    assert!(message.contains("holds a store of the rocksdb engine"));
    let directory = directory_with("state.redb");
    let message = refused(engine::start("rocksdb", directory.path()));
    assert!(message.contains("holds a store of the embedded engine"));
}

#[cfg(not(feature = "rocksdb"))]
#[test]
fn a_build_without_rocksdb_says_how_to_build_it() {
    let directory = tempfile::tempdir().expect("a directory");
    for message in [
        refused(engine::check("rocksdb")),
        refused(engine::start("rocksdb", directory.path())),
    ] {
        assert!(message.contains("cargo build --release -p node --features rocksdb"));
        assert!(message.contains("set storage.engine to embedded"));
    }
}

#[test]
fn the_store_of_another_engine_is_left_alone() {
    let directory = directory_with("CURRENT");
    let message = refused(engine::start("embedded", directory.path()));
    assert!(message.contains("holds a store of the rocksdb engine"));
    let entries = std::fs::read_dir(directory.path()).expect("read");
    assert_eq!(entries.count(), 1, "nothing was made");
}
