//! Which pure-Rust engine should hold the replicated state?
//!
//! The node's access pattern: batches of small puts, most without a sync (the
//! write-ahead log is the truth), a synced one now and then, no reads while it
//! runs, and one full scan at every start. Each engine does the same work through
//! the core's `Store`.
//!
//! `cargo run --release -- [DIRECTORY]`; the directory should be on the disk that
//! a node would use.

mod fjall_store;

use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use decube_core::limits::STORE_PAGE_BYTES;
use decube_core::store::{Store, StoreBatch, StoreOp, StoreSeq};
use decube_io_real::store::EmbeddedStore;

use fjall_store::FjallStore;

/// Keys that the state has; later puts overwrite.
const KEYS: u64 = 400_000;
const VALUE_BYTES: usize = 128;

struct Load {
    name: &'static str,
    batches: u64,
    puts_per_batch: u64,
    /// Every so-manieth batch is synced.
    sync_every: u64,
}

const LOADS: [Load; 4] = [
    Load { name: "64 puts, sync every 1000 batches", batches: 10_000, puts_per_batch: 64, sync_every: 1000 },
    Load { name: "1024 puts, sync every 100 batches", batches: 1000, puts_per_batch: 1024, sync_every: 100 },
    Load { name: "1 put, sync every 10000 batches", batches: 50_000, puts_per_batch: 1, sync_every: 10_000 },
    Load { name: "64 puts, sync every batch", batches: 1000, puts_per_batch: 64, sync_every: 1 },
];

fn main() {
    let parent = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    for round in 1..=2 {
        println!("round {round}");
        measure("redb", &parent, |path| EmbeddedStore::open(path).expect("open"));
        measure("fjall", &parent, |path| FjallStore::open(path).expect("open"));
    }
}

fn measure<S: Store<Error: std::fmt::Debug>>(name: &str, parent: &Path, open: impl Fn(&Path) -> S) {
    let place = tempfile::tempdir_in(parent).expect("directory");
    let mut random = 1_u64;
    let mut store = open(place.path());
    for load in &LOADS {
        let start = Instant::now();
        for number in 1..=load.batches {
            let ops = (0..load.puts_per_batch).map(|_| put(&mut random)).collect();
            let sync = number % load.sync_every == 0;
            let batch = StoreBatch { seq: StoreSeq(number), ops, sync };
            store.commit(&batch).expect("commit");
        }
        let seconds = start.elapsed().as_secs_f64();
        let puts = (load.batches * load.puts_per_batch) as f64;
        println!(
            "{name:6} {:36} {:10.0} batches/s {:10.0} puts/s {:5} MiB on disk",
            load.name,
            load.batches as f64 / seconds,
            puts / seconds,
            disk_bytes(place.path()) >> 20,
        );
    }
    // What a killed process leaves: a copy of the open files.
    let killed = tempfile::tempdir_in(parent).expect("directory");
    copy(place.path(), killed.path());
    drop(store);
    boot(name, "start after a kill", &open, killed.path());
    boot(name, "start after an orderly stop", &open, place.path());
}

fn boot<S: Store<Error: std::fmt::Debug>>(name: &str, what: &str, open: impl Fn(&Path) -> S, path: &Path) {
    let start = Instant::now();
    let store = open(path);
    let opened = start.elapsed();
    let (mut from, mut pairs) = (Vec::new(), 0);
    loop {
        let page = store.scan(&from, None, STORE_PAGE_BYTES).expect("scan");
        let Some((last, _)) = page.pairs.last() else { break };
        pairs += page.pairs.len();
        from = last.to_vec();
        from.push(0);
    }
    println!("{name:6} {what:36} open {opened:8.1?}, open and scan {pairs} pairs {:8.1?}", start.elapsed());
}

fn put(random: &mut u64) -> StoreOp {
    *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let key = (*random >> 33) % KEYS;
    // Half of the value repeats, as real values do.
    let mut value = vec![b'v'; VALUE_BYTES];
    for chunk in value[..VALUE_BYTES / 2].chunks_mut(8) {
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        chunk.copy_from_slice(&random.to_be_bytes()[..chunk.len()]);
    }
    StoreOp::Put { key: Bytes::from(format!("/kv/user/{key:012}")), value: Bytes::from(value) }
}

fn disk_bytes(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).expect("directory").map(|entry| entry.expect("entry"));
    entries
        .map(|entry| match entry.file_type().expect("type").is_dir() {
            true => disk_bytes(&entry.path()),
            false => {
                use std::os::unix::fs::MetadataExt;
                entry.metadata().expect("metadata").blocks() * 512
            }
        })
        .sum()
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("directory") {
        let entry = entry.expect("entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("type").is_dir() {
            std::fs::create_dir(&target).expect("create");
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copy");
        }
    }
}
