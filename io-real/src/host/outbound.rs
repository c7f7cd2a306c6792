//! Messages on their way out.

use bytes::Bytes;
use decube_core::codec::Encode as _;
use decube_core::node::Message;
use decube_core::types::NodeId;

use super::metrics::{Counter, Metrics};
use super::run::count;
use crate::ports::Network;

/// Encodes messages. One that goes to several peers in a row is encoded once: to
/// compare it costs less than to write it again, and a block goes to all validators.
#[derive(Debug, Default)]
pub(super) struct OutboundEncoder {
    /// The last one, kept until the next: at most one message's worth of memory.
    last: Option<(Message, Bytes)>,
}

impl OutboundEncoder {
    /// Sends a message, or counts it as dropped.
    pub(super) fn send(
        &mut self,
        to: NodeId,
        message: Message,
        network: &mut impl Network,
        metrics: &Metrics,
    ) {
        let bytes = self.encode(message);
        let length = count(bytes.len());
        match network.send(to, bytes) {
            Ok(()) => {
                metrics.add(Counter::MessagesOut, 1);
                metrics.add(Counter::MessageBytesOut, length);
            }
            Err(_) => metrics.add(Counter::MessagesDropped, 1),
        }
    }

    fn encode(&mut self, message: Message) -> Bytes {
        match &self.last {
            Some((last, bytes)) if *last == message => bytes.clone(),
            _ => {
                let bytes = message.to_bytes();
                self.last = Some((message, bytes.clone()));
                bytes
            }
        }
    }
}

#[cfg(test)]
#[path = "tests/outbound.rs"]
mod tests;
