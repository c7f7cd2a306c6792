//! Messages between peers, and peers that come and go.

use std::collections::BTreeSet;

use bytes::Bytes;
use decube_core::limits::MESSAGE_BYTES_MAX;
use decube_core::node::PartId;

use super::super::{KEEPALIVE, SILENCE_MAX};
use super::{Station, pair};
use crate::inbox::PartSet;
use crate::ports::{Dropped, Network, NetworkEvent, Peer};

/// What messages for the part in the cluster begin with, and those for the ledger.
const CLUSTER: u8 = 0;
const LEDGER: u8 = 1;

fn message(from: &Station, bytes: &Bytes) -> NetworkEvent {
    let (from, bytes) = (from.id, bytes.clone());
    NetworkEvent::Message {
        from: Peer::of_cluster(from),
        bytes,
    }
}

#[tokio::test]
async fn messages_arrive_whole_and_in_order() {
    let (mut a, mut b) = pair().await;
    let sizes = [1, 100, 70_000, MESSAGE_BYTES_MAX, 3];
    let message_of = |(number, size): (u8, usize)| {
        let mut bytes = vec![number; size];
        bytes[0] = CLUSTER;
        bytes.into()
    };
    let messages: Vec<Bytes> = (0..).zip(sizes).map(message_of).collect();
    for bytes in &messages {
        a.network.send(b.id, bytes.clone()).unwrap();
    }
    b.network.send(a.id, messages[1].clone()).unwrap();
    for bytes in &messages {
        assert_eq!(b.next().await, message(&a, bytes));
    }
    assert_eq!(a.next().await, message(&b, &messages[1]));
}

#[tokio::test]
async fn what_can_not_be_sent_is_refused() {
    let (mut a, b) = pair().await;
    let stranger = Station::new().await;
    let small = Bytes::from_static(b"\0x");
    assert_eq!(
        a.network.send(stranger.id, small),
        Err(Dropped::NotConnected)
    );
    let large = Bytes::from(vec![0; MESSAGE_BYTES_MAX + 1]);
    assert_eq!(a.network.send(b.id, large), Err(Dropped::TooLarge));
}

#[tokio::test]
async fn a_peer_that_takes_nothing_costs_a_bounded_queue() {
    let (mut a, mut b) = pair().await;
    let large = Bytes::from(vec![0; 1 << 20]);
    // The receiving host does not read, so the sockets fill, then the queue.
    let mut sent = 0_usize;
    let dropped = loop {
        match a.network.send(b.id, large.clone()) {
            Ok(()) => sent += 1,
            Err(dropped) => break dropped,
        }
        assert!(sent < 1024, "a gigabyte is queued");
        tokio::task::yield_now().await;
    };
    assert_eq!(dropped, Dropped::QueueFull);
    for _ in 0..sent {
        assert_eq!(
            b.next().await,
            message(&a, &large),
            "what was queued arrives"
        );
    }
    a.network.send(b.id, large.clone()).unwrap();
    assert_eq!(b.next().await, message(&a, &large));
}

#[tokio::test]
async fn a_peer_that_comes_back_is_found_again() {
    let (mut a, b) = pair().await;
    let (keys, address, id) = (b.keys.clone(), b.address, b.id);
    b.network.close().await;
    assert_eq!(a.next().await, NetworkEvent::Down(Peer::of_cluster(id)));
    assert_eq!(
        a.network.send(id, Bytes::from_static(b"\0x")),
        Err(Dropped::NotConnected)
    );
    let mut b = Station::with("test", keys, address, ()).await;
    b.reach_for(a.id, a.address);
    assert_eq!(a.next().await, NetworkEvent::Up(Peer::of_cluster(id)));
    a.network.send(id, Bytes::from_static(b"\0again")).unwrap();
    loop {
        match b.next().await {
            NetworkEvent::Up(peer) => assert_eq!(peer.node, a.id),
            event => break assert_eq!(event, message(&a, &Bytes::from_static(b"\0again"))),
        }
    }
}

#[tokio::test]
async fn a_peer_that_leaves_the_membership_is_cut_off() {
    let (mut a, mut b) = pair().await;
    a.network.connect(&BTreeSet::new());
    assert_eq!(a.next().await, NetworkEvent::Down(Peer::of_cluster(b.id)));
    assert_eq!(
        a.network.send(b.id, Bytes::from_static(b"\0x")),
        Err(Dropped::NotConnected)
    );
    // The other side still holds its own stream; it is not told anything wrong.
    b.network.send(a.id, Bytes::from_static(b"\0y")).unwrap();
    assert_eq!(a.next().await, message(&b, &Bytes::from_static(b"\0y")));
}

/// Reads for one part alone, until something comes for it.
async fn next_for_cluster(station: &mut Station) -> NetworkEvent {
    let accepts = PartSet::of(|part| part == PartId::Cluster);
    station.events.recv(accepts).await.unwrap()
}

#[tokio::test]
async fn a_part_that_takes_nothing_leaves_the_others_their_stream() {
    let (mut a, mut b) = pair().await;
    let mut large = vec![7; 1 << 20];
    large[0] = LEDGER;
    let large = Bytes::from(large);
    // The receiving ledger is not read: its stream fills, and then its queue.
    let mut sent = 0_usize;
    loop {
        match a.network.send(b.id, large.clone()) {
            Ok(()) => sent += 1,
            Err(dropped) => break assert_eq!(dropped, Dropped::QueueFull),
        }
        assert!(sent < 1024, "a gigabyte is queued");
        tokio::task::yield_now().await;
    }
    for number in 0..10 {
        let small = Bytes::copy_from_slice(&[CLUSTER, number]);
        a.network.send(b.id, small.clone()).unwrap();
        assert_eq!(next_for_cluster(&mut b).await, message(&a, &small));
    }
    for _ in 0..sent {
        assert_eq!(b.next().await, message(&a, &large), "nothing was lost");
    }
}

/// The peer is behind for longer than a dead one is given.
#[tokio::test]
async fn a_part_that_takes_nothing_for_long_is_not_taken_for_dead() {
    let (mut a, mut b) = pair().await;
    let first = Bytes::copy_from_slice(&[LEDGER; 1 << 20]);
    while a.network.send(b.id, first.clone()) != Err(Dropped::QueueFull) {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(SILENCE_MAX + KEEPALIVE).await;
    let small = Bytes::from_static(&[CLUSTER]);
    a.network.send(b.id, small.clone()).unwrap();
    let next = next_for_cluster(&mut b).await;
    assert_eq!(next, message(&a, &small), "no connection was lost");
    assert!(a.events.try_recv(PartSet::ALL).is_none());
}
