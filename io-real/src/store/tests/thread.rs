//! The thread in front of an engine.

use std::sync::mpsc::{Receiver, Sender, channel};

use bytes::Bytes;
use decube_core::io::{Read, ReadId};
use decube_core::limits::STORE_PAGE_BYTES;
use decube_core::store::{Page, Store, StoreBatch, StoreOp, StoreSeq};

use crate::ports::{StoreEvent, StoreQueue};
use crate::store::{MemoryStore, StoreThread};

fn put(seq: u64, key: &str, value: Bytes) -> StoreBatch {
    let key = Bytes::copy_from_slice(key.as_bytes());
    StoreBatch {
        seq: StoreSeq(seq),
        ops: vec![StoreOp::Put { key, value }],
        sync: false,
    }
}

/// A page from here on.
fn page(from: Bytes) -> Read {
    Read {
        id: ReadId(7),
        from,
        to: None,
        bytes_max: STORE_PAGE_BYTES,
    }
}

/// Tells each commit and waits for permission, or fails instead.
struct Gated {
    inner: MemoryStore,
    commits: Sender<StoreBatch>,
    permits: Receiver<Result<(), String>>,
}

impl Store for Gated {
    type Error = String;

    fn commit(&mut self, batch: &StoreBatch) -> Result<(), String> {
        self.commits.send(batch.clone()).unwrap();
        self.permits.recv().unwrap()?;
        self.inner.commit(batch).map_err(|never| match never {})
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, String> {
        self.inner.get(key).map_err(|never| match never {})
    }

    fn scan(&self, from: &[u8], to: Option<&[u8]>, bytes_max: usize) -> Result<Page, String> {
        self.inner
            .scan(from, to, bytes_max)
            .map_err(|never| match never {})
    }
}

#[tokio::test]
async fn pages_follow_each_other_to_the_end() {
    let (mut thread, mut events) = StoreThread::start(MemoryStore::default()).unwrap();
    let value = Bytes::from(vec![1; STORE_PAGE_BYTES / 4]);
    for (seq, key) in (1..).zip(["a", "b", "c", "d", "e", "f"]) {
        thread.commit(put(seq, key, value.clone()));
        assert_eq!(
            events.recv().await,
            Some(StoreEvent::Committed(StoreSeq(seq)))
        );
    }
    let mut found = Vec::new();
    let mut from = Bytes::new();
    loop {
        thread.read(page(from));
        let Some(StoreEvent::Read { id, page }) = events.recv().await else {
            panic!("a page was asked for");
        };
        assert_eq!(id, ReadId(7));
        // The least key behind the last one.
        from = [&page.pairs.last().unwrap().0[..], &[0]].concat().into();
        found.extend(page.pairs.into_iter().map(|(key, _)| key));
        if page.is_last {
            break;
        }
    }
    assert_eq!(found, ["a", "b", "c", "d", "e", "f"]);
    thread.close().await;
}

#[tokio::test]
async fn an_empty_store_is_one_empty_page() {
    let (mut thread, mut events) = StoreThread::start(MemoryStore::default()).unwrap();
    thread.read(page(Bytes::new()));
    let (id, page) = (ReadId(7), Page::NONE);
    assert_eq!(events.recv().await, Some(StoreEvent::Read { id, page }));
}

#[tokio::test]
async fn waiting_batches_share_one_commit_and_keep_their_order() {
    let (commits, committed) = channel();
    let (permit, permits) = channel();
    let gated = Gated {
        inner: MemoryStore::default(),
        commits,
        permits,
    };
    let (mut thread, mut events) = StoreThread::start(gated).unwrap();
    thread.commit(put(1, "a", Bytes::from_static(b"1")));
    assert_eq!(committed.recv().unwrap().seq, StoreSeq(1));
    // The engine is busy with the first batch: these wait together.
    thread.commit(put(2, "a", Bytes::from_static(b"2")));
    thread.commit(StoreBatch {
        sync: true,
        ..put(3, "a", Bytes::from_static(b"3"))
    });
    thread.read(page(Bytes::new()));
    thread.commit(put(4, "a", Bytes::from_static(b"4")));
    permit.send(Ok(())).unwrap();
    let group = committed.recv().unwrap();
    assert_eq!(
        (group.seq, group.ops.len(), group.sync),
        (StoreSeq(3), 2, true)
    );
    permit.send(Ok(())).unwrap();
    for seq in 1..=3 {
        assert_eq!(
            events.recv().await,
            Some(StoreEvent::Committed(StoreSeq(seq)))
        );
    }
    let page = StoreEvent::Read {
        id: ReadId(7),
        page: Page {
            pairs: vec![(Bytes::from_static(b"a"), Bytes::from_static(b"3"))],
            is_last: true,
        },
    };
    assert_eq!(
        events.recv().await,
        Some(page),
        "the scan stands between the commits"
    );
    assert_eq!(committed.recv().unwrap().seq, StoreSeq(4));
    permit.send(Ok(())).unwrap();
    thread.close().await;
}

#[tokio::test]
async fn a_failure_is_told_once_and_ends_the_work() {
    let (commits, committed) = channel();
    let (permit, permits) = channel();
    let gated = Gated {
        inner: MemoryStore::default(),
        commits,
        permits,
    };
    let (mut thread, mut events) = StoreThread::start(gated).unwrap();
    permit.send(Err("disk on fire".into())).unwrap();
    thread.commit(put(1, "a", Bytes::new()));
    let reason = "disk on fire".to_owned();
    assert_eq!(events.recv().await, Some(StoreEvent::Failed { reason }));
    assert_eq!(committed.recv().unwrap().seq, StoreSeq(1));
    thread.commit(put(2, "a", Bytes::new()));
    thread.close().await;
    assert_eq!(events.recv().await, None, "nothing is done after a failure");
    assert!(committed.recv().is_err());
}
