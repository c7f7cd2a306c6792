//! File operations on real files, and the thread that carries them out.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use decube_core::io::{FileError, FileName, FileOp, FileOpId, FileResult};
use tempfile::TempDir;

use super::{Directory, DiskThread, FileSystem};
use crate::ports::{Disk, DiskEvent};

const SEGMENT: FileName = FileName::Segment(1);

fn create(file: FileName, len: u64) -> FileOp {
    FileOp::Create { file, len }
}

fn write(offset: u64, data: &'static [u8]) -> FileOp {
    let (file, data) = (SEGMENT, Bytes::from_static(data));
    FileOp::Write { file, offset, data }
}

fn read(offset: u64, len: u64) -> FileOp {
    let file = SEGMENT;
    FileOp::Read { file, offset, len }
}

fn data(bytes: &'static [u8]) -> FileResult {
    FileResult::Data(Bytes::from_static(bytes))
}

fn open(place: &TempDir) -> Directory {
    Directory::open(place.path()).unwrap()
}

#[test]
fn what_is_written_is_read_back_also_by_the_next_process() {
    let place = TempDir::new().unwrap();
    let mut files = open(&place);
    assert_eq!(files.perform(create(SEGMENT, 16)), FileResult::Done);
    assert_eq!(
        files.perform(read(0, 16)),
        data(&[0; 16]),
        "a new file is zeros"
    );
    assert_eq!(files.perform(write(4, b"abcd")), FileResult::Done);
    assert_eq!(
        files.perform(FileOp::Sync { file: SEGMENT }),
        FileResult::Done
    );
    // A process that dies closes nothing; the next one opens the same files.
    std::mem::forget(files);
    let mut files = open(&place);
    assert_eq!(files.perform(read(2, 8)), data(b"\0\0abcd\0\0"));
    assert_eq!(
        files.perform(read(14, 100)),
        data(b"\0\0"),
        "fewer bytes at the end"
    );
    assert_eq!(
        files.perform(read(100, 1)),
        data(b""),
        "nothing behind the end"
    );
}

#[test]
fn the_list_is_sorted_and_ignores_strangers() {
    let place = TempDir::new().unwrap();
    let mut files = open(&place);
    let names = [
        FileName::Segment(10),
        FileName::Superblock(1),
        SEGMENT,
        FileName::Superblock(0),
    ];
    for (len, name) in (1..).zip(names) {
        assert_eq!(files.perform(create(name, len)), FileResult::Done);
    }
    fs::write(place.path().join("lost+found"), b"?").unwrap();
    let listed = FileResult::Listed(vec![
        (FileName::Superblock(0), 4),
        (FileName::Superblock(1), 2),
        (SEGMENT, 3),
        (FileName::Segment(10), 1),
    ]);
    assert_eq!(files.perform(FileOp::List), listed);
    assert_eq!(open(&place).perform(FileOp::List), listed);
}

#[test]
fn a_file_is_created_once_and_removed_as_often_as_asked() {
    let place = TempDir::new().unwrap();
    let mut files = open(&place);
    assert_eq!(files.perform(create(SEGMENT, 8)), FileResult::Done);
    let exists = FileResult::Failed(FileError::Exists);
    assert_eq!(files.perform(create(SEGMENT, 8)), exists);
    assert_eq!(
        files.perform(FileOp::Remove { file: SEGMENT }),
        FileResult::Done
    );
    assert_eq!(
        files.perform(FileOp::Remove { file: SEGMENT }),
        FileResult::Done
    );
    let missing = FileResult::Failed(FileError::Missing);
    assert_eq!(files.perform(read(0, 1)), missing);
    assert_eq!(files.perform(write(0, b"x")), missing);
    assert_eq!(files.perform(FileOp::Sync { file: SEGMENT }), missing);
    assert_eq!(files.perform(FileOp::List), FileResult::Listed(Vec::new()));
}

#[test]
fn a_write_outside_the_file_is_an_error_and_changes_nothing() {
    let place = TempDir::new().unwrap();
    let mut files = open(&place);
    assert_eq!(files.perform(create(SEGMENT, 4)), FileResult::Done);
    let failed = FileResult::Failed(FileError::Io);
    assert_eq!(files.perform(write(3, b"ab")), failed);
    assert_eq!(files.perform(write(u64::MAX, b"ab")), failed);
    assert_eq!(files.perform(read(0, 9)), data(&[0; 4]));
}

#[test]
fn a_file_that_was_not_finished_is_gone_after_the_next_start() {
    let place = TempDir::new().unwrap();
    fs::write(
        place.path().join("segment-00000000000000000001.wal.tmp"),
        b"half",
    )
    .unwrap();
    let mut files = open(&place);
    assert_eq!(files.perform(FileOp::List), FileResult::Listed(Vec::new()));
    assert_eq!(files.perform(create(SEGMENT, 4)), FileResult::Done);
    assert_eq!(names(place.path()).len(), 1);
}

#[test]
fn a_file_that_does_not_fit_leaves_nothing_behind() {
    let place = TempDir::new().unwrap();
    let mut files = open(&place);
    let result = files.perform(create(SEGMENT, 1 << 62));
    assert!(matches!(result, FileResult::Failed(_)), "{result:?}");
    let said = files.said().expect("the system says why");
    assert!(said.contains("os error"), "{said}");
    assert_eq!(names(place.path()), [""; 0]);
    files.perform(FileOp::List);
    assert_eq!(files.said(), None, "of the last operation alone");
}

#[tokio::test]
async fn the_thread_keeps_the_order_and_finishes_before_it_closes() {
    let place = TempDir::new().unwrap();
    let (mut disk, mut events) = DiskThread::start(open(&place)).unwrap();
    disk.submit(FileOpId(9), create(SEGMENT, 4));
    disk.submit(FileOpId(3), write(0, b"abcd"));
    disk.submit(FileOpId(5), read(1, 2));
    disk.close().await;
    let expected = [
        (9, FileResult::Done),
        (3, FileResult::Done),
        (5, data(b"bc")),
    ];
    for (id, result) in expected {
        let id = FileOpId(id);
        assert_eq!(
            events.recv().await,
            Some(DiskEvent {
                id,
                result,
                said: None
            })
        );
    }
    assert_eq!(events.recv().await, None);
}

fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}
