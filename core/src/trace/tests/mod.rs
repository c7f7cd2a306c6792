//! The format of traces: every record survives a round trip, damage does not.

mod golden;

use alloc::string::{String, ToString};
use alloc::vec;

use super::{Record, Trace};

fn sample() -> Trace {
    let mut trace = Trace::default();
    trace.meta("scenario", "raft-kv");
    trace.meta("note", "two words\nand a line");
    trace.records.extend([
        Record::Setting {
            key: "nodes".into(),
            value: 5,
        },
        Record::Fault {
            at: 1_000,
            duration: 2_000,
            kind: "crash".into(),
            args: [1, 2, u64::MAX],
        },
        Record::Work {
            client: 1,
            number: 0,
            fields: vec![4, 5, 6],
        },
        Record::Decision {
            domain: 3,
            a: 1,
            b: 2,
            number: 77,
            value: 1,
        },
        Record::Checkpoint {
            event: 1024,
            at: 99,
            hash: [0xab; 32],
        },
        Record::Violation {
            event: 1030,
            checker: "election-safety".into(),
            message: "two leaders in term 3".into(),
        },
    ]);
    trace.digest = Some([7; 32]);
    trace
}

#[test]
fn every_record_survives_a_round_trip() {
    let text = sample().to_text();
    let parsed = Trace::parse(&text).expect("own text is read");
    assert_eq!(parsed.to_text(), text);
    assert_eq!(parsed.records.len(), 8);
    assert_eq!(parsed.meta_value("scenario"), Some("raft-kv"));
    assert_eq!(parsed.meta_value("note"), Some("two words and a line"));
    assert_eq!(parsed.digest, Some([7; 32]));
}

#[test]
fn a_changed_text_is_refused() {
    let text = sample().to_text().replace("nodes 5", "nodes 3");
    let error = Trace::parse(&text).expect_err("the check sum must not fit");
    assert!(error.what.contains("changed"), "{error}");
}

#[test]
fn a_text_without_its_end_is_an_edited_trace() {
    let text = sample().to_text();
    let cut: String = text
        .lines()
        .filter(|line| !line.starts_with("E "))
        .map(|line| line.to_string() + "\n")
        .collect();
    let parsed = Trace::parse(&cut).expect("an edited trace is read");
    assert_eq!(parsed.digest, None);
    assert_eq!(parsed.records.len(), 8);
}

#[test]
fn nonsense_is_refused_with_its_line() {
    for (text, line) in [
        ("", 0),
        ("hello\n", 1),
        ("M format dct/2\n", 1),
        ("M format dct/1\nQ 1\n", 2),
        ("M format dct/1\nC nodes\n", 2),
        ("M format dct/1\nC nodes five\n", 2),
        ("M format dct/1\n\nF 1 2 crash 1 2\n", 3),
        ("M format dct/1\nC nodes 5 6\n", 2),
        ("M format dct/1\nH 1 2 zz\n", 2),
    ] {
        let error = Trace::parse(text).expect_err(text);
        assert_eq!(error.line, line, "{text:?}: {error}");
    }
}

#[test]
fn no_cut_of_a_valid_text_panics() {
    let text = sample().to_text();
    for end in 0..text.len() {
        // All outcomes are fine; only a panic is not.
        let _outcome = Trace::parse(&text[..end]);
    }
}
