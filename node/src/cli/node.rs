//! `decube node`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use decube_io_real::host::HostExit;
use tokio::signal::unix::{SignalKind, signal};

use super::ConfigSource;
use super::config::refused;
use super::exit::{FAILED, Failure, Outcome, USAGE};
use super::output;
use crate::config::{Loaded, load, notes};
use crate::launch::{LaunchError, Prepared, start_log};

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  decube node id --config config.yaml
  decube node --config config.yaml
  DECUBE__API__REST__BIND_ADDR=:8081 decube node --config config.yaml
  decube node --config config.yaml --record /var/lib/decube/record"
)]
pub struct NodeArgs {
    #[command(subcommand)]
    command: Option<NodeCommand>,
    #[command(flatten)]
    source: ConfigSource,
    /// Record what the node takes into this directory, for `decube replay`; the same
    /// as record.dir
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum NodeCommand {
    /// Print the id of the node, and make its keys if it has none
    Id(ConfigSource),
}

/// Runs the command.
pub fn run(args: NodeArgs) -> Outcome {
    match args.command {
        Some(NodeCommand::Id(source)) => {
            let loaded = load(&source.layers()?).map_err(refused)?;
            let prepared = Prepared::open(loaded.settings).map_err(|error| not_started(&error))?;
            output::raw(format!("{}\n", prepared.id()).as_bytes())
        }
        None => {
            let mut layers = args.source.layers()?;
            layers.set.extend(args.record.as_deref().map(record_key));
            let loaded = load(&layers).map_err(refused)?;
            runtime()?.block_on(serve(loaded))
        }
    }
}

/// The key that makes a node record into this directory.
pub fn record_key(directory: &Path) -> String {
    format!("record.dir={}", directory.display())
}

/// A runtime for nodes: all cores.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.map_err(|error| Failure::new(FAILED, format!("cannot start the runtime: {error}")))
}

/// A node that did not start.
pub fn not_started(error: &LaunchError) -> Failure {
    let code = match error {
        LaunchError::Unsupported(_) => USAGE,
        _ => FAILED,
    };
    Failure::new(code, error.to_string())
}

/// How a node ended, as the result of its command.
pub fn ended(exit: Option<HostExit>) -> Outcome {
    let message = match exit {
        Some(HostExit::Stopped) => return Ok(()),
        Some(HostExit::ShutdownTimedOut) => {
            tracing::warn!("the node did not stop in time; nothing acknowledged is lost");
            return Ok(());
        }
        Some(HostExit::Halted(reason)) => format!("the node halted: {reason}"),
        Some(HostExit::AdapterGone(part)) => format!("the node lost its {part}"),
        None => "the node ended without saying why".to_owned(),
    };
    Err(Failure::new(FAILED, message))
}

/// Waits for the signal to stop: SIGTERM or SIGINT.
pub async fn stop_signal() -> std::io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        biased;
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = interrupt.recv() => Ok("SIGINT"),
    }
}

async fn serve(loaded: Loaded) -> Outcome {
    start_log(&loaded.settings.log);
    for note in notes(&loaded) {
        tracing::warn!("configuration: {note}");
    }
    let prepared = Prepared::open(loaded.settings).map_err(|error| not_started(&error))?;
    // Installed before the start: a signal during it must not be lost.
    let stop = tokio::spawn(stop_signal());
    let running = prepared
        .start()
        .await
        .map_err(|error| not_started(&error))?;
    tracing::info!(node = %running.id(), api = %running.address(), "node started");
    let mut stop = stop;
    tokio::select! {
        biased;
        exit = running.ended() => ended(exit),
        signal = &mut stop => {
            let signal = signal.ok().and_then(Result::ok).unwrap_or("the end of the signal handler");
            tracing::info!(signal, "stopping");
            ended(running.stop().await)
        }
    }
}
