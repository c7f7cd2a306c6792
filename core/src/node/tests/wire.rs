use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;
use proptest::prelude::*;

use crate::cluster::{AttestedHead, Changes, Consistency, HeadShare, Message, Request, Response};
use crate::codec::{Decode, Encode};
use crate::crypto::fake::FakeAuthority;
use crate::crypto::{Digest, Signer};
use crate::io::{Done, FileError, FileName, FileOpId, FileResult, ReadId, Volume};
use crate::kv::{self, Query};
use crate::ledger;
use crate::node::Event;
use crate::part::Scope;
use crate::proof::{HeadSignature, LogHead, LogProof, Payload, ProofEntry, SignedHead};
use crate::raft::{EntryKind, Membership, Refusal};
use crate::replica::Command;
use crate::store::{Page, StoreSeq};
use crate::types::{
    ClusterId, Index, LogId, ModuleId, Modules, NodeId, PeerRequestId, ProcessNonce, RequestId,
    Revision, Term, WallTime,
};

fn requests() -> Vec<Request> {
    vec![
        Request::Write(Command::Tick),
        Request::Write(Command::Enable {
            module: ModuleId::FIRST,
        }),
        Request::Read {
            query: Query::Get {
                key: Bytes::from_static(b"k"),
            },
            consistency: Consistency::Stale,
        },
        Request::Watch {
            from: Bytes::from_static(b"a"),
            to: Some(Bytes::from_static(b"b")),
            since: Revision(9),
        },
        Request::Status,
        Request::ChangeMembership(Membership {
            voters: vec![NodeId(1)],
            ..Membership::default()
        }),
        Request::TransferLeadership { to: NodeId(2) },
        Request::FollowStatus,
        Request::LogHead,
        Request::ProveLog {
            first: Index(3),
            count: 9,
        },
    ]
}

fn events() -> Vec<Event> {
    let mut events = vec![
        Event::Start {
            used: BTreeSet::new(),
        },
        Event::Start {
            used: BTreeSet::from(Volume::ALL),
        },
        Event::Wake,
        Event::Clock { wall: WallTime(5) },
        Event::Cancel { id: RequestId(1) },
        Event::Shutdown,
    ];
    for (scope, is_up) in [(Scope::Cluster, true), (Scope::Global, false)] {
        let peer = NodeId(3);
        events.push(Event::Peer { peer, scope, is_up });
    }
    for (volume, done) in Volume::ALL.into_iter().cycle().zip(dones()) {
        events.push(Event::Io { volume, done });
    }
    events.push(Event::Request {
        id: RequestId(6),
        request: ledger::Request::Follow.into(),
    });
    for request in requests() {
        events.push(Event::Request {
            id: RequestId(6),
            request: request.clone().into(),
        });
        let message = Message::Forward {
            id: peer_request(8),
            term: Term(2),
            request: Box::new(request),
        };
        events.push(received(message));
    }
    for response in responses() {
        let message = Message::ForwardReply {
            id: peer_request(8),
            response,
        };
        events.push(received(message));
    }
    for share in [None, Some(Box::new(share()))] {
        let message = Message::HeadReply {
            id: peer_request(8),
            share,
        };
        events.push(received(message));
    }
    let id = peer_request(8);
    events.push(received(Message::ModulesRequest { id }));
    let modules = Modules(3);
    events.push(received(Message::ModulesReply { id, modules }));
    events.push(received(Message::HeadRequest {
        id: peer_request(8),
        size: Index(9),
    }));
    events
}

const fn peer_request(number: u64) -> PeerRequestId {
    let process = ProcessNonce(5);
    PeerRequestId { process, number }
}

fn received(message: Message) -> Event {
    Event::Message {
        from: NodeId(2),
        scope: Scope::Cluster,
        message: message.into(),
    }
}

fn dones() -> Vec<Done> {
    let file = |id, result| Done::File {
        id: FileOpId(id),
        result,
    };
    vec![
        file(1, FileResult::Done),
        file(
            2,
            FileResult::Listed(vec![
                (FileName::Superblock(1), 512),
                (FileName::Segment(7), 1 << 20),
            ]),
        ),
        file(3, FileResult::Data(Bytes::from_static(b"data"))),
        file(4, FileResult::Failed(FileError::Full)),
        Done::Committed { seq: StoreSeq(4) },
        Done::Read {
            id: ReadId(5),
            page: Page {
                pairs: vec![(Bytes::from_static(b"k"), Bytes::from_static(b"v"))],
                is_last: true,
            },
        },
        Done::Failed,
    ]
}

fn share() -> HeadShare {
    let head = LogHead {
        cluster: ClusterId(7),
        membership_epoch: Index(1),
        size: Index(9),
        root: Digest([3; 32]),
        commit_term: Term(2),
    };
    let signer = FakeAuthority::new(1).signer(0);
    let signature = signer.sign(&head.preimage());
    HeadShare { head, signature }
}

fn signed_head() -> SignedHead {
    let HeadShare { head, signature } = share();
    let node = NodeId(2);
    SignedHead::new(head, vec![HeadSignature { node, signature }])
}

fn responses() -> Vec<Response> {
    vec![
        Response::Watching {
            revision: Revision(3),
        },
        Response::Compacted {
            oldest: Revision(4),
        },
        Response::Changed(Changes {
            changes: Vec::new(),
        }),
        Response::Accepted,
        Response::Unknown,
        Response::NoLogProof {
            first: Index(4),
            last: Index(9),
        },
        Response::LogHead(Box::new(AttestedHead {
            signed: signed_head(),
            membership: Membership {
                voters: vec![NodeId(1), NodeId(2)],
                ..Membership::default()
            },
        })),
        Response::LogProof(Box::new(LogProof {
            head: signed_head(),
            first: Index(9),
            entries: vec![ProofEntry {
                term: Term(2),
                kind: EntryKind::App,
                payload: Payload::Data(Bytes::from_static(b"command")),
            }],
            path: vec![Digest([5; 32])],
            extension: None,
        })),
        Response::Refused(Refusal::NotLeader {
            leader: Some(NodeId(1)),
        }),
        Response::Refused(Refusal::NotReady),
        Response::Refused(Refusal::NotCaughtUp { node: NodeId(4) }),
        Response::Refused(Refusal::LacksModule {
            node: NodeId(4),
            module: ModuleId::FIRST,
        }),
        Response::Written {
            at: LogId::new(Term(1), Index(2)),
            outcome: kv::Outcome::Ticked,
        },
    ]
}

#[test]
fn every_kind_of_event_survives_the_wire() {
    for event in events() {
        assert_eq!(Event::from_bytes(&event.to_bytes()).as_ref(), Ok(&event));
    }
}

#[test]
fn every_prefix_of_an_event_is_refused() {
    for event in events() {
        let bytes = event.to_bytes();
        for length in 0..bytes.len() {
            assert!(
                Event::from_bytes(&bytes.slice(..length)).is_err(),
                "{event:?} cut at {length}"
            );
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(message) = Message::from_slice(&bytes) {
            prop_assert_eq!(message.to_bytes().to_vec(), bytes);
        }
    }
}
