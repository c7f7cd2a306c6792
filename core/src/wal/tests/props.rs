//! Whatever bytes the files hold, recovery ends and nothing panics.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::disk::{Disk, File};
use super::host::Host;
use crate::io::FileName;
use crate::mutant::Mutant;
use crate::wal::{Event, Record, RecordKind, file_name, parse_file_name};

fn file(bytes: Vec<u8>) -> File {
    File {
        stable: bytes.clone(),
        cached: bytes,
        dirty: Default::default(),
    }
}

fn entry(index: u64, len: usize) -> Record {
    Record {
        kind: RecordKind::Entry,
        index,
        payload: alloc::vec![7; len].into(),
    }
}

/// A disk with a few segments of a sound log.
fn sound_disk() -> Disk {
    let mut host = Host::recover(Disk::default(), 16_384, Mutant::None);
    for index in 1..30 {
        host.append(alloc::vec![entry(index, 700), entry(index + 100, 5)]);
        host.settle();
    }
    host.idle();
    host.disk
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_files_never_panic(
        contents in prop::collection::vec(
            (prop_oneof![
                (0u8..3).prop_map(FileName::Superblock),
                (0u64..6).prop_map(FileName::Segment),
                any::<u64>().prop_map(FileName::Segment),
            ], prop::collection::vec(any::<u8>(), 0..9000)), 0..6),
    ) {
        let mut disk = Disk::default();
        for (name, bytes) in contents {
            disk.files.insert(name, file(bytes));
        }
        let mut host = Host::recover(disk, 16_384, Mutant::None);
        prop_assert!(host.recovered.is_some() || host.failed.is_some());
        if host.recovered.is_some() {
            host.append(alloc::vec![entry(1, 10)]);
            host.settle();
            prop_assert_eq!(host.durable.len(), 1);
        }
    }

    #[test]
    fn damaged_logs_never_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1u8..), 1..40),
        missing in prop::option::of(any::<prop::sample::Index>()),
        cut in prop::option::of((any::<prop::sample::Index>(), 0usize..16_384)),
    ) {
        let mut disk = sound_disk();
        let names: Vec<FileName> = disk.files.keys().copied().collect();
        for (which, at, flip) in flips {
            let file = disk.files.get_mut(which.get(&names)).expect("listed");
            let at = at.index(file.cached.len());
            file.cached[at] ^= flip;
        }
        if let Some((which, len)) = cut {
            disk.files.get_mut(which.get(&names)).expect("listed").cached.truncate(len);
        }
        if let Some(which) = missing {
            disk.files.remove(which.get(&names));
        }
        for file in disk.files.values_mut() {
            file.stable = file.cached.clone();
        }
        let host = Host::recover(disk, 16_384, Mutant::None);
        let found = host.recovered.expect("a damaged log opens and says so");
        for record in &found.records {
            prop_assert!(record.payload.iter().all(|byte| *byte == 7), "nothing is invented");
        }
    }

    #[test]
    fn file_names_are_canonical(name in "(superblock-|segment-)?[+0-9]{0,21}(\\.wal)?") {
        if let Some(file) = parse_file_name(&name) {
            prop_assert_eq!(file_name(file), name);
        }
    }
}

#[test]
fn file_names_round_trip() {
    for file in [
        FileName::Superblock(0),
        FileName::Superblock(1),
        FileName::Segment(1),
        FileName::Segment(u64::MAX),
    ] {
        assert_eq!(parse_file_name(&file_name(file)), Some(file));
    }
    for name in [
        "",
        "superblock-2",
        "superblock-00",
        "segment-1.wal",
        "segment-",
        "LOCK",
    ] {
        assert_eq!(parse_file_name(name), None);
    }
}

#[test]
fn events_after_a_failure_are_ignored() {
    let mut host = Host::recover(Disk::default(), 16_384, Mutant::None);
    host.disk.failing_op = Some(0);
    host.append(alloc::vec![entry(1, 10)]);
    host.settle();
    assert!(host.failed.is_some());
    host.append(alloc::vec![entry(2, 10)]);
    host.step(Event::Prune { below: 9 });
    host.step(Event::Wake);
    assert!(!host.run_one(), "nothing is asked of a failed disk");
    assert!(host.durable.is_empty());
}
