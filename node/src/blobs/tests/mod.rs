//! Copies on writes, repair on reads.

use std::sync::Arc;

use decube_core::types::NodeId;
use tokio::io::AsyncReadExt;

use super::{BlobError, Body, ReplicatedBlobs, SegmentId, Stored};
use crate::testing::{MemoryBlobs, MockPeers};

struct Fixture {
    blobs: ReplicatedBlobs,
    local: MemoryBlobs,
    peers: MockPeers,
}

fn fixture(peers: MockPeers, replicas: Option<usize>) -> Fixture {
    let local = MemoryBlobs::default();
    Fixture {
        blobs: ReplicatedBlobs::new(
            NodeId(1),
            Arc::new(local.clone()),
            Arc::new(peers.clone()),
            replicas,
        ),
        local,
        peers,
    }
}

fn body(bytes: &'static [u8]) -> Body {
    Box::pin(bytes)
}

impl Fixture {
    async fn write(&self, bytes: &'static [u8]) -> Result<Stored, BlobError> {
        let stored = self.blobs.put_local(None, body(bytes), 1 << 20).await?;
        self.blobs.replicate(stored).await?;
        Ok(stored)
    }

    async fn read(&self, id: SegmentId) -> Result<Vec<u8>, BlobError> {
        let length = self.blobs.ensure(id).await?;
        let mut bytes = Vec::new();
        let mut body = self.blobs.open(id, 0..length).await?;
        body.read_to_end(&mut bytes)
            .await
            .expect("memory does not fail");
        Ok(bytes)
    }

    fn copies(&self, id: SegmentId) -> usize {
        let ids: Vec<u128> = self
            .peers
            .peers
            .lock()
            .expect("held")
            .keys()
            .map(|id| id.0)
            .collect();
        ids.into_iter()
            .filter(|peer| self.peers.store(*peer).bytes(id).is_some())
            .count()
    }
}

#[tokio::test]
async fn a_write_is_on_one_other_member_by_default() {
    let fixture = fixture(MockPeers::up([2, 3, 4]), None);
    let stored = fixture.write(b"hello").await.expect("written");
    assert_eq!(fixture.copies(stored.id), 1);
    assert!(fixture.local.bytes(stored.id).is_some());
}

#[tokio::test]
async fn a_member_that_is_down_is_passed_over() {
    let fixture = fixture(MockPeers::up([2, 3]), None);
    for down in [2, 3] {
        fixture.peers.set_up(NodeId(2), down != 2);
        fixture.peers.set_up(NodeId(3), down != 3);
        let stored = fixture
            .write(b"hello")
            .await
            .expect("the other member takes it");
        assert!(fixture.peers.store(5 - down).bytes(stored.id).is_some());
    }
}

#[tokio::test]
async fn too_few_copies_are_an_error_with_reasons() {
    let fixture = fixture(MockPeers::up([2, 3]), Some(3));
    fixture.peers.set_up(NodeId(3), false);
    let error = fixture
        .write(b"hello")
        .await
        .expect_err("three copies cannot be made");
    let BlobError::TooFewCopies {
        copies: 2,
        wanted: 3,
        reasons,
    } = error
    else {
        panic!("{error}");
    };
    assert!(reasons.ends_with("3: not connected"), "{reasons}");
}

#[tokio::test]
async fn a_cluster_of_one_needs_no_copies() {
    let fixture = fixture(MockPeers::default(), Some(3));
    fixture.write(b"hello").await.expect("there is nobody else");
}

#[tokio::test]
async fn missing_and_damaged_segments_come_back_from_a_peer() {
    let fixture = fixture(MockPeers::up([2, 3]), Some(3));
    let stored = fixture.write(b"hello").await.expect("written");
    fixture.local.remove(stored.id);
    assert_eq!(
        fixture.read(stored.id).await.expect("from a peer"),
        b"hello"
    );
    assert!(fixture.local.bytes(stored.id).is_some(), "and kept");

    let again = self::fixture(fixture.peers.clone(), None);
    again.local.set(stored.id, &b"hellO"[..]);
    assert_eq!(again.read(stored.id).await.expect("from a peer"), b"hello");
}

#[tokio::test]
async fn a_lying_peer_is_found_out() {
    let fixture = fixture(MockPeers::up([2, 3]), None);
    let id = SegmentId::of(b"truth");
    fixture.peers.store(2).set(id, &b"a lie"[..]);
    assert_eq!(fixture.read(id).await, Err(BlobError::Missing { id }));
    fixture.peers.store(3).set(id, &b"truth"[..]);
    assert_eq!(fixture.read(id).await.expect("from the other"), b"truth");
}

#[tokio::test]
async fn what_nobody_has_is_missing_and_what_is_only_damaged_says_so() {
    let fixture = fixture(MockPeers::up([2]), None);
    let id = SegmentId::of(b"x");
    assert_eq!(fixture.read(id).await, Err(BlobError::Missing { id }));
    fixture.local.set(id, &b"y"[..]);
    assert_eq!(fixture.read(id).await, Err(BlobError::Damaged { id }));
}
