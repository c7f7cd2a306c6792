//! Reading what a snapshot consists of: verified segments, and trees in walk order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use decube_core::codec::Decode as _;
use decube_core::limits::SEGMENT_BYTES;
use decube_core::snapshot::{
    BadTree, Entry, Item, Layout, Manifest, Page, PageRef, SegmentId, SegmentKind, SegmentRef,
    SnapshotId, TreeSummary,
};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::error::{FetchError, SnapshotError};
use super::remote::{Registration, Remote, RemoteError, with_retries};

/// Data segments fetched ahead of the one in use.
const AHEAD: usize = 2;
/// Verified segments kept: the one in use, and a few of the metadata, because a
/// tree is read from its root, which lies behind its branches.
const KEPT_DATA: usize = 1;
const KEPT_METADATA: usize = 3;

/// Finds a snapshot and reads its manifest, checked against the record.
pub(super) async fn open<R: Remote>(
    remote: &Arc<R>,
    id: &SnapshotId,
) -> Result<Arc<Manifest>, SnapshotError> {
    let record = remote.lookup(id).await?;
    let record = record.ok_or_else(|| SnapshotError::NotFound(id.clone()))?;
    let damaged = |finding: String| SnapshotError::Damaged {
        id: id.clone(),
        findings: vec![finding],
    };
    let Some(Registration {
        manifest: hash,
        merkle_root,
    }) = Registration::of(&record)
    else {
        let text = format!("snapshot {id} has no manifest: it was registered by another program");
        return Err(SnapshotError::Usage(text));
    };
    let bytes = with_retries(|| remote.get_segment(hash, SEGMENT_BYTES)).await?;
    let bytes = bytes.ok_or_else(|| damaged(format!("its manifest {hash} is missing")))?;
    if SegmentId::of(&bytes) != hash {
        return Err(damaged(format!("its manifest {hash} has other bytes")));
    }
    let manifest = Manifest::from_bytes(&bytes)
        .map_err(|error| damaged(format!("its manifest cannot be read: {error}")))?;
    if manifest.id != *id {
        return Err(damaged(format!("its manifest belongs to {}", manifest.id)));
    }
    if manifest.merkle_root != merkle_root {
        return Err(damaged(
            "its Merkle root is not the registered one".to_owned(),
        ));
    }
    Ok(Arc::new(manifest))
}

/// Fetches and verifies the segments of one snapshot, a little ahead of their
/// use. For threads that may block, not for tasks.
pub(super) struct Fetcher<R> {
    runtime: Handle,
    remote: Arc<R>,
    manifest: Arc<Manifest>,
    pub layout: Layout,
    kept: VecDeque<(usize, SegmentKind, Bytes)>,
    coming: BTreeMap<usize, JoinHandle<Result<Bytes, FetchError>>>,
}

impl<R: Remote> Fetcher<R> {
    pub(super) fn new(runtime: Handle, remote: Arc<R>, manifest: Arc<Manifest>) -> Self {
        Self {
            runtime,
            remote,
            layout: Layout::new(&manifest),
            manifest,
            kept: VecDeque::new(),
            coming: BTreeMap::new(),
        }
    }

    /// The verified bytes of a segment.
    pub(super) fn segment(&mut self, index: usize) -> Result<Bytes, FetchError> {
        if let Some((_, _, bytes)) = self.kept.iter().find(|(kept, _, _)| *kept == index) {
            return Ok(bytes.clone());
        }
        let kind = self.manifest.segments[index].kind;
        // Segments that were expected and are not wanted any more.
        if kind == SegmentKind::Data {
            self.coming.retain(|coming, fetch| {
                let wanted = *coming >= index;
                if !wanted {
                    fetch.abort();
                }
                wanted
            });
        }
        self.make_room(kind);
        let fetch = self.coming.remove(&index);
        let fetch = fetch.unwrap_or_else(|| self.start(index));
        if kind == SegmentKind::Data {
            self.fetch_ahead(index);
        }
        let bytes = self.runtime.block_on(fetch);
        let bytes = bytes.expect("fetches neither panic nor are aborted while waited for")?;
        self.kept.push_back((index, kind, bytes.clone()));
        Ok(bytes)
    }

    /// The bytes of a range of a stream, piece by piece.
    pub(super) fn pieces(
        &mut self,
        kind: SegmentKind,
        offset: u64,
        length: u64,
        mut take: impl FnMut(&[u8]) -> Result<(), SnapshotError>,
        id: &SnapshotId,
    ) -> Result<(), SnapshotError> {
        let pieces = self.layout.pieces(kind, offset, length);
        let pieces = pieces
            .map_err(|error| SnapshotError::fetch(id, FetchError::Tree(error.to_string())))?;
        for piece in pieces {
            let segment = self.segment(piece.segment);
            let segment = segment.map_err(|error| SnapshotError::fetch(id, error))?;
            let start = usize::try_from(piece.start).expect("inside a segment");
            let length = usize::try_from(piece.length).expect("inside a segment");
            take(&segment[start..start + length])?;
        }
        Ok(())
    }

    /// A page of a directory, verified.
    fn page(&mut self, page: &PageRef) -> Result<Page, FetchError> {
        let length = u64::from(page.length);
        let pieces = self
            .layout
            .pieces(SegmentKind::Metadata, page.offset, length)
            .map_err(|error| FetchError::Tree(error.to_string()))?;
        let mut bytes = BytesMut::new();
        for piece in pieces {
            let segment = self.segment(piece.segment)?;
            let start = usize::try_from(piece.start).expect("inside a segment");
            let length = usize::try_from(piece.length).expect("inside a segment");
            bytes.extend_from_slice(&segment[start..start + length]);
        }
        let bytes = bytes.freeze();
        if SegmentId::of(&bytes) != page.hash {
            return Err(FetchError::Tree("a directory has other bytes".to_owned()));
        }
        Page::from_bytes(&bytes).map_err(|error| FetchError::Tree(error.to_string()))
    }

    /// Forgets the oldest segment of a kind if there are enough.
    fn make_room(&mut self, kind: SegmentKind) {
        let limit = match kind {
            SegmentKind::Data => KEPT_DATA,
            SegmentKind::Metadata => KEPT_METADATA,
        };
        let count = self
            .kept
            .iter()
            .filter(|(_, kept, _)| *kept == kind)
            .count();
        if count >= limit {
            let oldest = self.kept.iter().position(|(_, kept, _)| *kept == kind);
            self.kept.remove(oldest.expect("there are some"));
        }
    }

    fn fetch_ahead(&mut self, index: usize) {
        for next in index + 1..=index + AHEAD {
            let is_data = self
                .manifest
                .segments
                .get(next)
                .is_some_and(|segment| segment.kind == SegmentKind::Data);
            if is_data && !self.coming.contains_key(&next) {
                let fetch = self.start(next);
                self.coming.insert(next, fetch);
            }
        }
    }

    fn start(&self, index: usize) -> JoinHandle<Result<Bytes, FetchError>> {
        let remote = self.remote.clone();
        let segment = self.manifest.segments[index];
        self.runtime.spawn(fetch(remote, index, segment))
    }
}

impl<R> Drop for Fetcher<R> {
    fn drop(&mut self) {
        for fetch in self.coming.values() {
            fetch.abort();
        }
    }
}

/// Fetches a segment and checks that it is what its name says.
async fn fetch<R: Remote>(
    remote: Arc<R>,
    index: usize,
    segment: SegmentRef,
) -> Result<Bytes, FetchError> {
    let SegmentRef { id, length, .. } = segment;
    let bad = |reason: &str| FetchError::Segment {
        index,
        id,
        reason: reason.to_owned(),
    };
    let bytes = match with_retries(|| remote.get_segment(id, length)).await {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(bad("it is missing")),
        // An answer about this one segment, not about the store.
        Err(RemoteError::Refused(reason)) => return Err(bad(&reason)),
        Err(error) => return Err(error.into()),
    };
    if u64::try_from(bytes.len()) != Ok(length) {
        return Err(bad("it has another length"));
    }
    let hashed = tokio::task::spawn_blocking(move || (SegmentId::of(&bytes), bytes));
    let (found, bytes) = hashed.await.expect("hashing neither panics nor is aborted");
    match found == id {
        true => Ok(bytes),
        false => Err(bad("it has other bytes")),
    }
}

/// Reads the pages of a directory entry by entry, and holds the whole tree to the
/// rules of [`TreeSummary`].
pub(super) struct TreeReader<R> {
    pub fetcher: Fetcher<R>,
    summary: TreeSummary,
}

impl<R: Remote> TreeReader<R> {
    pub(super) fn new(fetcher: Fetcher<R>) -> Self {
        let summary = TreeSummary::new(fetcher.layout);
        Self { fetcher, summary }
    }

    /// Admits an item of the manifest itself.
    pub(super) fn root(&mut self, item: &Item) -> Result<(), FetchError> {
        Ok(self.summary.item(item)?)
    }

    /// The entries of one page of a directory, all admitted one by one through
    /// [`Self::admit`] before they are used.
    pub(super) fn page(
        &mut self,
        page: &PageRef,
        last_name: &mut Option<Bytes>,
        depth: usize,
    ) -> Result<Vec<Entry>, FetchError> {
        self.summary.page(page, depth)?;
        let page = self.fetcher.page(page)?;
        if last_name
            .as_ref()
            .is_some_and(|last| !page.may_follow(last))
        {
            return Err(BadTree::NamesOutOfOrder.into());
        }
        *last_name = page.entries.last().map(|entry| entry.name.clone());
        Ok(page.entries)
    }

    /// Admits an entry, in walk order.
    pub(super) fn admit(&mut self, entry: &Entry) -> Result<(), FetchError> {
        Ok(self.summary.item(&entry.item)?)
    }

    /// Checks that the whole tree has come.
    pub(super) fn finish(&self) -> Result<(), FetchError> {
        Ok(self.summary.finish(&self.fetcher.manifest.totals)?)
    }
}
