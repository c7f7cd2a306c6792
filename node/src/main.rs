//! The `decube` binary, which also answers as `decub-snapshot`.

use std::process::ExitCode;

fn main() -> ExitCode {
    decube_node::snapshot::main()
}
