use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use bytes::Bytes;

use super::cluster::{Cluster, Event, members};
use crate::cluster::{Consistency, Request, Response};
use crate::io::Done;
use crate::kv::{Condition, Found, Op, Outcome, Query};
use crate::part::Health;
use crate::raft::{Membership, Refusal, Role};
use crate::replica::{Command, SessionId};
use crate::types::{Index, NodeId, Revision, Span};

fn put(key: &str, value: &str) -> Op {
    Op::Put {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::copy_from_slice(value.as_bytes()),
        condition: Condition::Always,
        lease: None,
    }
}

fn write(key: &str, value: &str) -> Request {
    Request::Write(Command::Once {
        op: put(key, value),
    })
}

fn read(key: &str, consistency: Consistency) -> Request {
    let key = Bytes::copy_from_slice(key.as_bytes());
    Request::Read {
        query: Query::Get { key },
        consistency,
    }
}

fn value_of(response: Response) -> Option<Bytes> {
    match response {
        Response::Read(answer) => match answer.found {
            Found::One(pair) => pair.map(|pair| pair.value),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn expect_written(response: Response) -> Outcome {
    match response {
        Response::Written { outcome, .. } => outcome,
        other => panic!("not written: {other:?}"),
    }
}

#[test]
fn one_node_alone_commits() {
    let mut cluster = Cluster::new(1);
    let leader = cluster.elect();
    expect_written(cluster.ask(leader, write("a", "1")));
    let value = value_of(cluster.ask(leader, read("a", Consistency::Linearizable)));
    assert_eq!(value.as_deref(), Some(&b"1"[..]));
}

#[test]
fn a_write_through_any_node_is_read_through_any_node() {
    let mut cluster = Cluster::new(3);
    cluster.elect();
    let nodes = cluster.nodes();
    for (count, through) in nodes.iter().enumerate() {
        let value = format!("{count}");
        expect_written(cluster.ask(*through, write("a", &value)));
        for at in &nodes {
            let read = value_of(cluster.ask(*at, read("a", Consistency::Linearizable)));
            assert_eq!(read.as_deref(), Some(value.as_bytes()));
        }
    }
}

#[test]
fn what_was_acknowledged_survives_a_restart_of_every_node() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    for number in 0..50 {
        expect_written(cluster.ask(leader, write(&format!("k{number}"), "v")));
    }
    for id in members(3).voters {
        cluster.restart(id);
    }
    let leader = cluster.elect();
    for number in 0..50 {
        let value = value_of(cluster.ask(
            leader,
            read(&format!("k{number}"), Consistency::Linearizable),
        ));
        assert_eq!(value.as_deref(), Some(&b"v"[..]));
    }
    let digests: Vec<[u8; 32]> = {
        cluster.run_for(Span::from_secs(1));
        let parts = cluster.parts();
        parts.map(|part| part.replica().digest()).collect()
    };
    assert!(
        digests.windows(2).all(|pair| pair[0] == pair[1]),
        "equal logs, equal states"
    );
}

#[test]
fn a_request_without_a_leader_waits_for_one() {
    let mut cluster = Cluster::new(3);
    let response = cluster.ask(NodeId(2), write("early", "bird"));
    expect_written(response);
}

#[test]
fn a_request_that_finds_no_leader_in_time_is_refused_and_did_not_happen() {
    let mut cluster = Cluster::new(3);
    cluster.elect();
    for id in members(3).voters {
        cluster.cut.insert(id);
    }
    cluster.run_for(Span::from_secs(5));
    let response = cluster.ask(NodeId(1), write("lost", "1"));
    assert_eq!(
        response,
        Response::Refused(Refusal::NotLeader { leader: None })
    );
}

#[test]
fn a_cut_off_leader_answers_unknown_and_its_entry_may_vanish() {
    let mut cluster = Cluster::new(3);
    let old = cluster.elect();
    cluster.cut.insert(old);
    let id = cluster.request(old, write("a", "minority"));
    cluster.run_until("the answer", |cluster| cluster.replies.contains_key(&id));
    assert_eq!(cluster.replies[&id], Response::Unknown);
    let new = cluster.elect();
    assert_ne!(new, old);
    expect_written(cluster.ask(new, write("a", "majority")));
    cluster.cut.clear();
    let value = value_of(cluster.ask(old, read("a", Consistency::Linearizable)));
    assert_eq!(value.as_deref(), Some(&b"majority"[..]));
}

#[test]
fn a_session_makes_a_retried_write_happen_once() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let open = Command::OpenSession {
        nonce: 9,
        ttl: Span::from_secs(60),
    };
    let session = match expect_written(cluster.ask(leader, Request::Write(open))) {
        Outcome::SessionOpened(session) => session,
        other => panic!("{other:?}"),
    };
    let command = |session: SessionId| Command::InSession {
        session,
        sequence: 1,
        answered_upto: 0,
        op: Op::Put {
            key: Bytes::from_static(b"once"),
            value: Bytes::from_static(b"1"),
            condition: Condition::Absent,
            lease: None,
        },
    };
    let first = expect_written(cluster.ask(leader, Request::Write(command(session))));
    assert!(matches!(first, Outcome::Changed { .. }), "{first:?}");
    let again = expect_written(cluster.ask(
        cluster.follower_of(leader),
        Request::Write(command(session)),
    ));
    assert_eq!(first, again);
}

#[test]
fn a_lease_ends_by_itself_and_takes_its_keys_along() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let grant = Command::Once {
        op: Op::LeaseGrant {
            ttl: Span::from_secs(2),
        },
    };
    let lease = match expect_written(cluster.ask(leader, Request::Write(grant))) {
        Outcome::Lease { lease, .. } => lease,
        other => panic!("{other:?}"),
    };
    let op = Op::Put {
        key: Bytes::from_static(b"ephemeral"),
        value: Bytes::from_static(b"1"),
        condition: Condition::Always,
        lease: Some(lease),
    };
    expect_written(cluster.ask(leader, Request::Write(Command::Once { op })));
    cluster.run_for(Span::from_secs(4));
    let value = value_of(cluster.ask(leader, read("ephemeral", Consistency::Linearizable)));
    assert_eq!(value, None);
}

#[test]
fn a_watch_sees_every_change_in_order() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let at = cluster.follower_of(leader);
    let watch = Request::Watch {
        from: Bytes::from_static(b"w"),
        to: None,
        since: Revision(0),
    };
    let id = cluster.request(at, watch);
    cluster.run_until("the watch", |cluster| cluster.streams.contains_key(&id));
    for number in 0..5 {
        expect_written(cluster.ask(leader, write(&format!("w{number}"), "v")));
    }
    cluster.run_for(Span::from_secs(1));
    assert_eq!(cluster.watched(id), ["w0", "w1", "w2", "w3", "w4"]);
}

/// A watcher that followed another node asks one that is behind it.
#[test]
fn a_node_that_lags_does_not_repeat_what_a_watcher_saw() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let behind = cluster.follower_of(leader);
    cluster.cut.insert(behind);
    for number in 0..5 {
        expect_written(cluster.ask(leader, write(&format!("w{number}"), "v")));
    }
    let since = cluster.part(leader).replica().revision();
    let watch = Request::Watch {
        from: Bytes::from_static(b"w"),
        to: None,
        since,
    };
    let id = cluster.request(behind, watch);
    cluster.run_until("the watch", |cluster| cluster.streams.contains_key(&id));
    assert!(cluster.part(behind).replica().revision() < since);
    cluster.cut.clear();
    expect_written(cluster.ask(leader, write("w5", "v")));
    cluster.run_for(Span::from_secs(1));
    assert_eq!(cluster.watched(id), ["w4", "w5"]);
}

#[test]
fn the_log_is_compacted_and_a_lagging_node_gets_a_snapshot() {
    let mut cluster = Cluster::tuned(3, |config| {
        config.log_entries_max = 40;
        config.log_trailing_entries = 5;
    });
    let leader = cluster.elect();
    let behind = cluster.follower_of(leader);
    cluster.cut.insert(behind);
    for number in 0..200 {
        expect_written(cluster.ask(leader, write(&format!("k{number}"), "v")));
    }
    let base = cluster.base(leader);
    assert!(base > Index(100), "the log was compacted: base {base}");
    cluster.cut.clear();
    cluster.run_until("the lagging node to catch up", |cluster| {
        let applied = |id: &NodeId| cluster.part(*id).replica().applied();
        applied(&behind) == applied(&leader)
    });
    let digest = |id: &NodeId| cluster.part(*id).replica().digest();
    assert_eq!(digest(&behind), digest(&leader));
    cluster.restart(behind);
    cluster.run_until("the restarted node to catch up", |cluster| {
        cluster.part(behind).replica().digest() == cluster.part(leader).replica().digest()
    });
}

#[test]
fn a_node_joins_as_a_learner_and_becomes_a_voter() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    expect_written(cluster.ask(leader, write("a", "1")));
    cluster.join(NodeId(4), Membership::default());
    let mut target = members(3);
    target.learners.push(NodeId(4));
    assert_eq!(
        cluster.ask(leader, Request::ChangeMembership(target)),
        Response::Accepted
    );
    cluster.run_until("the learner to catch up", |cluster| {
        cluster.part(NodeId(4)).replica().applied() == cluster.part(leader).replica().applied()
    });
    // The leader hears of it.
    cluster.run_for(Span::from_millis(10));
    let response = cluster.ask(leader, Request::ChangeMembership(members(4)));
    assert_eq!(response, Response::Accepted);
    cluster.run_until("the joint membership to be left", |cluster| {
        let membership = cluster.part(NodeId(4)).raft().unwrap().membership();
        membership.voters.len() == 4 && membership.outgoing.is_empty()
    });
}

#[test]
fn leadership_is_handed_over_on_request_and_at_shutdown() {
    let mut cluster = Cluster::new(3);
    let old = cluster.elect();
    let to = cluster.follower_of(old);
    assert_eq!(
        cluster.ask(old, Request::TransferLeadership { to }),
        Response::Accepted
    );
    cluster.run_until("the new leader", |cluster| cluster.leader() == Some(to));
    cluster.step(to, Event::Shutdown);
    cluster.run_until("the stop", |cluster| {
        cluster.slot(to).health == Health::Stopped
    });
    cluster.run_until("another leader", |cluster| {
        cluster.leader().is_some_and(|id| id != to)
    });
}

#[test]
fn a_failing_disk_halts_the_node_and_not_the_cluster() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.step(leader, Event::Io(Done::Failed));
    cluster.run_until("the halt", |cluster| {
        cluster.slot(leader).halted().is_some()
    });
    assert!(cluster.node(leader).has_ended());
    cluster.kill(leader);
    cluster.run_until("another leader", |cluster| cluster.leader().is_some());
    let next = cluster.elect();
    expect_written(cluster.ask(next, write("a", "1")));
}

#[test]
fn a_part_that_halts_says_what_it_knows_of_open_requests() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.cut.insert(leader);
    let open = [true, false].map(|is_change| {
        let request = match is_change {
            true => write("a", "1"),
            false => read("a", Consistency::Linearizable),
        };
        (is_change, cluster.request(leader, request))
    });
    cluster.step(leader, Event::Io(Done::Failed));
    cluster.run_until("answers", |cluster| {
        open.iter().all(|(_, id)| cluster.replies.contains_key(id))
    });
    for (is_change, id) in open {
        let is_unknown = cluster.replies[&id] == Response::Unknown;
        assert!(
            is_unknown || !is_change,
            "nobody can say whether it is done"
        );
        assert!(!is_unknown || is_change, "a read has changed nothing");
    }
}

#[test]
fn a_node_that_lost_its_state_gets_it_back_from_the_leader() {
    let mut cluster = Cluster::tuned(3, |config| {
        config.log_entries_max = 40;
        config.log_trailing_entries = 5;
    });
    let leader = cluster.elect();
    for number in 0..100 {
        expect_written(cluster.ask(leader, write(&format!("k{number}"), "v")));
    }
    let victim = cluster.follower_of(leader);
    let disk = &mut cluster.slot_mut(victim).disk;
    disk.replace_pairs(BTreeMap::new());
    cluster.restart(victim);
    cluster.run_until("the repair", |cluster| {
        let part = cluster.part(victim);
        part.replica().applied() == cluster.part(leader).replica().applied()
            && part
                .raft()
                .is_some_and(|raft| raft.role() == Role::Follower)
    });
    assert_eq!(
        cluster.part(victim).replica().digest(),
        cluster.part(leader).replica().digest()
    );
}
