//! `decube status`.

use clap::Args;
use serde_json::Value;

use super::Remote;
use super::exit::Outcome;
use super::output::{self, Format, cell};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  decube status\n  decube status --api http://10.0.0.2:8080 -o json"
)]
pub struct StatusArgs {
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub async fn run(args: StatusArgs) -> Outcome {
    let status = args.remote.client()?.get_json("/v1/status").await?;
    if args.remote.output == Format::Json {
        return output::json(&status);
    }
    let field = |name: &str| cell(&status[name]);
    let mut fields = vec![
        ("cluster", field("cluster")),
        ("node", format!("{} ({})", field("node"), field("name"))),
        (
            "role",
            format!("{} in term {}", field("role"), field("term")),
        ),
        ("leader", field("leader")),
        ("ready", field("ready")),
        ("parts", parts(&status["parts"])),
        (
            "log",
            format!(
                "last {}, committed {}, applied {}, kept after {}",
                field("last_index"),
                field("committed_index"),
                field("applied_index"),
                field("base_index"),
            ),
        ),
        (
            "state",
            format!(
                "revision {}, {} bytes",
                field("revision"),
                field("state_bytes")
            ),
        ),
        (
            "version",
            format!("{}, up {} s", field("version"), field("uptime_seconds")),
        ),
    ];
    if let Some(slow) = slow(&status["slow_volumes"]) {
        fields.push(("slow", slow));
    }
    output::fields(&fields)?;
    let role = |kind: &str, id: &Value| vec![cell(id), kind.to_owned(), matched(&status, id)];
    let members = &status["members"];
    let list = |kind: &str| members[kind].as_array().cloned().unwrap_or_default();
    let kinds = [
        ("voters", "voter"),
        ("outgoing", "leaving"),
        ("learners", "learner"),
    ];
    let rows: Vec<Vec<String>> = kinds
        .into_iter()
        .flat_map(|(list_name, kind)| list(list_name).into_iter().map(move |id| (kind, id)))
        .map(|(kind, id)| role(kind, &id))
        .collect();
    output::raw(b"\n")?;
    output::table(&["MEMBER", "ROLE", "MATCHED"], &rows)
}

/// Each part with its state, and the reason where something is wrong.
fn parts(parts: &Value) -> String {
    let parts = parts.as_object().into_iter().flatten();
    let words = parts.map(|(name, health)| match health.get("reason") {
        None => format!("{name} {}", cell(&health["state"])),
        Some(reason) => format!("{name} {}: {}", cell(&health["state"]), cell(reason)),
    });
    words.collect::<Vec<_>>().join("; ")
}

/// The volumes that are slow, if any is.
fn slow(volumes: &Value) -> Option<String> {
    let volumes = volumes.as_object().into_iter().flatten();
    let words = volumes.map(|(name, slow)| {
        let (operation, seconds) = (cell(&slow["operation"]), cell(&slow["seconds"]));
        format!("volume {name}: {operation} has taken {seconds} s so far, check its disk")
    });
    let words = words.collect::<Vec<_>>().join("; ");
    (!words.is_empty()).then_some(words)
}

/// How far a member's log is known to match; only a leader knows.
fn matched(status: &Value, id: &Value) -> String {
    let known = status["matched"]
        .as_array()
        .and_then(|all| all.iter().find(|one| one["node"] == *id));
    known.map_or_else(|| "-".to_owned(), |one| cell(&one["index"]))
}
