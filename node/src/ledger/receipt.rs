//! Receipts, checkpoints and extensions as documents.

use decube_core::codec::{Decode as _, Encode as _};
use decube_core::ledger::{OpResult, Outcome, ResultsHead, Transaction, TxId};
use decube_core::limits::{
    LEDGER_EPOCHS_ANSWERED_MAX, LEDGER_TX_BYTES_MAX, MERKLE_PATH_MAX, PATH_HEADERS_MAX,
};
use decube_core::merkle::{Consistency, Inclusion, LeafIndex, TreeHead, TreeSize};
use decube_core::proof::ledger::{
    Checkpoint, EpochEnd, Extension, Finality, OutcomeProof, Past, Receipt,
};
use serde_json::{Value, json};

use super::json::{
    commit_proof, digest, header, operation, read_commit_proof, read_header, read_validator_set,
    transaction, tx_hash, validator_set,
};
use super::read::{DocumentError, Part, hex_text};

/// The mark of a receipt.
pub const RECEIPT: &str = "decube/receipt/v1";
/// The mark of a checkpoint.
pub const CHECKPOINT: &str = "decube/checkpoint/v1";

/// The mark of an extension.
pub const EXTENSION: &str = "decube/extension/v1";

/// The mark of ends of epochs.
pub const EPOCHS: &str = "decube/epochs/v1";

/// A receipt as a document.
pub fn receipt(receipt: &Receipt) -> Value {
    let past = receipt.past.as_ref().map(|past| &past.header);
    let head = past.unwrap_or(&receipt.finality.header);
    let decoded = Transaction::decode(&receipt.transaction, head.chain);
    let place = usize::try_from(receipt.operation).unwrap_or(usize::MAX);
    let (mut hash, mut asked, mut whole) = (Value::Null, Value::Null, Value::Null);
    if let Ok(decoded) = &decoded {
        let intent = decoded.intent();
        hash = intent
            .ids()
            .nth(place)
            .map_or(Value::Null, |id| tx_hash(&id).into());
        asked = intent.operations.get(place).map_or(Value::Null, operation);
        whole = transaction(decoded);
    }
    json!({
        "document": RECEIPT,
        "tx_hash": hash,
        "type": asked["type"],
        "payload": asked["payload"],
        "block_height": head.height.0,
        "block_hash": digest(&head.hash()),
        "time_ms": head.content.time_ms,
        "outcome": receipt.outcome.as_ref().map(|proof| proof.result.outcome.name()),
        "transaction": { "bytes": hex_text(&receipt.transaction), "says": whole },
        "operation": receipt.operation,
        "inclusion": inclusion(&receipt.inclusion),
        "finality": finality(&receipt.finality),
        "block": receipt.past.as_ref().map(past_block),
        "outcome_proof": receipt.outcome.as_ref().map(outcome),
        "epochs": receipt.epochs.iter().map(epoch_end).collect::<Vec<_>>(),
    })
}

/// A receipt from a document. Whatever the document says beside is compared with
/// what follows from the receipt.
///
/// # Errors
/// Something is missing, not valid, unknown, or contradicts the rest.
pub fn read_receipt(document: &Value) -> Result<Receipt, DocumentError> {
    let part = Part::new(document, "receipt");
    let bytes = part.get("transaction")?.get("bytes")?;
    let made = Receipt {
        epochs: read_epochs(&part.get("epochs")?)?,
        finality: read_finality(&part.get("finality")?)?,
        past: part.find("block").as_ref().map(read_past).transpose()?,
        inclusion: read_inclusion(&part.get("inclusion")?)?,
        transaction: bytes.bytes(LEDGER_TX_BYTES_MAX)?.into(),
        operation: part.get("operation")?.number()?,
        outcome: part
            .find("outcome_proof")
            .as_ref()
            .map(read_outcome)
            .transpose()?,
    };
    compare(&part, document, &receipt(&made))?;
    Ok(made)
}

/// A checkpoint as a document.
pub fn checkpoint(checkpoint: &Checkpoint) -> Value {
    let head = &checkpoint.finality.header;
    json!({
        "document": CHECKPOINT,
        "chain_id": super::json::chain(head.chain),
        "size": head.height.0,
        "root": digest(&head.content.history),
        "finality": finality(&checkpoint.finality),
        "epochs": checkpoint.epochs.iter().map(epoch_end).collect::<Vec<_>>(),
    })
}

/// A checkpoint from a document.
///
/// # Errors
/// As [`read_receipt`].
pub fn read_checkpoint(document: &Value) -> Result<Checkpoint, DocumentError> {
    let part = Part::new(document, "checkpoint");
    let made = Checkpoint {
        epochs: read_epochs(&part.get("epochs")?)?,
        finality: read_finality(&part.get("finality")?)?,
    };
    compare(&part, document, &checkpoint(&made))?;
    Ok(made)
}

/// Ends of epochs as a document, to follow them.
pub fn epochs(ends: &[EpochEnd]) -> Value {
    json!({ "document": EPOCHS, "epochs": ends.iter().map(epoch_end).collect::<Vec<_>>() })
}

/// Ends of epochs from a document.
///
/// # Errors
/// As [`read_receipt`].
pub fn read_epoch_ends(document: &Value) -> Result<Vec<EpochEnd>, DocumentError> {
    let part = Part::new(document, "epochs");
    let made = read_epochs(&part.get("epochs")?)?;
    compare(&part, document, &epochs(&made))?;
    Ok(made)
}

/// An extension as a document.
pub fn extension(extension: &Extension) -> Value {
    let old = &extension.old;
    json!({
        "document": EXTENSION,
        "from": { "size": old.size.0, "root": digest(&old.root) },
        "consistency": extension.consistency.path.iter().map(digest).collect::<Vec<_>>(),
        "checkpoint": checkpoint(&extension.checkpoint),
    })
}

/// An extension from a document.
///
/// # Errors
/// As [`read_receipt`].
pub fn read_extension(document: &Value) -> Result<Extension, DocumentError> {
    let part = Part::new(document, "extension");
    let from = part.get("from")?;
    let old = TreeHead {
        size: TreeSize(from.get("size")?.number()?),
        root: from.get("root")?.digest()?,
    };
    let checkpoint = part.get("checkpoint")?;
    let checkpoint = read_checkpoint(checkpoint.value())?;
    let path = part.get("consistency")?.list(MERKLE_PATH_MAX + 1)?;
    let made = Extension {
        old,
        consistency: Consistency {
            old: old.size,
            new: TreeSize(checkpoint.finality.header.height.0),
            path: path.iter().map(Part::digest).collect::<Result<_, _>>()?,
        },
        checkpoint,
    };
    compare(&part, document, &extension(&made))?;
    Ok(made)
}

fn compare(part: &Part<'_>, found: &Value, expected: &Value) -> Result<(), DocumentError> {
    match difference(found, expected, String::new()) {
        None => Ok(()),
        Some(at) => Err(part.error(format!("{at} contradicts the rest, or is not known"))),
    }
}

/// Where two documents differ first.
fn difference(found: &Value, expected: &Value, at: String) -> Option<String> {
    match (found, expected) {
        (Value::Object(one), Value::Object(other)) => {
            let unknown = one.keys().find(|name| !other.contains_key(*name));
            if let Some(name) = unknown {
                return Some(format!("{at}.{name}"));
            }
            other.iter().find_map(|(name, value)| {
                let at = format!("{at}.{name}");
                match one.get(name) {
                    Some(found) => difference(found, value, at),
                    None => Some(at),
                }
            })
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => one
            .iter()
            .zip(other)
            .enumerate()
            .find_map(|(place, (found, value))| difference(found, value, format!("{at}[{place}]"))),
        _ => (found != expected).then_some(at),
    }
}

fn finality(finality: &Finality) -> Value {
    json!({
        "header": header(&finality.header),
        "path": finality.path.iter().map(header).collect::<Vec<_>>(),
        "commit_proof": commit_proof(&finality.finalization),
    })
}

fn read_finality(part: &Part<'_>) -> Result<Finality, DocumentError> {
    let path = part.get("path")?.list(PATH_HEADERS_MAX)?;
    Ok(Finality {
        header: read_header(&part.get("header")?)?,
        path: path.iter().map(read_header).collect::<Result<_, _>>()?,
        finalization: read_commit_proof(&part.get("commit_proof")?)?,
    })
}

fn past_block(past: &Past) -> Value {
    json!({ "header": header(&past.header), "inclusion": inclusion(&past.inclusion) })
}

fn read_past(part: &Part<'_>) -> Result<Past, DocumentError> {
    Ok(Past {
        header: read_header(&part.get("header")?)?,
        inclusion: read_inclusion(&part.get("inclusion")?)?,
    })
}

fn epoch_end(end: &EpochEnd) -> Value {
    json!({ "last_block": finality(&end.finality), "next_validators": validator_set(&end.next) })
}

fn read_epochs(part: &Part<'_>) -> Result<Vec<EpochEnd>, DocumentError> {
    let list = part.list(LEDGER_EPOCHS_ANSWERED_MAX)?;
    list.iter()
        .map(|one| {
            Ok(EpochEnd {
                finality: read_finality(&one.get("last_block")?)?,
                next: read_validator_set(&one.get("next_validators")?)?,
            })
        })
        .collect()
}

/// A proof of inclusion, in the whitepaper's words.
pub fn inclusion(inclusion: &Inclusion) -> Value {
    json!({
        "index": inclusion.index.0,
        "size": inclusion.size.0,
        "merkle_proof": inclusion.path.iter().map(digest).collect::<Vec<_>>(),
    })
}

fn read_inclusion(part: &Part<'_>) -> Result<Inclusion, DocumentError> {
    let path = part.get("merkle_proof")?.list(MERKLE_PATH_MAX)?;
    Ok(Inclusion {
        index: LeafIndex(part.get("index")?.number()?),
        size: TreeSize(part.get("size")?.number()?),
        path: path.iter().map(Part::digest).collect::<Result<_, _>>()?,
    })
}

fn outcome(proof: &OutcomeProof) -> Value {
    json!({
        "child": proof.child.as_ref().map(past_block),
        "tx_hash": tx_hash(&proof.result.id),
        "outcome": proof.result.outcome.name(),
        "results": hex_text(&proof.results.to_bytes()),
        "inclusion": inclusion(&proof.inclusion),
    })
}

fn read_outcome(part: &Part<'_>) -> Result<OutcomeProof, DocumentError> {
    let name = part.get("outcome")?;
    let text = name.text()?;
    let outcome = Outcome::ALL.into_iter().find(|one| one.name() == text);
    let results = part.get("results")?;
    let head = ResultsHead::from_bytes(&results.bytes(64)?.into());
    Ok(OutcomeProof {
        child: part.find("child").as_ref().map(read_past).transpose()?,
        result: OpResult {
            id: TxId(part.get("tx_hash")?.digest()?),
            outcome: outcome.ok_or_else(|| name.error("is no outcome"))?,
        },
        results: head.map_err(|error| results.error(error.to_string()))?,
        inclusion: read_inclusion(&part.get("inclusion")?)?,
    })
}
