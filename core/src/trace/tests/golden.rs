//! The text of every kind of record.

use alloc::string::ToString as _;
use alloc::vec;

use crate::golden::Table;
use crate::golden::samples::{counted, number};
use crate::trace::{Record, Trace};

#[test]
fn golden_bytes() {
    let mut table = Table::of("trace");
    let records = records();
    for record in &records {
        table.inside_bytes(record, record.to_string().as_bytes());
    }
    let trace = Trace {
        records: records.to_vec(),
        digest: Some(counted(0x01)),
    };
    let text = trace.to_text();
    assert_eq!(Trace::parse(&text), Ok(trace));
    table.bytes("whole", text.as_bytes());
    table.check();
}

fn records() -> [Record; 7] {
    [
        Record::Meta {
            key: "scenario".into(),
            value: "two words".into(),
        },
        Record::Setting {
            key: "nodes".into(),
            value: number(0x01),
        },
        Record::Fault {
            at: number(0x02),
            duration: number(0x03),
            kind: "crash".into(),
            args: [number(0x04), number(0x05), number(0x06)],
        },
        Record::Work {
            client: number(0x07),
            number: number(0x08),
            fields: vec![number(0x09), number(0x0a)],
        },
        Record::Decision {
            domain: number(0x0b),
            a: number(0x0c),
            b: number(0x0d),
            number: number(0x0e),
            value: number(0x0f),
        },
        Record::Checkpoint {
            event: number(0x10),
            at: number(0x11),
            hash: counted(0x12),
        },
        Record::Violation {
            event: number(0x13),
            checker: "election-safety".into(),
            message: "two leaders".into(),
        },
    ]
}
