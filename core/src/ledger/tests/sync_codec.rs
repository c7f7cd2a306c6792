//! The encoding of messages about states: it comes back as it was, there is one
//! encoding of each value, and no bytes do any harm.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::cluster::{Cluster, Knobs};
use crate::bft::{Epoch, Height};
use crate::codec::{Decode, Encode, Writer};
use crate::crypto::{Digest, sha256};
use crate::ledger::state_sync::{Chunk, StateCheckpoint, SyncMessage};
use crate::ledger::*;
use crate::limits::*;
use crate::merkle::{KeyHash, LeafHash, StateStep, TileWriter};
use crate::types::Span;

/// One message of each kind, with real proofs inside.
fn messages() -> Vec<SyncMessage> {
    let mut params = Params::default();
    params.set(Param::EpochBlocks, 3).unwrap();
    let mut cluster = Cluster::new(
        1,
        Knobs {
            params,
            ..Knobs::default()
        },
    );
    cluster.run_for(Span::from_millis(100));
    for sequence in 0..12 {
        cluster.note(0, 100, sequence, "x");
        cluster.run_for(Span::from_millis(300));
    }
    let Response::Epochs(ends) = cluster.ask(0, Request::Epochs { from: Epoch(0) }) else {
        panic!("ends of epochs");
    };
    assert!(ends.len() > 1);
    let mut block = |height| {
        let height = Some(Height(height));
        match cluster.ask(0, Request::Block { height }) {
            Response::Block(block) => block,
            other => panic!("{other:?}"),
        }
    };
    let (block, child) = (block(2), block(3));
    let mut history = crate::merkle::Frontier::new();
    for number in 0..3_u8 {
        history.append(crate::merkle::LeafHash::of(&[number]));
    }
    let step = StateStep {
        bit: 7,
        sibling: sha256(b"sibling"),
    };
    vec![
        SyncMessage::AskEpochs { from: Epoch(7) },
        SyncMessage::Epochs(Vec::new()),
        SyncMessage::Epochs(ends),
        SyncMessage::AskCheckpoint { above: Height(9) },
        SyncMessage::Checkpoint(Box::new(StateCheckpoint {
            block: *block.block.header(),
            child: child.finality(),
            history,
            tiles: TileWriter::new().append(LeafHash::of(b"leaf")),
        })),
        SyncMessage::AskChunk {
            block: sha256(b"block"),
            after: None,
        },
        SyncMessage::AskChunk {
            block: sha256(b"block"),
            after: Some(KeyHash::of(b"key")),
        },
        SyncMessage::Chunk(Box::new(Chunk {
            block: sha256(b"block"),
            after: Some(KeyHash::of(b"key")),
            pairs: vec![
                (Bytes::from_static(b"a"), Bytes::from_static(b"1")),
                (Bytes::from_static(b"b"), Bytes::new()),
            ],
            path: vec![step],
        })),
        SyncMessage::Gone {
            block: sha256(b"block"),
        },
    ]
}

/// A message is what it was after it was encoded, and no part or change of its bytes is
/// more than another message or nothing.
pub fn comes_back_and_stands_damage(message: &Message) {
    let bytes = message.to_bytes();
    assert!(bytes.len() < MESSAGE_BYTES_MAX);
    assert_eq!(Message::from_bytes(&bytes).as_ref(), Ok(message));
    for len in 0..bytes.len() {
        assert!(
            Message::from_bytes(&bytes.slice(..len)).is_err(),
            "cut at {len}"
        );
    }
    let mut longer = bytes.to_vec();
    longer.push(0);
    assert!(Message::from_bytes(&longer.into()).is_err());
    for place in 0..bytes.len() {
        let mut damaged = bytes.to_vec();
        damaged[place] ^= 1 << (place % 8);
        let damaged = Bytes::from(damaged);
        if let Ok(decoded) = Message::from_bytes(&damaged) {
            assert_eq!(decoded.to_bytes(), damaged, "one encoding of each value");
        }
    }
}

#[test]
fn messages_come_back_as_they_were_and_damage_does_no_harm() {
    for message in messages() {
        comes_back_and_stands_damage(&Message::Sync(message));
    }
}

#[test]
fn any_bytes_are_refused_or_one_message() {
    let mut random = 3_u64;
    let mut next = || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        random >> 32
    };
    for _ in 0..20_000 {
        let len = next() % 200;
        let mut bytes: Vec<u8> = (0..len).map(|_| next().to_be_bytes()[7]).collect();
        if let Some(first) = bytes.first_mut() {
            *first = 3;
        }
        if let Some(second) = bytes.get_mut(1) {
            *second %= 8;
        }
        let bytes = Bytes::from(bytes);
        if let Ok(decoded) = Message::from_bytes(&bytes) {
            assert_eq!(decoded.to_bytes(), bytes);
        }
    }
}

#[test]
fn a_chunk_keeps_its_bounds() {
    let chunk = |count: usize, size: usize, path: usize| {
        let pairs = (0..count).map(|number| {
            let key = Bytes::from(number.to_be_bytes().to_vec());
            (key, Bytes::from(vec![0; size]))
        });
        let step = StateStep {
            bit: 0,
            sibling: Digest::default(),
        };
        let message = SyncMessage::Chunk(Box::new(Chunk {
            block: Digest::default(),
            after: None,
            pairs: pairs.collect(),
            path: vec![step; path],
        }));
        SyncMessage::from_bytes(&Writer::lax(&message)).is_ok()
    };
    assert!(chunk(LEDGER_CHUNK_PAIRS_MAX, 0, STATE_PATH_MAX));
    assert!(!chunk(LEDGER_CHUNK_PAIRS_MAX + 1, 0, 0));
    assert!(!chunk(1, 0, STATE_PATH_MAX + 1));
    assert!(chunk(1, STATE_VALUE_BYTES_MAX, 0));
    assert!(!chunk(1, STATE_VALUE_BYTES_MAX + 1, 0));
    // A large one may come last, but nothing after it.
    assert!(!chunk(2, LEDGER_CHUNK_BYTES_MAX, 0));
    let ends = SyncMessage::Epochs(Vec::new()).to_bytes().to_vec();
    let mut many = ends;
    *many.last_mut().unwrap() = u8::try_from(LEDGER_SYNC_EPOCHS_MAX + 1).unwrap();
    assert!(SyncMessage::from_bytes(&many.into()).is_err());
}
