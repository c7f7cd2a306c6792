//! Every engine against the suite of the core.

use decube_core::store::conformance::{self, Harness};

use crate::store::MemoryStore;

struct Memory;

impl Harness for Memory {
    type Store = MemoryStore;

    fn fresh(&mut self) -> MemoryStore {
        MemoryStore::default()
    }

    fn reopen(&mut self, store: MemoryStore) -> MemoryStore {
        store
    }

    fn crash(&mut self, _store: MemoryStore) -> Option<MemoryStore> {
        None
    }
}

#[test]
fn memory_store_conforms() {
    conformance::run(&mut Memory, 1);
}

/// An engine in directories of a real file system. A crash is a copy of the
/// directory taken while the engine is open: what a killed process leaves.
#[cfg(any(feature = "embedded", feature = "rocksdb"))]
mod on_files {
    use std::path::Path;

    use decube_core::store::Store;
    use decube_core::store::conformance::Harness;
    use tempfile::TempDir;

    pub(super) struct OnFiles<S> {
        pub(super) open: fn(&Path) -> S,
        pub(super) place: Option<TempDir>,
    }

    impl<S: Store<Error: std::fmt::Debug>> Harness for OnFiles<S> {
        type Store = S;

        fn fresh(&mut self) -> S {
            let place = self.place.insert(TempDir::new().unwrap());
            (self.open)(place.path())
        }

        fn reopen(&mut self, store: S) -> S {
            drop(store);
            (self.open)(self.place.as_ref().unwrap().path())
        }

        fn crash(&mut self, store: S) -> Option<S> {
            let copy = TempDir::new().unwrap();
            for entry in std::fs::read_dir(self.place.as_ref().unwrap().path()).unwrap() {
                let entry = entry.unwrap();
                std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
            }
            drop(store);
            let place = self.place.insert(copy);
            Some((self.open)(place.path()))
        }
    }
}

#[cfg(feature = "embedded")]
#[test]
fn embedded_store_conforms() {
    let mut harness = on_files::OnFiles {
        open: |path| crate::store::EmbeddedStore::open(path).unwrap(),
        place: None,
    };
    conformance::run(&mut harness, 2);
}

#[cfg(feature = "rocksdb")]
#[test]
fn rocksdb_store_conforms() {
    let mut harness = on_files::OnFiles {
        open: |path| crate::store::RocksStore::open(path).unwrap(),
        place: None,
    };
    conformance::run(&mut harness, 3);
}
