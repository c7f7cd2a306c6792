//! Stand-ins for the node and for the stores, for tests alone.

mod blobs;
mod node;

pub use blobs::{MemoryBlobs, MockPeers};
pub use node::MockNode;
