//! The `decube` binary, which also answers as `decub-snapshot`.

use std::process::ExitCode;

use decube_node::snapshot::DecubSnapshot;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    match arguments.next() {
        Some(name) if DecubSnapshot::answers_to(&name) => DecubSnapshot::main(),
        _ => decube_node::cli::main(std::env::args_os()),
    }
}
