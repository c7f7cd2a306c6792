//! Order and time: what an iteration takes, and when the machine is woken.

use bytes::Bytes;
use decube_core::cluster::{self, Request};
use decube_core::codec::Encode as _;
use decube_core::io::{Done, FileName, FileOp, FileOpId, FileResult, Io, Read, ReadId, Volume};
use decube_core::ledger;
use decube_core::limits::VOLUME_SLOW_AFTER;
use decube_core::node::{Effect, Event, Message, PartId};
use decube_core::part::{Health, Scope};
use decube_core::store::{Page, StoreBatch, StoreSeq};
use decube_core::types::{Index, NodeId, PeerRequestId, Span, Term, Time, WallTime};

use super::toy::{
    NODE, START, accept, done, file, health, join_all, operation, peers, start, tick,
};
use crate::host::{Counter, HostExit, VolumeCounter};
use crate::inbox::PartSet;
use crate::network::InProcessHub;
use crate::ports::{DiskEvent, Network, NetworkEvent, Peer};

#[tokio::test(start_paused = true)]
async fn the_clock_comes_before_the_start_and_then_every_second() {
    let rig = start(&InProcessHub::new(), false, |_, _, _| None);
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    let clock = Event::Clock { wall: WallTime(12) };
    assert_eq!(rig.events(), [clock.clone(), START, clock.clone(), clock]);
}

#[tokio::test(start_paused = true)]
async fn the_machine_is_woken_at_its_deadline_and_not_before() {
    let at = Time::ZERO.saturating_add(Span::from_millis(300));
    let rig = start(
        &InProcessHub::new(),
        false,
        move |now, event, _| match event {
            Event::Wake => {
                assert!(now >= at, "woken early");
                None
            }
            _ => (now < at).then_some(at),
        },
    );
    tokio::time::sleep(std::time::Duration::from_millis(299)).await;
    assert!(!rig.events().contains(&Event::Wake));
    tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    assert_eq!(rig.events().last(), Some(&Event::Wake));
    assert_eq!(rig.handle.metrics().get(Counter::Wakes), 1);
}

#[tokio::test]
async fn what_waits_is_taken_before_a_wake_that_is_due() {
    // The machine always has something to flush, so the wake is always due.
    let rig = start(&InProcessHub::new(), false, |now, event, out| {
        accept(event, out);
        (!matches!(event, Event::Wake)).then_some(now)
    });
    // All ten are queued before the host's task runs again.
    let asks = (0..10).map(|_| rig.handle.cluster(tick()));
    let answers: Vec<_> = asks.map(Box::pin).collect();
    for answer in join_all(answers).await {
        answer.unwrap();
    }
    let events = rig.events();
    let first = events
        .iter()
        .position(|e| matches!(e, Event::Request { .. }))
        .unwrap();
    let run = &events[first..first + 10];
    assert!(
        run.iter().all(|e| matches!(e, Event::Request { .. })),
        "{run:?}"
    );
    assert_eq!(events[first + 10], Event::Wake, "one wake for all of them");
}

#[tokio::test]
async fn a_flood_does_not_hold_a_due_wake_back() {
    // Each file operation that completes asks for the next: never drained.
    let rig = start(&InProcessHub::new(), false, |now, event, out| {
        if matches!(event, Event::Start { .. } | Event::Io { .. }) {
            out.push(file(7, FileOp::List));
        }
        if matches!(event, Event::Wake) {
            out.push(Effect::Stopped);
        }
        Some(now)
    });
    assert_eq!(rig.task.await.unwrap(), HostExit::Stopped);
}

#[tokio::test]
async fn orders_go_out_and_completions_come_back() {
    let (mut waiting, mut stopping) = (3, false);
    let rig = start(&InProcessHub::new(), true, move |_, event, out| {
        if *event == START {
            let name = FileName::Segment(1);
            out.push(file(1, FileOp::Sync { file: name }));
            out.push(operation(Io::Commit(StoreBatch {
                seq: StoreSeq(1),
                ops: Vec::new(),
                sync: true,
            })));
            out.push(operation(Io::Read(Read {
                id: ReadId(1),
                from: Bytes::new(),
                to: None,
                bytes_max: 100,
            })));
        }
        waiting -= i32::from(matches!(event, Event::Io { .. }));
        stopping |= *event == Event::Shutdown;
        if stopping && waiting == 0 {
            out.push(Effect::Stopped);
        }
        None
    });
    let (id, result) = (FileOpId(1), FileResult::Done);
    rig.disk
        .send(DiskEvent {
            id,
            result: result.clone(),
            said: None,
        })
        .unwrap();
    assert_eq!(rig.handle.shutdown().await, Some(HostExit::Stopped));
    let events = rig.events();
    assert!(events.contains(&done(Done::File { id, result })));
    let place = |what: Done| events.iter().position(|event| *event == done(what.clone()));
    let committed = place(Done::Committed { seq: StoreSeq(1) });
    let page = place(Done::Read {
        id: ReadId(1),
        page: Page::NONE,
    });
    assert!(
        committed.unwrap() < page.unwrap(),
        "store operations complete in order"
    );
    let metrics = rig.handle.metrics().of(Volume::Cluster);
    assert_eq!(metrics.get(VolumeCounter::Syncs), 1);
    assert_eq!(metrics.get(VolumeCounter::StoreCommits), 1);
    assert_eq!(metrics.sync_latency.snapshot().count, 1);
    assert_eq!(metrics.open(), 0);
}

#[tokio::test]
async fn messages_go_both_ways_and_garbage_is_dropped() {
    let hub = InProcessHub::new();
    let (mut peer, mut peer_events) = hub.attach(NodeId(2));
    peer.connect(&peers(&[1]));
    let rig = start(&hub, false, |_, event, out| {
        match event {
            Event::Start { .. } => out.push(Effect::Connect { peers: peers(&[2]) }),
            // Echo.
            Event::Message { from, message, .. } => out.push(Effect::Send {
                to: *from,
                message: message.clone(),
            }),
            _ => {}
        }
        None
    });
    assert_eq!(
        peer_events.recv(PartSet::ALL).await,
        Some(NetworkEvent::Up(Peer::of_cluster(NODE)))
    );
    let request = Box::new(Request::Status);
    let (id, term) = (PeerRequestId::default(), Term(1));
    let message: Message = cluster::Message::Forward { id, term, request }.into();
    peer.send(NODE, Bytes::from_static(b"garbage")).unwrap();
    peer.send(NODE, message.to_bytes()).unwrap();
    let from = Peer::of_cluster(NODE);
    let bytes = message.to_bytes();
    assert_eq!(
        peer_events.recv(PartSet::ALL).await,
        Some(NetworkEvent::Message { from, bytes })
    );
    let events = rig.events();
    let (peer, scope) = (NodeId(2), Scope::Cluster);
    let peer_up = Event::Peer {
        peer,
        scope,
        is_up: true,
    };
    assert_eq!(
        events[2..],
        [
            peer_up,
            Event::Message {
                from: peer,
                scope,
                message
            }
        ]
    );
    let metrics = rig.handle.metrics();
    assert_eq!(metrics.get(Counter::MessagesInvalid), 1);
    assert_eq!(metrics.get(Counter::MessagesIn), 2);
    assert_eq!(metrics.get(Counter::MessagesOut), 1);
    rig.task.abort();
    assert_eq!(
        peer_events.recv(PartSet::ALL).await,
        Some(NetworkEvent::Down(Peer::of_cluster(NODE)))
    );
}

#[tokio::test]
async fn the_status_follows_the_machine() {
    let degraded = Health::Degraded("no leader".into());
    let told = degraded.clone();
    let rig = start(&InProcessHub::new(), false, move |_, event, out| {
        if *event == START {
            out.push(health(Health::Starting));
            out.push(health(told.clone()));
        }
        None
    });
    let mut status = rig.handle.status();
    let serving = status.wait_for(|status| status.is_serving(PartId::Cluster));
    let status = serving.await.unwrap().clone();
    assert_eq!(status.parts.get(&PartId::Cluster), Some(&degraded));
    assert_eq!(status.halted(PartId::Cluster), None);
    assert_eq!(status.exit, None);
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_takes_too_long_is_named_until_it_moves_on() {
    let rig = start(&InProcessHub::new(), true, |_, event, out| {
        if *event == START {
            let file = FileName::Segment(7);
            out.push(super::toy::file(1, FileOp::Sync { file }));
        }
        None
    });
    let mut status = rig.handle.status();
    let began = tokio::time::Instant::now();
    let slow = status.wait_for(|status| !status.slow.is_empty()).await;
    let slow = slow.unwrap().slow[&Volume::Cluster].clone();
    let bound = std::time::Duration::from_nanos(VOLUME_SLOW_AFTER.0);
    assert!(began.elapsed() >= bound && began.elapsed() < 2 * bound);
    assert!(slow.operation.contains("sync of segment-"), "{slow:?}");
    let (id, result) = (FileOpId(1), FileResult::Done);
    let said = None;
    rig.disk.send(DiskEvent { id, result, said }).unwrap();
    let healed = status.wait_for(|status| status.slow.is_empty()).await;
    drop(healed.unwrap());
}

#[tokio::test]
async fn a_part_that_does_not_accept_is_not_spoken_to_and_the_others_are() {
    let hub = InProcessHub::new();
    let (mut peer, _peer_events) = hub.attach(NodeId(2));
    peer.connect(&peers(&[1]));
    let rig = start(&hub, false, |_, event, out| {
        accept(event, out);
        None
    });
    rig.accepts.lock().unwrap().remove(&PartId::Ledger);
    let of_cluster: Message = cluster::Message::HeadRequest {
        id: PeerRequestId::default(),
        size: Index(1),
    }
    .into();
    let of_ledger: Message = ledger::Message::Transactions(Vec::new()).into();
    peer.send(NODE, of_ledger.to_bytes()).unwrap();
    peer.send(NODE, of_cluster.to_bytes()).unwrap();
    let heard = |wanted: &Message| {
        let events = rig.events();
        let is_wanted =
            |event: &Event| matches!(event, Event::Message { message, .. } if message == wanted);
        events.iter().any(is_wanted)
    };
    while !heard(&of_cluster) {
        tokio::task::yield_now().await;
    }
    assert!(!heard(&of_ledger), "its volume is behind");
    rig.accepts.lock().unwrap().insert(PartId::Ledger);
    // Any iteration: parts accept again by something that happens.
    rig.handle.cluster(tick()).await.unwrap();
    while !heard(&of_ledger) {
        tokio::task::yield_now().await;
    }
}
