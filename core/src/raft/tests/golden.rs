//! The bytes of everything that Raft stores or sends.

use alloc::boxed::Box;

use crate::golden::Table;
use crate::golden::samples::{
    base, blob, cluster, counted, entries, log_id, membership, node, number,
};
use crate::raft::{
    AppendResult, Body, CampaignId, Entries, EntryKind, HardState, Incarnation, InflightId,
    Message, RoundId, SnapshotMeta, SnapshotResult, chain,
};
use crate::types::{Chain, Index, Term};

#[test]
fn golden_bytes() {
    let mut table = Table::of("raft");
    stored(&mut table);
    table.row(&InflightId(number(0x01)));
    table.row(&RoundId(number(0x02)));
    table.row(&CampaignId(number(0x03)));
    table.row(&Incarnation(number(0x04)));
    table.rows(append_results());
    table.rows(snapshot_results());
    table.rows(elections());
    table.rows(transfers());
    table.also("heartbeat", &append(true, Entries::default()));
    for (place, result) in (0..).zip(append_results()) {
        table.also(&alloc::format!("{place}"), &append_reply(result));
    }
    for (place, result) in (0..).zip(snapshot_results()) {
        table.also(&alloc::format!("{place}"), &snapshot_reply(result));
    }
    table.row(&Message {
        term: Term(number(0x05)),
        body: Body::TimeoutNow,
    });
    table.check();
}

fn stored(table: &mut Table) {
    table.rows([EntryKind::Noop, EntryKind::Membership, EntryKind::App]);
    let (_, _, list) = entries();
    for entry in &list {
        let note = alloc::format!("{:?}", entry.kind);
        table.also(&note, entry);
    }
    table.row(&HardState {
        term: Term(number(0x01)),
        voted_for: Some(node(0x11)),
        commit: Index(number(0x21)),
        incarnation: number(0x31),
        repair_upto: Some(Index(number(0x41))),
    });
    table.also("first", &HardState::default());
    table.row(&membership());
    table.row(&base());
    table.row(&meta());
    for kind in [EntryKind::Noop, EntryKind::Membership, EntryKind::App] {
        let before = Chain(counted(0x51));
        let after = chain::extend(cluster(0x61), before, log_id(0x71), kind, b"data");
        table.bytes(&alloc::format!("chain.{kind:?}"), &after.0);
    }
}

fn meta() -> SnapshotMeta {
    SnapshotMeta {
        base: base(),
        digest: counted(0x01),
        metadata: blob("\x61nnex"),
    }
}

fn elections() -> [Body; 5] {
    let campaign = CampaignId(number(0x01));
    let last = log_id(0x11);
    [
        Body::PreVote { campaign, last },
        Body::PreVoteReply {
            campaign,
            granted: true,
        },
        Body::Vote {
            campaign,
            last,
            transfer: true,
        },
        Body::VoteReply {
            campaign,
            granted: true,
        },
        Body::TimeoutNow,
    ]
}

fn transfers() -> [Body; 4] {
    let (_, _, list) = entries();
    [
        append(false, list.into()),
        append_reply(AppendResult::Busy),
        Body::Snapshot {
            inflight: InflightId(number(0x11)),
            round: RoundId(number(0x21)),
            meta: Box::new(meta()),
            chunk: number(0x31),
            data: blob("chunk"),
            last: true,
        },
        snapshot_reply(SnapshotResult::Refused),
    ]
}

fn append(quiet: bool, entries_sent: Entries) -> Body {
    let (prev, prev_chain, _) = entries();
    Body::Append {
        inflight: InflightId(number(0x11)),
        round: RoundId(number(0x21)),
        prev,
        prev_chain,
        commit: Index(number(0x31)),
        quiet,
        entries: entries_sent,
    }
}

fn append_reply(result: AppendResult) -> Body {
    Body::AppendReply {
        inflight: InflightId(number(0x11)),
        round: RoundId(number(0x21)),
        incarnation: Incarnation(number(0x31)),
        result,
    }
}

fn snapshot_reply(result: SnapshotResult) -> Body {
    Body::SnapshotReply {
        inflight: InflightId(number(0x11)),
        round: RoundId(number(0x21)),
        incarnation: Incarnation(number(0x31)),
        result,
    }
}

fn append_results() -> [AppendResult; 3] {
    [
        AppendResult::Match {
            upto: Index(number(0x41)),
        },
        AppendResult::Reject {
            prev: Index(number(0x51)),
            hint: log_id(0x61),
        },
        AppendResult::Busy,
    ]
}

fn snapshot_results() -> [SnapshotResult; 3] {
    [
        SnapshotResult::Next {
            chunk: number(0x41),
        },
        SnapshotResult::Installed {
            upto: Index(number(0x51)),
        },
        SnapshotResult::Refused,
    ]
}
