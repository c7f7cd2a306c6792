//! `decube ledger`: blocks, checkpoints, and how the ledger began.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use decube_core::ledger::{Genesis, Member, Params, TimeMs};
use decube_core::types::ClusterId;
use decube_io_real::verifier::FastVerifier;
use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use hyper::Method;
use serde_json::Value;

use super::Remote;
use super::client::{Payload, query};
use super::exit::{FAILED, Failure, INTEGRITY, Outcome, UNAVAILABLE, USAGE};
use super::output::{self, Format, cell};
use super::verify_ledger;
use crate::ledger::read::Part;
use crate::ledger::{genesis, receipt, trust};

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
        /// Its header alone, which is kept when blocks are pruned
        #[arg(long)]
        header: bool,
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
    Checkpoint(CheckpointArgs),
    /// Print how a running ledger began: what `decube verify --trust` takes
    #[command(
        after_help = "Fetch it once over a way that you trust, and keep it: whoever verifies with a genesis\n\
that came along with the receipt has verified nothing.\n\n\
Example:\n  decube ledger genesis > genesis.json"
    )]
    Genesis(Remote),
    /// Follow how epochs handed over, and print the present one as what `decube verify
    /// --trust` takes
    #[command(
        after_help = "Each epoch is believed because more than two thirds of the one before signed it. Do it\n\
more often than validators throw away their keys, and keep what it prints: trust that is\n\
older than --trusting-period is refused.\n\n\
Examples:\n  decube ledger follow --trust genesis.json --save epoch.json\n  \
decube ledger follow --trust epoch.json --trusting-period 14d --save epoch.json"
    )]
    Follow(FollowArgs),
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
pub struct CheckpointArgs {
    /// A head that you kept, of which this is to be the continuation
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,
    /// The block; the last final one if none is given
    #[arg(long)]
    height: Option<u64>,
    /// The epoch that the verifier trusts, if it knows a later one than the first
    #[arg(long, value_name = "EPOCH", default_value_t = 0)]
    from_epoch: u64,
    /// As a signed note, for transparency logs
    #[arg(long, conflicts_with_all = ["since", "from_epoch"])]
    note: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
pub struct FollowArgs {
    /// The genesis, or the epoch that you kept
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// For how long validators answer for their keys, like 36h, 14d or 8w
    #[arg(long, value_name = "TIME", value_parser = verify_ledger::period)]
    trusting_period: Option<u64>,
    /// Where to write it; to the output without one
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

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
        LedgerCommand::Block {
            height,
            header,
            remote,
        } => {
            let part = if header { "/header" } else { "" };
            let path = format!("/consensus/blocks/{}{part}", super::client::encode(&height));
            output::json(&remote.client()?.get_json(&path).await?)
        }
        LedgerCommand::Tail(remote) => tail(&remote).await,
        LedgerCommand::Checkpoint(args) => checkpoint(args).await,
        LedgerCommand::Genesis(remote) => {
            output::json(&remote.client()?.get_json("/consensus/genesis").await?)
        }
        LedgerCommand::Follow(args) => follow(args).await,
        LedgerCommand::Init(args) => init(&args),
    }
}

async fn checkpoint(args: CheckpointArgs) -> Outcome {
    let kept = args.since.as_deref().map(verify_ledger::kept_head);
    let parameters = query(&[
        (
            "from",
            kept.transpose()?.map(|head| head.size.0.to_string()),
        ),
        ("height", args.height.map(|height| height.to_string())),
        ("from_epoch", Some(args.from_epoch.to_string())),
        ("format", args.note.then(|| "note".to_owned())),
    ]);
    let path = format!("/consensus/checkpoint{parameters}");
    let client = args.remote.client()?;
    if !args.note {
        return output::json(&client.get_json(&path).await?);
    }
    let answer = client.send(Method::GET, &path, &[], Payload::Empty).await?;
    output::raw(&super::client::whole(answer).await?)
}

/// Follows how epochs handed over, as far as it can be proven to who trusts this one.
async fn follow(args: FollowArgs) -> Outcome {
    let text = super::verify::content(&args.trust)?;
    let mut trusted = verify_ledger::trust_of(&text, args.trusting_period, now_ms())?.epoch;
    let client = args.remote.client()?;
    loop {
        let path = format!("/consensus/epochs?from={}", trusted.epoch().0);
        let answer = client.get_json(&path).await?;
        let refused = |error: &dyn std::fmt::Display| {
            Failure::new(INTEGRITY, format!("not proven: {error}"))
                .hint("ask another node: this one does not tell how the epochs handed over")
        };
        let ends = receipt::read_epoch_ends(&answer).map_err(|error| refused(&error))?;
        if ends.is_empty() {
            break;
        }
        let next = trusted.follow_all(&ends, &FastVerifier);
        trusted = next.map_err(|error| refused(&error))?;
    }
    match &args.save {
        Some(path) => verify_ledger::save(path, &trusted),
        None => output::json(&trust::epoch(&trusted)),
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
    if !status["stuck_below"].is_null() {
        output::note(&format!(
            "this node cannot catch up: no validator has whole blocks below {}",
            field("stuck_below")
        ));
    }
    output::fields(&[
        ("ledger", field("chain_id")),
        ("node", field("node")),
        ("height", field("height")),
        ("hash", field("hash")),
        ("state", field("state")),
        ("whole blocks", format!("from {} on", field("base"))),
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
