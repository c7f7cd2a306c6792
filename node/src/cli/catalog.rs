//! `decube catalog`.

use clap::Subcommand;
use serde_json::Value;

use super::Remote;
use super::client::query;
use super::exit::Outcome;
use super::output::{self, Format, cell};

#[derive(Debug, Subcommand)]
pub enum CatalogCommand {
    /// Find snapshots and images
    #[command(after_help = "Examples:
  decube catalog query
  decube catalog query 'cluster=cluster-a AND size>1GB' --type snapshots
  decube catalog query 'id=web-* AND NOT os=windows'")]
    Query {
        /// Comparisons joined by AND, OR, NOT and parentheses; without it everything
        q: Option<String>,
        /// Only this type: snapshots or images
        #[arg(long, value_name = "TYPE", value_parser = ["snapshots", "images"])]
        r#type: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: u32,
        #[command(flatten)]
        remote: Remote,
    },
}

/// Runs the command.
pub async fn run(command: CatalogCommand) -> Outcome {
    let CatalogCommand::Query {
        q,
        r#type,
        limit,
        remote,
    } = command;
    let parameters = [
        ("type", r#type),
        ("q", q),
        ("limit", Some(limit.to_string())),
    ];
    let path = format!("/catalog/query{}", query(&parameters));
    let answer = remote.client()?.get_json(&path).await?;
    if remote.output == Format::Json {
        return output::json(&answer);
    }
    let entries = answer.as_array().cloned().unwrap_or_default();
    let row = |entry: &Value| {
        let metadata = entry["metadata"].as_object().cloned().unwrap_or_default();
        let fields = metadata
            .iter()
            .map(|(name, value)| format!("{name}={}", cell(value)));
        vec![cell(&entry["id"]), fields.collect::<Vec<_>>().join(" ")]
    };
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    output::table(&["ID", "METADATA"], &rows)
}
