//! `decube log`: the signed log and proofs of its entries.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::client::{Client, query};
use super::exit::{FAILED, Failure, Outcome};
use super::kv;
use super::output::{self, Format, cell};

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum LogCommand {
    /// Print the voters and their keys: what `decube verify --trust` takes
    #[command(
        after_help = "Fetch it once over a way that you trust, and keep it: whoever verifies with a\n\
trust document that came along with the proof has verified nothing. It holds for one\n\
membership; fetch it again when the voters change.\n\n\
Example:\n  decube log trust > trust.json"
    )]
    Trust(ServerArgs),
    /// Print the head of the log, signed by a majority of the voters
    #[command(after_help = "Example:\n  decube log head -o json > head.json")]
    Head {
        #[command(flatten)]
        server: ServerArgs,
        /// How to print the result
        #[arg(long, short, value_enum, default_value_t = Format::Table)]
        output: Format,
    },
    /// Print a proof of entries of the log, for `decube verify`
    #[command(
        after_help = "Examples:\n  decube log proof --key greeting > proof.json\n  \
decube log proof --first 17 --count 10 --without-data > proof.json"
    )]
    Proof(ProofArgs),
}

const EXAMPLES: &str = "\
Examples:
  decube log trust > trust.json                  # once, over a way that you trust
  decube kv put greeting hello
  decube log proof --key greeting > proof.json
  decube verify proof.json --trust trust.json    # anywhere, offline";

/// How to reach a node.
#[derive(Debug, Args)]
pub struct ServerArgs {
    /// The node to ask
    #[arg(
        long,
        alias = "server",
        short = 's',
        env = "DECUBE_API",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL"
    )]
    api: String,
}

#[derive(Debug, Args)]
pub struct ProofArgs {
    /// Prove the last write to this key
    #[arg(long, conflicts_with = "count", required_unless_present = "first")]
    key: Option<String>,
    /// The index of the first entry
    #[arg(long, value_name = "INDEX", conflicts_with = "key")]
    first: Option<u64>,
    /// How many entries; fewer are given if more do not fit
    #[arg(long, default_value_t = 1)]
    count: u32,
    /// Leave the data of the entries out: their length and digest remain
    #[arg(long)]
    without_data: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub async fn run(command: LogCommand) -> Outcome {
    match command {
        LogCommand::Trust(server) => output::json(&get(&server, "/v1/log/trust").await?),
        LogCommand::Head { server, output } => {
            let head = get(&server, "/v1/log/head").await?;
            match output {
                Format::Json => output::json(&head),
                Format::Table => show_head(&head),
            }
        }
        LogCommand::Proof(args) => proof(args).await,
    }
}

async fn proof(args: ProofArgs) -> Outcome {
    let first = match (&args.key, args.first) {
        (Some(key), _) => last_write(&args.server, key).await?,
        (None, first) => first.unwrap_or_default(),
    };
    let parameters = query(&[
        ("first", Some(first.to_string())),
        ("count", Some(args.count.to_string())),
        ("data", args.without_data.then(|| "false".to_owned())),
    ]);
    output::json(&get(&args.server, &format!("/v1/log/proof{parameters}")).await?)
}

/// The entry that wrote a key last: a revision is the index of an entry.
async fn last_write(server: &ServerArgs, key: &str) -> Result<u64, Failure> {
    let path = kv::path(key) + &query(&[("format", Some("json".to_owned()))]);
    let answer = get(server, &path).await?;
    answer["modified"]
        .as_u64()
        .ok_or_else(|| Failure::new(FAILED, "the node does not tell the revision of this key"))
}

async fn get(server: &ServerArgs, path: &str) -> Result<Value, Failure> {
    Client::new(&server.api)?.get_json(path).await
}

fn show_head(head: &Value) -> Outcome {
    let field = |name: &str| cell(&head[name]);
    output::fields(&[
        ("cluster", field("cluster_id")),
        (
            "membership",
            format!("of entry {}", field("membership_epoch")),
        ),
        (
            "entries",
            format!(
                "{}, the last in term {}",
                field("size"),
                field("commit_term")
            ),
        ),
        ("root", field("root")),
    ])?;
    output::raw(b"\n")?;
    let signatures = head["signatures"].as_array().cloned().unwrap_or_default();
    let rows: Vec<Vec<String>> = signatures
        .iter()
        .map(|one| vec![cell(&one["node"]), cell(&one["signature"])])
        .collect();
    output::table(&["SIGNED BY", "SIGNATURE"], &rows)
}
