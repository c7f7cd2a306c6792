//! The disk: only what was synced is sure to survive a power loss.

use bytes::Bytes;
use decube_core::io::{FileError, FileName, FileOp, FileOpId, FileResult};
use decube_core::limits::SECTOR_BYTES;

use super::Disk;
use crate::config::DiskSettings;
use crate::rng::Draw;

const FILE: FileName = FileName::Segment(1);

fn act(disk: &mut Disk, config: &DiskSettings, op: FileOp) -> FileResult {
    assert!(disk.submit(FileOpId(1), op), "the disk is idle");
    disk.complete(config).1
}

fn create(disk: &mut Disk, config: &DiskSettings, sectors: u64) {
    let len = sectors * 512;
    assert_eq!(
        act(disk, config, FileOp::Create { file: FILE, len }),
        FileResult::Done
    );
}

fn write(disk: &mut Disk, config: &DiskSettings, offset: u64, byte: u8, len: usize) {
    let op = FileOp::Write {
        file: FILE,
        offset,
        data: Bytes::from(vec![byte; len]),
    };
    assert_eq!(act(disk, config, op), FileResult::Done);
}

fn read(disk: &mut Disk, config: &DiskSettings) -> Bytes {
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
    let config = DiskSettings {
        crash_drop_ppm: 400_000,
        crash_tear_ppm: 500_000,
        ..DiskSettings::default()
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
    let config = DiskSettings {
        crash_drop_ppm: 1_000_000,
        ..DiskSettings::default()
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
    let config = DiskSettings {
        crash_drop_ppm: 1_000_000,
        ..DiskSettings::default()
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
    let config = DiskSettings::default();
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
    let config = DiskSettings::default();
    let mut disk = Disk::new(11, 0);
    let missing = FileResult::Failed(FileError::Missing);
    assert_eq!(
        act(&mut disk, &config, FileOp::Sync { file: FILE }),
        missing
    );
    create(&mut disk, &config, 1);
    let again = act(&mut disk, &config, FileOp::Create { file: FILE, len: 1 });
    assert_eq!(again, FileResult::Failed(FileError::Exists));
    let full = DiskSettings {
        full_ppm: 1_000_000,
        ..config
    };
    let file = FileName::Segment(2);
    let result = act(&mut disk, &full, FileOp::Create { file, len: 1 });
    assert_eq!(result, FileResult::Failed(FileError::Full));
}

/// A disk whose first two sectors hold sevens and were left behind by later syncs.
fn settled(config: &DiskSettings, lying_syncs: u64) -> Disk {
    let mut disk = Disk::new(11, 0);
    create(&mut disk, config, 8);
    disk.arm_lying_syncs(lying_syncs);
    write(&mut disk, config, 0, 7, 1024);
    act(&mut disk, config, FileOp::Sync { file: FILE });
    for _ in 0..12 {
        write(&mut disk, config, 4 * 512, 9, 1024);
        act(&mut disk, config, FileOp::Sync { file: FILE });
    }
    disk
}

#[test]
fn a_lying_sync_comes_out_at_a_power_loss_and_not_before() {
    let config = DiskSettings {
        crash_drop_ppm: 1_000_000,
        ..DiskSettings::default()
    };
    let mut disk = settled(&config, 1);
    assert_eq!(disk.stats.lying_syncs, 1);
    assert_eq!(disk.crash(&config, false), 0);
    assert_eq!(read(&mut disk, &config)[..1024], [7; 1024]);
    assert_eq!(disk.crash(&config, true), 2, "both sectors go back");
    let after = read(&mut disk, &config);
    assert_eq!(after[..1024], [0; 1024]);
    assert_eq!(after[4 * 512..6 * 512], [9; 1024]);
    let mut honest = settled(&config, 0);
    assert_eq!(honest.crash(&config, true), 0);
    assert_eq!(read(&mut honest, &config)[..1024], [7; 1024]);
}

#[test]
fn a_lying_sync_comes_true_when_the_sector_is_synced_again_or_the_device_is_healed() {
    let config = DiskSettings {
        crash_drop_ppm: 1_000_000,
        ..DiskSettings::default()
    };
    let mut again = settled(&config, 1);
    write(&mut again, &config, 0, 8, 1024);
    act(&mut again, &config, FileOp::Sync { file: FILE });
    assert_eq!(again.crash(&config, true), 0);
    assert_eq!(read(&mut again, &config)[..1024], [8; 1024]);
    let mut healed = settled(&config, 1);
    healed.heal();
    assert_eq!(healed.crash(&config, true), 0);
    // The last sync that lied is a torn tail to any log: it is not taken back.
    let mut tail = Disk::new(11, 0);
    create(&mut tail, &config, 8);
    tail.arm_lying_syncs(1);
    write(&mut tail, &config, 0, 7, 512);
    act(&mut tail, &config, FileOp::Sync { file: FILE });
    assert_eq!(tail.crash(&config, true), 0);
}

#[test]
fn a_full_disk_takes_no_new_file_and_still_writes_old_ones() {
    let config = DiskSettings::default();
    let mut disk = Disk::new(11, 0);
    create(&mut disk, &config, 8);
    disk.set_full(true);
    let file = FileName::Segment(2);
    let more = |disk: &mut Disk| act(disk, &config, FileOp::Create { file, len: 512 });
    assert_eq!(more(&mut disk), FileResult::Failed(FileError::Full));
    write(&mut disk, &config, 0, 7, 512);
    disk.set_full(false);
    assert_eq!(more(&mut disk), FileResult::Done);
    assert_eq!(disk.stats.full, 1);
}

#[test]
fn slow_syncs_take_longer_and_writes_do_not() {
    let config = DiskSettings::default();
    let mut disk = Disk::new(11, 0);
    create(&mut disk, &config, 8);
    let mut takes = |op: FileOp, factor: u64| {
        disk.slow_down(factor);
        disk.submit(FileOpId(1), op);
        let at = disk.completes_at(&config, 0).expect("it is under way");
        disk.slow_down(1);
        let usual = disk.completes_at(&config, 0).expect("it is under way");
        disk.complete(&config);
        (at, usual)
    };
    let (slow, usual) = takes(FileOp::Sync { file: FILE }, 20);
    assert!(slow >= usual * 19, "{slow} and {usual}");
    let data = Bytes::from(vec![1; 512]);
    let write = FileOp::Write {
        file: FILE,
        offset: 0,
        data,
    };
    let (slow, usual) = takes(write, 20);
    assert_eq!(slow, usual);
}

#[test]
fn a_misdirected_read_returns_another_sector_and_changes_nothing() {
    let calm = DiskSettings::default();
    let config = DiskSettings {
        misread_ppm: 1_000_000,
        ..DiskSettings::default()
    };
    let mut disk = Disk::new(11, 0);
    create(&mut disk, &calm, 8);
    for sector in 0..4 {
        write(&mut disk, &calm, sector * 512, 5, 100);
        act(&mut disk, &calm, FileOp::Sync { file: FILE });
        write(
            &mut disk,
            &calm,
            sector * 512,
            6,
            100 * (1 + usize::try_from(sector).expect("few")),
        );
        act(&mut disk, &calm, FileOp::Sync { file: FILE });
    }
    for _ in 0..9 {
        write(&mut disk, &calm, 6 * 512, 9, 512);
        act(&mut disk, &calm, FileOp::Sync { file: FILE });
    }
    let sound = read(&mut disk, &calm);
    assert_eq!(
        read(&mut disk, &config),
        sound,
        "outside the budget none fails"
    );
    disk.allow_lost_reads();
    let wrong = (0..50).filter(|_| read(&mut disk, &config) != sound);
    let wrong = u64::try_from(wrong.count()).expect("small");
    assert!(wrong > 0);
    assert_eq!(disk.stats.misread, wrong);
    assert_eq!(read(&mut disk, &calm), sound);
}
