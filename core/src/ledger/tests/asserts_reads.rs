//! The asserts of reads, broken by hand.

use super::Purpose;
use crate::bft::Height;
use crate::io::ReadId;
use crate::ledger::tests::asserts::node;
use crate::ledger::{ReadOn, Reader};
use crate::types::RequestId;

#[test]
#[should_panic(expected = "G5: one read for each part")]
fn parts_are_read_for_once() {
    let mut ledger = node();
    for _ in 0..2 {
        ledger.reads.begin(Purpose::Run(ReadOn {
            reader: Reader(1),
            after: Height(0),
            bytes_max: 1,
        }));
    }
    ledger.check_invariants();
}

#[test]
#[should_panic(expected = "G5: only what was begun is read")]
fn only_what_was_begun_is_read() {
    let mut ledger = node();
    let later = ReadId(ledger.reads.last.0 + 1);
    ledger
        .reads
        .open
        .insert(later, Purpose::Block(RequestId(1)));
    ledger.check_invariants();
}
