//! Checks receipts and checkpoints of the ledger offline.

use std::fmt::Display;

use decube_core::ledger::Genesis;
use decube_core::proof::ledger::{ProvenOperation, TrustedEpoch};
use decube_io_real::verifier::FastVerifier;
use serde_json::{Value, json};

use super::exit::{Failure, INTEGRITY, Outcome, USAGE};
use super::output::{self, Format};
use crate::ledger::genesis;
use crate::ledger::json as document;
use crate::ledger::receipt::{CHECKPOINT, RECEIPT, read_checkpoint, read_receipt};

/// Whether a trust document is the genesis of a ledger.
pub fn is_genesis(text: &[u8]) -> bool {
    let parsed: Option<Value> = serde_json::from_slice(text).ok();
    parsed.is_some_and(|document| document.get("validators").is_some())
}

/// Checks a receipt or a checkpoint against a genesis.
pub fn run(text: &[u8], trust: &[u8], format: Format) -> Outcome {
    let trust = std::str::from_utf8(trust).unwrap_or_default();
    let genesis = genesis::parse(trust).map_err(|error| {
        Failure::new(USAGE, format!("the genesis can not be used: {error}"))
            .hint("`decube ledger genesis` prints that of a running ledger")
    })?;
    let trusted = TrustedEpoch::genesis(&genesis)
        .map_err(|error| Failure::new(USAGE, format!("the genesis makes no ledger: {error}")))?;
    let found: Value = serde_json::from_slice(text).map_err(|error| refused(&error))?;
    match found["document"].as_str() {
        Some(RECEIPT) => {
            let receipt = read_receipt(&found).map_err(|error| refused(&error))?;
            let proven = receipt.verify(&trusted, &FastVerifier);
            show(&genesis, &proven.map_err(|error| refused(&error))?, format)
        }
        Some(CHECKPOINT) => {
            let checkpoint = read_checkpoint(&found).map_err(|error| refused(&error))?;
            let proven = checkpoint.verify(&trusted, &FastVerifier);
            let proven = proven.map_err(|error| refused(&error))?;
            let head = proven.head();
            output::json(&json!({
                "proven": true,
                "ledger": genesis.name,
                "size": head.size.0,
                "root": document::digest(&head.root),
                "block_hash": document::digest(&proven.block().header().hash()),
            }))
        }
        _ => Err(Failure::new(
            USAGE,
            "this is neither a receipt nor a checkpoint of a ledger",
        )),
    }
}

fn refused(error: &dyn Display) -> Failure {
    Failure::new(INTEGRITY, format!("not proven: {error}"))
        .hint("nothing in this document may be believed")
}

/// What was proven, and nothing else.
fn show(genesis: &Genesis, proven: &ProvenOperation, format: Format) -> Outcome {
    let header = proven.block().header();
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
    ])
}
