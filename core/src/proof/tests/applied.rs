use alloc::vec::Vec;

use bytes::Bytes;

use super::{CLUSTER, Fixture};
use crate::codec::{Decode, Encode};
use crate::proof::{
    AppliedError, AppliedLog, LogProof, Payload, ProofEntry, TrustedVoters, verify_log_proof,
};
use crate::raft::{Entry, EntryKind, chain};
use crate::types::{Chain, ClusterId, Index, LogId, Term};

/// A log as Raft seals it: kinds and terms of every sort.
fn sealed(size: u64) -> Vec<Entry> {
    let kinds = [
        EntryKind::Noop,
        EntryKind::App,
        EntryKind::Membership,
        EntryKind::App,
    ];
    let mut chain = Chain::default();
    (1..=size)
        .zip(kinds.into_iter().cycle())
        .map(|(index, kind)| {
            let id = LogId::new(Term(index / 3 + 1), Index(index));
            let data = Bytes::copy_from_slice(&index.to_be_bytes()[..7]);
            let entry = chain::seal(CLUSTER, chain, id, kind, data);
            chain = entry.chain;
            entry
        })
        .collect()
}

fn applied(entries: &[Entry]) -> AppliedLog {
    let mut applied = AppliedLog::new(CLUSTER);
    entries
        .iter()
        .for_each(|entry| applied.apply(entry).unwrap());
    applied
}

/// From Raft's own entries to a proof that a stranger verifies.
#[test]
fn a_log_that_raft_sealed_is_attested_and_proven() {
    let entries = sealed(11);
    let applied = applied(&entries);
    let head = applied.head().unwrap();
    assert_eq!(applied.chain(), entries[10].chain);
    assert_eq!((head.size, head.commit_term), (Index(11), Term(4)));
    assert_eq!(head.membership_epoch, Index(11));
    let mut fixture = Fixture::new(3, 0);
    for entry in &entries {
        let payload = Payload::Data(entry.data.clone());
        fixture.append(ProofEntry {
            term: entry.id.term,
            kind: entry.kind,
            payload,
        });
    }
    let trusted = TrustedVoters::new(CLUSTER, Index(11), &fixture.keys()).unwrap();
    for first in 1..=11u64 {
        let from = usize::try_from(first).unwrap() - 1;
        let signed = fixture.signed(head, &[0, 2]);
        let shown = fixture.entries[from..].to_vec();
        let proof = LogProof::prove(&fixture.tree, signed, Index(first), shown).unwrap();
        let proven = verify_log_proof(&fixture.verifier, &trusted, None, &proof).unwrap();
        assert!(
            proven
                .iter()
                .map(|(id, _)| id)
                .eq(entries[from..].iter().map(|e| e.id))
        );
    }
}

#[test]
fn the_sum_survives_a_restart_at_every_entry() {
    let entries = sealed(20);
    let mut applied = AppliedLog::new(CLUSTER);
    assert_eq!(applied.head(), None);
    for entry in &entries {
        let bytes = applied.to_bytes();
        assert_eq!(AppliedLog::from_bytes(&bytes), Ok(applied.clone()));
        for end in 0..bytes.len() {
            assert!(AppliedLog::from_slice(&bytes[..end]).is_err());
        }
        applied = AppliedLog::from_bytes(&bytes).unwrap();
        applied.apply(entry).unwrap();
        assert_eq!(applied.last(), entry.id);
    }
    assert_eq!(applied.head(), self::applied(&entries).head());
}

#[test]
fn entries_that_do_not_follow_change_nothing() {
    let entries = sealed(9);
    let before = applied(&entries[..5]);
    let refused = |entry: &Entry| {
        let mut log = before.clone();
        let error = log.apply(entry).unwrap_err();
        assert_eq!(log, before);
        error
    };
    for wrong in [3, 4, 6, 8] {
        let error = refused(&entries[wrong]);
        assert!(matches!(error, AppliedError::OutOfOrder { .. }), "{wrong}");
    }
    let backward = LogId::new(Term(1), Index(6));
    let error = refused(&Entry {
        id: backward,
        ..entries[5].clone()
    });
    assert_eq!(
        error,
        AppliedError::OutOfOrder {
            last: entries[4].id,
            found: backward
        }
    );
    let damaged = [
        Entry {
            data: Bytes::from_static(b"rot"),
            ..entries[5].clone()
        },
        Entry {
            kind: EntryKind::Noop,
            ..entries[5].clone()
        },
        Entry {
            chain: entries[4].chain,
            ..entries[5].clone()
        },
        Entry {
            id: LogId::new(Term(9), Index(6)),
            ..entries[5].clone()
        },
    ];
    for entry in damaged {
        assert_eq!(refused(&entry), AppliedError::ChainMismatch(entry.id));
    }
    let mut foreign = AppliedLog::new(ClusterId(8));
    let mismatch = AppliedError::ChainMismatch(entries[0].id);
    assert_eq!(foreign.apply(&entries[0]), Err(mismatch));
}

#[test]
fn a_sum_that_contradicts_itself_is_not_decoded() {
    let mut bytes = applied(&sealed(2)).to_bytes().to_vec();
    let last = bytes.len() - 1;
    bytes[last] = 3;
    assert!(AppliedLog::from_slice(&bytes).is_err());
    let mut empty = AppliedLog::new(CLUSTER).to_bytes().to_vec();
    empty[30] = 1;
    assert!(AppliedLog::from_slice(&empty).is_err());
}
