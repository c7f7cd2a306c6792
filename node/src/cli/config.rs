//! `decube config`.

use clap::Subcommand;

use super::ConfigSource;
use super::exit::{Failure, Outcome, USAGE};
use super::output;
use crate::config::{explain, load, notes, show};

#[derive(Debug, Subcommand)]
#[command(
    after_help = "Examples:\n  decube config check --config config.yaml\n  decube config explain api.rest.bind_addr"
)]
pub enum ConfigCommand {
    /// Check the configuration; say what has no effect
    Check(ConfigSource),
    /// Print every key with its value and where it came from
    Show(ConfigSource),
    /// Say what a key means, what it is and where its value came from
    Explain {
        /// The key, like api.rest.bind_addr
        key: String,
        #[command(flatten)]
        source: ConfigSource,
    },
}

/// Runs the command.
pub fn run(command: ConfigCommand) -> Outcome {
    match command {
        ConfigCommand::Check(source) => check(&source),
        ConfigCommand::Show(source) => {
            let loaded = load(&source.layers()?).map_err(refused)?;
            output::raw(show(&loaded).as_bytes())
        }
        ConfigCommand::Explain { key, source } => {
            // What a key means can be told of a configuration that is not complete.
            let resolved = source.layers()?.resolve().map_err(refused)?;
            let text = explain(&resolved, &key).map_err(|error| Failure::new(USAGE, error))?;
            output::raw(text.as_bytes())
        }
    }
}

fn check(source: &ConfigSource) -> Outcome {
    let loaded = load(&source.layers()?).map_err(refused)?;
    for note in notes(&loaded) {
        eprintln!("note: {note}");
    }
    output::raw(b"the configuration is valid\n")
}

/// A report as a failure: it says "error:" itself for each error.
pub fn refused(report: crate::config::Report) -> Failure {
    let text = report.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
    Failure::new(USAGE, text)
}
