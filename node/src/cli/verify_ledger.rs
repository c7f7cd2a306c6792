//! Checks receipts, checkpoints and extensions of the ledger offline.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use clap::Args;
use decube_core::ledger::TimeMs;
use decube_core::merkle::{TreeHead, TreeSize};
use decube_core::proof::ledger::{
    Checkpoint, EpochEnd, Extension, ProvenContinuation, ProvenHistory, ProvenOperation, Receipt,
    ReceiptError, TrustedEpoch,
};
use decube_io_real::verifier::FastVerifier;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::exit::{FAILED, Failure, INTEGRITY, Outcome, USAGE};
use super::output::{self, Format};
use super::verify::content;
use crate::ledger::json as document;
use crate::ledger::note;
use crate::ledger::read::{DocumentError, Part};
use crate::ledger::receipt::{
    CHECKPOINT, EXTENSION, RECEIPT, read_checkpoint, read_extension, read_receipt,
};
use crate::ledger::trust::{self, Trust};

/// What a proof of the ledger is compared with, besides the validators.
#[derive(Debug, Args)]
pub struct LedgerArgs {
    /// A head of the ledger that you kept: the one at hand has to be its continuation
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,
    /// For how long validators answer for their keys, like 36h, 14d or 8w: trust that
    /// began earlier is refused
    #[arg(long, value_name = "TIME", value_parser = period)]
    trusting_period: Option<u64>,
    /// The time that the age of the trust is judged by, like 2030-01-31T12:00:00Z; now,
    /// without it
    #[arg(long, value_name = "TIME", value_parser = moment, requires = "trusting_period")]
    at: Option<u64>,
    /// Keep the epoch that was proven on the way, to begin with it the next time
    #[arg(long, value_name = "FILE")]
    save_trust: Option<PathBuf>,
}

impl LedgerArgs {
    /// Whether anything was given.
    pub const fn any(&self) -> bool {
        self.since.is_some() || self.trusting_period.is_some() || self.save_trust.is_some()
    }
}

/// A span in milliseconds.
pub fn period(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let hours = match &text[digits.len()..] {
        "h" => Some(1),
        "d" => Some(24),
        "w" => Some(7 * 24),
        _ => None,
    };
    let number: Option<u64> = digits.parse().ok();
    let ms = number.zip(hours).and_then(|(number, hours)| {
        let hours = number.checked_mul(hours)?;
        hours.checked_mul(3_600_000)
    });
    ms.filter(|ms| *ms > 0)
        .ok_or_else(|| "must be a time like 36h, 14d or 8w".to_owned())
}

/// A time in milliseconds since 1970.
pub fn moment(text: &str) -> Result<u64, String> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok();
    let ms = time.and_then(|time| u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok());
    ms.ok_or_else(|| "must be a time like 2030-01-31T12:00:00Z".to_owned())
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

/// A time as it is given to `--at`.
fn shown(ms: u64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok();
    let text = time.and_then(|time| time.format(&Rfc3339).ok());
    text.unwrap_or_else(|| format!("{ms} ms after 1970"))
}

/// Reads whom to trust, and judges how old that trust is.
pub fn trust_of(text: &[u8], period_ms: Option<u64>, at_ms: u64) -> Result<Trust, Failure> {
    let trust = trust::read(text).map_err(|error| {
        Failure::new(USAGE, format!("the trust document cannot be used: {error}"))
            .hint("`decube ledger genesis` prints the genesis of a running ledger")
    })?;
    let epoch = &trust.epoch;
    let Some(period_ms) = period_ms.filter(|ms| !epoch.is_fresh(TimeMs(at_ms), *ms)) else {
        return Ok(trust);
    };
    let message = format!(
        "the trust is too old: epoch {} began {}, the trusting period of {} hours ended before {}",
        epoch.epoch().0,
        shown(epoch.root_time().0),
        period_ms / 3_600_000,
        shown(at_ms),
    );
    Err(Failure::new(INTEGRITY, message).hint(
        "its validators may have lost their keys since: take a newer epoch from somebody whom you \
         trust and who has followed the ledger (`decube ledger follow`)",
    ))
}

/// Checks a document of the ledger.
pub fn run(text: &[u8], trust: &[u8], args: &LedgerArgs, format: Format) -> Outcome {
    let at = args.at.unwrap_or_else(super::ledger::now_ms);
    let trust = trust_of(trust, args.trusting_period, at)?;
    let kept = args.since.as_deref().map(kept_head).transpose()?;
    let document = read(text, &trust)?;
    let proven = document
        .verify(&trust.epoch)
        .map_err(|error| refused(&*error))?;
    match &proven {
        Proven::Operation(_) if kept.is_some() => {
            let message = "a receipt is no head: --since compares checkpoints";
            return Err(Failure::new(USAGE, message));
        }
        Proven::Operation(_) => {}
        Proven::History(history) => compare(kept.as_ref(), &history.head())?,
        Proven::Continuation(both) => compare(kept.as_ref(), both.old())?,
    }
    if let Some(path) = &args.save_trust {
        let followed = trust.epoch.follow_all(document.epochs(), &FastVerifier);
        let followed = followed.map_err(|error| refused(&error))?;
        save(path, &followed)?;
    }
    match proven {
        Proven::Operation(proven) => show(&trust.ledger, &proven, format),
        Proven::History(history) => output::json(&describe(&trust.ledger, &history)),
        Proven::Continuation(both) => {
            let mut shown = describe(&trust.ledger, both.history());
            shown["continues"] = json!({
                "size": both.old().size.0,
                "root": document::digest(&both.old().root),
            });
            output::json(&shown)
        }
    }
}

/// Keeps an epoch that was proven.
pub fn save(path: &Path, epoch: &TrustedEpoch) -> Outcome {
    let text = format!("{:#}\n", trust::epoch(epoch));
    std::fs::write(path, text)
        .map_err(|error| Failure::new(FAILED, format!("{}: {error}", path.display())))
}

/// A document of the ledger, as it was read.
enum Document {
    Receipt(Box<Receipt>),
    Checkpoint(Box<Checkpoint>),
    Extension(Box<Extension>),
}

/// What a document proved.
enum Proven {
    Operation(Box<ProvenOperation>),
    History(Box<ProvenHistory>),
    Continuation(Box<ProvenContinuation>),
}

impl Document {
    fn verify(&self, trusted: &TrustedEpoch) -> Result<Proven, Box<dyn Display>> {
        let refused = |error: ReceiptError| -> Box<dyn Display> { Box::new(error) };
        match self {
            Self::Receipt(receipt) => {
                let proven = receipt.verify(trusted, &FastVerifier).map_err(refused)?;
                Ok(Proven::Operation(Box::new(proven)))
            }
            Self::Checkpoint(checkpoint) => {
                let proven = checkpoint.verify(trusted, &FastVerifier).map_err(refused)?;
                Ok(Proven::History(Box::new(proven)))
            }
            Self::Extension(extension) => match extension.verify(trusted, &FastVerifier) {
                Ok(proven) => Ok(Proven::Continuation(Box::new(proven))),
                Err(error) => Err(Box::new(error)),
            },
        }
    }

    /// How epochs handed over on the way.
    fn epochs(&self) -> &[EpochEnd] {
        match self {
            Self::Receipt(receipt) => &receipt.epochs,
            Self::Checkpoint(checkpoint) => &checkpoint.epochs,
            Self::Extension(extension) => &extension.checkpoint.epochs,
        }
    }
}

fn read(text: &[u8], trust: &Trust) -> Result<Document, Failure> {
    if note::is_note(text) {
        let text = std::str::from_utf8(text).map_err(|error| refused(&error))?;
        let checkpoint = note::read(text, &trust.epoch).map_err(|error| refused(&error))?;
        return Ok(Document::Checkpoint(Box::new(checkpoint)));
    }
    let found: Value = serde_json::from_slice(text).map_err(|error| refused(&error))?;
    let read = match found["document"].as_str() {
        Some(RECEIPT) => read_receipt(&found).map(|made| Document::Receipt(Box::new(made))),
        Some(CHECKPOINT) => {
            read_checkpoint(&found).map(|made| Document::Checkpoint(Box::new(made)))
        }
        Some(EXTENSION) => read_extension(&found).map(|made| Document::Extension(Box::new(made))),
        _ => {
            let message = "this is no receipt, checkpoint or extension of a ledger";
            return Err(Failure::new(USAGE, message));
        }
    };
    read.map_err(|error| refused(&error))
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
                "keep both files: if both were signed, a third of the power or more is Byzantine",
            ))
        }
        _ => Ok(()),
    }
}

fn describe(ledger: &str, proven: &ProvenHistory) -> Value {
    let (head, block) = (proven.head(), proven.block().header());
    json!({
        "proven": true,
        "ledger": ledger,
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
fn show(ledger: &str, proven: &ProvenOperation, format: Format) -> Outcome {
    let (header, head) = (proven.block().header(), proven.head().header());
    let operation = document::operation(proven.operation());
    let intent = proven.transaction().intent();
    let outcome = proven.outcome().map(|outcome| outcome.name());
    if format == Format::Json {
        return output::json(&json!({
            "proven": true,
            "ledger": ledger,
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
            format!("{ledger} ({})", document::chain(header.chain)),
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
