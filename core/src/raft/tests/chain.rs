//! The chained checksum: its layout, and that everything enters it.

use alloc::vec::Vec;

use bytes::Bytes;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::raft::{Entry, EntryKind, chain};
use crate::types::{Chain, ClusterId, Index, LogId, Term};

const CLUSTER: ClusterId = ClusterId(7);
const ID: LogId = LogId::new(Term(3), Index(9));
const BEFORE: Chain = Chain([5; 16]);

/// The layout, byte by byte, built without the code under test.
#[test]
fn the_layout_is_pinned() {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&[0; 15]);
    bytes.push(7);
    bytes.extend_from_slice(&[5; 16]);
    bytes.extend_from_slice(&xxh3_64(b"data").to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 3]);
    bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 9]);
    bytes.extend_from_slice(&[0, 0, 0, 2]);
    bytes.extend_from_slice(&[0, 0, 0, 4]);
    let chain = chain::extend(CLUSTER, BEFORE, ID, EntryKind::App, b"data");
    assert_eq!(chain.0, xxh3_128(&bytes).to_be_bytes());
    assert_eq!(chain::EMPTY, Chain::default());
}

/// Logs are kept on disk and read by other builds: the hash itself must never
/// change, on any platform. The values were computed by another implementation
/// (twox-hash 2.1.5), with lengths on both sides of each of XXH3's thresholds.
#[test]
fn the_hash_is_pinned() {
    assert_eq!(xxh3_128(b""), 0x99aa_06d3_0147_98d8_6001_c324_468d_497f);
    assert_eq!(xxh3_64(b""), 0x2d06_8005_38d3_94c2);
    let data: Vec<u8> = (0..=255_u8).cycle().take(5000).collect();
    let mut all = Vec::new();
    for length in [1, 3, 4, 8, 9, 16, 17, 128, 129, 240, 241, 1024, 1025, 5000] {
        all.extend_from_slice(&xxh3_128(&data[..length]).to_be_bytes());
        all.extend_from_slice(&xxh3_64(&data[..length]).to_be_bytes());
    }
    assert_eq!(xxh3_128(&all), 0x662d_1d48_3625_9d08_bf20_eacf_4652_6bb2);
}

#[test]
fn every_field_counts() {
    let of = |cluster, before, term, index, kind, data: &[u8]| {
        let id = LogId::new(Term(term), Index(index));
        chain::extend(ClusterId(cluster), Chain([before; 16]), id, kind, data)
    };
    let app = EntryKind::App;
    let chains = [
        of(7, 5, 3, 9, app, b"data"),
        of(8, 5, 3, 9, app, b"data"),
        of(7, 6, 3, 9, app, b"data"),
        of(7, 5, 4, 9, app, b"data"),
        of(7, 5, 3, 10, app, b"data"),
        of(7, 5, 9, 3, app, b"data"),
        of(7, 5, 3, 9, EntryKind::Membership, b"data"),
        of(7, 5, 3, 9, app, b"date"),
        of(7, 5, 3, 9, app, b"data\0"),
        of(7, 5, 3, 9, app, b""),
    ];
    for (at, chain) in chains.iter().enumerate() {
        assert!(!chains[..at].contains(chain), "field {at}");
    }
}

/// Every single bit of an entry, flipped.
#[test]
fn every_damaged_bit_is_noticed() {
    for length in [1, 16, 300] {
        let data: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        let entry = chain::seal(CLUSTER, BEFORE, ID, EntryKind::App, data.clone().into());
        assert!(chain::follows(CLUSTER, BEFORE, &entry));
        for bit in 0..data.len() * 8 {
            let mut damaged = data.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let damaged = Entry {
                data: Bytes::from(damaged),
                ..entry.clone()
            };
            assert!(!chain::follows(CLUSTER, BEFORE, &damaged));
        }
        for bit in 0..128 {
            let mut before = BEFORE;
            before.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!chain::follows(CLUSTER, before, &entry));
            let mut damaged = entry.clone();
            damaged.chain.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!chain::follows(CLUSTER, BEFORE, &damaged));
        }
    }
}
