//! The bytes of messages, requests and answers, and of the records of the log.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::cluster::records::{self, BaseRecord, Content, INSTALLED_KEY};
use crate::cluster::{
    AttestedHead, Changes, Consistency, HeadShare, Message, Request, Response, Status, log_tree,
};
use crate::codec::{Encode as _, Writer};
use crate::golden::Table;
use crate::golden::samples::{
    applied_log, base, blob, digest, entries, log_head, log_id, membership, module, node, number,
    signature, signed_head, small,
};
use crate::kv::{Answer, Change, Found, Outcome, Query};
use crate::proof::{LogProof, Payload, ProofEntry};
use crate::raft::{
    self, Body, EntryKind, HardState, MembershipRule, Persist, PersistSeq, Refusal, Role,
};
use crate::replica::Command;
use crate::store::StoreOp;
use crate::types::{Index, Modules, PeerRequestId, ProcessNonce, Revision, Term};
use crate::wal::{Record, RecordKind, WalSeq};

#[test]
fn golden_bytes() {
    let mut table = Table::of("cluster");
    table.rows(peer_messages());
    table.also(
        "nothing",
        &Message::HeadReply {
            id: peer_request(),
            share: None,
        },
    );
    table.row(&share());
    requests_and_responses(&mut table);
    table.row(&status());
    table.row(&changes());
    table.rows(roles());
    table.rows(refusals());
    table.rows(MembershipRule::ALL);
    log_records(&mut table);
    table.check();
}

fn peer_request() -> PeerRequestId {
    PeerRequestId {
        process: ProcessNonce(number(0x51)),
        number: number(0x01),
    }
}

fn peer_messages() -> [Message; 7] {
    let id = peer_request();
    let message = raft::Message {
        term: Term(number(0x11)),
        body: Body::TimeoutNow,
    };
    [
        Message::Raft(message),
        Message::Forward {
            id,
            term: Term(number(0x11)),
            request: Box::new(Request::Status),
        },
        Message::ForwardReply {
            id,
            response: Response::Accepted,
        },
        Message::HeadRequest {
            id,
            size: Index(number(0x31)),
        },
        Message::HeadReply {
            id,
            share: Some(Box::new(share())),
        },
        Message::ModulesRequest { id },
        Message::ModulesReply {
            id,
            modules: Modules(number(0x71)),
        },
    ]
}

fn share() -> HeadShare {
    HeadShare {
        head: log_head(),
        signature: signature(0x01),
    }
}

fn requests_and_responses(table: &mut Table) {
    table.rows(requests());
    let from = blob("from");
    let since = Revision(number(0x01));
    table.also(
        "open",
        &Request::Watch {
            from,
            to: None,
            since,
        },
    );
    for consistency in [Consistency::Linearizable, Consistency::Stale] {
        let query = Query::Get { key: blob("key") };
        table.inside(&consistency, &Request::Read { query, consistency });
    }
    table.rows(answers());
    table.rows(refused());
}

fn requests() -> [Request; 9] {
    [
        Request::Write(Command::Tick),
        Request::Read {
            query: Query::Lock { name: blob("lock") },
            consistency: Consistency::Stale,
        },
        Request::Watch {
            from: blob("from"),
            to: Some(blob("to")),
            since: Revision(number(0x01)),
        },
        Request::Status,
        Request::ChangeMembership(membership()),
        Request::TransferLeadership { to: node(0x11) },
        Request::FollowStatus,
        Request::LogHead,
        Request::ProveLog {
            first: Index(number(0x21)),
            count: small(0x31),
        },
    ]
}

fn answers() -> [Response; 9] {
    [
        Response::Written {
            at: log_id(0x01),
            outcome: Outcome::Ticked,
        },
        Response::Read(Answer {
            revision: Revision(number(0x11)),
            found: Found::One(None),
        }),
        Response::Watching {
            revision: Revision(number(0x21)),
        },
        Response::Changed(changes()),
        Response::Compacted {
            oldest: Revision(number(0x31)),
        },
        Response::Status(Box::new(status())),
        Response::LogHead(Box::new(AttestedHead {
            signed: signed_head(),
            membership: membership(),
        })),
        Response::LogProof(Box::new(log_proof())),
        Response::NoLogProof {
            first: Index(number(0x41)),
            last: Index(number(0x51)),
        },
    ]
}

fn refused() -> [Response; 3] {
    [
        Response::Accepted,
        Response::Refused(Refusal::Busy),
        Response::Unknown,
    ]
}

fn log_proof() -> LogProof {
    LogProof {
        head: signed_head(),
        first: Index(number(0x01)),
        entries: vec![ProofEntry {
            term: Term(number(0x11)),
            kind: EntryKind::App,
            payload: Payload::Data(blob("command")),
        }],
        path: vec![digest(0x21)],
        extension: None,
    }
}

fn status() -> Status {
    Status {
        node: node(0x01),
        role: Role::Candidate,
        term: Term(number(0x11)),
        leader: Some(node(0x21)),
        last: log_id(0x31),
        committed: Index(number(0x51)),
        applied: Index(number(0x52)),
        base: Index(number(0x53)),
        stored: Index(number(0x54)),
        revision: Revision(number(0x55)),
        state_bytes: number(0x56),
        membership: membership(),
        matched: vec![
            (node(0x61), Index(number(0x71))),
            (node(0x62), Index(number(0x72))),
        ],
    }
}

fn changes() -> Changes {
    let change = |first, key| Change {
        revision: Revision(number(first)),
        key: blob(key),
        pair: None,
    };
    Changes {
        changes: vec![change(0x01, "one"), change(0x02, "two")],
    }
}

fn roles() -> [Role; 6] {
    [
        Role::Follower,
        Role::PreCandidate,
        Role::Candidate,
        Role::Leader,
        Role::Repairing,
        Role::Halted,
    ]
}

fn refusals() -> [Refusal; 12] {
    [
        Refusal::NotLeader {
            leader: Some(node(0x01)),
        },
        Refusal::NotReady,
        Refusal::Transferring,
        Refusal::Busy,
        Refusal::TooLarge,
        Refusal::ChangeInProgress,
        Refusal::InvalidMembership {
            rule: MembershipRule::TooManyLearners,
        },
        Refusal::NotCaughtUp { node: node(0x11) },
        Refusal::Unavailable,
        Refusal::LacksModule {
            node: node(0x21),
            module: module(),
        },
        Refusal::SilentOnModule {
            node: node(0x31),
            module: module(),
        },
        Refusal::HeadUnsigned,
    ]
}

fn hard_state() -> HardState {
    HardState {
        term: Term(number(0x01)),
        voted_for: Some(node(0x11)),
        commit: Index(number(0x21)),
        incarnation: number(0x31),
        repair_upto: Some(Index(number(0x41))),
    }
}

/// Every record that a write of Raft can make, and what stands beside the state.
fn log_records(table: &mut Table) {
    let (_, _, list) = entries();
    let last = list.into_iter().next_back();
    let last: Vec<_> = last.into_iter().collect();
    let accumulator = applied_log();
    let persist = Persist {
        seq: PersistSeq(1),
        hard_state: Some(Box::new(hard_state())),
        base: Some(Box::new(base())),
        reset: true,
        truncate_from: Some(Index(number(0x51))),
        append: raft::Entries::from(last).into(),
    };
    let batch = records::batch(WalSeq(1), &persist, Some(&accumulator));
    for record in &batch.records {
        let content = records::decode(record).expect("just written");
        table.inside_bytes(&content, &record_bytes(record));
    }
    let kept = records::base_record(&base(), None, false);
    assert!(matches!(records::decode(&kept), Ok(Content::Base(_))));
    table.bytes("base_without_sum", &record_bytes(&kept));
    table.row(&BaseRecord {
        base: base(),
        reset: true,
        accumulator: Some(accumulator.clone()),
    });
    let StoreOp::Put { key, value } = records::installed_op(&base(), Some(&accumulator)) else {
        panic!("it is put");
    };
    assert_eq!(key, INSTALLED_KEY);
    table.bytes("installed.key", &key);
    table.bytes("installed.value", &value);
    let metadata = accumulator.to_bytes();
    assert_eq!(log_tree::accumulator_in(&metadata), Some(accumulator));
    table.bytes("metadata", &metadata);
}

/// Kind, index and payload of a record, as the log is asked to keep it. The kind is
/// the byte that stands for it in the log.
fn record_bytes(record: &Record) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.u8(match record.kind {
        RecordKind::Entry => 1,
        RecordKind::State => 2,
        RecordKind::Truncate => 3,
        RecordKind::Base => 4,
    });
    writer.u64(record.index);
    writer.blob(&record.payload);
    writer.into_vec()
}
