//! Tests of the store on a real file system.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use decube_core::snapshot::SegmentId;
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};

use super::{BlobConfig, BlobError, BlobStat, BlobStore};

const LIMIT: u64 = 8 << 20;

fn open(root: &Path) -> BlobStore {
    let config = BlobConfig {
        reserve_bytes: 1,
        ..BlobConfig::default()
    };
    BlobStore::open(root, config).unwrap()
}

async fn put(store: &BlobStore, bytes: &[u8]) -> SegmentId {
    let id = SegmentId::of(bytes);
    let stored = store.put(id, Cursor::new(bytes), LIMIT).await.unwrap();
    assert_eq!((stored.id, stored.length), (id, bytes.len() as u64));
    id
}

/// Where the documentation says that a blob lies.
fn path_of(root: &Path, id: SegmentId) -> PathBuf {
    let name = id.to_string();
    root.join("seg")
        .join(&name[..2])
        .join(&name[2..4])
        .join(&name)
}

fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Bytes that do not repeat.
fn noise(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(count).collect()
}

#[tokio::test]
async fn what_is_put_is_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for size in [0, 1, 255 << 10, 256 << 10, (256 << 10) + 1, 3 << 20] {
        let bytes = noise(size, 7);
        let id = put(&store, &bytes).await;
        let length = bytes.len() as u64;
        assert_eq!(store.stat(id).await.unwrap(), Some(BlobStat { id, length }));
        assert_eq!(store.read(id, LIMIT).await.unwrap().unwrap(), bytes);
        assert_eq!(store.verify(id).await.unwrap(), Some(length));
        assert_eq!(fs::read(path_of(directory.path(), id)).unwrap(), bytes);
        let mut streamed = Vec::new();
        let mut reader = store.get(id, None).await.unwrap().unwrap();
        assert_eq!(reader.length(), length);
        reader.read_to_end(&mut streamed).await.unwrap();
        assert_eq!(streamed, bytes);
    }
    assert!(names(&directory.path().join("tmp")).is_empty());
}

#[tokio::test]
async fn absent_blobs_are_none_everywhere() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let id = SegmentId::of(b"never stored");
    assert_eq!(store.stat(id).await.unwrap(), None);
    assert_eq!(store.read(id, LIMIT).await.unwrap(), None);
    assert_eq!(store.verify(id).await.unwrap(), None);
    assert!(store.get(id, None).await.unwrap().is_none());
    assert!(!store.delete(id).await.unwrap());
}

#[tokio::test]
async fn ranges_are_exact_and_checked() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let bytes = noise(10_000, 3);
    let id = put(&store, &bytes).await;
    for (start, end) in [
        (0, 10_000),
        (0, 0),
        (10_000, 10_000),
        (1, 2),
        (4_096, 9_999),
    ] {
        let mut reader = store.get(id, Some(start..end)).await.unwrap().unwrap();
        let mut part = Vec::new();
        reader.read_to_end(&mut part).await.unwrap();
        assert_eq!(part, bytes[start as usize..end as usize]);
        assert_eq!(reader.blob_length(), 10_000);
    }
    #[allow(clippy::reversed_empty_ranges)]
    for range in [0..10_001, 10_001..10_001, 5..4] {
        let error = store.get(id, Some(range)).await.unwrap_err();
        assert!(matches!(error, BlobError::Range { .. }));
    }
}

#[tokio::test]
async fn bytes_under_a_wrong_name_are_refused_and_not_kept() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let id = SegmentId::of(b"announced");
    let error = store.put(id, &b"delivered"[..], LIMIT).await.unwrap_err();
    assert!(matches!(error, BlobError::Mismatch { expected, .. } if expected == id));
    assert_eq!(store.stat(id).await.unwrap(), None);
    assert_eq!(store.list(None, 10).await.unwrap(), []);
    assert!(names(&directory.path().join("tmp")).is_empty());
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_not_kept() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let bytes = noise(1001, 5);
    let id = SegmentId::of(&bytes);
    let error = store.put(id, &bytes[..], 1000).await.unwrap_err();
    assert!(matches!(error, BlobError::TooLarge { bytes_max: 1000 }));
    assert_eq!(store.stat(id).await.unwrap(), None);
    assert!(names(&directory.path().join("tmp")).is_empty());
}

/// Delivers some bytes, then fails or waits for ever.
struct Broken {
    left: usize,
    fail: bool,
}

impl AsyncRead for Broken {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return match self.fail {
                true => Poll::Ready(Err(io::Error::other("connection lost"))),
                false => Poll::Pending,
            };
        }
        let count = self.left.min(buffer.remaining());
        buffer.put_slice(&vec![7; count]);
        self.left -= count;
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_body_that_breaks_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let body = Broken {
        left: 1_000_000,
        fail: true,
    };
    let error = store.put_unnamed(body, LIMIT).await.unwrap_err();
    assert!(matches!(error, BlobError::Body(_)));
    assert_eq!(store.list(None, 10).await.unwrap(), []);
    assert!(names(&directory.path().join("tmp")).is_empty());
}

#[tokio::test]
async fn a_cancelled_put_leaves_nothing_and_frees_its_turn() {
    let directory = tempfile::tempdir().unwrap();
    let config = BlobConfig {
        reserve_bytes: 1,
        writes_max: 1,
    };
    let store = BlobStore::open(directory.path(), config).unwrap();
    let body = Broken {
        left: 1_000_000,
        fail: false,
    };
    let task = tokio::spawn({
        let store = store.clone();
        async move { store.put_unnamed(body, LIMIT).await }
    });
    while names(&directory.path().join("tmp")).is_empty() {
        tokio::task::yield_now().await;
    }
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    // The only permit is free again once the writer has cleaned up.
    put(&store, b"next").await;
    assert_eq!(store.list(None, 10).await.unwrap().len(), 1);
    assert!(names(&directory.path().join("tmp")).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_puts_of_one_blob_all_succeed() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let bytes = Bytes::from(noise(1 << 20, 11));
    let id = SegmentId::of(&bytes);
    let puts: Vec<_> = (0..16)
        .map(|_| {
            let (store, bytes) = (store.clone(), bytes.clone());
            tokio::spawn(async move { store.put(id, Cursor::new(bytes), LIMIT).await })
        })
        .collect();
    let mut first = 0;
    for put in puts {
        first += usize::from(!put.await.unwrap().unwrap().existed);
    }
    assert_eq!(first, 1);
    assert_eq!(store.read(id, LIMIT).await.unwrap().unwrap(), bytes);
    assert_eq!(store.list(None, 10).await.unwrap().len(), 1);
    assert!(names(&directory.path().join("tmp")).is_empty());
}

#[tokio::test]
async fn damage_is_found_quarantined_and_healed_by_a_put() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let bytes = noise(100_000, 13);
    let id = put(&store, &bytes).await;
    let path = path_of(directory.path(), id);
    let damage = |byte: usize| {
        let mut damaged = bytes.clone();
        damaged[byte] ^= 1;
        fs::write(&path, damaged).unwrap();
    };

    damage(0);
    let error = store.read(id, LIMIT).await.unwrap_err();
    assert!(matches!(error, BlobError::Damaged { id: damaged } if damaged == id));
    assert_eq!(store.stat(id).await.unwrap(), None);
    put(&store, &bytes).await;

    damage(99_999);
    let error = store.verify(id).await.unwrap_err();
    assert!(matches!(error, BlobError::Damaged { .. }));
    put(&store, &bytes).await;

    // Present but damaged, and nobody noticed: a put must not trust it.
    fs::write(&path, &bytes[..50_000]).unwrap();
    put(&store, &bytes).await;
    assert_eq!(store.read(id, LIMIT).await.unwrap().unwrap(), bytes);
    let expected: Vec<_> = (0..3).map(|number| format!("{id}.{number}")).collect();
    assert_eq!(names(&directory.path().join("quarantine")), expected);
}

#[tokio::test]
async fn opening_clears_what_a_crash_left_and_keeps_the_blobs() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let id = put(&store, b"kept").await;
    drop(store);
    let tmp = directory.path().join("tmp");
    fs::write(tmp.join("0"), b"half of a segm").unwrap();
    fs::write(tmp.join("17"), b"").unwrap();
    let store = open(directory.path());
    assert!(names(&tmp).is_empty());
    assert_eq!(store.read(id, LIMIT).await.unwrap().unwrap(), &b"kept"[..]);
}

#[tokio::test]
async fn a_second_opener_is_kept_out() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let second = BlobStore::open(directory.path(), BlobConfig::default());
    assert!(matches!(second, Err(BlobError::InUse { .. })));
    drop(store);
    open(directory.path());
}

#[tokio::test]
async fn foreign_directories_and_newer_formats_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("precious"), b"data").unwrap();
    let opened = BlobStore::open(directory.path(), BlobConfig::default());
    assert!(matches!(opened, Err(BlobError::Format { .. })));
    fs::remove_file(directory.path().join("precious")).unwrap();
    drop(open(directory.path()));
    fs::write(directory.path().join("FORMAT"), b"decube blobs 2\n").unwrap();
    let opened = BlobStore::open(directory.path(), BlobConfig::default());
    assert!(matches!(opened, Err(BlobError::Format { .. })));
}

#[tokio::test]
async fn the_space_reserve_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let config = BlobConfig {
        reserve_bytes: u64::MAX / 2,
        ..BlobConfig::default()
    };
    let store = BlobStore::open(directory.path(), config).unwrap();
    let error = store.put_unnamed(&b"x"[..], LIMIT).await.unwrap_err();
    assert!(error.is_no_space());
    assert!(names(&directory.path().join("tmp")).is_empty());
}

#[tokio::test]
async fn listing_pages_through_everything_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let mut expected = Vec::new();
    for number in 0..300_u32 {
        expected.push(put(&store, &number.to_be_bytes()).await);
    }
    expected.sort();
    let mut found = Vec::new();
    loop {
        let page = store.list(found.last().copied(), 7).await.unwrap();
        found.extend(page.iter().map(|stat| stat.id));
        if page.len() < 7 {
            break;
        }
    }
    assert_eq!(found, expected);
    assert!(store.delete(expected[5]).await.unwrap());
    assert!(!store.delete(expected[5]).await.unwrap());
    assert_eq!(store.list(None, 1000).await.unwrap().len(), 299);
}
