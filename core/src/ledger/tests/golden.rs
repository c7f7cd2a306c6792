//! The bytes of messages, requests and events, and of what the ledger keeps: its log
//! and its store. Its state is in `golden_state.rs`.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::golden_state;
use crate::bft::{self, Epoch, Height, Relay, Timing, VoteKind};
use crate::golden::Table;
use crate::golden::samples::{
    blob, block, cert, digest, epoch_end, finality, frontier, header, header_over, node, number,
    place, small, vote,
};
use crate::ledger::chain::history::History;
use crate::ledger::chain::record::{
    HEAD_KEY, LogHead, LogRecord, NOT_ASKED, STAGED_POINT_KEY, block_key, end_of, epoch_key,
    header_key, location_key, staged_key, state_key, tile_key,
};
use crate::ledger::chain::storage::{base_record, head_record};
use crate::ledger::state_sync::{Chunk, StateCheckpoint, SyncMessage};
use crate::ledger::*;
use crate::ledger_types::tests::golden as types;
use crate::merkle::{KeyHash, StateStep, Tile, TileId, TreeSize};
use crate::store::StoreOp;
use crate::types::Span;
use crate::wal::RecordKind;

#[test]
fn golden_bytes() {
    let mut table = Table::of("ledger");
    table.rows(messages());
    table.row(&compact());
    table.rows(sync_messages());
    table.row(&checkpoint());
    table.row(&chunk());
    table.rows(requests());
    table.also("open", &Request::Block { height: None });
    config(&mut table);
    stored(&mut table);
    logged(&mut table);
    golden_state::add_to(&mut table);
    table.check();
}

fn messages() -> [Message; 7] {
    let block = digest(0x01);
    [
        Message::Bft(bft::Message::AskStatus),
        Message::Transactions(vec![blob("one"), blob("two")]),
        Message::Sync(SyncMessage::Gone { block }),
        Message::EarliestRetained(Height(number(0x21))),
        Message::Compact(Box::new(compact())),
        Message::AskItems {
            block,
            items: vec![small(0x31), small(0x41)],
        },
        Message::Items {
            block,
            items: vec![blob("one"), blob("two")],
        },
    ]
}

fn compact() -> Compact {
    Compact {
        header: header(),
        leaves: vec![digest(0x01), digest(0x02), digest(0x03)],
        parent: Some(cert(VoteKind::Notarize)),
        skips: vec![cert(VoteKind::Nullify)],
        vote: vote(VoteKind::Notarize),
    }
}

fn sync_messages() -> [SyncMessage; 7] {
    let block = digest(0x01);
    [
        SyncMessage::AskEpochs {
            from: Epoch(number(0x11)),
        },
        SyncMessage::Epochs(vec![epoch_end()]),
        SyncMessage::AskCheckpoint {
            above: Height(number(0x21)),
        },
        SyncMessage::Checkpoint(Box::new(checkpoint())),
        SyncMessage::AskChunk {
            block,
            after: Some(KeyHash(digest(0x31))),
        },
        SyncMessage::Chunk(Box::new(chunk())),
        SyncMessage::Gone { block },
    ]
}

pub(in crate::ledger) fn checkpoint() -> StateCheckpoint {
    StateCheckpoint {
        block: header(),
        child: finality(),
        history: frontier(),
        tiles: vec![Tile {
            level: 1,
            index: 2,
            hashes: vec![digest(0x01)],
        }],
    }
}

fn chunk() -> Chunk {
    let step = |bit, first| StateStep {
        bit,
        sibling: digest(first),
    };
    Chunk {
        block: digest(0x01),
        after: Some(KeyHash(digest(0x21))),
        pairs: vec![(blob("key"), blob("value")), (blob("other"), blob(""))],
        path: vec![step(9, 0x41), step(3, 0x51)],
    }
}

fn requests() -> [Request; 12] {
    let from = Epoch(number(0x21));
    let height = Height(number(0x31));
    [
        Request::Submit {
            transaction: blob("transaction"),
            wait: true,
        },
        Request::Transaction { id: id() },
        Request::Prove {
            id: id(),
            from,
            fresh: true,
        },
        Request::Block {
            height: Some(height),
        },
        Request::Header { height },
        Request::Validators,
        Request::Account {
            id: types::account_id(),
        },
        Request::Snapshot { id: types::name() },
        Request::Checkpoint {
            from,
            height: Some(height),
            old: Some(TreeSize(number(0x41))),
        },
        Request::Epochs { from },
        Request::Status,
        Request::Follow,
    ]
}

fn id() -> TxId {
    TxId(digest(0x61))
}

fn config(table: &mut Table) {
    let plain = || Config {
        peers: vec![node(0x11), node(0x12)],
        timing: Timing {
            delta: Span(number(0x21)),
            idle_block: Span(number(0x22)),
        },
        wait_timeout: Span(number(0x23)),
        push_again: Span(number(0x24)),
        checkpoint_blocks: number(0x25),
        fetch_behind: number(0x26),
        retain_blocks: number(0x27),
        wal_segment_bytes: number(0x28),
        ..Config::new(node(0x01), Arc::new(types::genesis()))
    };
    table.row(&plain());
    for relay in [Relay::Sparse, Relay::Flood] {
        table.inside(&relay, &Config { relay, ..plain() });
    }
    for proposals in [Proposals::Compact, Proposals::Whole] {
        table.inside(
            &proposals,
            &Config {
                proposals,
                ..plain()
            },
        );
    }
}

/// Keys and values of the store.
fn stored(table: &mut Table) {
    table.row(&FinalBlock {
        block: Arc::new(block()),
        path: vec![header_over(&[blob("item")])],
        finalization: cert(VoteKind::Finalize),
        results: types::results(),
    });
    table.row(&Head {
        epoch: Epoch(number(0x01)),
        place: place(),
        time: TimeMs(number(0x11)),
        results_root: digest(0x21),
        epoch_root: digest(0x31),
        history: frontier(),
        state: digest(0x41),
        base: Height(number(0x51)),
    });
    table.row(&OperationLocation {
        height: Height(number(0x01)),
        item: small(0x11),
        operation: small(0x21),
        outcome: Outcome::TooMany,
    });
    let height = Height(number(0x01));
    let (level, index) = (3, 0x0102_0304);
    table.bytes("key.head", HEAD_KEY);
    table.bytes("key.staged_point", STAGED_POINT_KEY);
    table.bytes("key.state", &state_key(b"name"));
    table.bytes("key.staged", &staged_key(b"name"));
    table.bytes("key.block", &block_key(height));
    table.bytes("key.header", &header_key(height));
    table.bytes("key.location", &location_key(&id()));
    table.bytes("key.epoch", &epoch_key(Epoch(number(0x11))));
    table.bytes("key.tile", &tile_key(TileId { level, index }));
    table.bytes("key.end_of_blocks", &end_of(b'b'));
    let mut history = History::default();
    for first in [0x01, 0x02] {
        for (place, op) in (0..).zip(history.append(digest(first))) {
            let StoreOp::Put { key, value } = op else {
                panic!("tiles are put");
            };
            table.bytes(&format!("history.{first}.{place}.key"), &key);
            table.bytes(&format!("history.{first}.{place}.value"), &value);
        }
    }
}

/// The records of the log. The kind of each is the byte that stands for it there.
fn logged(table: &mut Table) {
    let silent = bft::View(number(0x11));
    let entry = LogRecord {
        epoch: Epoch(number(0x01)),
        record: bft::Record::VoteFloor(silent),
    };
    table.row(&entry);
    let voted = LogRecord {
        record: bft::Record::Vote(vote(VoteKind::Notarize)),
        ..entry
    };
    table.also("vote", &voted);
    let lost_upto = Some(Epoch(number(0x21)));
    table.row(&LogHead { lost_upto });
    table.also("not_lost", &LogHead::default());
    table.also(
        "not_asked",
        &LogHead {
            lost_upto: Some(NOT_ASKED),
        },
    );
    let records = [
        ("head", head_record(&LogHead { lost_upto })),
        ("base", base_record(number(0x31))),
    ];
    for (name, record) in records {
        let kind = match record.kind {
            RecordKind::Entry => 1,
            RecordKind::State => 2,
            RecordKind::Truncate => 3,
            RecordKind::Base => 4,
        };
        let mut bytes: Vec<u8> = vec![kind];
        bytes.extend_from_slice(&record.index.to_be_bytes());
        bytes.extend_from_slice(&record.payload);
        table.bytes(&format!("log_record.{name}"), &bytes);
    }
}
