use alloc::vec;

use crate::crypto::{Digest, sha256};
use crate::merkle::LeafHash;
use crate::proof::{chain_next, entry_hash, entry_hash_of, kind_code};
use crate::raft::EntryKind;
use crate::types::{Chain, ClusterId, Index, LogId, Term};

const ID: LogId = LogId::new(Term(3), Index(9));

/// The layout, byte by byte, built without the code under test.
#[test]
fn the_layouts_are_pinned() {
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
    let mut bytes = vec![0x01];
    bytes.extend_from_slice(&[5; 32]);
    bytes.extend_from_slice(&hash.0);
    assert_eq!(chain_next(Chain([5; 32]), hash), Chain(sha256(&bytes).0));
}

#[test]
fn kinds_have_their_codes() {
    let codes = [EntryKind::Noop, EntryKind::Membership, EntryKind::App].map(kind_code);
    assert_eq!(codes, [0, 1, 2]);
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
    assert_ne!(
        chain_next(Chain([1; 32]), base),
        chain_next(Chain([2; 32]), base)
    );
    assert_ne!(
        chain_next(Chain([1; 32]), base),
        chain_next(Chain([1; 32]), Digest::ZERO)
    );
}

/// Raft has its own copy of the definition; a voter could not attest a log that
/// was chained in another way.
#[test]
fn raft_chains_by_the_same_definition() {
    use crate::raft::chain as raft;
    for kind in [EntryKind::Noop, EntryKind::Membership, EntryKind::App] {
        assert_eq!(raft::kind_tag(kind), kind_code(kind));
        for data in [&b""[..], b"a", &[0xff; 300]] {
            let hash = entry_hash(ClusterId(7), ID, kind, data);
            assert_eq!(Digest(raft::entry_hash(ClusterId(7), ID, kind, data)), hash);
            let chain = chain_next(Chain([4; 32]), hash);
            assert_eq!(raft::extend(Chain([4; 32]), &hash.0), chain);
        }
    }
    assert_eq!(raft::EMPTY, Chain::default());
}
