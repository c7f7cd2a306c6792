//! Watches: changes in order, and every way a watch can end.

use bytes::Bytes;
use decube_core::cluster::{Changes, Request, Response};
use decube_core::kv::Change;
use decube_core::node::{self, Event};
use decube_core::raft::Refusal;
use decube_core::types::{RequestId, Revision};

use super::toy::{Rig, reply, start, stream, tick};
use crate::host::{STREAM_QUEUE_MAX, Watch, WatchEnd};
use crate::network::InProcessHub;

fn changes(revision: u64) -> Changes {
    let change = Change {
        revision: Revision(revision),
        key: Bytes::from_static(b"key"),
        pair: None,
    };
    Changes {
        changes: vec![change],
    }
}

/// Opens every watch, and reports one more change to it at each write.
fn watched() -> Rig {
    let mut watch = None;
    let mut revision = 0;
    start(&InProcessHub::new(), false, move |_, event, out| {
        match event {
            Event::Request {
                id,
                request: node::Request::Cluster(Request::Watch { since, .. }),
            } => {
                watch = Some(*id);
                let revision = *since;
                out.push(stream(*id, Response::Watching { revision }));
            }
            Event::Request { id, .. } => {
                revision += 1;
                let changed = watch.map(|id| stream(id, Response::Changed(changes(revision))));
                changed.into_iter().for_each(|effect| out.push(effect));
                out.push(reply(*id, Response::Accepted));
            }
            Event::Cancel { id } if watch == Some(*id) => watch = None,
            _ => {}
        }
        None
    })
}

async fn watch(rig: &Rig) -> Watch {
    let watch = rig
        .handle
        .watch(Bytes::new(), None, Revision(7))
        .await
        .unwrap();
    assert_eq!(watch.revision(), Revision(7));
    watch
}

fn watch_id(rig: &Rig) -> RequestId {
    let find = |event| match event {
        Event::Request {
            id,
            request: node::Request::Cluster(Request::Watch { .. }),
        } => Some(id),
        _ => None,
    };
    rig.events().into_iter().find_map(find).unwrap()
}

#[tokio::test]
async fn changes_arrive_in_order() {
    let rig = watched();
    let mut watch = watch(&rig).await;
    for revision in 1..=3 {
        rig.handle.cluster(tick()).await.unwrap();
        assert_eq!(watch.next().await, Ok(changes(revision)));
    }
}

#[tokio::test]
async fn dropping_a_watch_ends_it_on_the_node() {
    let rig = watched();
    let watch = watch(&rig).await;
    let id = watch_id(&rig);
    drop(watch);
    rig.handle.cluster(tick()).await.unwrap();
    assert_eq!(
        rig.events()
            .iter()
            .filter(|e| **e == Event::Cancel { id })
            .count(),
        1
    );
}

#[tokio::test]
async fn a_slow_watcher_is_ended_and_told_so() {
    let rig = watched();
    let mut watch = watch(&rig).await;
    for _ in 0..STREAM_QUEUE_MAX + 5 {
        rig.handle.cluster(tick()).await.unwrap();
    }
    let id = watch_id(&rig);
    assert_eq!(
        rig.events()
            .iter()
            .filter(|e| **e == Event::Cancel { id })
            .count(),
        1
    );
    for revision in 1..=STREAM_QUEUE_MAX as u64 {
        assert_eq!(
            watch.next().await,
            Ok(changes(revision)),
            "what was queued still comes"
        );
    }
    assert_eq!(watch.next().await, Err(WatchEnd::Lagged));
    assert_eq!(
        watch.next().await,
        Err(WatchEnd::Lagged),
        "an end is for good"
    );
}

#[tokio::test]
async fn a_watch_that_can_not_go_on_says_where_to_begin_again() {
    let oldest = Revision(40);
    let mut watch_id = None;
    let rig = start(&InProcessHub::new(), false, move |_, event, out| {
        let Event::Request { id, request } = event else {
            return None;
        };
        match (request, watch_id) {
            (node::Request::Cluster(Request::Watch { .. }), None) => {
                watch_id = Some(*id);
                let revision = Revision(7);
                out.push(stream(*id, Response::Watching { revision }));
            }
            (node::Request::Cluster(Request::Watch { .. }), Some(_)) => {
                out.push(reply(*id, Response::Compacted { oldest }));
            }
            (_, watching) => {
                let end = |id| reply(id, Response::Compacted { oldest });
                watching
                    .map(end)
                    .into_iter()
                    .for_each(|effect| out.push(effect));
                out.push(reply(*id, Response::Accepted));
            }
        }
        None
    });
    let mut running = watch(&rig).await;
    let refused = rig.handle.watch(Bytes::new(), None, Revision(1)).await;
    assert_eq!(refused.err(), Some(WatchEnd::Compacted { oldest }));
    rig.handle.cluster(tick()).await.unwrap();
    assert_eq!(running.next().await, Err(WatchEnd::Compacted { oldest }));
}

#[tokio::test]
async fn a_refused_watch_gives_the_reason() {
    let rig = start(&InProcessHub::new(), false, |_, event, out| {
        if let Event::Request { id, .. } = event {
            out.push(reply(*id, Response::Refused(Refusal::Unavailable)));
        }
        None
    });
    let refused = rig.handle.watch(Bytes::new(), None, Revision(0)).await;
    assert_eq!(refused.err(), Some(WatchEnd::Refused(Refusal::Unavailable)));
}

#[tokio::test]
async fn a_watch_ends_with_the_host() {
    let rig = watched();
    let mut watch = watch(&rig).await;
    rig.task.abort();
    assert_eq!(watch.next().await, Err(WatchEnd::HostGone));
}
