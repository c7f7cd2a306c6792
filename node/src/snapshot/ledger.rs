//! Snapshots on the ledger: after a snapshot is registered in its cluster, its name
//! and the digest of its manifest are put onto the ledger of all clusters, under the
//! key of whoever made it.

use decube_core::crypto::Digest;
use decube_core::ledger::{Lane, Name, Operation, SnapshotRecord};
use decube_core::snapshot::{Manifest, SegmentId, SnapshotId};
use serde_json::Value;

use crate::cli::client::{Client, encode};
use crate::cli::exit::{Failure, NOT_FOUND};
use crate::cli::output::note;
use crate::cli::sign;

/// Registers a snapshot on the ledger and says what came of it. The snapshot itself is
/// made already: whatever fails here takes nothing away from it.
pub(super) async fn publish(api: &str, manifest: &Manifest, hash: SegmentId) {
    match try_publish(api, manifest, hash).await {
        Ok(Some(receipt)) => note(&format!(
            "On the ledger in block {}: {}",
            receipt["block_height"],
            receipt["tx_hash"].as_str().unwrap_or_default(),
        )),
        // The node takes part in no ledger.
        Ok(None) => {}
        Err(failure) => note(&format!("Not on the ledger: {}", failure.message)),
    }
}

async fn try_publish(
    api: &str,
    manifest: &Manifest,
    hash: SegmentId,
) -> Result<Option<Value>, Failure> {
    let client = Client::new(api)?;
    if client.get_json("/consensus/genesis").await.is_err() {
        return Ok(None);
    }
    let record = SnapshotRecord {
        id: name_of(&client, &manifest.id).await?,
        manifest: Digest(hash.0),
        bytes: manifest.totals.file_bytes,
        segments: u32::try_from(manifest.segments.len()).expect("at most a million"),
    };
    let account = sign::account(None)?;
    let operation = [Operation::SnapshotCreate(record)];
    let receipt = sign::submit(&client, &account, Lane(0), &operation, true).await?;
    Ok(Some(receipt))
}

/// What the ledger says about a snapshot, if it says anything.
pub(super) async fn find(api: &str, id: &SnapshotId) -> Option<Value> {
    let found = async {
        let client = Client::new(api)?;
        let name = name_of(&client, id).await?;
        let path = name
            .as_str()
            .split('/')
            .map(encode)
            .collect::<Vec<_>>()
            .join("/");
        client
            .get_json(&format!("/consensus/snapshots/{path}"))
            .await
    };
    match found.await {
        Ok(entry) => Some(entry),
        Err(failure) if failure.code == NOT_FOUND => None,
        Err(failure) => Some(Value::String(failure.message)),
    }
}

/// Names are those of one cluster; on the ledger the cluster stands in front.
async fn name_of(client: &Client, id: &SnapshotId) -> Result<Name, Failure> {
    let info = client.get_json("/v1/status").await?;
    let cluster = info["cluster"].as_str().unwrap_or_default();
    Name::new(format!("{cluster}/{id}")).map_err(|error| {
        Failure::new(
            crate::cli::exit::FAILED,
            format!("the cluster's name {cluster:?}: {error}"),
        )
    })
}
