//! The style rules that neither rustfmt nor clippy knows.

use std::path::{Path, PathBuf};

use crate::{docs, locks, words};

const FILE_LINES_MAX: usize = 600;
const TEST_FILE_LINES_MAX: usize = 1000;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_CHARS_MAX: usize = 120;

/// Folders that hold nothing of ours.
const SKIPPED: &[&str] = &["target", ".git", "node_modules", "gen"];

/// Text that must not stand in any Rust file: the text, and what to do instead.
/// The needles are split so that this table does not find itself.
const BANNED: &[(&str, &str)] = &[
    (
        concat!("todo", "!("),
        "finish it, or name the limit in the docs",
    ),
    (
        concat!("unimplemented", "!("),
        "finish it, or name the limit in the docs",
    ),
    (concat!("dbg", "!("), "remove it"),
    (
        concat!("#[", "ignore"),
        "a test that does not run proves nothing",
    ),
    (
        concat!("FIX", "ME"),
        "fix it, or name the limit in the docs",
    ),
    (concat!("// TO", "DO"), "explain it in the docs instead"),
];

/// Text that must not stand in the deterministic crates outside tests.
const BANNED_IN_CORE: &[(&str, &str)] = &[
    (concat!("Hash", "Map"), "iteration order: use BTreeMap"),
    (concat!("Hash", "Set"), "iteration order: use BTreeSet"),
    (concat!("std", "::time"), "time is an argument"),
    (concat!("System", "Time"), "time is an argument"),
    (concat!("thread", "_rng"), "randomness is passed in"),
    (concat!("thread", "_local!"), "no state outside the machine"),
    (concat!("static ", "mut "), "no state outside the machine"),
    (concat!(": f", "32"), "no floats in decisions"),
    (concat!(": f", "64"), "no floats in decisions"),
    (
        concat!(".unw", "rap()"),
        "state why it holds with expect(), or return an error",
    ),
];

/// The files that every protocol folder has.
const PROTOCOL_FILES: &[&str] = &[
    "mod.rs",
    "config.rs",
    "state.rs",
    "event.rs",
    "effect.rs",
    "step.rs",
    "invariants.rs",
];
const PROTOCOL_FOLDERS: &[&str] = &[
    "core/src/raft",
    "core/src/bft",
    "core/src/ledger",
    "core/src/wal",
    "core/src/cluster",
    "core/src/node",
    "core/src/toy",
];

struct File {
    path: String,
    text: String,
}

impl File {
    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    fn is_deterministic(&self) -> bool {
        let folder = self.path.split('/').next().unwrap_or_default();
        matches!(folder, "core" | "io-sim") && !self.is_test()
    }
}

/// Checks every rule and reports every place.
pub fn check(root: &Path) -> Result<(), String> {
    let files = rust_files(root)?;
    let mut errors = Vec::new();
    for file in &files {
        check_lengths(file, &mut errors);
        check_banned(file, &mut errors);
        check_functions(file, &mut errors);
    }
    words::check(root, &mut errors)?;
    locks::check(root, &mut errors)?;
    docs::check(root, &mut errors)?;
    for folder in PROTOCOL_FOLDERS {
        for name in PROTOCOL_FILES {
            if !root.join(folder).join(name).is_file() {
                errors.push(format!(
                    "{folder}/{name}: missing; every protocol folder has it"
                ));
            }
        }
    }
    if errors.is_empty() {
        println!("tidy: {} Rust files checked, no complaint", files.len());
        return Ok(());
    }
    Err(format!(
        "{} complaints\n{}",
        errors.len(),
        errors.join("\n")
    ))
}

/// Prints sizes for each package.
pub fn stats(root: &Path) -> Result<(), String> {
    let files = rust_files(root)?;
    println!(
        "{:12} {:>6} {:>7} {:>6} {:>9} {:>9}",
        "", "files", "lines", "fns", "asserts/fn", "tests"
    );
    for package in [
        "codec-derive",
        "core",
        "io-sim",
        "io-real",
        "sim-tests",
        "toy-tests",
        "node",
        "proto",
        "scripts",
    ] {
        let of_package = |file: &&File| file.path.split('/').next() == Some(package);
        let (tests, production): (Vec<&File>, Vec<&File>) = files
            .iter()
            .filter(of_package)
            .partition(|file| file.is_test());
        let lines: usize = production
            .iter()
            .map(|file| file.text.lines().count())
            .sum();
        let test_lines: usize = tests.iter().map(|file| file.text.lines().count()).sum();
        let functions: usize = production
            .iter()
            .map(|file| functions(&file.text).len())
            .sum();
        let asserts: usize = production.iter().map(|file| asserts(&file.text)).sum();
        let hundredths = (asserts * 100).checked_div(functions).unwrap_or(0);
        println!(
            "{package:12} {:>6} {lines:>7} {functions:>6} {:>7}.{:02} {test_lines:>9}",
            production.len(),
            hundredths / 100,
            hundredths % 100
        );
    }
    Ok(())
}

fn asserts(text: &str) -> usize {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| {
            ["assert!(", "assert_eq!(", "assert_ne!(", ".expect("]
                .iter()
                .map(|needle| line.matches(needle).count())
                .sum::<usize>()
        })
        .sum()
}

fn rust_files(root: &Path) -> Result<Vec<File>, String> {
    let files = files_named(root, &["rs"])?.into_iter();
    Ok(files.map(|(path, text)| File { path, text }).collect())
}

/// Path, from the root, and text of all files whose names end like one of these.
pub fn files_named(root: &Path, endings: &[&str]) -> Result<Vec<(String, String)>, String> {
    let mut paths = Vec::new();
    walk(root, endings, &mut paths).map_err(|error| format!("{}: {error}", root.display()))?;
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let relative = path.strip_prefix(root).unwrap_or(&path);
        Ok((relative.display().to_string(), text))
    };
    paths.into_iter().map(read).collect()
}

fn walk(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let path = entry.path();
        let ending = path.extension().and_then(|extension| extension.to_str());
        if entry.file_type()?.is_dir() {
            if !SKIPPED.iter().any(|skipped| name == *skipped) {
                walk(&path, endings, found)?;
            }
        } else if ending.is_some_and(|ending| endings.contains(&ending)) {
            found.push(path);
        }
    }
    Ok(())
}

fn check_lengths(file: &File, errors: &mut Vec<String>) {
    let lines = file.text.lines().count();
    let limit = if file.is_test() {
        TEST_FILE_LINES_MAX
    } else {
        FILE_LINES_MAX
    };
    if lines > limit {
        errors.push(format!("{}: {lines} lines, at most {limit}", file.path));
    }
    for (number, line) in file.text.lines().enumerate() {
        let unbreakable = ["\"", "//! |", "/// |"]
            .iter()
            .any(|s| line.trim_start().starts_with(s));
        if line.chars().count() > LINE_CHARS_MAX && !unbreakable {
            errors.push(format!("{}:{}: line too long", file.path, number + 1));
        }
    }
}

fn check_banned(file: &File, errors: &mut Vec<String>) {
    for (number, line) in file.text.lines().enumerate() {
        let mut complain = |(needle, advice): &(&str, &str)| {
            if line.contains(needle) {
                errors.push(format!(
                    "{}:{}: `{needle}`: {advice}",
                    file.path,
                    number + 1
                ));
            }
        };
        BANNED.iter().for_each(&mut complain);
        if file.is_deterministic() && !line.trim_start().starts_with("//") {
            BANNED_IN_CORE.iter().for_each(&mut complain);
        }
    }
}

fn check_functions(file: &File, errors: &mut Vec<String>) {
    if file.is_test() {
        return;
    }
    for (line, length) in functions(&file.text) {
        if length > FUNCTION_LINES_MAX {
            errors.push(format!(
                "{}:{line}: function of {length} lines, at most {FUNCTION_LINES_MAX}",
                file.path
            ));
        }
    }
}

/// First line and length of each function with a body, by the indentation that
/// rustfmt guarantees.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        if !is_function(trimmed) {
            continue;
        }
        let indent = line.len() - trimmed.len();
        let closing = format!("{}}}", " ".repeat(indent));
        let end = lines[start..].iter().position(|line| {
            *line == closing
                || (line.len() - line.trim_start().len() == indent && line.ends_with(';'))
        });
        let one_line = trimmed.ends_with('}');
        match end {
            Some(_) | None if one_line => found.push((start + 1, 1)),
            Some(length) if lines[start + length] == closing => found.push((start + 1, length + 1)),
            _ => {}
        }
    }
    found
}

fn is_function(trimmed: &str) -> bool {
    let mut rest = trimmed;
    for prefix in [
        "pub(crate) ",
        "pub(super) ",
        "pub ",
        "const ",
        "async ",
        "unsafe ",
    ] {
        rest = rest.strip_prefix(prefix).unwrap_or(rest);
    }
    rest.starts_with("fn ")
}
