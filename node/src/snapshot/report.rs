//! What snapshot commands print.

use std::path::Path;

use decube_core::snapshot::{Manifest, Omission, SegmentId, Totals};
use indicatif::{DecimalBytes, HumanCount};
use serde_json::{Value, json};

use super::create::Created;
use super::error::SnapshotError;
use super::progress::Progress;
use super::remote::Record;
use super::restore::Restored;

/// Omissions that are printed; the manifest holds all.
const OMISSIONS_SHOWN: usize = 1000;

/// A snapshot was made.
pub(super) fn created(created: &Created, progress: &Progress, as_json: bool) {
    let Created { hash, manifest } = created;
    omissions(&manifest.omissions);
    if as_json {
        let record = Record::new(manifest, *hash).to_json();
        println!("{record:#}");
        return;
    }
    let partial = match manifest.is_partial() {
        true => ", but it is PARTIAL: the paths above are missing",
        false => "",
    };
    println!("Snapshot {} created successfully{partial}", manifest.id);
    println!("  content      {}", content(&manifest.totals));
    println!(
        "  segments     {}; {} sent, {} were there already",
        HumanCount(count(manifest.segments.len())),
        DecimalBytes(progress.sent_bytes()),
        DecimalBytes(progress.reused_bytes()),
    );
    println!("  merkle root  {}", SegmentId(manifest.merkle_root));
    println!("  manifest     {hash}");
    println!(
        "  time         {}",
        rate(manifest.totals.data_bytes, progress)
    );
}

/// A snapshot was found whole.
pub(super) fn verified(manifest: &Manifest, progress: &Progress) {
    let bytes = manifest.segments.iter().map(|segment| segment.length).sum();
    println!("Snapshot {} is whole", manifest.id);
    println!("  content      {}", content(&manifest.totals));
    println!(
        "  segments     {}",
        HumanCount(count(manifest.segments.len()))
    );
    println!("  merkle root  {}", SegmentId(manifest.merkle_root));
    println!("  time         {}", rate(bytes, progress));
    omissions(&manifest.omissions);
}

/// A snapshot was written back.
pub(super) fn restored(restored: &Restored, target: &Path, progress: &Progress) {
    let manifest = &restored.manifest;
    for note in &restored.notes {
        eprintln!("note: {}", printable(note));
    }
    omissions(&manifest.omissions);
    println!("Snapshot {} restored to {}", manifest.id, target.display());
    println!("  content      {}", content(&manifest.totals));
    println!(
        "  time         {}",
        rate(manifest.totals.data_bytes, progress)
    );
}

/// A table of snapshots, or an array of records.
pub(super) fn list(records: &[Record], as_json: bool) {
    if as_json {
        let records: Vec<_> = records.iter().map(Record::to_json).collect();
        println!("{:#}", Value::Array(records));
        return;
    }
    let width = records
        .iter()
        .map(|record| record.id.len())
        .max()
        .unwrap_or(0)
        .max(4);
    println!(
        "{:width$}  {:20}  {:>10}  STATUS",
        "NAME", "CREATED", "SIZE"
    );
    for record in records {
        let text = |key: &str| {
            record
                .metadata
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or("-")
        };
        let size = record.metadata.get("size").and_then(Value::as_u64);
        let size = size.map_or("-".to_owned(), |size| DecimalBytes(size).to_string());
        println!(
            "{:width$}  {:20}  {size:>10}  {}",
            printable(&record.id),
            printable(text("created")),
            printable(text("status")),
        );
    }
}

/// One record, as JSON.
pub(super) fn show(record: &Record, ledger: Option<serde_json::Value>) {
    let mut document = json!(record.to_json());
    if let Some(entry) = ledger {
        document["ledger"] = entry;
    }
    println!("{document:#}");
}

/// A command failed.
pub(super) fn failure(error: &SnapshotError) {
    match error {
        SnapshotError::Incomplete(missing) => omissions(missing),
        SnapshotError::Damaged { findings, .. } => {
            for finding in findings {
                eprintln!("damaged: {}", printable(finding));
            }
        }
        _ => {}
    }
    let mut text = error.to_string();
    if let Some(cause) = std::error::Error::source(error) {
        text.push_str(": ");
        text.push_str(&cause.to_string());
    }
    eprintln!("error: {}", printable(&text));
    if let SnapshotError::Incomplete(_) = error {
        eprintln!("run the command again, or add --allow-partial to register it without them");
    }
}

/// The user stopped a create.
pub(super) fn interrupted_create(progress: &Progress) {
    eprintln!(
        "Nothing was registered. Run the same command again: the {} that are stored already \
         will not be sent twice.",
        DecimalBytes(
            progress
                .sent_bytes()
                .saturating_add(progress.reused_bytes())
        )
    );
}

fn omissions(missing: &[Omission]) {
    for Omission { path, reason } in missing.iter().take(OMISSIONS_SHOWN) {
        let path = String::from_utf8_lossy(path);
        let reason = String::from_utf8_lossy(reason);
        eprintln!("missing: {}: {}", printable(&path), printable(&reason));
    }
    if missing.len() > OMISSIONS_SHOWN {
        eprintln!("missing: and {} more", missing.len() - OMISSIONS_SHOWN);
    }
}

fn content(totals: &Totals) -> String {
    format!(
        "{} in {} files, {} directories, {} links, {} special files",
        DecimalBytes(totals.file_bytes),
        HumanCount(totals.files),
        HumanCount(totals.directories),
        HumanCount(totals.symlinks.saturating_add(totals.hard_links)),
        HumanCount(totals.specials),
    )
}

fn rate(bytes: u64, progress: &Progress) -> String {
    let milliseconds = progress.elapsed_ms();
    let per_second = u128::from(bytes) * 1000 / u128::from(milliseconds);
    format!(
        "{}.{:01} s, {}/s",
        milliseconds / 1000,
        milliseconds % 1000 / 100,
        DecimalBytes(u64::try_from(per_second).unwrap_or(u64::MAX))
    )
}

/// Names come from file systems and from other people: nothing in them may move
/// the cursor or colour the terminal.
fn printable(text: &str) -> String {
    let clean = |character: char| match character.is_control() {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    };
    text.chars().map(clean).collect()
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
