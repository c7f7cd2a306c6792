//! `decube kv`.

use std::io::Read;

use clap::{Args, Subcommand};
use futures::StreamExt;
use http_body_util::BodyExt;
use hyper::Method;
use serde_json::Value;

use super::Remote;
use super::client::{Payload, encode, json, query, whole};
use super::exit::{CONFLICT, FAILED, Failure, Outcome, UNAVAILABLE};
use super::output::{self, Format, cell};

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  decube kv put greeting hello
  decube kv put config/app - < app.yaml
  decube kv get greeting
  decube kv put greeting hi --if-revision 12
  decube kv list config/
  decube kv watch config/")]
pub enum KvCommand {
    /// Print the value of a key
    Get {
        /// The key
        key: String,
        /// Answer from the node's own state, which may be behind
        #[arg(long)]
        stale: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Set a key
    Put(PutArgs),
    /// Remove a key
    Delete {
        /// The key
        key: String,
        /// Only if it was last changed at this revision
        #[arg(long, value_name = "REVISION")]
        if_revision: Option<u64>,
        #[command(flatten)]
        remote: Remote,
    },
    /// List keys
    List {
        /// Only keys that begin like this
        #[arg(default_value = "")]
        prefix: String,
        /// At most so many; 0 for all
        #[arg(long, default_value_t = 0)]
        limit: usize,
        #[command(flatten)]
        remote: Remote,
    },
    /// Print changes as they happen, one JSON object to a line
    Watch {
        /// Only keys that begin like this
        #[arg(default_value = "")]
        prefix: String,
        /// From this revision on instead of from now on
        #[arg(long, default_value_t = 0)]
        since: u64,
        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Debug, Args)]
pub struct PutArgs {
    /// The key
    key: String,
    /// The value; - reads it from standard input
    value: String,
    /// Only if it was last changed at this revision
    #[arg(long, value_name = "REVISION", conflicts_with = "if_absent")]
    if_revision: Option<u64>,
    /// Only if it does not exist
    #[arg(long)]
    if_absent: bool,
    /// Delete it when this lease ends
    #[arg(long)]
    lease: Option<u64>,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub async fn run(command: KvCommand) -> Outcome {
    match command {
        KvCommand::Get { key, stale, remote } => get(&key, stale, &remote).await,
        KvCommand::Put(args) => put(args).await,
        KvCommand::Delete {
            key,
            if_revision,
            remote,
        } => delete(&key, if_revision, &remote).await,
        KvCommand::List {
            prefix,
            limit,
            remote,
        } => list(&prefix, limit, &remote).await,
        KvCommand::Watch {
            prefix,
            since,
            remote,
        } => watch(&prefix, since, &remote).await,
    }
}

pub(super) fn path(key: &str) -> String {
    format!("/v1/kv/{}", encode(key))
}

async fn get(key: &str, stale: bool, remote: &Remote) -> Outcome {
    let as_json = remote.output == Format::Json;
    let path = path(key)
        + &query(&[
            ("consistency", stale.then(|| "stale".to_owned())),
            ("format", as_json.then(|| "json".to_owned())),
        ]);
    let client = remote.client()?;
    if as_json {
        return output::json(&client.get_json(&path).await?);
    }
    let value = whole(client.send(Method::GET, &path, &[], Payload::Empty).await?).await?;
    output::raw(&value)?;
    let on_terminal = std::io::IsTerminal::is_terminal(&std::io::stdout());
    if on_terminal && !value.ends_with(b"\n") {
        return output::raw(b"\n");
    }
    Ok(())
}

async fn put(args: PutArgs) -> Outcome {
    let value = if args.value == "-" {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().read_to_end(&mut bytes);
        read.map_err(|error| Failure::new(FAILED, format!("cannot read the value: {error}")))?;
        bytes
    } else {
        args.value.into_bytes()
    };
    let mut headers = Vec::new();
    if let Some(revision) = args.if_revision {
        headers.push(("if-match", format!("\"{revision}\"")));
    }
    if args.if_absent {
        headers.push(("if-none-match", "*".to_owned()));
    }
    let path = path(&args.key) + &query(&[("lease", args.lease.map(|lease| lease.to_string()))]);
    let client = args.remote.client()?;
    let payload = Payload::Bytes(value.into());
    let answer = json(client.send(Method::PUT, &path, &headers, payload).await?).await?;
    match args.remote.output {
        Format::Json => output::json(&answer),
        Format::Table => output::raw(format!("revision {}\n", answer["revision"]).as_bytes()),
    }
}

async fn delete(key: &str, if_revision: Option<u64>, remote: &Remote) -> Outcome {
    let headers: Vec<_> = if_revision
        .map(|revision| ("if-match", format!("\"{revision}\"")))
        .into_iter()
        .collect();
    let client = remote.client()?;
    let answer = client
        .send(Method::DELETE, &path(key), &headers, Payload::Empty)
        .await?;
    let answer = json(answer).await?;
    match remote.output {
        Format::Json => output::json(&answer),
        Format::Table => output::raw(format!("deleted {}\n", answer["deleted"]).as_bytes()),
    }
}

async fn list(prefix: &str, limit: usize, remote: &Remote) -> Outcome {
    let client = remote.client()?;
    let mut pairs: Vec<Value> = Vec::new();
    let mut cursor = None;
    loop {
        let page = match limit {
            0 => 1000,
            limit => (limit - pairs.len()).min(1000),
        };
        let parameters = [
            ("prefix", Some(prefix.to_owned())),
            ("limit", Some(page.to_string())),
            ("cursor", cursor),
        ];
        let mut answer = client
            .get_json(&format!("/v1/kv{}", query(&parameters)))
            .await?;
        if let Value::Array(found) = answer["pairs"].take() {
            pairs.extend(found);
        }
        cursor = answer["next"].as_str().map(str::to_owned);
        if cursor.is_none() || (limit > 0 && pairs.len() >= limit) {
            break;
        }
    }
    if remote.output == Format::Json {
        return output::json(&pairs.into());
    }
    let rows: Vec<Vec<String>> = pairs.iter().map(row).collect();
    output::table(&["KEY", "REVISION", "VALUE"], &rows)
}

fn row(pair: &Value) -> Vec<String> {
    let bytes = |name: &str| match (&pair[name], &pair[format!("{name}_base64")]) {
        (Value::String(text), _) => text.clone(),
        (_, other) => format!("base64:{}", cell(other)),
    };
    let mut value = bytes("value");
    if value.chars().count() > 60 {
        value = value.chars().take(59).chain(['…']).collect();
    }
    vec![bytes("key"), cell(&pair["modified"]), value]
}

async fn watch(prefix: &str, since: u64, remote: &Remote) -> Outcome {
    let parameters = [
        ("watch", Some("true".to_owned())),
        ("prefix", Some(prefix.to_owned())),
        ("since", Some(since.to_string())),
    ];
    let path = format!("/v1/kv{}", query(&parameters));
    let response = remote
        .client()?
        .send(Method::GET, &path, &[], Payload::Empty)
        .await?;
    let mut body = response.into_body().into_data_stream();
    let mut lines = Lines::default();
    let mut event = String::new();
    while let Some(piece) = body.next().await {
        let piece = piece
            .map_err(|error| Failure::new(UNAVAILABLE, format!("the watch broke off: {error}")))?;
        for line in lines.feed(&piece) {
            if let Some(name) = line.strip_prefix("event: ") {
                event = name.to_owned();
            }
            let Some(data) = line.strip_prefix("data: ") else {
                continue;
            };
            match event.as_str() {
                "end" => {
                    let mut failure = Failure::of_problem(0, data.as_bytes());
                    failure.code = CONFLICT;
                    return Err(failure);
                }
                "change" => output::raw(format!("{data}\n").as_bytes())?,
                _ => eprintln!("watching {data}"),
            }
        }
    }
    Err(Failure::new(UNAVAILABLE, "the node ended the watch"))
}

/// Bytes to lines, whatever the pieces they come in.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn feed(&mut self, piece: &[u8]) -> Vec<String> {
        self.0.extend_from_slice(piece);
        let Some(end) = self.0.iter().rposition(|byte| *byte == b'\n') else {
            return Vec::new();
        };
        let whole: Vec<u8> = self.0.drain(..=end).collect();
        String::from_utf8_lossy(&whole)
            .lines()
            .map(str::to_owned)
            .collect()
    }
}
