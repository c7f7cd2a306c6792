//! The `decube` binary, which also answers as `decub-snapshot`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use decube_node::snapshot::{self, DecubSnapshot, SnapshotArgs};

/// DeCube: a decentralized compute platform.
#[derive(Debug, Parser)]
#[command(name = "decube", version, about)]
struct Decube {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make, inspect, verify and restore snapshots of directories
    Snapshot(SnapshotArgs),
}

fn main() -> ExitCode {
    if std::env::args_os()
        .next()
        .is_some_and(|name| DecubSnapshot::answers_to(&name))
    {
        return DecubSnapshot::main();
    }
    match Decube::parse().command {
        Command::Snapshot(args) => snapshot::run(args),
    }
}
