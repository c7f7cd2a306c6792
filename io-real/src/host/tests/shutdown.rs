//! Every way a host can end.

use std::time::Duration;

use decube_core::cluster::Response;
use decube_core::io::{FileError, FileName, FileOp, FileOpId, FileResult};
use decube_core::node::{Effect, Event, PartId};
use decube_core::part::Health;
use decube_core::raft::Refusal;

use super::toy::{FAILED, accept, file as file_op, health, start, tick};
use crate::host::HostExit;
use crate::network::InProcessHub;
use crate::ports::DiskEvent;

#[tokio::test]
async fn a_graceful_stop_waits_for_the_machine() {
    let rig = start(&InProcessHub::new(), false, |now, event, out| {
        match event {
            // One more turn of its own before it is done.
            Event::Shutdown => return Some(now),
            Event::Wake => out.push(Effect::Stopped),
            _ => {}
        }
        None
    });
    assert_eq!(rig.handle.shutdown().await, Some(HostExit::Stopped));
    assert_eq!(
        rig.handle.shutdown().await,
        Some(HostExit::Stopped),
        "asking again is harmless"
    );
    assert_eq!(rig.task.await.unwrap(), HostExit::Stopped);
    let shutdowns = rig.journal.lock().unwrap();
    assert_eq!(
        shutdowns
            .iter()
            .filter(|(_, e)| *e == Event::Shutdown)
            .count(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_does_not_stop_is_left() {
    let rig = start(&InProcessHub::new(), false, |_, event, out| {
        accept(event, out);
        None
    });
    let stopping = tokio::spawn({
        let handle = rig.handle.clone();
        async move { handle.shutdown().await }
    });
    while !rig.events().contains(&Event::Shutdown) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let refused = rig.handle.cluster(tick()).await;
    assert_eq!(
        refused,
        Ok(Response::Refused(Refusal::Unavailable)),
        "no new work"
    );
    assert_eq!(stopping.await.unwrap(), Some(HostExit::ShutdownTimedOut));
}

#[tokio::test]
async fn the_last_handle_stops_the_host() {
    let rig = start(&InProcessHub::new(), false, |_, event, out| {
        if *event == Event::Shutdown {
            out.push(Effect::Stopped);
        }
        None
    });
    drop(rig.handle);
    assert_eq!(rig.task.await.unwrap(), HostExit::Stopped);
}

#[tokio::test]
async fn a_halted_machine_ends_the_host_and_gets_no_more_events() {
    let rig = start(&InProcessHub::new(), false, |_, event, out| {
        assert_ne!(*event, Event::Wake, "no event after a halt");
        if matches!(event, Event::Request { .. }) {
            out.push(health(Health::Halted(FAILED)));
            out.push(Effect::Stopped);
        }
        matches!(event, Event::Request { .. }).then_some(decube_core::types::Time::ZERO)
    });
    assert!(rig.handle.cluster(tick()).await.is_err());
    assert_eq!(rig.handle.ended().await, Some(HostExit::Halted(FAILED)));
    let status = rig.handle.status();
    assert_eq!(status.borrow().halted(PartId::Cluster), Some(&FAILED));
}

#[tokio::test]
async fn a_panicking_machine_takes_the_host_down() {
    let rig = start(&InProcessHub::new(), false, |_, event, _| {
        assert!(
            !matches!(event, Event::Request { .. }),
            "a broken invariant"
        );
        None
    });
    assert!(rig.handle.cluster(tick()).await.is_err());
    assert_eq!(rig.handle.ended().await, None);
    assert!(rig.task.await.unwrap_err().is_panic());
}

/// Without its part in the cluster a node is of no use: the other parts are shut down,
/// and only then the process ends.
#[tokio::test]
async fn a_halted_cluster_shuts_the_other_parts_down() {
    let rig = start(&InProcessHub::new(), false, |_, event, out| {
        match event {
            Event::Request { .. } => out.push(health(Health::Halted(FAILED))),
            Event::Shutdown => out.push(Effect::Stopped),
            _ => {}
        }
        None
    });
    assert!(rig.handle.request(tick()).await.is_err());
    assert_eq!(
        rig.handle.ended().await,
        Some(HostExit::Halted(FAILED)),
        "the reason is that of the halt"
    );
    let events = rig.events();
    let shutdowns = events.iter().filter(|event| **event == Event::Shutdown);
    assert_eq!(shutdowns.count(), 1);
}

/// The node goes on without the ledger, and says so.
#[tokio::test]
async fn a_halted_ledger_leaves_the_node_running() {
    let rig = start(&InProcessHub::new(), false, |_, event, out| {
        match event {
            Event::Start { .. } => out.push(Effect::Health {
                part: PartId::Ledger,
                health: Health::Halted(FAILED),
            }),
            Event::Shutdown => out.push(Effect::Stopped),
            _ => {}
        }
        accept(event, out);
        None
    });
    assert_eq!(rig.handle.cluster(tick()).await, Ok(Response::Accepted));
    let status = rig.handle.status();
    assert_eq!(status.borrow().halted(PartId::Ledger), Some(&FAILED));
    assert_eq!(rig.handle.shutdown().await, Some(HostExit::Stopped));
}

#[tokio::test]
async fn a_halt_names_the_volume_the_operation_and_what_the_system_said() {
    let rig = start(&InProcessHub::new(), true, |_, event, out| {
        match event {
            Event::Start { .. } => {
                let (file, len) = (FileName::Segment(7), 1);
                out.push(file_op(1, FileOp::Create { file, len }));
            }
            Event::Io { .. } => out.push(health(Health::Halted(FAILED))),
            _ => {}
        }
        None
    });
    let event = DiskEvent {
        id: FileOpId(1),
        result: FileResult::Failed(FileError::Full),
        said: Some("No space left on device (os error 28)".to_owned()),
    };
    rig.disk.send(event).unwrap();
    let mut status = rig.handle.status();
    let halted = status.wait_for(|status| status.halted(PartId::Cluster).is_some());
    let status = halted.await.unwrap().clone();
    let reason = status.halted(PartId::Cluster).unwrap();
    for word in [
        &*FAILED,
        "volume cluster",
        "creation of segment-00000000000000000007.wal",
        "No space left on device",
        "full: free space",
    ] {
        assert!(reason.contains(word), "{word:?} in {reason:?}");
    }
}
