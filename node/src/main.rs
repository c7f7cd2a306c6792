//! The `decube` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    decube_node::cli::main(std::env::args_os())
}
