use alloc::vec;

use crate::codec::Decode as _;
use crate::crypto::sha256;
use crate::merkle::LeafHash;
use crate::proof::{entry_hash, entry_hash_of};
use crate::raft::EntryKind;
use crate::types::{ClusterId, Index, LogId, Term};

const ID: LogId = LogId::new(Term(3), Index(9));

/// The layout, byte by byte, built without the code under test.
#[test]
fn the_layout_is_pinned() {
    let mut bytes = vec![0x00];
    bytes.extend_from_slice(&[0; 15]);
    bytes.push(7);
    bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 3]);
    bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 9]);
    bytes.push(2);
    bytes.extend_from_slice(&[0, 0, 0, 4]);
    bytes.extend_from_slice(&sha256(b"data").0);
    let hash = entry_hash(ClusterId(7), ID, EntryKind::App, b"data");
    assert_eq!(hash, sha256(&bytes));
    // The first byte makes it a leaf of RFC 6962 over the other fields.
    assert_eq!(LeafHash::assume(hash), LeafHash::of(&bytes[1..]));
}

#[test]
fn kinds_have_their_codes() {
    let codes = [EntryKind::Noop, EntryKind::Membership, EntryKind::App].map(EntryKind::tag);
    assert_eq!(codes, [0, 1, 2]);
    for tag in 0..=u8::MAX {
        let known = EntryKind::from_slice(&[tag]).ok();
        assert_eq!(known.map(EntryKind::tag), (tag < 3).then_some(tag));
    }
}

#[test]
fn every_field_counts() {
    let base = entry_hash(ClusterId(7), ID, EntryKind::App, b"data");
    let others = [
        entry_hash(ClusterId(8), ID, EntryKind::App, b"data"),
        entry_hash(
            ClusterId(7),
            LogId::new(Term(4), Index(9)),
            EntryKind::App,
            b"data",
        ),
        entry_hash(
            ClusterId(7),
            LogId::new(Term(3), Index(10)),
            EntryKind::App,
            b"data",
        ),
        entry_hash(
            ClusterId(7),
            LogId::new(Term(9), Index(3)),
            EntryKind::App,
            b"data",
        ),
        entry_hash(ClusterId(7), ID, EntryKind::Membership, b"data"),
        entry_hash(ClusterId(7), ID, EntryKind::App, b"date"),
        entry_hash(ClusterId(7), ID, EntryKind::App, b""),
        entry_hash_of(ClusterId(7), ID, EntryKind::App, 5, &sha256(b"data")),
    ];
    assert!(others.iter().all(|other| *other != base));
    assert_eq!(
        entry_hash_of(ClusterId(7), ID, EntryKind::App, 4, &sha256(b"data")),
        base
    );
}
