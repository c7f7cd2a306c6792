//! Connections between nodes over libp2p: tcp, noise, yamux.
//!
//! **Who is who.** A connection proves possession of an Ed25519 key (its libp2p
//! peer id). A node is known by its P-256 key. Each stream begins with a
//! [`hello`]: both sides show the [`NodeCert`](decube_core::crypto::NodeCert) in
//! which the P-256 key claims that Ed25519 key for this cluster, and a stream of
//! anybody who is not a peer of this node is refused before it learns anything. A
//! certificate proves who a node is, not that it belongs to the cluster: anybody
//! can make a key. So the list of peers decides: the membership that the core
//! announces, and the nodes that the configuration names. A node that is configured as one
//! of another cluster shows a certificate of that one; the host is told with each message
//! which of the two was proven, and the parts of the node decide whom they hear.
//!
//! **Messages** (`/decube/peer/1`). For each peer one outbound stream; frames go
//! only from its opener. A node that has nothing to say sends an empty frame
//! every [`KEEPALIVE`], which is answered; a stream that is silent for
//! [`SILENCE_MAX`] is dead however healthy its socket looks, and its connection
//! is closed with it, so that the next attempt gets a new one.
//!
//! **Blobs** (`/decube/blob/1`). One stream for each transfer of a range of bytes;
//! see [`blob`].
//!
//! | bound | value |
//! |---|---|
//! | one message | `MESSAGE_BYTES_MAX`, checked before anything is allocated |
//! | queue to a peer | [`QUEUE_MESSAGES_MAX`] and [`QUEUE_BYTES_MAX`]; what does not fit is dropped and counted |
//! | messages from all peers that wait for a part of the host | [`EVENTS_MAX`]; then the sockets push back |
//! | inbound message streams, blob transfers | [`INBOUND_STREAMS_MAX`], [`blob::TRANSFERS_MAX`] |
//! | connections | [`CONNECTIONS_MAX`], [`CONNECTIONS_PER_PEER_MAX`] |
//!
//! **Not here**: relaying, hole punching, discovery, quic. A peer is found at the
//! addresses that the configuration or the operator names.
//!
//! | file | holds |
//! |---|---|
//! | `port.rs` | [`Libp2p`], the network port; [`Libp2pControl`] |
//! | `swarm.rs` | the task that owns the swarm |
//! | `link.rs` | the stream to one peer, kept alive |
//! | `inbound.rs` | streams that peers open |
//! | `hello.rs` | who is at the other end |
//! | `frame.rs` | length-prefixed frames |
//! | `address.rs` | [`PeerAddress`] |
//! | `blob.rs` | blob transfers |

mod address;
pub mod blob;
mod frame;
mod hello;
mod inbound;
mod link;
mod port;
mod shared;
mod swarm;

#[cfg(test)]
mod tests;

use std::time::Duration;

use libp2p::StreamProtocol;

pub use address::{AddressError, PeerAddress};
pub use port::{Libp2p, Libp2pConfig, Libp2pControl, NetworkError, start};
pub use shared::NetworkCounters;

/// Messages that wait for one part of one peer.
pub const QUEUE_MESSAGES_MAX: usize = 4096;
/// Their bytes.
pub const QUEUE_BYTES_MAX: usize = 32 << 20;
/// Events that wait for one part of the host.
pub const EVENTS_MAX: usize = 256;
/// Message streams that peers may have open.
pub const INBOUND_STREAMS_MAX: usize = 1024;
/// Connections in all.
pub const CONNECTIONS_MAX: u32 = 2048;
/// Connections to one peer. Two nodes that dial each other at once have two.
pub const CONNECTIONS_PER_PEER_MAX: u32 = 4;
/// How often an idle stream is probed.
pub const KEEPALIVE: Duration = Duration::from_secs(2);
/// After so much silence a stream is dead.
pub const SILENCE_MAX: Duration = Duration::from_secs(10);
/// How long a dial, a stream or a handshake may take.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(5);

const PEER_PROTOCOL: StreamProtocol = StreamProtocol::new("/decube/peer/1");
const BLOB_PROTOCOL: StreamProtocol = StreamProtocol::new("/decube/blob/1");
