//! Checks receipts, checkpoints and extensions of the ledger offline.

use std::fmt::Display;
use std::path::Path;

use decube_core::ledger::Genesis;
use decube_core::merkle::{TreeHead, TreeSize};
use decube_core::proof::ledger::{ProvenHistory, ProvenOperation, TrustedEpoch};
use decube_io_real::verifier::FastVerifier;
use serde_json::{Value, json};

use super::exit::{Failure, INTEGRITY, Outcome, USAGE};
use super::output::{self, Format};
use super::verify::content;
use crate::ledger::genesis;
use crate::ledger::json as document;
use crate::ledger::read::{DocumentError, Part};
use crate::ledger::receipt::{
    CHECKPOINT, EXTENSION, RECEIPT, read_checkpoint, read_extension, read_receipt,
};

/// What is to be checked, and against what.
pub struct Question {
    /// The document.
    pub text: Vec<u8>,
    /// The genesis.
    pub trust: Vec<u8>,
    /// A head that whoever asks has kept.
    pub since: Option<TreeHead>,
    /// How to print what was proven.
    pub format: Format,
}

/// Whether a trust document is the genesis of a ledger.
pub fn is_genesis(text: &[u8]) -> bool {
    let parsed: Option<Value> = serde_json::from_slice(text).ok();
    parsed.is_some_and(|document| document.get("validators").is_some())
}

/// Size and root of a head that was kept: of a checkpoint, of an extension, or as this
/// command printed them.
pub fn kept_head(path: &Path) -> Result<TreeHead, Failure> {
    let wrong = |error: &dyn Display| {
        Failure::new(
            USAGE,
            format!("{} is no kept head: {error}", path.display()),
        )
        .hint("`decube ledger checkpoint > head.json` makes one")
    };
    let text = content(path)?;
    let found: Value = serde_json::from_slice(&text).map_err(|error| wrong(&error))?;
    let kept = match found.get("checkpoint") {
        Some(newer) => read_head(newer),
        None => read_head(&found),
    };
    kept.map_err(|error| wrong(&error))
}

fn read_head(document: &Value) -> Result<TreeHead, DocumentError> {
    let part = Part::new(document, "head");
    Ok(TreeHead {
        size: TreeSize(part.get("size")?.number()?),
        root: part.get("root")?.digest()?,
    })
}

/// Checks a document of the ledger.
pub fn run(question: &Question) -> Outcome {
    let trust = std::str::from_utf8(&question.trust).unwrap_or_default();
    let genesis = genesis::parse(trust).map_err(|error| {
        Failure::new(USAGE, format!("the genesis can not be used: {error}"))
            .hint("`decube ledger genesis` prints that of a running ledger")
    })?;
    let trusted = TrustedEpoch::genesis(&genesis)
        .map_err(|error| Failure::new(USAGE, format!("the genesis makes no ledger: {error}")))?;
    let found: Value = serde_json::from_slice(&question.text).map_err(|error| refused(&error))?;
    let refuse = |error: DocumentError| refused(&error);
    match found["document"].as_str() {
        Some(RECEIPT) => {
            let proven = read_receipt(&found).map_err(refuse)?;
            let proven = proven.verify(&trusted, &FastVerifier);
            let proven = proven.map_err(|error| refused(&error))?;
            show(&genesis, &proven, question.format)
        }
        Some(CHECKPOINT) => {
            let proven = read_checkpoint(&found).map_err(refuse)?;
            let proven = proven.verify(&trusted, &FastVerifier);
            let proven = proven.map_err(|error| refused(&error))?;
            let head = proven.head();
            compare(question.since.as_ref(), &head)?;
            output::json(&history(&genesis, &proven))
        }
        Some(EXTENSION) => {
            let proven = read_extension(&found).map_err(refuse)?;
            let proven = proven.verify(&trusted, &FastVerifier);
            let proven = proven.map_err(|error| refused(&error))?;
            compare(question.since.as_ref(), proven.old())?;
            let mut shown = history(&genesis, proven.history());
            shown["continues"] = json!({
                "size": proven.old().size.0,
                "root": document::digest(&proven.old().root),
            });
            output::json(&shown)
        }
        _ => Err(Failure::new(
            USAGE,
            "this is no receipt, checkpoint or extension of a ledger",
        )),
    }
}

/// Whether a head that was kept is the one that was proven.
fn compare(kept: Option<&TreeHead>, proven: &TreeHead) -> Outcome {
    match kept {
        Some(kept) if kept.size != proven.size => {
            let message = format!(
                "the kept head has {} blocks, this speaks of {}",
                kept.size, proven.size
            );
            Err(Failure::new(USAGE, message)
                .hint("`decube ledger checkpoint --since FILE` fetches what continues it"))
        }
        Some(kept) if kept.root != proven.root => {
            let message = "the history that you kept is not the beginning of this one: one of \
                           them was rewritten";
            Err(Failure::new(INTEGRITY, message).hint(
                "keep both files: if both were signed, a third of the power or more has lied",
            ))
        }
        _ => Ok(()),
    }
}

fn history(genesis: &Genesis, proven: &ProvenHistory) -> Value {
    let (head, block) = (proven.head(), proven.block().header());
    json!({
        "proven": true,
        "ledger": genesis.name,
        "size": head.size.0,
        "root": document::digest(&head.root),
        "block_hash": document::digest(&block.hash()),
        "time_ms": block.content.time_ms,
        "epoch": block.epoch.0,
    })
}

fn refused(error: &dyn Display) -> Failure {
    Failure::new(INTEGRITY, format!("not proven: {error}"))
        .hint("nothing in this document may be believed")
}

/// What was proven, and nothing else.
fn show(genesis: &Genesis, proven: &ProvenOperation, format: Format) -> Outcome {
    let (header, head) = (proven.block().header(), proven.head().header());
    let operation = document::operation(proven.operation());
    let intent = proven.transaction().intent();
    let outcome = proven.outcome().map(|outcome| outcome.name());
    if format == Format::Json {
        return output::json(&json!({
            "proven": true,
            "ledger": genesis.name,
            "tx_hash": document::tx_hash(&proven.id()),
            "account": intent.account.to_string(),
            "operation": operation,
            "outcome": outcome,
            "block_height": header.height.0,
            "block_hash": document::digest(&proven.block_hash()),
            "time_ms": header.content.time_ms,
            "epoch": header.epoch.0,
            "signed_height": head.height.0,
            "signed_epoch": head.epoch.0,
        }));
    }
    let payload = operation
        .get("payload")
        .or_else(|| operation.get("payload_hex"));
    output::fields(&[
        (
            "proven",
            "final on the ledger, signed by more than two thirds of its validators".to_owned(),
        ),
        (
            "ledger",
            format!("{} ({})", genesis.name, document::chain(header.chain)),
        ),
        ("transaction", document::tx_hash(&proven.id())),
        ("account", intent.account.to_string()),
        ("type", proven.operation().kind().to_owned()),
        (
            "payload",
            payload.map_or_else(String::new, Value::to_string),
        ),
        (
            "outcome",
            outcome
                .unwrap_or("not part of this receipt: fetch it again later")
                .to_owned(),
        ),
        (
            "block",
            format!(
                "{} of epoch {}, {}",
                header.height.0,
                header.epoch.0,
                document::digest(&proven.block_hash())
            ),
        ),
        (
            "signed",
            format!("block {} of epoch {}", head.height.0, head.epoch.0),
        ),
    ])
}
