//! The bytes of the log's files.

use alloc::format;
use alloc::vec;

use super::common::{fresh, record};
use crate::codec::Writer;
use crate::golden::Table;
use crate::golden::samples::{counted, number};
use crate::io::FileName;
use crate::wal::frame::{Header, Kind, MAGIC, SegmentStart, checksum};
use crate::wal::superblock::Superblock;
use crate::wal::{Event, RecordKind, file_name};

/// Every kind of record that an owner writes.
const KINDS: [RecordKind; 4] = [
    RecordKind::Entry,
    RecordKind::State,
    RecordKind::Truncate,
    RecordKind::Base,
];

#[test]
fn golden_bytes() {
    let mut table = Table::of("wal");
    table.bytes("magic", &MAGIC);
    table.bytes("checksum", &checksum(b"payload").to_be_bytes());
    frames(&mut table);
    superblocks(&mut table);
    names(&mut table);
    files(&mut table);
    table.check();
}

fn frames(table: &mut Table) {
    let start = SegmentStart {
        after_segment: number(0x01),
        after_lsn: number(0x11),
    };
    assert_eq!(SegmentStart::decode(&start.encode()), Ok(start));
    table.bytes("segment_start", &start.encode());
    let segment = frame(Kind::Segment, true, &start.encode());
    table.bytes("frame.Segment", &segment);
    for kind in KINDS {
        let bytes = frame(Kind::Owner(kind), true, b"payload");
        table.inside_bytes(&kind, &bytes);
    }
    let inner = frame(Kind::Owner(RecordKind::Entry), false, b"");
    table.bytes("frame.inside_of_a_batch", &inner);
}

/// A record of a segment: header, payload, and behind them the link to it.
fn frame(kind: Kind, batch_end: bool, payload: &[u8]) -> alloc::vec::Vec<u8> {
    let header = Header {
        payload_sum: checksum(payload),
        payload_bytes: payload.len(),
        kind,
        batch_end,
        salt: number(0x81),
        lsn: number(0x31),
        index: number(0x41),
        segment: number(0x51),
        offset: number(0x61),
        synced: number(0x21),
        state: number(0x11),
        link: counted(0x71),
    };
    let mut writer = Writer::new();
    let link = header.write(&mut writer, payload);
    assert_eq!(Header::decode(writer.as_slice()), Ok(header));
    writer.raw(&link);
    writer.into_vec()
}

fn superblocks(table: &mut Table) {
    for generation in [number(0x01), number(0x01) + 1] {
        let block = Superblock {
            generation,
            first_segment: number(0x11),
            first_after_lsn: number(0x12),
            open_segment: number(0x13),
            cut_segment: number(0x14),
            cut_lsn: number(0x15),
            synced: number(0x16),
            state: number(0x17),
        };
        let (bytes, slot) = (block.encode(), block.slot());
        assert_eq!(Superblock::decode(&bytes, slot), Ok(block));
        table.padded(&format!("superblock.{slot}"), &bytes);
    }
}

fn names(table: &mut Table) {
    for file in [FileName::Superblock(1), FileName::Segment(1234)] {
        table.bytes(&format!("name.{file:?}"), file_name(file).as_bytes());
    }
}

/// The files of a log that was begun, written to and left alone.
fn files(table: &mut Table) {
    let mut host = fresh();
    host.step(Event::SetHead(vec![record(RecordKind::State, 0, b"head")]));
    let kinds = (1..).zip(KINDS);
    let batch = kinds.map(|(index, kind)| record(kind, index, b"payload"));
    host.append(batch.collect());
    host.idle();
    host.append(vec![record(RecordKind::Entry, 5, b"last")]);
    host.idle();
    for (name, file) in &host.disk.files {
        table.padded(&format!("file.{}", file_name(*name)), &file.stable);
    }
}
