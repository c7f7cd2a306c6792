//! Transfers of blobs.

use std::io::Cursor;
use std::sync::{Arc, Mutex};

use decube_core::crypto::sha256;
use decube_core::types::NodeId;
use tokio::io::AsyncReadExt as _;

use super::super::blob::{BlobBody, BlobHash, BlobService, BlobTransferError, TRANSFERS_MAX};
use super::{ANY_PORT, Station};
use crate::data_dir::NodeKeys;

/// One blob in memory.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Option<Vec<u8>>>>);

fn hash(bytes: &[u8]) -> BlobHash {
    BlobHash(sha256(bytes).0)
}

impl BlobService for Shelf {
    async fn get(
        &self,
        _from: NodeId,
        wanted: BlobHash,
        offset: u64,
        len: u64,
    ) -> Result<BlobBody, BlobTransferError> {
        let bytes = self.0.lock().unwrap().clone();
        let bytes = bytes.filter(|bytes| hash(bytes) == wanted);
        let bytes = bytes.ok_or(BlobTransferError::NotFound)?;
        let offset = usize::try_from(offset).unwrap();
        let rest = bytes
            .get(offset..)
            .ok_or(BlobTransferError::Invalid)?
            .to_vec();
        Ok(BlobBody::new(len.min(rest.len() as u64), Cursor::new(rest)))
    }

    async fn put(
        &self,
        _from: NodeId,
        wanted: BlobHash,
        mut body: BlobBody,
    ) -> Result<(), BlobTransferError> {
        if body.len() > 8 << 20 {
            return Err(BlobTransferError::Busy);
        }
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes).await?;
        if hash(&bytes) != wanted {
            return Err(BlobTransferError::Invalid);
        }
        *self.0.lock().unwrap() = Some(bytes);
        Ok(())
    }
}

/// Some bytes that do not repeat quickly.
fn bytes(count: usize) -> Vec<u8> {
    (0..count as u64)
        .map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0])
        .collect()
}

fn body(bytes: &[u8]) -> BlobBody {
    BlobBody::new(bytes.len() as u64, Cursor::new(bytes.to_vec()))
}

/// A client, and a node with a shelf.
async fn library() -> (Station, Station, Shelf) {
    let shelf = Shelf::default();
    let keys = NodeKeys::generate().unwrap();
    let b = Station::with("test", keys, ANY_PORT, shelf.clone()).await;
    let a = Station::new().await;
    a.control.set_addresses(b.id, vec![b.address.into()]);
    b.let_in(a.id);
    (a, b, shelf)
}

async fn get(
    a: &Station,
    b: &Station,
    hash: BlobHash,
    offset: u64,
    len: u64,
) -> Result<Vec<u8>, BlobTransferError> {
    let mut body = a.control.blobs().get(b.id, hash, offset, len).await?;
    let mut bytes = Vec::new();
    body.read_to_end(&mut bytes).await?;
    Ok(bytes)
}

#[tokio::test]
async fn a_blob_goes_there_and_comes_back() {
    let (a, b, shelf) = library().await;
    let blob = bytes(5_000_000);
    let name = hash(&blob);
    a.control
        .blobs()
        .put(b.id, name, body(&blob))
        .await
        .unwrap();
    assert_eq!(shelf.0.lock().unwrap().as_ref(), Some(&blob));
    assert_eq!(get(&a, &b, name, 0, u64::MAX).await.unwrap(), blob);
    assert_eq!(get(&a, &b, name, 1000, 7).await.unwrap(), blob[1000..1007]);
    assert_eq!(
        get(&a, &b, name, 4_999_999, 100).await.unwrap(),
        blob[4_999_999..]
    );
    assert_eq!(get(&a, &b, name, 5_000_000, 1).await.unwrap(), b"");
}

#[tokio::test]
async fn refusals_say_why() {
    let (a, b, shelf) = library().await;
    let missing = get(&a, &b, hash(b"?"), 0, 1).await;
    assert!(
        matches!(missing, Err(BlobTransferError::NotFound)),
        "{missing:?}"
    );
    let wrong = a.control.blobs().put(b.id, hash(b"?"), body(b"!")).await;
    assert!(
        matches!(wrong, Err(BlobTransferError::Invalid)),
        "{wrong:?}"
    );
    let blob = bytes(9 << 20);
    let busy = a.control.blobs().put(b.id, hash(&blob), body(&blob)).await;
    assert!(matches!(busy, Err(BlobTransferError::Busy)), "{busy:?}");
    assert!(shelf.0.lock().unwrap().is_none());
}

#[tokio::test]
async fn a_body_that_ends_early_is_never_taken_for_whole() {
    let (a, b, shelf) = library().await;
    let blob = bytes(100_000);
    let short = BlobBody::new(200_000, Cursor::new(blob.clone()));
    let result = a.control.blobs().put(b.id, hash(&blob), short).await;
    assert!(
        matches!(result, Err(BlobTransferError::Io(_))),
        "{result:?}"
    );
    assert!(
        shelf.0.lock().unwrap().is_none(),
        "its hash would have matched"
    );
}

#[tokio::test]
async fn strangers_get_nothing() {
    let (a, b, shelf) = library().await;
    *shelf.0.lock().unwrap() = Some(b"secret".to_vec());
    let stranger = Station::new().await;
    stranger.control.set_addresses(b.id, vec![b.address.into()]);
    let refused = get(&stranger, &b, hash(b"secret"), 0, 6).await;
    assert!(
        matches!(refused, Err(BlobTransferError::Io(_))),
        "{refused:?}"
    );
    assert_eq!(get(&a, &b, hash(b"secret"), 0, 6).await.unwrap(), b"secret");
}

#[tokio::test]
async fn many_transfers_at_once_all_succeed_or_are_told_to_come_back() {
    let (a, b, shelf) = library().await;
    let blob = bytes(300_000);
    *shelf.0.lock().unwrap() = Some(blob.clone());
    let client = a.control.blobs();
    let mut transfers = tokio::task::JoinSet::new();
    for _ in 0..TRANSFERS_MAX / 2 {
        let (client, id, name) = (client.clone(), b.id, hash(&blob));
        transfers.spawn(async move {
            let mut bytes = Vec::new();
            let body = client.get(id, name, 0, u64::MAX).await;
            body.unwrap().read_to_end(&mut bytes).await.unwrap();
            bytes
        });
    }
    while let Some(bytes) = transfers.join_next().await {
        assert_eq!(bytes.unwrap(), blob);
    }
}
