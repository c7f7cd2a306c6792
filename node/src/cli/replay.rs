//! `decube replay`: steps the core again through what the flight recorder kept.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::Args;
use decube_core::crypto::hex;
use decube_core::node::Node;
use decube_io_real::journal::{Recording, Replay, ReplayEnd, ReplayError, Stepped, runs};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::exit::{FAILED, Failure, INTEGRITY, NOT_FOUND, Outcome};
use super::output::{self, Format};
use crate::api::health_json;

/// Events between two updates of the progress line.
const PROGRESS_STEPS: u64 = 1024;
/// Characters of an event or an effect that a table shows.
const TEXT_MAX: usize = 2000;

#[derive(Debug, Args)]
#[command(after_help = "\
Each recorded event is taken again by the core of this program, and what the node
answered is compared with the recording, event by event. A recording replays with
the version of the program that made it.

A recording holds what clients wrote, but never the key of the node, and needs none.

Exit codes: 0 every answer is the recorded one, 2 wrong usage, 3 there is no
recording, 7 the recording is damaged or the node answers otherwise.

Examples:
  decube dev --record /tmp/recorded
  decube replay /tmp/recorded
  decube replay /tmp/recorded/node-1 --until 5000
  decube replay /tmp/recorded/node-1 --until 5000 -o json")]
pub struct ReplayArgs {
    /// A run, the directory that a node recorded into, or one of several of these
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Stop after this event, counted from 1 in each run, and print the event and
    /// the state of the node
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    until: Option<u64>,
    /// How to print the result
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    output: Format,
}

/// Runs the command.
pub fn run(args: &ReplayArgs) -> Outcome {
    let runs = runs(&args.directory).map_err(|error| failure(&error))?;
    if runs.is_empty() {
        let message = format!("there is no recording in {}", args.directory.display());
        return Err(Failure::new(NOT_FOUND, message)
            .hint("`decube node --record DIR` and `decube dev --record DIR` make one"));
    }
    let mut printed = Vec::new();
    let mut failed = None;
    for run in &runs {
        match one(args, run) {
            Ok(Some(document)) => printed.push(document),
            Ok(None) => {}
            // The others may still be of use.
            Err(failure) if runs.len() > 1 => {
                eprintln!("{}: {failure}", run.display());
                failed = Some(failure);
            }
            Err(failure) => return Err(failure),
        }
    }
    if args.output == Format::Json {
        output::json(&Value::Array(printed))?;
    }
    match failed {
        None => Ok(()),
        Some(last) => Err(Failure::new(last.code, "not every run replays")),
    }
}

/// Replays one run and prints what came of it, or returns it as JSON.
fn one(args: &ReplayArgs, run: &Path) -> Result<Option<Value>, Failure> {
    let recording = Recording::open(run).map_err(|error| failure(&error))?;
    let node = Node::new(recording.config().clone());
    let bar = progress();
    let mut state = None;
    let replayed = recording.replay(node, |step| {
        if step.number.is_multiple_of(PROGRESS_STEPS) {
            bar.set_message(format!("{}: {} events", run.display(), step.number));
            bar.tick();
        }
        match args.until {
            Some(until) if step.number == until => {
                state = Some(describe(step));
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    });
    bar.finish_and_clear();
    let replay = replayed.map_err(|error| advised(&recording, &error))?;
    if let (Some(until), None) = (args.until, &state) {
        eprintln!(
            "{}: it ends after {} events, before {until}",
            run.display(),
            replay.steps
        );
    }
    let mut document = summary(run, &recording, &replay);
    if let Some(state) = state {
        document["at"] = state;
    }
    match args.output {
        Format::Json => Ok(Some(document)),
        Format::Table => {
            let mut rows = Vec::new();
            flatten("", &document, &mut rows);
            let rows: Vec<(&str, String)> = rows
                .iter()
                .map(|(name, text)| (name.as_str(), text.clone()))
                .collect();
            output::fields(&rows)?;
            output::raw(b"\n")?;
            Ok(None)
        }
    }
}

fn summary(run: &Path, recording: &Recording, replay: &Replay) -> Value {
    json!({
        "run": run.display().to_string(),
        "node": recording.config().node.to_string(),
        "program": recording.program(),
        "events": replay.steps,
        "confirmed": replay.confirmed,
        "effects": replay.effects,
        "node_seconds": seconds(replay.last.0),
        "end": match replay.end {
            ReplayEnd::Stopped => "stopped with the node",
            ReplayEnd::Full => "the recording was full; the node went on",
            ReplayEnd::Behind => "the recorder fell behind; the node went on",
            ReplayEnd::Cut => "cut off: the node was killed or crashed, or it still runs",
            ReplayEnd::Asked => "stopped here by --until",
        },
        "unread_bytes": replay.unread_bytes,
    })
}

/// The event and the state of the node after it.
fn describe(step: &Stepped<'_, Node>) -> Value {
    let node = step.machine;
    let cluster = node
        .cluster()
        .expect("only nodes of a cluster are recorded");
    let raft = cluster.raft();
    let ledger = node.ledger();
    let parts: serde_json::Map<String, Value> = node
        .health()
        .map(|(part, health)| (part.name().to_owned(), health_json(health)))
        .collect();
    let index = |index: Option<u64>| index.map_or(Value::Null, Value::from);
    let effects: Vec<String> = step.effects.iter().map(short).collect();
    json!({
        "number": step.number,
        "node_seconds": seconds(step.now.0),
        "event": short(step.event),
        "effects": effects,
        "phase": match (raft, node.has_ended()) {
            (_, true) => "ended",
            (None, false) => "recovering",
            (Some(_), false) => "running",
        },
        "role": raft.map(|raft| format!("{:?}", raft.role()).to_lowercase()),
        "term": index(raft.map(|raft| raft.term().0)),
        "leader": raft.and_then(|raft| raft.leader()).map(|leader| leader.to_string()),
        "log": {
            "base": index(raft.map(|raft| raft.base().id.index.0)),
            "last": index(raft.map(|raft| raft.last().index.0)),
            "committed": index(raft.map(|raft| raft.committed().0)),
            "applied": cluster.replica().applied().index.0,
        },
        "revision": cluster.replica().revision().0,
        "state_bytes": cluster.replica().state_bytes(),
        "state_digest": hex::encode(&cluster.replica().digest()),
        "node_digest": format!("{:032x}", node.digest()),
        "requests_open": node.requests_open(),
        "parts": parts,
        "ledger_height": index(ledger.and_then(|ledger| ledger.tip()).map(|tip| tip.height.0)),
    })
}

fn short(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    match text.char_indices().nth(TEXT_MAX) {
        None => text,
        Some((end, _)) => format!("{}… ({} bytes in all)", &text[..end], text.len()),
    }
}

/// Nested objects as one list of names and values.
fn flatten(prefix: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let name = name.replace('_', " ");
                let name = match prefix {
                    "" => name,
                    prefix => format!("{prefix} {name}"),
                };
                flatten(&name, value, rows);
            }
        }
        Value::Array(items) if items.is_empty() => rows.push((prefix.to_owned(), "-".to_owned())),
        Value::Array(items) => {
            for item in items {
                rows.push((prefix.to_owned(), output::cell(item)));
            }
        }
        plain => rows.push((prefix.to_owned(), output::cell(plain))),
    }
}

fn failure(error: &ReplayError) -> Failure {
    let code = match error {
        ReplayError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            NOT_FOUND
        }
        ReplayError::Io { .. } => FAILED,
        ReplayError::Invalid { .. }
        | ReplayError::Damaged { .. }
        | ReplayError::Diverged { .. } => INTEGRITY,
    };
    Failure::new(code, error.to_string())
}

/// A failed replay, with what is likely to have caused it.
fn advised(recording: &Recording, error: &ReplayError) -> Failure {
    let failure = failure(error);
    let this = env!("CARGO_PKG_VERSION");
    match error {
        ReplayError::Diverged { .. } if recording.program() != this => failure.hint(format!(
            "it was recorded by version {}, this is {this}",
            recording.program()
        )),
        ReplayError::Diverged { step, .. } => {
            failure.hint(format!("--until {step} shows the node after this event"))
        }
        _ => failure,
    }
}

fn seconds(nanos: u64) -> f64 {
    std::time::Duration::from_nanos(nanos).as_secs_f64()
}

fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
    ProgressBar::new_spinner().with_style(style.expect("a fixed template"))
}
