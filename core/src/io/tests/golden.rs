//! The bytes of what volumes have done.

use alloc::vec;

use crate::golden::Table;
use crate::golden::samples::{blob, number};
use crate::io::{Done, FileError, FileName, FileOpId, FileResult, ReadId};
use crate::store::{Page, StoreSeq};

#[test]
fn golden_bytes() {
    let mut table = Table::of("io");
    files(&mut table);
    table.rows([
        Done::File {
            id: FileOpId(number(0x41)),
            result: FileResult::Done,
        },
        Done::Committed {
            seq: StoreSeq(number(0x51)),
        },
        Done::Read {
            id: ReadId(number(0x61)),
            page: page(),
        },
        Done::Failed,
    ]);
    table.row(&page());
    table.check();
}

fn page() -> Page {
    Page {
        pairs: vec![(blob("key"), blob("value")), (blob("other"), blob(""))],
        is_last: true,
    }
}

fn files(table: &mut Table) {
    let names = [FileName::Superblock(1), FileName::Segment(number(0x01))];
    table.rows(names);
    let listed = names.map(|name| (name, number(0x11)));
    table.rows([
        FileResult::Done,
        FileResult::Listed(listed.to_vec()),
        FileResult::Data(blob("data")),
        FileResult::Failed(FileError::Io),
    ]);
    let errors = [
        FileError::Io,
        FileError::Full,
        FileError::Missing,
        FileError::Exists,
    ];
    for error in errors {
        table.inside(&error, &FileResult::Failed(error));
    }
}
