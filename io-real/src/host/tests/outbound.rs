use std::collections::BTreeSet;

use decube_core::cluster;
use decube_core::types::{Index, PeerRequestId};

use super::*;
use crate::ports::Dropped;

/// Keeps what it is given, for all peers but one that is not connected.
#[derive(Default)]
struct Kept(Vec<(NodeId, Bytes)>);

const ABSENT: NodeId = NodeId(9);

impl Network for Kept {
    fn send(&mut self, to: NodeId, message: Bytes) -> Result<(), Dropped> {
        if to == ABSENT {
            return Err(Dropped::NotConnected);
        }
        self.0.push((to, message));
        Ok(())
    }

    fn connect(&mut self, _: &BTreeSet<NodeId>) {}

    async fn close(self) {}
}

fn message(size: u64) -> Message {
    let (id, size) = (PeerRequestId::default(), Index(size));
    cluster::Message::HeadRequest { id, size }.into()
}

#[test]
fn a_message_to_several_is_encoded_once_and_another_one_anew() {
    let (mut outbound, mut network) = (OutboundEncoder::default(), Kept::default());
    let metrics = Metrics::default();
    let peers = [1, 2, 3].map(NodeId);
    for (to, size) in [(peers[0], 7), (ABSENT, 7), (peers[1], 7), (peers[2], 8)] {
        outbound.send(to, message(size), &mut network, &metrics);
    }
    let Kept(sent) = network;
    assert_eq!(sent.iter().map(|(to, _)| *to).collect::<Vec<_>>(), peers);
    assert_eq!(sent[0].1.as_ptr(), sent[1].1.as_ptr(), "one buffer");
    assert_ne!(sent[1].1.as_ptr(), sent[2].1.as_ptr());
    assert_eq!(sent[0].1, message(7).to_bytes());
    assert_eq!(sent[2].1, message(8).to_bytes());
    assert_eq!(metrics.get(Counter::MessagesOut), 3);
    assert_eq!(metrics.get(Counter::MessagesDropped), 1);
    let bytes: usize = sent.iter().map(|(_, bytes)| bytes.len()).sum();
    assert_eq!(metrics.get(Counter::MessageBytesOut), bytes as u64);
}
