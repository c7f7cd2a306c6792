//! Which module of `core` may use which: the layers inside the package.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The modules from the ground up: a module uses those of the rows below its own.
/// Modules in one text may use each other; others of one row may not.
const LAYERS: &[&[&str]] = &[
    &["codec"],
    &["types", "mutant", "trace"],
    &["limits", "machine"],
    &["crypto", "store"],
    &["merkle", "io"],
    &["part", "wal", "snapshot", "raft", "bft"],
    &["ledger_types"],
    // The replicated state names its modules, and each of them implements its trait.
    &["proof", "kv replica"],
    &["cluster", "ledger", "toy"],
    &["node"],
    // For tests: the samples of all encoded types, and what machines are driven with.
    &["golden", "rig"],
];

/// Checks the imports of each module of `core` and prints the layers, the highest first.
pub fn check(root: &Path) -> Result<(), String> {
    let sources = sources(&root.join("core/src"))?;
    for layer in LAYERS.iter().rev() {
        println!("core: {}", layer.join(", "));
    }
    let errors = complaints(&sources);
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors.join("\n       "))
    }
}

/// A source file: its path below `core/src`, and its text.
type Source = (String, String);

/// All files but those of tests, which may use anything.
fn sources(folder: &Path) -> Result<Vec<Source>, String> {
    let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(inner) = folders.pop() {
        let entries = std::fs::read_dir(&inner).map_err(|error| failed(&inner, error))?;
        for entry in entries {
            let path = entry.map_err(|error| failed(&inner, error))?.path();
            if path.is_dir() && !path.ends_with("tests") {
                folders.push(path);
            } else if is_source(&path) {
                let text = std::fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
                let below = path.strip_prefix(folder).unwrap_or(&path);
                found.push((below.to_string_lossy().into_owned(), text));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
        && !path.ends_with("lib.rs")
        && !path.ends_with("tests.rs")
}

/// What is wrong, one line for each import that runs up or sideways.
fn complaints(sources: &[Source]) -> Vec<String> {
    let places = places();
    let mut errors = BTreeSet::new();
    for (path, text) in sources {
        let module = module_of(path);
        let Some(&(row, group)) = places.get(module) else {
            errors.insert(format!(
                "core's module `{module}` has no layer: add it to scripts/src/modules.rs"
            ));
            continue;
        };
        for (line, used) in imports(text) {
            let is_below = places
                .get(used.as_str())
                .is_some_and(|&(other_row, other_group)| other_row < row || other_group == group);
            if !is_below && used != module {
                errors.insert(format!(
                    "core/src/{path}:{line}: `{module}` must not use `{used}`, which is not below it"
                ));
            }
        }
    }
    errors.into_iter().collect()
}

/// Of each module its row and its text in the table.
fn places() -> BTreeMap<&'static str, (usize, &'static str)> {
    let mut places = BTreeMap::new();
    for (row, layer) in LAYERS.iter().enumerate() {
        for group in *layer {
            for module in group.split(' ') {
                let before = places.insert(module, (row, *group));
                assert!(before.is_none(), "`{module}` stands in one layer");
            }
        }
    }
    places
}

/// The module that a file below `core/src` belongs to.
fn module_of(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or(path);
    first.strip_suffix(".rs").unwrap_or(first)
}

/// The modules that a text names by `crate::`, with the number of the line. Comments do
/// not count: documentation may point anywhere.
fn imports(text: &str) -> Vec<(usize, String)> {
    let code: Vec<&str> = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    let mut found = Vec::new();
    for (index, line) in code.iter().enumerate() {
        for (at, path) in line.match_indices("crate::") {
            let rest = line.get(at + path.len()..).unwrap_or_default();
            if let Some(list) = rest.strip_prefix('{') {
                let more = code.get(index + 1..).unwrap_or_default().join(" ");
                let names = list_names(&format!("{list} {more}"));
                found.extend(names.into_iter().map(|name| (index + 1, name)));
            } else {
                found.push((index + 1, first_name(rest)));
            }
        }
    }
    // What is no module stands in lib.rs itself, like a macro.
    found.retain(|(_, name)| name.starts_with(|first: char| first.is_ascii_lowercase()));
    found
}

/// The names at the head of each entry of a list in braces, the opening one left out.
fn list_names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0_usize;
    let mut is_head = true;
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => is_head = true,
            _ if is_head && !character.is_whitespace() => {
                names.push(first_name(text.get(at..).unwrap_or_default()));
                is_head = false;
            }
            _ => {}
        }
    }
    names
}

fn first_name(text: &str) -> String {
    let is_name = |character: &char| character.is_alphanumeric() || *character == '_';
    text.chars().take_while(is_name).collect()
}

#[cfg(test)]
mod tests {
    use super::complaints;

    fn found(path: &str, text: &str) -> Vec<String> {
        complaints(&[(path.to_owned(), text.to_owned())])
    }

    #[test]
    fn an_import_that_runs_up_is_found() {
        let upward = [
            ("proof/head.rs", "use crate::ledger::Ledger;\n"),
            (
                "raft/step.rs",
                "use crate::types::Term;\nuse crate::cluster;\n",
            ),
            ("part.rs", "fn make() -> crate::node::Node {}\n"),
            (
                "kv/apply.rs",
                "use crate::{\n    codec::{Reader, Writer},\n    cluster::Cluster,\n};\n",
            ),
        ];
        for (path, text) in upward {
            let errors = found(path, text);
            assert_eq!(errors.len(), 1, "{path}: {errors:?}");
            assert!(errors.iter().all(|error| error.contains("must not use")));
        }
    }

    #[test]
    fn parts_do_not_know_each_other() {
        assert_eq!(
            found("ledger/step.rs", "use crate::cluster::Cluster;").len(),
            1
        );
        assert_eq!(
            found("cluster/step.rs", "use crate::ledger::Ledger;").len(),
            1
        );
    }

    #[test]
    fn what_lies_below_may_be_used_and_anything_be_pointed_at() {
        let text =
            "//! See [`crate::node`].\nuse crate::{codec, raft::Raft};\nuse crate::kv::Kv;\n";
        assert_eq!(found("cluster/step.rs", text), Vec::<String>::new());
        assert_eq!(
            found("kv/apply.rs", "use crate::replica::Ctx;"),
            Vec::<String>::new()
        );
        assert_eq!(
            found("replica/modules.rs", "use crate::kv::Kv;"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_module_without_a_layer_is_found() {
        assert_eq!(found("gossip/step.rs", "").len(), 1);
    }
}
