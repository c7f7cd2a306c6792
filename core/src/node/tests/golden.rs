//! The bytes of what nodes say, are asked and take.

use crate::bft::Height;
use crate::golden::Table;
use crate::golden::samples::{node, number};
use crate::io::{Done, Volume};
use crate::node::{Event, Message, PartId, Request};
use crate::part::Scope;
use crate::types::{PeerRequestId, ProcessNonce, RequestId, WallTime};
use crate::{cluster, ledger};

/// How many parts programs have. The toy is the last one, and no format of ours.
const PARTS: usize = PartId::ALL.len() - cfg!(feature = "toy") as usize;

#[test]
fn golden_bytes() {
    // The search for types does not see what the table of parts makes.
    assert_eq!(messages().map(|one| one.part()), PartId::ALL[..PARTS]);
    assert_eq!(requests().map(|one| one.part()), PartId::ALL[..PARTS]);
    let mut table = Table::of("node");
    table.rows(messages());
    table.rows(requests());
    table.rows(volumes());
    table.rows([Scope::Cluster, Scope::Global]);
    table.rows(events());
    table.check();
}

/// Each part has one.
fn volumes() -> impl Iterator<Item = Volume> {
    Volume::ALL.into_iter().take(PARTS)
}

fn messages() -> [Message; PARTS] {
    let id = PeerRequestId {
        process: ProcessNonce(number(0x51)),
        number: number(0x01),
    };
    [
        Message::Cluster(cluster::Message::HeadReply { id, share: None }),
        Message::Ledger(ledger::Message::EarliestRetained(Height(number(0x21)))),
    ]
}

fn requests() -> [Request; PARTS] {
    [
        Request::Cluster(cluster::Request::LogHead),
        Request::Ledger(ledger::Request::Status),
    ]
}

fn events() -> [Event; 9] {
    let id = RequestId(number(0x01));
    let scope = Scope::Global;
    let [message, _] = messages();
    let [request, _] = requests();
    [
        Event::Start {
            used: volumes().collect(),
        },
        Event::Wake,
        Event::Clock {
            wall: WallTime(number(0x11)),
        },
        Event::Message {
            from: node(0x21),
            scope,
            message,
        },
        Event::Peer {
            peer: node(0x31),
            scope,
            is_up: true,
        },
        Event::Request { id, request },
        Event::Cancel { id },
        Event::Io {
            volume: Volume::Ledger,
            done: Done::Failed,
        },
        Event::Shutdown,
    ]
}
