//! What clients inside of the process follow all the time: the cluster's status and the
//! ledger's blocks, each by one stream of the node for all of them.

use std::sync::Arc;
use std::time::Duration;

use decube_core::cluster::{self, Status};
use decube_core::ledger::{self, FinalBlock};
use decube_core::node::{Request, Response};
use tokio::sync::{broadcast, watch};

use super::handle::{Answers, NodeHandle};

/// Final blocks that a slow follower of the ledger may be behind before it has to
/// ask for what it missed.
pub const BLOCKS_KEPT: usize = 256;
/// How long to wait before a node that does not answer yet is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Follows role, term, leader and membership of a node, as long as it runs. `None`
/// until it has recovered.
pub fn follow_cluster(handle: NodeHandle) -> watch::Receiver<Option<Status>> {
    let (status, receiver) = watch::channel(None);
    let request = cluster::Request::FollowStatus.into();
    tokio::spawn(follow(handle, request, move |response| {
        if let Response::Cluster(cluster::Response::Status(new)) = response {
            status.send_replace(Some(*new));
        }
    }));
    receiver
}

/// Follows the final blocks of a node's ledger, as long as it runs. Who takes them too
/// slowly is told how many it missed and asks for them.
pub fn follow_blocks(handle: NodeHandle) -> broadcast::Sender<Arc<FinalBlock>> {
    let (blocks, _) = broadcast::channel(BLOCKS_KEPT);
    let sender = blocks.clone();
    let request = ledger::Request::Follow.into();
    tokio::spawn(follow(handle, request, move |response| {
        if let Response::Ledger(ledger::Response::Block(block)) = response {
            // Without followers there is nobody to tell.
            let _ = sender.send(block);
        }
    }));
    blocks
}

/// Reads a stream, and opens it again when it has ended, until the host has. Only a
/// handle that waits keeps a host from stopping by itself, so none is kept meanwhile.
async fn follow(handle: NodeHandle, request: Request, mut take: impl FnMut(Response)) {
    let again = handle.downgrade();
    let mut opened = handle.stream(request.clone());
    drop(handle);
    loop {
        if let Ok(answers) = &mut opened {
            while let Ok(response) = Answers::next(answers).await {
                take(response);
            }
        }
        drop(opened);
        tokio::time::sleep(ASK_AGAIN).await;
        let Some(handle) = again.upgrade() else {
            return;
        };
        if handle.status().borrow().exit.is_some() {
            return;
        }
        opened = handle.stream(request.clone());
    }
}
