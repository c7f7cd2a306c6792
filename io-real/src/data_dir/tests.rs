//! The data directory on a real file system.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use bytes::Bytes;
use tempfile::TempDir;

use decube_core::io::{FileError, FileName, FileOp, FileResult, Volume};

use super::{DataDir, DataDirError, Marking, VolumeDirs};
use crate::disk::FileSystem;

#[test]
fn a_new_directory_is_made_and_opens_again_with_the_same_keys() {
    let place = TempDir::new().unwrap();
    let path = place.path().join("a/b");
    let data = DataDir::open(&path).unwrap();
    let keys = data.keys().unwrap();
    let dirs = data.volume(Volume::Cluster).unwrap();
    assert!(dirs.wal.is_dir() && dirs.store.is_dir());
    for name in ["identity.key", "transport.key"] {
        let mode = fs::metadata(path.join("keys").join(name)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    drop(data);
    let again = DataDir::open(&path).unwrap().keys().unwrap();
    assert_eq!(again.node_id(), keys.node_id());
    assert_eq!(again.transport.as_bytes(), keys.transport.as_bytes());
    let other = DataDir::open(&place.path().join("c"))
        .unwrap()
        .keys()
        .unwrap();
    assert_ne!(other.node_id(), keys.node_id());
}

#[test]
fn a_second_start_is_refused_and_told_who_has_it() {
    let place = TempDir::new().unwrap();
    let first = DataDir::open(place.path()).unwrap();
    let error = DataDir::open(place.path()).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, DataDirError::Locked { .. }), "{text}");
    assert!(
        text.contains(&format!("process {}", std::process::id())),
        "{text}"
    );
    assert!(text.contains(place.path().to_str().unwrap()), "{text}");
    drop(first);
    DataDir::open(place.path()).unwrap();
}

#[test]
fn a_directory_of_something_else_is_left_alone() {
    let place = TempDir::new().unwrap();
    fs::write(place.path().join("thesis.tex"), b"important").unwrap();
    let error = DataDir::open(place.path()).unwrap_err();
    assert!(matches!(error, DataDirError::NotOurs { found, .. } if found == "thesis.tex"));
    assert!(!place.path().join("wal").exists());
}

#[test]
fn another_layout_is_refused() {
    let place = TempDir::new().unwrap();
    drop(DataDir::open(place.path()).unwrap());
    fs::write(
        place.path().join("FORMAT"),
        "decube data directory, format 9\n",
    )
    .unwrap();
    let error = DataDir::open(place.path()).unwrap_err();
    assert!(matches!(error, DataDirError::OtherFormat { .. }), "{error}");
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let place = TempDir::new().unwrap();
    let data = DataDir::open(place.path()).unwrap();
    data.keys().unwrap();
    let path = place.path().join("keys/identity.key");
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let error = data.keys().unwrap_err();
    assert!(
        matches!(error, DataDirError::Exposed { mode: 0o640, .. }),
        "{error}"
    );
}

#[test]
fn a_key_behind_a_link_is_refused() {
    let place = TempDir::new().unwrap();
    let data = DataDir::open(place.path()).unwrap();
    data.keys().unwrap();
    let path = place.path().join("keys/identity.key");
    let moved = place.path().join("moved");
    fs::rename(&path, &moved).unwrap();
    symlink(&moved, &path).unwrap();
    assert!(matches!(data.keys(), Err(DataDirError::Io { .. })));
}

#[test]
fn a_damaged_key_is_refused_and_kept() {
    let place = TempDir::new().unwrap();
    let data = DataDir::open(place.path()).unwrap();
    data.keys().unwrap();
    let path = place.path().join("keys/identity.key");
    let zero = format!("p256 {}\n", "0".repeat(64));
    for damaged in [
        "",
        "p256 12\n",
        "ed25519 00\n",
        &zero,
        "p256 ",
        &"x".repeat(300),
    ] {
        fs::write(&path, damaged).unwrap();
        let error = data.keys().unwrap_err();
        assert!(matches!(error, DataDirError::DamagedKey { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), damaged.as_bytes());
    }
}

#[test]
fn a_log_without_the_identity_that_wrote_it_is_refused() {
    let place = TempDir::new().unwrap();
    let data = DataDir::open(place.path()).unwrap();
    data.keys().unwrap();
    fs::write(
        data.volume(Volume::Cluster).unwrap().wal.join("segment-1"),
        b"votes",
    )
    .unwrap();
    fs::remove_file(place.path().join("keys/transport.key")).unwrap();
    data.keys().expect("a lost transport key is replaced");
    fs::remove_file(place.path().join("keys/identity.key")).unwrap();
    let error = data.keys().unwrap_err();
    assert!(matches!(error, DataDirError::LostKey { .. }), "{error}");
}

/// Fails the first write, as a full disk does.
struct Full;

impl FileSystem for Full {
    fn perform(&mut self, op: FileOp) -> FileResult {
        match op {
            FileOp::Write { .. } => FileResult::Failed(FileError::Full),
            _ => FileResult::Done,
        }
    }
}

/// The log has asked for the sync already when it hears of the failure.
#[test]
fn a_volume_whose_first_record_could_not_be_written_is_not_marked() {
    let place = TempDir::new().unwrap();
    let data = DataDir::open(place.path()).unwrap();
    data.keys().unwrap();
    let dirs = data.volume(Volume::Cluster).unwrap();
    let mut files = Marking::new(Full, &dirs);
    let file = FileName::Segment(1);
    let write = FileOp::Write {
        file,
        offset: 0,
        data: Bytes::from_static(b"record"),
    };
    let failed = FileResult::Failed(FileError::Full);
    assert_eq!(files.perform(write), failed);
    assert_eq!(files.perform(FileOp::Sync { file }), FileResult::Done);
    assert!(!data.volume(Volume::Cluster).unwrap().is_used);
}

/// Counts what it is asked for and says that it is done.
#[derive(Default)]
struct Obedient(u64);

impl FileSystem for Obedient {
    fn perform(&mut self, _: FileOp) -> FileResult {
        self.0 += 1;
        FileResult::Done
    }
}

#[test]
fn a_volume_is_marked_when_something_is_durable_and_before_that_is_told() {
    let place = TempDir::new().unwrap();
    let data = DataDir::open(place.path()).unwrap();
    data.keys().unwrap();
    let file = FileName::Segment(1);
    for volume in Volume::ALL {
        let dirs = data.volume(volume).unwrap();
        assert!(!dirs.is_used && dirs.is_empty);
        let mut files = Marking::new(Obedient::default(), &dirs);
        files.perform(FileOp::Create { file, len: 4096 });
        assert!(!data.volume(volume).unwrap().is_used, "nothing is durable");
        let superblock = FileName::Superblock(0);
        files.perform(FileOp::Sync { file: superblock });
        assert!(!data.volume(volume).unwrap().is_used, "no record is");
        files.perform(FileOp::Sync { file });
        assert!(data.volume(volume).unwrap().is_used);
    }
}

#[test]
fn a_volume_that_can_not_be_marked_is_not_written_to() {
    let place = TempDir::new().unwrap();
    let data = DataDir::open(place.path()).unwrap();
    let dirs = data.volume(Volume::Cluster).unwrap();
    let dirs = VolumeDirs {
        mark: place.path().join("nowhere/cluster-began"),
        ..dirs
    };
    let mut files = Marking::new(Obedient::default(), &dirs);
    let file = FileName::Segment(1);
    let failed = FileResult::Failed(FileError::Io);
    assert_eq!(files.perform(FileOp::Sync { file }), failed);
}
