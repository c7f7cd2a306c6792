//! The command line.
//!
//! Standard output carries the result and nothing else; progress and errors go to
//! standard error. `-o json` prints what the API answered.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 conflict or
//! precondition, 5 not allowed, 6 unavailable or timed out (may be retried),
//! 7 integrity, 8 the simulator found something, 9 incomplete: something was left
//! out of a snapshot, 130 interrupted.

mod catalog;
pub(crate) mod client;
mod config;
mod dev;
pub(crate) mod exit;
mod key;
mod kv;
mod ledger;
mod log;
pub(crate) mod node;
mod object;
pub(crate) mod output;
mod replay;
pub(crate) mod sign;
mod sim;
mod status;
#[cfg(test)]
mod tests;
mod tx;
mod validator;
mod verify;
mod verify_ledger;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

use client::Client;
use exit::{Failure, Outcome};
use output::Format;

/// A decentralized compute platform.
#[derive(Debug, Parser)]
#[command(name = "decube", version, propagate_version = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  decube dev
  decube node --config config.yaml
  decube kv put greeting hello
  decube kv get greeting
  decube object put backup.tar ./backup.tar
  decube catalog query 'cluster=cluster-a AND size>1GB'
  decube log trust > trust.json
  decube log proof --key greeting > proof.json
  decube verify proof.json --trust trust.json
  decube tx submit --type note --payload '{\"hello\":\"world\"}' --wait
  decube config check --config config.yaml";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a whole cluster in one process, for trying things out
    Dev(dev::DevArgs),
    /// Run a node
    Node(node::NodeArgs),
    /// Keys and values of the cluster
    #[command(subcommand)]
    Kv(kv::KvCommand),
    /// Objects of any size
    #[command(subcommand)]
    Object(object::ObjectCommand),
    /// The catalog of snapshots and images
    #[command(subcommand)]
    Catalog(catalog::CatalogCommand),
    /// Make, inspect, verify and restore snapshots of directories
    Snapshot(crate::snapshot::SnapshotArgs),
    /// What a node knows of itself and its cluster
    Status(status::StatusArgs),
    /// The cluster's log, signed by a majority of its voters, and proofs of entries
    #[command(subcommand)]
    Log(log::LogCommand),
    /// Hand transactions to the ledger, and see what became of them
    #[command(subcommand)]
    Tx(tx::TxCommand),
    /// The ledger of all clusters
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// Who votes on the ledger
    #[command(subcommand)]
    Validator(validator::ValidatorCommand),
    /// Keys of accounts
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Check a proof offline
    Verify(verify::VerifyArgs),
    /// Check, show and explain the configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Run the core in the simulator
    #[command(subcommand)]
    Sim(sim::SimCommand),
    /// Replay what a node recorded, and compare its answers
    Replay(replay::ReplayArgs),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  decube completions bash > /etc/bash_completion.d/decube")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// How to reach a node, and how to print what it answers.
#[derive(Debug, Clone, Args)]
pub struct Remote {
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
    /// How to print the result
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    output: Format,
}

impl Remote {
    fn client(&self) -> Result<Client, Failure> {
        Client::new(&self.api)
    }
}

/// Where the configuration comes from.
#[derive(Debug, Clone, Args)]
pub struct ConfigSource {
    /// The file; without it only defaults, environment and --set count
    #[arg(long, short, env = "DECUBE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Overrides one key, stronger than file and environment
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl ConfigSource {
    fn layers(&self) -> Result<crate::config::Layers, Failure> {
        crate::config::Layers::of_process(self.config.clone(), self.set.clone()).map_err(|error| {
            let file = self.config.as_deref().unwrap_or(Path::new("")).display();
            Failure::new(exit::USAGE, format!("cannot read {file}: {error}"))
        })
    }
}

/// Runs the command that these arguments name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(rename(arguments)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are results; the library knows where each goes.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() {
                exit::USAGE
            } else {
                exit::DONE
            });
        }
    };
    match run(cli.command) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.code)
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    let done = match command {
        // Reports by itself: a snapshot may be made and yet be incomplete.
        Command::Snapshot(args) => return Ok(crate::snapshot::run(args)),
        Command::Dev(args) => dev::run(args),
        Command::Node(args) => node::run(args),
        Command::Kv(command) => wait(kv::run(command)),
        Command::Object(command) => wait(object::run(command)),
        Command::Catalog(command) => wait(catalog::run(command)),
        Command::Status(args) => wait(status::run(args)),
        Command::Log(command) => wait(log::run(command)),
        Command::Tx(command) => wait(tx::run(command)),
        Command::Ledger(command) => wait(ledger::run(command)),
        Command::Validator(command) => wait(validator::run(command)),
        Command::Key(command) => key::run(&command),
        Command::Verify(args) => verify::run(&args),
        Command::Config(command) => config::run(command),
        Command::Sim(command) => sim::run(command),
        Command::Replay(args) => replay::run(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "decube", &mut script);
            output::raw(&script)
        }
    };
    done.map(|()| ExitCode::from(exit::DONE))
}

/// A directory of this user: what the variable says, or the usual one below the home.
fn user_dir(variable: &str, below_home: &str) -> PathBuf {
    let var = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let found = var(variable).or_else(|| var("HOME").map(|home| home.join(below_home)));
    found.unwrap_or_else(std::env::temp_dir)
}

/// The name of the program chooses the tool: `decubectl` is `decube`.
fn rename(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Some(first) = arguments.first_mut() {
        *first = "decube".into();
    }
    arguments
}

/// Runs a client's command; an interrupt ends it.
fn wait(work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::new(exit::FAILED, error.to_string()))?;
    runtime.block_on(async {
        tokio::select! {
            biased;
            done = work => done,
            // Without a handler the default action ends the process just as well.
            Ok(()) = tokio::signal::ctrl_c() => Err(Failure::new(exit::INTERRUPTED, "interrupted")),
        }
    })
}
