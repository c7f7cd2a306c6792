//! Reads that were passed on to a leader which is lost: they did no harm, so they are
//! asked again, and a node never says of itself what is true of another one.

use alloc::vec::Vec;

use bytes::Bytes;

use super::cluster::{Cluster, Event};
use crate::cluster::{Consistency, Request, Response};
use crate::kv::{Answer, Query};
use crate::part::Health;
use crate::raft::Refusal;
use crate::replica::Command;
use crate::types::{NodeId, RequestId, Span};

fn read() -> Request {
    Request::Read {
        query: Query::Get {
            key: Bytes::from_static(b"a"),
        },
        consistency: Consistency::Linearizable,
    }
}

fn change() -> Request {
    Request::Write(Command::Tick)
}

fn peer(peer: NodeId, is_up: bool) -> Event {
    Event::Peer { peer, is_up }
}

fn is_read(cluster: &Cluster, id: RequestId) -> bool {
    matches!(
        cluster.replies.get(&id),
        Some(Response::Read(Answer { .. }))
    )
}

#[test]
fn a_read_whose_leader_is_lost_goes_to_the_next_one() {
    let mut cluster = Cluster::new(3);
    let old = cluster.elect();
    let through = cluster.follower_of(old);
    cluster.run_for(Span::from_secs(1));
    cluster.cut.insert(old);
    let lost = cluster.request(through, read());
    let unknown = cluster.request(through, change());
    cluster.step(through, peer(old, false));
    assert_eq!(
        cluster.replies.get(&unknown),
        Some(&Response::Unknown),
        "a change may happen, or not"
    );
    let after = cluster.request(through, read());
    cluster.run_until("answers", |cluster| {
        [lost, after]
            .iter()
            .all(|id| cluster.replies.contains_key(id))
    });
    assert!(is_read(&cluster, lost), "{:?}", cluster.replies[&lost]);
    assert!(is_read(&cluster, after), "{:?}", cluster.replies[&after]);
}

#[test]
fn a_read_that_a_broken_connection_lost_is_sent_again() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let through = cluster.follower_of(leader);
    cluster.run_for(Span::from_secs(1));
    cluster.cut.insert(leader);
    let lost = cluster.request(through, read());
    cluster.run_for(Span::from_millis(10));
    cluster.cut.clear();
    cluster.step(through, peer(leader, false));
    cluster.step(through, peer(leader, true));
    cluster.run_for(Span::from_millis(50));
    assert_eq!(cluster.leader(), Some(leader), "nobody else was needed");
    assert!(is_read(&cluster, lost), "{:?}", cluster.replies.get(&lost));
}

#[test]
fn a_read_that_no_leader_answers_keeps_the_deadline_of_its_arrival() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let through = cluster.follower_of(leader);
    cluster.cut.extend(cluster.nodes());
    let lost = cluster.request(through, read());
    for is_up in [false, true].repeat(10) {
        cluster.run_for(Span::from_millis(400));
        cluster.step(through, peer(leader, is_up));
    }
    cluster.run_for(Span::from_millis(100));
    let refusal = Refusal::NotLeader { leader: None };
    assert_eq!(
        cluster.replies.get(&lost),
        Some(&Response::Refused(refusal)),
        "five seconds, however often it was asked"
    );
}

#[test]
fn who_asks_through_others_does_not_hear_that_the_leader_stops() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.run_for(Span::from_secs(1));
    let mut asked = Vec::new();
    let others: Vec<NodeId> = cluster.nodes();
    let others = || others.iter().filter(|id| **id != leader);
    asked.extend(others().map(|id| cluster.request(*id, read())));
    cluster.step(leader, Event::Shutdown);
    while cluster.slot(leader).health != Health::Stopped {
        asked.extend(others().map(|id| cluster.request(*id, read())));
        cluster.run_for(Span::from_millis(1));
    }
    cluster.kill(leader);
    for id in others() {
        cluster.step(*id, peer(leader, false));
    }
    asked.extend(others().map(|id| cluster.request(*id, read())));
    cluster.run_until("answers", |cluster| {
        asked.iter().all(|id| cluster.replies.contains_key(id))
    });
    for id in asked {
        let reply = &cluster.replies[&id];
        let is_own_trouble = matches!(
            reply,
            Response::Unknown | Response::Refused(Refusal::Unavailable)
        );
        assert!(!is_own_trouble, "{reply:?}");
    }
}
