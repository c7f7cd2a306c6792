//! `decube tx`: transactions of the ledger.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use decube_core::ledger::{Lane, Name, Operation};
use serde_json::Value;

use super::client::{Client, query};
use super::exit::{Failure, Outcome, UNAVAILABLE, USAGE};
use super::output::{self, Format, cell};
use super::{Remote, sign};

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum TxCommand {
    /// Sign data and hand it to the ledger
    Submit(SubmitArgs),
    /// What became of a transaction
    Show {
        /// Its hash
        hash: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Wait until a transaction is final, and print its receipt
    Wait {
        /// Its hash
        hash: String,
        /// How long, in seconds
        #[arg(long, default_value_t = 30)]
        timeout: u64,
        #[command(flatten)]
        remote: Remote,
    },
    /// Print the receipt of a final transaction, for `decube verify`
    Receipt {
        /// Its hash
        hash: String,
        /// Under the certificate of the last final block, instead of the one after its
        /// own
        #[arg(long)]
        fresh: bool,
        /// The epoch that the verifier trusts, if it knows a later one than the first
        #[arg(long, value_name = "EPOCH", default_value_t = 0)]
        from_epoch: u64,
        #[command(flatten)]
        remote: Remote,
    },
}

const EXAMPLES: &str = "\
Examples:
  decube tx submit --type note --payload '{\"hello\":\"world\"}' --wait
  decube tx submit --type note --payload '{\"n\":1}' --payload '{\"n\":2}'   # one signature
  decube tx show 0x5d1c…
  decube tx receipt 0x5d1c… > receipt.json
  decube ledger genesis > genesis.json            # once, over a way that you trust
  decube verify receipt.json --trust genesis.json # anywhere, offline";

#[derive(Debug, Args)]
pub struct SubmitArgs {
    /// What it is, for its readers
    #[arg(long = "type", value_name = "NAME")]
    kind: String,
    /// The data, as JSON. More than one makes a bundle under one signature
    #[arg(long, value_name = "JSON", required = true)]
    payload: Vec<String>,
    /// Wait until it is final, and print the receipt
    #[arg(long)]
    wait: bool,
    /// The key that signs; that of this user without one
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The lane of the account: programs that share an account use one each
    #[arg(long, default_value_t = 0)]
    lane: u16,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub async fn run(command: TxCommand) -> Outcome {
    match command {
        TxCommand::Submit(args) => submit(args).await,
        TxCommand::Show { hash, remote } => {
            let path = format!("/consensus/transactions/{}", super::client::encode(&hash));
            let found = remote.client()?.get_json(&path).await?;
            match remote.output {
                Format::Json => output::json(&found),
                Format::Table => show(&found),
            }
        }
        TxCommand::Wait {
            hash,
            timeout,
            remote,
        } => {
            let client = remote.client()?;
            print_receipt(&wait(&client, &hash, timeout).await?)
        }
        TxCommand::Receipt {
            hash,
            fresh,
            from_epoch,
            remote,
        } => {
            let parameters = query(&[
                ("fresh", fresh.then(|| "true".to_owned())),
                ("from_epoch", Some(from_epoch.to_string())),
            ]);
            output::json(&receipt(&remote.client()?, &hash, &parameters).await?)
        }
    }
}

async fn submit(args: SubmitArgs) -> Outcome {
    let kind = Name::new(args.kind.as_str());
    let kind = kind.map_err(|error| Failure::new(USAGE, format!("--type: {error}")))?;
    let operations: Result<Vec<Operation>, Failure> = args
        .payload
        .iter()
        .map(|text| {
            let payload: Value = serde_json::from_str(text).map_err(|error| {
                let failure = Failure::new(USAGE, format!("--payload is no JSON: {error}"));
                failure.hint("a text is written with quotes: '\"text\"'")
            })?;
            Ok(Operation::Data {
                kind: kind.clone(),
                payload: serde_json::to_vec(&payload)
                    .expect("a value is JSON")
                    .into(),
            })
        })
        .collect();
    let account = sign::account(args.key.as_deref())?;
    let client = args.remote.client()?;
    let lane = Lane(args.lane);
    let answer = sign::submit(&client, &account, lane, &operations?, args.wait).await?;
    if args.wait {
        return print_receipt(&answer);
    }
    match args.remote.output {
        Format::Json => output::json(&answer),
        Format::Table => {
            let hashes = answer["tx_hashes"].as_array().cloned().unwrap_or_default();
            let lines: String = hashes.iter().map(|hash| cell(hash) + "\n").collect();
            output::raw(lines.as_bytes())
        }
    }
}

/// The receipt goes to the output whole, so that it can be kept; what it says goes
/// to who watches.
fn print_receipt(receipt: &Value) -> Outcome {
    output::note(&format!(
        "final in block {}: {}",
        cell(&receipt["block_height"]),
        cell(&receipt["tx_hash"]),
    ));
    output::json(receipt)
}

async fn receipt(client: &Client, hash: &str, parameters: &str) -> Result<Value, Failure> {
    let hash = super::client::encode(hash);
    client
        .get_json(&format!("/consensus/transactions/{hash}/proof{parameters}"))
        .await
}

async fn wait(client: &Client, hash: &str, timeout: u64) -> Result<Value, Failure> {
    let deadline = Instant::now() + Duration::from_secs(timeout);
    loop {
        match receipt(client, hash, "").await {
            Err(failure) if failure.code == super::exit::NOT_FOUND => {}
            other => return other,
        }
        if Instant::now() >= deadline {
            let message = format!("not final after {timeout} s");
            return Err(Failure::new(UNAVAILABLE, message)
                .hint("`decube tx show` tells whether the node knows it"));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn show(found: &Value) -> Outcome {
    let field = |name: &str| cell(&found[name]);
    output::fields(&[
        ("transaction", field("hash")),
        ("status", field("status")),
        ("type", field("type")),
        ("payload", found["payload"].to_string()),
        ("outcome", field("outcome")),
        ("block", field("block_height")),
        ("confirmations", field("confirmations")),
    ])
}
