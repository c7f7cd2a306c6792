//! The disk: only what was synced is sure to survive a power loss.

use bytes::Bytes;
use decube_core::limits::SECTOR_BYTES;
use decube_core::wal::{FileError, FileName, FileOp, FileOpId, FileResult};

use super::Disk;
use crate::config::SimConfig;
use crate::rng::Draw;

const FILE: FileName = FileName::Segment(1);

fn act(disk: &mut Disk, config: &SimConfig, op: FileOp) -> FileResult {
    assert!(disk.submit(FileOpId(1), op), "the disk is idle");
    disk.complete(config).1
}

fn create(disk: &mut Disk, config: &SimConfig, sectors: u64) {
    let len = sectors * 512;
    assert_eq!(
        act(disk, config, FileOp::Create { file: FILE, len }),
        FileResult::Done
    );
}

fn write(disk: &mut Disk, config: &SimConfig, offset: u64, byte: u8, len: usize) {
    let op = FileOp::Write {
        file: FILE,
        offset,
        data: Bytes::from(vec![byte; len]),
    };
    assert_eq!(act(disk, config, op), FileResult::Done);
}

fn read(disk: &mut Disk, config: &SimConfig) -> Bytes {
    let op = FileOp::Read {
        file: FILE,
        offset: 0,
        len: 1 << 20,
    };
    match act(disk, config, op) {
        FileResult::Data(data) => data,
        other => panic!("{other:?}"),
    }
}

#[test]
fn unsynced_sectors_are_lost_kept_or_torn_each_by_itself() {
    let config = SimConfig {
        crash_drop_ppm: 400_000,
        crash_tear_ppm: 500_000,
        ..SimConfig::default()
    };
    let mut disk = Disk::new(11, 0);
    create(&mut disk, &config, 64);
    write(&mut disk, &config, 0, 1, 32 * 512);
    act(&mut disk, &config, FileOp::Sync { file: FILE });
    write(&mut disk, &config, 16 * 512, 2, 48 * 512);
    disk.crash(&config, true);
    let after = read(&mut disk, &config);
    assert!(
        after[..16 * 512].iter().all(|byte| *byte == 1),
        "synced bytes survive"
    );
    let sectors: Vec<&[u8]> = after[16 * 512..].chunks(SECTOR_BYTES).collect();
    let whole = |wanted: u8| {
        sectors
            .iter()
            .filter(|s| s.iter().all(|b| *b == wanted))
            .count()
    };
    let torn = sectors
        .iter()
        .filter(|s| s[0] != s[SECTOR_BYTES - 1])
        .count();
    assert!(
        whole(2) > 5 && torn > 5 && whole(1) + whole(0) > 5,
        "{} {torn}",
        whole(2)
    );
}

#[test]
fn the_cache_survives_the_process_but_not_the_machine() {
    let config = SimConfig {
        crash_drop_ppm: 1_000_000,
        ..SimConfig::default()
    };
    let mut disk = Disk::new(11, 0);
    create(&mut disk, &config, 2);
    write(&mut disk, &config, 0, 3, 512);
    disk.crash(&config, false);
    assert_eq!(read(&mut disk, &config)[0], 3);
    disk.crash(&config, true);
    assert_eq!(read(&mut disk, &config)[0], 0);
}

#[test]
fn a_failed_sync_makes_nothing_stable() {
    let config = SimConfig {
        crash_drop_ppm: 1_000_000,
        ..SimConfig::default()
    };
    let mut disk = Disk::new(11, 0);
    create(&mut disk, &config, 1);
    write(&mut disk, &config, 0, 3, 512);
    disk.arm_sync_failure();
    let result = act(&mut disk, &config, FileOp::Sync { file: FILE });
    assert_eq!(result, FileResult::Failed(FileError::Io));
    disk.crash(&config, true);
    assert_eq!(read(&mut disk, &config)[0], 0);
}

#[test]
fn damage_strikes_only_what_later_syncs_left_behind() {
    let config = SimConfig::default();
    let mut disk = Disk::new(11, 0);
    create(&mut disk, &config, 8);
    write(&mut disk, &config, 0, 7, 1024);
    act(&mut disk, &config, FileOp::Sync { file: FILE });
    assert_eq!(
        disk.rot(Draw(5)),
        None,
        "the latest sync is not left behind"
    );
    for sector in 2..8 {
        for _ in 0..2 {
            write(&mut disk, &config, sector * 512, 9, 512);
            act(&mut disk, &config, FileOp::Sync { file: FILE });
        }
    }
    assert!(disk.rot(Draw(5)).is_some());
    let after = read(&mut disk, &config);
    let changed = after
        .iter()
        .filter(|byte| **byte != 7 && **byte != 9)
        .count();
    assert_eq!(changed, 1);
}

#[test]
fn errors_are_named() {
    let config = SimConfig::default();
    let mut disk = Disk::new(11, 0);
    let missing = FileResult::Failed(FileError::Missing);
    assert_eq!(
        act(&mut disk, &config, FileOp::Sync { file: FILE }),
        missing
    );
    create(&mut disk, &config, 1);
    let again = act(&mut disk, &config, FileOp::Create { file: FILE, len: 1 });
    assert_eq!(again, FileResult::Failed(FileError::Exists));
    let full = SimConfig {
        full_ppm: 1_000_000,
        ..config
    };
    let file = FileName::Segment(2);
    let result = act(&mut disk, &full, FileOp::Create { file, len: 1 });
    assert_eq!(result, FileResult::Failed(FileError::Full));
}
