//! The project's own tools: `cargo xtask COMMAND`.

mod docs;
mod graph;
mod locks;
mod modules;
mod tidy;
mod words;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
The project's own tools.

Usage: cargo xtask COMMAND

Commands:
  tidy     Check the style rules that neither rustfmt nor clippy knows, and words
  graph    Check which package, and which module of core, uses which, and print it
  stats    Print sizes: files, functions, asserts, comments
  help     Print this text

Examples:
  cargo xtask tidy
  cargo xtask graph
";

fn main() -> ExitCode {
    let command = std::env::args().nth(1).unwrap_or_else(|| "help".to_owned());
    let root = workspace_root();
    let outcome = match command.as_str() {
        "tidy" => tidy::check(&root),
        "graph" => graph::check(&root).and_then(|()| modules::check(&root)),
        "stats" => tidy::stats(&root),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!("unknown command `{other}`\n\n{HELP}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace, wherever the command was called.
fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package lies in the workspace")
        .to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::{graph, modules, tidy, workspace_root};

    #[test]
    fn packages_depend_on_each_other_as_designed() {
        let checked = graph::check(&workspace_root());
        checked.unwrap_or_else(|error| panic!("{error}"));
    }

    #[test]
    fn modules_of_the_core_use_what_lies_below() {
        let checked = modules::check(&workspace_root());
        checked.unwrap_or_else(|error| panic!("{error}"));
    }

    #[test]
    fn the_rules_of_style_hold() {
        let checked = tidy::check(&workspace_root());
        checked.unwrap_or_else(|error| panic!("{error}"));
    }
}
