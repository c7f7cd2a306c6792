//! Checking a snapshot from end to end without writing anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use decube_core::snapshot::{Item, Kind, Manifest, SnapshotId};
use tokio::runtime::Handle;

use super::error::{FetchError, SnapshotError};
use super::fetch::{Fetcher, TreeReader, open};
use super::on_thread;
use super::progress::Progress;
use super::remote::Remote;

/// Fetches every segment and checks its hash and length, the Merkle root over
/// them, and the whole tree. All damages are reported, not only the first.
pub async fn verify<R: Remote>(
    remote: &Arc<R>,
    id: &SnapshotId,
    progress: &Arc<Progress>,
    cancelled: &Arc<AtomicBool>,
) -> Result<Arc<Manifest>, SnapshotError> {
    let manifest = open(remote, id).await?;
    progress.phase("verifying");
    progress.total(manifest.segments.iter().map(|segment| segment.length).sum());
    let fetcher = Fetcher::new(Handle::current(), remote.clone(), manifest.clone());
    let (checked, progress, cancelled) = (manifest.clone(), progress.clone(), cancelled.clone());
    on_thread("snapshot-verify", move || {
        verify_blocking(fetcher, &checked, &progress, &cancelled)
    })
    .await?;
    Ok(manifest)
}

fn verify_blocking<R: Remote>(
    mut fetcher: Fetcher<R>,
    manifest: &Manifest,
    progress: &Progress,
    cancelled: &AtomicBool,
) -> Result<(), SnapshotError> {
    let mut findings = Vec::new();
    for (index, segment) in manifest.segments.iter().enumerate() {
        if cancelled.load(Ordering::Relaxed) {
            return Err(SnapshotError::Interrupted);
        }
        match fetcher.segment(index) {
            Ok(_) => {}
            Err(FetchError::Remote(error)) => return Err(error.into()),
            Err(error) => findings.push(error.to_string()),
        }
        progress.add_bytes(segment.length);
    }
    // A tree whose pages are damaged has been reported already, by segment.
    if findings.is_empty() {
        match verify_tree(fetcher, manifest) {
            Ok(()) => return Ok(()),
            Err(FetchError::Remote(error)) => return Err(error.into()),
            Err(error) => findings.push(error.to_string()),
        }
    }
    Err(SnapshotError::Damaged {
        id: manifest.id.clone(),
        findings,
    })
}

fn verify_tree<R: Remote>(fetcher: Fetcher<R>, manifest: &Manifest) -> Result<(), FetchError> {
    let mut tree = TreeReader::new(fetcher);
    for root in &manifest.roots {
        tree.root(&root.item)?;
        verify_item(&mut tree, &root.item, 1)?;
    }
    tree.finish()
}

fn verify_item<R: Remote>(
    tree: &mut TreeReader<R>,
    item: &Item,
    depth: usize,
) -> Result<(), FetchError> {
    let Item::Node(node) = item else {
        return Ok(());
    };
    let Kind::Directory { pages } = &node.kind else {
        return Ok(());
    };
    let mut last_name = None;
    for page in pages {
        for entry in tree.page(page, &mut last_name, depth)? {
            tree.admit(&entry)?;
            verify_item(tree, &entry.item, depth + 1)?;
        }
    }
    Ok(())
}
