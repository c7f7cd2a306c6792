//! `decube verify`: checks a proof offline.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use decube_core::proof::{ProvenHead, TrustedVoters, verify_log_proof};
use decube_io_real::verifier::FastVerifier;
use serde_json::{Value, json};

use super::exit::{Failure, INTEGRITY, Outcome, USAGE};
use super::output::{self, Format};
use super::verify_ledger::LedgerArgs;
use crate::ledger::trust::is_trust;
use crate::logproof::{Document, Invalid, describe, read, read_trust};

/// More than any document takes: entries are bounded, and so is their base64.
const DOCUMENT_BYTES_MAX: u64 = 64 << 20;

#[derive(Debug, Args)]
#[command(
    after_help = "Needs no network. What is printed was proven, either by a majority of the voters of a\n\
cluster's log, or by more than two thirds of the validators of the ledger, followed\n\
from its genesis or from an epoch that you kept. Exit code 7: not proven.\n\n\
Examples:\n  decube verify receipt.json --trust genesis.json\n  \
decube verify now.json --trust genesis.json --since head.json\n  \
decube verify now.json --trust epoch.json --trusting-period 14d --save-trust epoch.json\n  \
decube verify head.note --trust epoch.json\n  \
decube verify proof.json --trust trust.json\n  \
decube log proof --first 17 | decube verify - --trust trust.json"
)]
pub struct VerifyArgs {
    /// The receipt, checkpoint (also as a note), extension, proof or signed head; - for
    /// standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Whom you trust: the genesis of the ledger, an epoch of it that you kept, or the
    /// voters that `decube log trust` prints
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    #[command(flatten)]
    ledger: LedgerArgs,
    /// How to print the result
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    output: Format,
}

/// Runs the command.
pub fn run(args: &VerifyArgs) -> Outcome {
    let trust = content(&args.trust)?;
    if is_trust(&trust) {
        let text = content(&args.file)?;
        return super::verify_ledger::run(&text, &trust, &args.ledger, args.output);
    }
    if args.ledger.any() {
        let message = "only proofs of the ledger are compared with time and kept heads";
        return Err(Failure::new(USAGE, message).hint("--trust is not the genesis of a ledger"));
    }
    let (cluster, trusted) = read_trust(&trust).map_err(|error| {
        let message = format!("{} is no trust document: {error}", args.trust.display());
        Failure::new(USAGE, message).hint("`decube log trust > trust.json` makes one")
    })?;
    let text = content(&args.file)?;
    let refused = |error: &dyn std::fmt::Display| {
        let message = format!("not proven: {error}");
        Failure::new(INTEGRITY, message).hint("nothing in this document may be believed")
    };
    let document = read(&text).map_err(|error: Invalid| refused(&error))?;
    match document {
        Document::Head(signed) => {
            let head = signed.verify(&FastVerifier, &trusted);
            let head = head.map_err(|error| refused(&error))?;
            show(args.output, &cluster, &trusted, &head, &[])
        }
        Document::Proof(proof) => {
            let proven = verify_log_proof(&FastVerifier, &trusted, None, &proof);
            let proven = proven.map_err(|error| refused(&error))?;
            let entries: Vec<(u64, u64, String)> = proven
                .iter()
                .map(|(id, entry)| (id.index.0, id.term.0, describe(entry)))
                .collect();
            show(args.output, &cluster, &trusted, proven.head(), &entries)
        }
    }
}

/// What was proven, and nothing else.
fn show(
    format: Format,
    cluster: &str,
    trusted: &TrustedVoters,
    proven: &ProvenHead,
    entries: &[(u64, u64, String)],
) -> Outcome {
    let head = proven.head();
    let signers: Vec<String> = proven.signers().iter().map(ToString::to_string).collect();
    if format == Format::Json {
        let list = entries
            .iter()
            .map(|(index, term, what)| json!({"index": index, "term": term, "what": what}));
        return output::json(&json!({
            "proven": true,
            "cluster": cluster,
            "cluster_id": head.cluster.to_string(),
            "membership_epoch": trusted.membership_epoch().0,
            "size": head.size.0,
            "commit_term": head.commit_term.0,
            "root": head.root.to_string(),
            "signers": signers,
            "entries": list.collect::<Vec<Value>>(),
        }));
    }
    output::fields(&[
        (
            "proven",
            "signed by a majority of the trusted voters".to_owned(),
        ),
        ("cluster", format!("{cluster} ({})", head.cluster)),
        (
            "log",
            format!(
                "{} entries, the last in term {}",
                head.size, head.commit_term
            ),
        ),
        ("root", head.root.to_string()),
        ("signers", signers.join(" ")),
    ])?;
    if entries.is_empty() {
        return Ok(());
    }
    output::raw(b"\n")?;
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|(index, term, what)| vec![index.to_string(), term.to_string(), what.clone()])
        .collect();
    output::table(&["INDEX", "TERM", "WHAT"], &rows)
}

/// A whole file, bounded.
pub fn content(path: &Path) -> Result<Vec<u8>, Failure> {
    let read = || {
        let mut text = Vec::new();
        if path == Path::new("-") {
            std::io::stdin()
                .lock()
                .take(DOCUMENT_BYTES_MAX + 1)
                .read_to_end(&mut text)?;
        } else {
            let file = std::fs::File::open(path)?;
            file.take(DOCUMENT_BYTES_MAX + 1).read_to_end(&mut text)?;
        }
        std::io::Result::Ok(text)
    };
    let text = read()
        .map_err(|error| Failure::new(USAGE, format!("cannot read {}: {error}", path.display())))?;
    match u64::try_from(text.len()).is_ok_and(|bytes| bytes <= DOCUMENT_BYTES_MAX) {
        true => Ok(text),
        false => Err(Failure::new(
            USAGE,
            format!("{} is too large", path.display()),
        )),
    }
}
