//! `decube key`: keys of accounts.

use std::path::PathBuf;

use clap::Subcommand;
use decube_core::ledger::AccountId;
use decube_io_real::data_dir::read_key;

use super::exit::{Failure, Outcome, USAGE};
use super::{output, sign};

const HELP: &str = "\
A key file must stay readable by its owner alone. Whoever has it signs for the account;
nobody can restore it.

Examples:
  decube key new
  decube key show
  decube key new ./deploy.key && decube tx submit --key ./deploy.key --type note --payload 1";

#[derive(Debug, Subcommand)]
#[command(after_help = HELP)]
pub enum KeyCommand {
    /// Make a key
    New {
        /// The file; that of this user without one
        file: Option<PathBuf>,
    },
    /// Print the public key, the account and the node id of a key
    Show {
        /// The file; that of this user without one
        file: Option<PathBuf>,
    },
}

/// Runs the command.
pub fn run(command: &KeyCommand) -> Outcome {
    let (path, secret) = match command {
        KeyCommand::New { file } => {
            let path = file.clone().unwrap_or_else(sign::default_key);
            let secret = sign::make(&path)?;
            (path, secret)
        }
        KeyCommand::Show { file } => {
            let path = file.clone().unwrap_or_else(sign::default_key);
            let secret = read_key(&path).map_err(|error| {
                Failure::new(USAGE, error.to_string()).hint("`decube key new` makes a key")
            })?;
            (path, secret)
        }
    };
    let key = secret.public_key();
    output::fields(&[
        ("file", path.display().to_string()),
        ("key", key.to_string()),
        ("account", AccountId::of(&key).to_string()),
        ("node", key.node_id().to_string()),
    ])
}
