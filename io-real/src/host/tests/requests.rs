//! Requests: answers, refusals, and clients that go away.

use bytes::Bytes;
use decube_core::cluster::{Request, Response};
use decube_core::io::{FileOp, FileOpId, FileResult};
use decube_core::kv::{Condition, Op};
use decube_core::limits::{KV_KEY_BYTES_MAX, KV_VALUE_BYTES_MAX, REQUESTS_OPEN_MAX, VOTERS_MAX};
use decube_core::node::{Event, PartId};
use decube_core::part::Health;
use decube_core::raft::{Membership, MembershipRule, Refusal};
use decube_core::replica::Command;
use decube_core::types::{NodeId, Revision};

use super::toy::{START, accept, file, health, join_all, reply, start, tick};
use crate::host::{Counter, HostGone, OPERATIONS_IN_FLIGHT_MAX, REQUEST_QUEUE_MAX, WatchEnd};
use crate::network::InProcessHub;
use crate::ports::DiskEvent;

#[tokio::test]
async fn each_request_gets_its_own_answer() {
    let rig = start(&InProcessHub::new(), false, |_, event, out| {
        if let Event::Request { id, .. } = event {
            let response = match id.0.is_multiple_of(2) {
                true => Response::Accepted,
                false => Response::Unknown,
            };
            out.push(reply(*id, response));
        }
        None
    });
    assert_eq!(rig.handle.cluster(tick()).await, Ok(Response::Unknown));
    assert_eq!(
        rig.handle.clone().cluster(tick()).await,
        Ok(Response::Accepted)
    );
    assert_eq!(rig.handle.cluster(tick()).await, Ok(Response::Unknown));
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_request() {
    let rig = start(&InProcessHub::new(), false, |_, _, _| None);
    let client = rig.handle.clone();
    let asking = tokio::spawn(async move { client.cluster(tick()).await });
    let id = loop {
        tokio::task::yield_now().await;
        if let Some(Event::Request { id, .. }) = rig.events().last() {
            break *id;
        }
    };
    asking.abort();
    while rig.events().last() != Some(&Event::Cancel { id }) {
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.handle.metrics().get(Counter::RequestsCancelled), 1);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    // The disk answers nothing, so the host stops taking work.
    let rig = start(&InProcessHub::new(), true, |_, event, out| {
        if *event == START {
            for number in 0..OPERATIONS_IN_FLIGHT_MAX {
                out.push(file(number as u64, FileOp::List));
            }
            out.push(health(Health::Ready));
        }
        accept(event, out);
        None
    });
    rig.handle
        .status()
        .wait_for(|status| status.is_serving(PartId::Cluster))
        .await
        .unwrap();
    // The queue takes its fill, the one request more is refused, and when the
    // disk moves on all the others are served.
    let asks = (0..=REQUEST_QUEUE_MAX).map(|_| rig.handle.cluster(tick()));
    let mut asks = Box::pin(join_all(asks.map(Box::pin).collect()));
    let mut disk = Some(rig.disk.clone());
    let answers = std::future::poll_fn(|cx| {
        let polled = asks.as_mut().poll(cx);
        if let Some(disk) = disk.take() {
            assert_eq!(rig.handle.metrics().get(Counter::RequestsRefused), 1);
            let (id, result) = (FileOpId(0), FileResult::Listed(Vec::new()));
            disk.send(DiskEvent {
                id,
                result,
                said: None,
            })
            .unwrap();
        }
        polled
    });
    let mut answers = answers.await;
    let last = answers.pop();
    assert_eq!(
        last,
        Some(Ok(Response::Refused(Refusal::Busy))),
        "refused at once"
    );
    assert!(
        answers
            .iter()
            .all(|answer| *answer == Ok(Response::Accepted))
    );
    assert_eq!(rig.handle.cluster(tick()).await, Ok(Response::Accepted));
}

#[tokio::test]
async fn what_is_over_a_bound_is_refused_before_anything_writes_it_down() {
    let rig = start(&InProcessHub::new(), false, |_, event, out| {
        accept(event, out);
        None
    });
    let put = |key_bytes: usize, value_bytes: usize| {
        let op = Op::Put {
            key: vec![b'k'; key_bytes].into(),
            value: vec![b'v'; value_bytes].into(),
            condition: Condition::Always,
            lease: None,
        };
        rig.handle.cluster(Request::Write(Command::Once { op }))
    };
    let (key, value) = (KV_KEY_BYTES_MAX, KV_VALUE_BYTES_MAX);
    let too_large = Ok(Response::Refused(Refusal::TooLarge));
    assert_eq!(put(key + 1, value).await, too_large);
    assert_eq!(put(key, value + 1).await, too_large);
    assert_eq!(put(key, value).await, Ok(Response::Accepted));
    let inside = |op: Op| Op::Txn {
        conditions: vec![],
        ops: vec![op],
    };
    let long = Op::DeleteRange {
        from: Bytes::new(),
        to: vec![b'k'; key + 1].into(),
    };
    let empty = Op::Txn {
        conditions: vec![],
        ops: vec![],
    };
    for op in [inside(long), inside(empty)] {
        let refused = rig.handle.cluster(Request::Write(Command::Once { op }));
        assert_eq!(refused.await, too_large, "nor in a transaction");
    }
    let many = Membership::of_voters((1..=VOTERS_MAX as u128 + 1).map(NodeId));
    let refused = rig.handle.cluster(Request::ChangeMembership(many)).await;
    let rule = MembershipRule::TooManyVoters;
    let invalid = Response::Refused(Refusal::InvalidMembership { rule });
    assert_eq!(refused, Ok(invalid), "and says which rule is broken");
    let watch = |from: usize, to: usize| {
        let bytes = |length: usize| Bytes::from(vec![b'k'; length]);
        rig.handle.watch(bytes(from), Some(bytes(to)), Revision(0))
    };
    let refused = watch(key + 1, key).await.expect_err("over the bound");
    assert_eq!(refused, WatchEnd::Refused(Refusal::TooLarge));
    let refused = watch(key, key + 2).await.expect_err("over the bound");
    assert_eq!(refused, WatchEnd::Refused(Refusal::TooLarge));
    let seen = rig.events();
    let asked = seen
        .iter()
        .filter(|one| matches!(one, Event::Request { .. }));
    assert_eq!(asked.count(), 1, "the node hears of none of them");
}

#[tokio::test]
async fn open_requests_are_bounded() {
    let rig = start(&InProcessHub::new(), false, |_, _, _| None);
    let mut waiting = tokio::task::JoinSet::new();
    let wave = REQUEST_QUEUE_MAX / 2;
    for _ in 0..REQUESTS_OPEN_MAX / wave {
        for _ in 0..wave {
            let client = rig.handle.clone();
            waiting.spawn(async move { client.cluster(tick()).await });
        }
        let goal = (waiting.len()) as u64;
        while rig.handle.metrics().get(Counter::Requests) < goal {
            tokio::task::yield_now().await;
        }
    }
    let answer = rig.handle.cluster(tick()).await;
    assert_eq!(answer, Ok(Response::Refused(Refusal::Busy)));
}

#[tokio::test]
async fn a_host_that_is_gone_says_so() {
    let rig = start(&InProcessHub::new(), false, |_, _, _| None);
    let client = rig.handle.clone();
    let open = tokio::spawn(async move { client.cluster(tick()).await });
    while !rig
        .events()
        .iter()
        .any(|event| matches!(event, Event::Request { .. }))
    {
        tokio::task::yield_now().await;
    }
    rig.task.abort();
    assert_eq!(open.await.unwrap(), Err(HostGone));
    assert_eq!(rig.handle.cluster(tick()).await, Err(HostGone));
    assert_eq!(rig.handle.ended().await, None);
}
