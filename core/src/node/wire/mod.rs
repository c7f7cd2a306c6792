//! The encoding of what nodes say to each other and of what happens to a node.
//!
//! [`PeerMessage`](super::PeerMessage) travels between nodes and is decoded from
//! untrusted bytes. [`Event`](super::Event) is written by the flight recorder and
//! read back by replay: a recorded production run is a file of these.

mod event;
mod message;
