//! The disk takes away what it should: tests that crash prove nothing otherwise.

use alloc::vec;

use bytes::Bytes;

use super::{Disk, Loss};
use crate::io::{Done, FileName, FileOp, FileOpId, FileResult, Io, Read, ReadId};
use crate::store::{StoreBatch, StoreOp, StoreSeq};

const FILE: FileName = FileName::Segment(0);

fn file(disk: &mut Disk, op: FileOp) -> FileResult {
    let id = FileOpId(1);
    match disk.carry_out(Io::File { id, op }) {
        Done::File { result, .. } => result,
        other => panic!("{other:?}"),
    }
}

fn write(disk: &mut Disk, offset: u64, data: &'static [u8]) {
    let data = Bytes::from_static(data);
    let op = FileOp::Write {
        file: FILE,
        offset,
        data,
    };
    assert_eq!(file(disk, op), FileResult::Done);
}

fn content(disk: &mut Disk) -> FileResult {
    let op = FileOp::Read {
        file: FILE,
        offset: 0,
        len: 9,
    };
    file(disk, op)
}

fn put(disk: &mut Disk, key: &'static str, sync: bool) {
    let (key, value) = (key.into(), "v".into());
    disk.carry_out(Io::Commit(StoreBatch {
        seq: StoreSeq(1),
        ops: vec![StoreOp::Put { key, value }],
        sync,
    }));
}

/// A disk with something durable and something that is only written.
fn written() -> Disk {
    let mut disk = Disk::default();
    file(&mut disk, FileOp::Create { file: FILE, len: 4 });
    assert!(!disk.is_used(), "nothing is durable so far");
    write(&mut disk, 0, b"ab");
    file(&mut disk, FileOp::Sync { file: FILE });
    assert!(disk.is_used());
    write(&mut disk, 1, b"cd");
    put(&mut disk, "a", true);
    put(&mut disk, "b", false);
    put(&mut disk, "c", false);
    disk
}

#[test]
fn a_killed_process_leaves_what_it_wrote_and_a_later_loss_of_power_takes_it() {
    let mut disk = written();
    disk.crash(Loss::Process);
    assert_eq!(content(&mut disk), FileResult::Data("acd\0".into()));
    assert_eq!(disk.pairs().len(), 3);
    disk.crash(Loss::Power { batches_kept: 0 });
    assert_eq!(content(&mut disk), FileResult::Data("ab\0\0".into()));
    assert_eq!(disk.keys(b'a'), ["a"]);
    assert_eq!(disk.pairs().len(), 1);
}

#[test]
fn a_store_may_have_written_the_first_batches_behind_the_last_sync() {
    for (batches_kept, pairs) in [(0, 1), (1, 2), (2, 3), (usize::MAX, 3)] {
        let mut disk = written();
        disk.crash(Loss::Power { batches_kept });
        assert_eq!(disk.pairs().len(), pairs);
        disk.crash(Loss::Power { batches_kept: 0 });
        assert_eq!(disk.pairs().len(), pairs, "what survived is durable");
    }
}

#[test]
fn who_lost_everything_was_used_before() {
    let mut disk = written();
    disk.lose_all();
    assert!(disk.is_used() && disk.pairs().is_empty());
    assert_eq!(disk.files().count(), 0);
}

#[test]
fn small_pages_say_whether_there_is_more() {
    let mut disk = Disk::of_pages(2);
    for key in ["a", "b", "c"] {
        put(&mut disk, key, true);
    }
    for (to, is_last) in [(None, false), (Some("c"), true), (Some("b"), true)] {
        let read = Read {
            id: ReadId(1),
            from: Bytes::new(),
            to: to.map(Bytes::from),
            bytes_max: 1000,
        };
        let Done::Read { page, .. } = disk.carry_out(Io::Read(read)) else {
            panic!("a page");
        };
        assert_eq!(page.is_last, is_last, "up to {to:?}");
        assert!(page.pairs.len() <= 2);
    }
}
