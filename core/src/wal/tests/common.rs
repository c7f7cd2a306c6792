//! What the cases share.

use alloc::vec;
use alloc::vec::Vec;

use super::disk::Disk;
use super::host::Host;
use crate::io::{FileName, FileOp};
use crate::mutant::Mutant;
use crate::wal::{Record, RecordKind, Recovered};

pub const SEGMENT: u64 = 65_536;
pub const BLOCK: usize = 4096;

pub fn record(kind: RecordKind, index: u64, payload: &[u8]) -> Record {
    Record {
        kind,
        index,
        payload: payload.to_vec().into(),
    }
}

pub fn entry(index: u64) -> Record {
    record(RecordKind::Entry, index, &index.to_be_bytes())
}

pub fn vote(term: u8) -> Record {
    record(RecordKind::State, 0, &[term])
}

pub fn base(index: u64) -> Record {
    record(RecordKind::Base, index, b"base")
}

pub fn fresh() -> Host {
    Host::recover(Disk::default(), SEGMENT, Mutant::None)
}

pub fn reopen(disk: Disk) -> (Host, Recovered) {
    let mut host = Host::recover(disk, SEGMENT, Mutant::None);
    let found = host.recovered.take().expect("recovery ends");
    (host, found)
}

pub fn indexes(found: &Recovered) -> Vec<u64> {
    let entries = found.records.iter().filter(|r| r.kind == RecordKind::Entry);
    entries.map(|r| r.index).collect()
}

/// Appends entries one by one, each in a group of its own.
pub fn fill(host: &mut Host, indexes: core::ops::RangeInclusive<u64>) {
    for index in indexes {
        host.append(vec![entry(index)]);
        host.settle();
    }
}

/// Where the only copy of an entry's payload is.
pub fn place(disk: &Disk, index: u64) -> (FileName, usize) {
    let needle = index.to_be_bytes();
    let header = 100;
    for name in disk
        .files
        .keys()
        .filter(|n| matches!(n, FileName::Segment(_)))
    {
        for at in disk.find(*name, &needle) {
            let bytes = &disk.files[name].cached;
            if at >= header && bytes[at - header..].starts_with(b"DWR\x02") {
                return (*name, at);
            }
        }
    }
    panic!("entry {index} is not on disk");
}

pub fn count(ops: &[FileOp], is: impl Fn(&FileOp) -> bool) -> usize {
    ops.iter().filter(|op| is(op)).count()
}

pub fn is_segment_sync(op: &FileOp) -> bool {
    matches!(
        op,
        FileOp::Sync {
            file: FileName::Segment(_)
        }
    )
}
