//! `decube ledger`: blocks, checkpoints, and how the ledger began.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use decube_core::ledger::{Genesis, Member, Params, TimeMs};
use decube_core::types::ClusterId;
use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use hyper::Method;
use serde_json::Value;

use super::Remote;
use super::client::{Payload, query};
use super::exit::{FAILED, Failure, Outcome, UNAVAILABLE, USAGE};
use super::output::{self, Format, cell};
use crate::ledger::genesis;
use crate::ledger::read::Part;

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum LedgerCommand {
    /// Where a node of the ledger stands
    Status(Remote),
    /// The last blocks, newest first
    Blocks {
        /// How many
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=100))]
        limit: u8,
        #[command(flatten)]
        remote: Remote,
    },
    /// One block
    Block {
        /// Its height, or latest
        height: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Print blocks as they become final
    Tail(Remote),
    /// A final block as the signed head of the whole history, for `decube verify`
    #[command(
        after_help = "With --since the proof comes along that the history of the head that you kept is the\n\
beginning of this one: nothing was changed or removed in between.\n\n\
Example:\n  decube ledger checkpoint > head.json\n  \
decube ledger checkpoint --since head.json > now.json      # later\n  \
decube verify now.json --trust genesis.json --since head.json"
    )]
    Checkpoint {
        /// A head that you kept, of which this is to be the continuation
        #[arg(long, value_name = "FILE")]
        since: Option<PathBuf>,
        /// The block; the last final one if none is given
        #[arg(long)]
        height: Option<u64>,
        /// The epoch that the verifier trusts, if it knows a later one than the first
        #[arg(long, value_name = "EPOCH", default_value_t = 0)]
        from_epoch: u64,
        #[command(flatten)]
        remote: Remote,
    },
    /// Print how a running ledger began: what `decube verify --trust` takes
    #[command(
        after_help = "Fetch it once over a way that you trust, and keep it: whoever verifies with a genesis\n\
that came along with the receipt has verified nothing.\n\n\
Example:\n  decube ledger genesis > genesis.json"
    )]
    Genesis(Remote),
    /// Make the genesis of a new ledger
    #[command(
        after_help = "The file goes to all nodes, as gcl.genesis. Clusters weigh the same, however many\n\
nodes each has. A ledger goes on as long as less than a third of the power fails.\n\
`decube key show DATA_DIR/keys/identity.key` prints the key of a node.\n\n\
Example:\n  decube ledger init --name main --validator a=02ab… --validator b=03cd… > genesis.json"
    )]
    Init(InitArgs),
}

const EXAMPLES: &str = "\
Examples:
  decube ledger status
  decube ledger blocks --limit 5
  decube ledger block latest -o json
  decube ledger tail
  decube ledger genesis > genesis.json
  decube ledger checkpoint > head.json && decube verify head.json --trust genesis.json";

#[derive(Debug, Args)]
pub struct InitArgs {
    /// A name for people
    #[arg(long)]
    name: String,
    /// A node that votes: the name of its cluster, and its public key
    #[arg(long, value_name = "CLUSTER=KEY", required = true)]
    validator: Vec<String>,
    /// Where to write it; to the output without one
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Runs the command.
pub async fn run(command: LedgerCommand) -> Outcome {
    match command {
        LedgerCommand::Status(remote) => {
            let status = remote.client()?.get_json("/consensus/status").await?;
            match remote.output {
                Format::Json => output::json(&status),
                Format::Table => show_status(&status),
            }
        }
        LedgerCommand::Blocks { limit, remote } => {
            let path = format!(
                "/consensus/blocks{}",
                query(&[("limit", Some(limit.to_string()))])
            );
            let answer = remote.client()?.get_json(&path).await?;
            match remote.output {
                Format::Json => output::json(&answer),
                Format::Table => {
                    let rows: Vec<Vec<String>> = answer["blocks"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .map(row)
                        .collect();
                    output::table(HEADINGS, &rows)
                }
            }
        }
        LedgerCommand::Block { height, remote } => {
            let path = format!("/consensus/blocks/{}", super::client::encode(&height));
            output::json(&remote.client()?.get_json(&path).await?)
        }
        LedgerCommand::Tail(remote) => tail(&remote).await,
        LedgerCommand::Checkpoint {
            since,
            height,
            from_epoch,
            remote,
        } => {
            let kept = since.as_deref().map(super::verify_ledger::kept_head);
            let parameters = query(&[
                (
                    "from",
                    kept.transpose()?.map(|head| head.size.0.to_string()),
                ),
                ("height", height.map(|height| height.to_string())),
                ("from_epoch", Some(from_epoch.to_string())),
            ]);
            let path = format!("/consensus/checkpoint{parameters}");
            output::json(&remote.client()?.get_json(&path).await?)
        }
        LedgerCommand::Genesis(remote) => {
            output::json(&remote.client()?.get_json("/consensus/genesis").await?)
        }
        LedgerCommand::Init(args) => init(&args),
    }
}

const HEADINGS: &[&str] = &["HEIGHT", "EPOCH", "VIEW", "TXS", "OPS", "BYTES", "HASH"];

fn row(block: &Value) -> Vec<String> {
    let names = [
        "height",
        "epoch",
        "view",
        "transactions",
        "operations",
        "bytes",
        "hash",
    ];
    names.iter().map(|name| cell(&block[*name])).collect()
}

fn show_status(status: &Value) -> Outcome {
    let field = |name: &str| cell(&status[name]);
    output::fields(&[
        ("ledger", field("chain_id")),
        ("node", field("node")),
        ("height", field("height")),
        ("hash", field("hash")),
        ("state", field("state")),
        ("epoch", field("epoch")),
        ("view", field("view")),
        ("validator", field("validator")),
        ("voting", field("voting")),
        (
            "waiting",
            format!(
                "{} transactions, {} bytes",
                field("mempool_size"),
                field("mempool_bytes")
            ),
        ),
    ])
}

/// Prints blocks until it is interrupted.
async fn tail(remote: &Remote) -> Outcome {
    let client = remote.client()?;
    let response = client
        .send(Method::GET, "/consensus/stream", &[], Payload::Empty)
        .await?;
    let mut body = response.into_body().into_data_stream();
    let mut text = String::new();
    while let Some(piece) = body.next().await {
        let piece = piece
            .map_err(|error| Failure::new(UNAVAILABLE, format!("the stream broke off: {error}")))?;
        text.push_str(&String::from_utf8_lossy(&piece));
        while let Some(end) = text.find("\n\n") {
            let event: String = text.drain(..end + 2).collect();
            for data in event.lines().filter_map(|line| line.strip_prefix("data:")) {
                print_event(data.trim(), remote.output)?;
            }
        }
    }
    Err(Failure::new(UNAVAILABLE, "the node has ended the stream"))
}

fn print_event(data: &str, format: Format) -> Outcome {
    let Ok(event) = serde_json::from_str::<Value>(data) else {
        return Ok(());
    };
    if event.get("height").is_none() {
        output::note(&format!(
            "too slow: missed {} blocks",
            cell(&event["blocks"])
        ));
        return Ok(());
    }
    match format {
        Format::Json => output::raw(format!("{event}\n").as_bytes()),
        Format::Table => {
            let line = format!(
                "{:>8}  {:>5} txs  {:>8} bytes  {}\n",
                cell(&event["height"]),
                cell(&event["transactions"]),
                cell(&event["bytes"]),
                cell(&event["hash"]),
            );
            output::raw(line.as_bytes())
        }
    }
}

fn init(args: &InitArgs) -> Outcome {
    let mut members = Vec::new();
    let mut clusters = Vec::new();
    for given in &args.validator {
        let wrong = |what: String| Failure::new(USAGE, format!("--validator {given}: {what}"));
        let (cluster, key) = given
            .split_once('=')
            .ok_or_else(|| wrong("CLUSTER=KEY is wanted".to_owned()))?;
        let text = Value::String(key.to_owned());
        let key = Part::new(&text, "key").key();
        let key = key.map_err(|error| wrong(error.to_string()))?;
        clusters.push(cluster.to_owned());
        members.push(Member::new(
            key.node_id(),
            key,
            ClusterId::from_name(cluster),
            1,
        ));
    }
    let genesis = Genesis {
        name: args.name.clone(),
        time: TimeMs(now_ms()),
        params: Params::default(),
        members,
    };
    genesis
        .validators()
        .map_err(|error| Failure::new(USAGE, error.to_string()))?;
    let text = genesis::render(&genesis, &clusters);
    match &args.file {
        None => output::raw(text.as_bytes()),
        Some(path) => std::fs::write(path, text)
            .map_err(|error| Failure::new(FAILED, format!("{}: {error}", path.display()))),
    }
}

/// The wall clock in milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
