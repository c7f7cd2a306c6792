//! Whatever a node of the ledger remembers changes its fingerprint.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;

use bytes::Bytes;

use crate::bft::{Block, BlockRef, Epoch, Header, Height, Record, View};
use crate::crypto::Digest;
use crate::crypto::tests::fingerprint::{Change, each_shows, equals_show_equal};
use crate::golden::samples;
use crate::ledger::Config;
use crate::ledger::chain::record::LogRecord;
use crate::ledger::reads::Purpose;
use crate::ledger::state::{Clock, Ledger, Phase};
use crate::ledger_types::{TimeMs, TxId};
use crate::machine::{Machine as _, Outbox};
use crate::part::Health;
use crate::types::{NodeId, RequestId, Time};
use crate::wal;

fn ledger() -> Ledger {
    let genesis = crate::ledger_types::tests::golden::genesis();
    Ledger::new(Config::new(NodeId(1), Arc::new(genesis)))
}

fn block(view: u64) -> Arc<Block> {
    let header = Header {
        view: View(view),
        ..samples::header_over(&[])
    };
    Arc::new(Block::new(header, vec![]).expect("an empty block"))
}

const CHANGES: &[Change<Ledger>] = &[
    ("phase", |of| of.phase.end(None)),
    ("phase: halted", |of| of.phase.end(Some("full".into()))),
    ("phase: recovering", |of| {
        of.phase = Phase::Recovering(Box::default());
    }),
    ("now", |of| of.now = Time(1)),
    ("steps", |of| of.steps = 1),
    ("clock", |of| {
        of.clock = Clock {
            wall: TimeMs(9),
            read_at: Time::ZERO,
        };
    }),
    ("clock: read at", |of| of.clock.read_at = Time(9)),
    ("wal", |of| {
        of.wal
            .step(Time::ZERO, wal::Event::Start, &mut Outbox::new());
    }),
    ("storage: tip", |of| of.storage.tip.height = Height(1)),
    ("storage: root", |of| {
        of.storage.epoch_root = Digest([1; 32])
    }),
    ("storage: lost", |of| {
        of.storage.head.lost_upto = Some(Epoch(1))
    }),
    ("storage: asked", |of| {
        let pruning = &mut of.storage.pruning;
        pruning.note_asked(NodeId(2), Height(1), Time(1));
    }),
    ("reads", |of| {
        of.reads.begin(Purpose::Recovery);
    }),
    ("reads: purpose", |of| {
        of.reads.begin(Purpose::Block(RequestId(1)));
    }),
    ("reads: served", |of| {
        of.reads.begin_serving(NodeId(2), false);
    }),
    ("later epochs", |of| {
        let record = LogRecord {
            epoch: Epoch(1),
            record: Record::Block(block(1)),
        };
        of.later_epochs.insert(Epoch(1), vec![record]);
    }),
    ("early", |of| {
        of.early.insert((TimeMs(1), Digest([1; 32])));
    }),
    ("parked blocks", |of| of.parked.blocks.push(block(1))),
    ("parked blocks: which", |of| of.parked.blocks.push(block(2))),
    ("parked build", |of| {
        of.parked.build = Some((View(1), BlockRef::default()));
    }),
    ("waits", |of| wait(of, 1)),
    ("waits: deadline", |of| wait(of, 2)),
    ("followers", |of| {
        of.followers.insert(RequestId(1));
    }),
    ("final blocks", |of| of.finals.blocks = 1),
    ("final operations", |of| of.finals.operations = 1),
    ("told health", |of| of.told_health = Health::Ready),
    ("push", |of| of.push.fresh.push(Bytes::from_static(b"tx"))),
    ("push again", |of| of.push.again_at = Some(Time(1))),
    ("helped", |of| {
        of.helped.insert(NodeId(2), Time(1));
    }),
    ("helped: when", |of| {
        of.helped.insert(NodeId(2), Time(2));
    }),
    ("ahead", |of| of.ahead = Some((NodeId(2), Epoch(1)))),
    ("outside asked", |of| of.outside_asked = 1),
    ("asked ahead", |of| of.asked_ahead_at = Some(Time(1))),
    ("state sync", |of| of.sync.on_asked()),
    ("peers changed", |of| of.is_peers_changed = true),
    ("pool changed", |of| of.is_pool_changed = true),
];

fn wait(of: &mut Ledger, deadline: u64) {
    let id = TxId(Digest([1; 32]));
    of.waits.insert(RequestId(1), id, Time(deadline));
}

#[test]
fn whatever_changes_shows() {
    each_shows(ledger, CHANGES, Ledger::fingerprint);
}

#[test]
fn equal_histories_show_equal() {
    equals_show_equal(ledger, CHANGES, Ledger::fingerprint);
}
