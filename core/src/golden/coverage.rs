//! Whether every type that can be encoded has a row, and each variant of an enum.
//! The types are read from the source text, where rustfmt guarantees the form.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;
use std::path::Path;

use super::{is_writing, read_table, source, std, table_path, word};

/// Enums that have no encoding of their own: each carrier writes its variants.
const INSIDE: &[(&str, &str)] = &[
    ("kv", "Record"),
    ("replica", "Record"),
    ("cluster", "Content"),
    ("snapshot", "Kind"),
    ("trace", "Record"),
    ("wal", "RecordKind"),
    ("crypto", "Domain"),
    ("crypto", "Scope"),
];

/// Sums that the table of a node's parts makes: their variants stand in no source text,
/// and the test of that folder compares them with the table.
const MADE: &[(&str, &str)] = &[("node", "Message"), ("node", "Request")];

/// Types whose rows stand in the table of another folder than their own.
const ELSEWHERE: &[(&str, &[&str], &str)] = &[
    ("types", IDS, "codec"),
    ("raft", &["MembershipRule", "Refusal", "Role"], "cluster"),
    ("bft", &["Relay"], "ledger"),
    ("part", &["Scope"], "node"),
    ("store", &["Page"], "io"),
];

/// The types of `types` that have rows.
const IDS: &[&str] = &[
    "Chain",
    "ClusterId",
    "Index",
    "LogId",
    "ModuleId",
    "Modules",
    "NodeId",
    "PeerRequestId",
    "RequestId",
    "Revision",
    "Span",
    "Term",
    "Time",
];

/// Structures that are never written by themselves: the rows of what carries them are theirs.
const CARRIED: &[(&str, &str)] = &[
    ("bft", "Timing"),
    ("cluster", "AttestedHead"),
    ("crypto", "ChainId"),
    ("io", "FileOpId"),
    ("io", "ReadId"),
    ("ledger_types", "Intent"),
    ("raft", "Entries"),
    ("replica", "Generation"),
    ("snapshot", "Timestamp"),
    ("store", "StoreSeq"),
    ("types", "ProcessNonce"),
    ("types", "WallTime"),
];

/// Where the encodings of numbers, lists and options are written: the test of that folder
/// has the bytes of what types are made of.
const BASIC: &str = "codec/impls.rs";

/// In front of a variant that no program has.
const TOY: &str = "#[cfg(feature = \"toy\")]";

/// Fewer types than this, and the search does not find what it should.
const TYPES_MIN: usize = 150;

/// What the source text says.
#[derive(Default)]
struct Found {
    /// Folder and name of each type that can be encoded.
    encoded: BTreeSet<(String, String)>,
    /// The variants of each enum, by folder and name.
    enums: BTreeMap<(String, String), Vec<String>>,
    /// Folder and name of each structure.
    structures: BTreeSet<(String, String)>,
}

struct Source {
    folder: String,
    text: String,
}

#[test]
fn every_type_that_can_be_encoded_has_its_rows() {
    if is_writing() {
        // The tables are being written at this moment.
        return;
    }
    let found = search(&sources());
    assert!(found.encoded.len() >= TYPES_MIN, "{}", found.encoded.len());
    let mut tables = BTreeMap::new();
    let mut missing = Vec::new();
    for (folder, name) in found.all() {
        let place = table_of(&folder, &name);
        let table = tables
            .entry(place.to_string())
            .or_insert_with(|| read_table(&table_path(place)));
        for wanted in found.wanted(&folder, &name) {
            let is_of = |row: &String| {
                let rest = row.strip_prefix(&wanted);
                // A further sample, or a variant of a foreign enum.
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', ':']))
            };
            if !table.keys().any(is_of) {
                missing.push(wanted);
            }
        }
    }
    assert!(missing.is_empty(), "no golden bytes of {missing:#?}");
}

/// The folder whose table has the rows of a type.
fn table_of<'a>(folder: &'a str, name: &str) -> &'a str {
    let is_it = |(of, names, _): &&(&str, &[&str], &str)| *of == folder && names.contains(&name);
    let elsewhere = ELSEWHERE.iter().find(is_it);
    elsewhere.map_or(folder, |(_, _, table)| table)
}

#[test]
fn the_search_finds_impls_derives_macros_and_variants() {
    let text = "
macro_rules! number {
    ($($name:ident),+) => {$(
        impl Encode for $name {}
    )+};
}
macro_rules! other {
    ($name:ident) => {};
}
number!(u64: One, Two);
number!(
    Three,
    Four
);
other!(Five);
impl Encode for Six {}
impl<T: Encode> crate::codec::Encode for Seven<T> {}
// impl Encode for Eight {}
#[derive(Debug, Encode, Decode)]
#[codec(what = \"nine\")]
pub struct Nine(u8);
#[derive(
    Debug, Clone, Encode, Decode,
)]
enum Ten {
    #[codec(tag = 0)]
    Only,
}
#[derive(Debug, Default)]
struct Eleven;
pub enum Empty {}
pub(super) enum Six {
    /// A comment.
    Unit,
    Tuple(
        Seven,
    ),
    #[default]
    Fields {
        Inner: u8,
    },
    Number = 7,
    #[cfg(feature = \"toy\")]
    Toy,
}
";
    let found = search(&[Source {
        folder: "place".to_string(),
        text: text.to_string(),
    }]);
    let names: Vec<&str> = found
        .encoded
        .iter()
        .map(|(_, name)| name.as_str())
        .collect();
    let expected = ["Four", "Nine", "One", "Seven", "Six", "Ten", "Three", "Two"];
    assert_eq!(names, expected);
    assert_eq!(found.wanted("place", "Ten"), ["place::Ten::Only"]);
    let wanted = ["Unit", "Tuple", "Fields", "Number"];
    let wanted = wanted.map(|variant| format!("place::Six::{variant}"));
    assert_eq!(found.wanted("place", "Six"), wanted);
    assert_eq!(found.wanted("place", "One"), ["place::One"]);
}

impl Found {
    fn all(&self) -> impl Iterator<Item = (String, String)> {
        let inside = INSIDE.iter();
        let inside = inside.map(|(folder, name)| (folder.to_string(), name.to_string()));
        self.encoded.iter().cloned().chain(inside)
    }

    /// The rows that a type must have.
    fn wanted(&self, folder: &str, name: &str) -> Vec<String> {
        let own = format!("{}::{name}", table_of(folder, name));
        if CARRIED.contains(&(folder, name)) {
            return Vec::new();
        }
        if MADE.contains(&(folder, name)) {
            return vec![own];
        }
        match self.variants(folder, name) {
            None => vec![own],
            Some(variants) => {
                let rows = variants.iter().map(|variant| format!("{own}::{variant}"));
                rows.collect()
            }
        }
    }

    /// The variants of an enum of this folder, or else of the one of this name
    /// elsewhere; nothing if the type is no enum.
    fn variants(&self, folder: &str, name: &str) -> Option<&Vec<String>> {
        let key = (folder.to_string(), name.to_string());
        if self.structures.contains(&key) {
            return None;
        }
        let elsewhere = || {
            let mut others = self.enums.iter().filter(|((_, other), _)| other == name);
            others.next().map(|(_, variants)| variants)
        };
        self.enums.get(&key).or_else(elsewhere)
    }
}

/// All files of the crate that are no tests.
fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    let root = source();
    walk(&root, &root, &mut sources);
    sources
}

fn walk(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    for entry in std::fs::read_dir(folder).expect("the source is at hand") {
        let path = entry.expect("the source is at hand").path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.expect("names are plain");
        if path.is_dir() {
            // What the toy writes is no format of ours.
            if !matches!(name, "tests" | "golden" | "toy") {
                walk(root, &path, sources);
            }
        } else if name.ends_with(".rs") && name != "tests.rs" {
            let relative = path.strip_prefix(root).expect("inside of the source");
            if relative == Path::new(BASIC) {
                continue;
            }
            let first = relative.iter().next().and_then(|part| part.to_str());
            sources.push(Source {
                folder: first.unwrap_or(name).trim_end_matches(".rs").to_string(),
                text: std::fs::read_to_string(&path).expect("the source is at hand"),
            });
        }
    }
}

fn search(sources: &[Source]) -> Found {
    let mut found = Found::default();
    let macros: Vec<&str> = sources
        .iter()
        .flat_map(|one| macros_in(&one.text))
        .collect();
    for Source { folder, text } in sources {
        let names = impls_in(text).into_iter().chain(made_in(text, &macros));
        let names = names.chain(derived_in(text));
        let names = names.map(|name| (folder.clone(), name.to_string()));
        found.encoded.extend(names);
        let structures = text.lines().filter_map(|line| declared(line, "struct "));
        let structures = structures.map(|name| (folder.clone(), name.to_string()));
        found.structures.extend(structures);
        for (name, variants) in enums_in(text) {
            let key = (folder.clone(), name.to_string());
            let before = found.enums.insert(key, variants);
            assert!(before.is_none(), "two enums {name} in {folder}");
        }
    }
    found
}

/// The types of `impl Encode for Type`.
fn impls_in(text: &str) -> Vec<&str> {
    let lines = text.lines().map(str::trim_start);
    let impls = lines.filter(|line| line.starts_with("impl"));
    let types = impls.filter_map(|line| line.split_once("Encode for "));
    let types = types.filter(|(_, rest)| !rest.starts_with('$'));
    types
        .map(|(line, rest)| {
            let name = word(rest);
            assert!(!name.is_empty(), "{line}{rest}: a type without a name");
            name
        })
        .collect()
}

/// The types that derive their encoding.
fn derived_in(text: &str) -> Vec<&str> {
    let mut types = Vec::new();
    let mut lines = text.lines().map(str::trim_start);
    while let Some(line) = lines.find(|line| line.starts_with("#[derive(")) {
        let mut list = line.to_string();
        while !list.ends_with(")]") {
            list += lines.next().expect("a list has an end");
        }
        let mut names = list.split([',', '(', ')']).map(str::trim);
        if names.any(|name| name == "Encode") {
            let is_type = |line| declared(line, "struct ").or(declared(line, "enum "));
            let name = lines.find_map(is_type).filter(|name| !name.is_empty());
            types.push(name.expect("a type with a name follows"));
        }
    }
    types
}

/// The macros that write such impls.
fn macros_in(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut inside = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("macro_rules! ") {
            inside = word(rest);
        } else if line == "}" {
            inside = "";
        } else if line.contains("Encode for $") {
            assert!(!inside.is_empty(), "{line}: outside of a macro");
            names.push(inside);
        }
    }
    names
}

/// The types that these macros are called with.
fn made_in<'a>(text: &'a str, macros: &[&str]) -> Vec<&'a str> {
    let mut types = Vec::new();
    for name in macros {
        for call in text.split(&format!("\n{name}!(")).skip(1) {
            let arguments = call.split(");").next().unwrap_or_default();
            let words = arguments.split([' ', ',', ':', '\n']).map(word);
            types.extend(words.filter(|word| word.starts_with(char::is_uppercase)));
        }
    }
    types
}

/// The enums with their variants.
fn enums_in(text: &str) -> Vec<(&str, Vec<String>)> {
    let mut enums = Vec::new();
    let mut open: Option<(&str, Vec<String>)> = None;
    let mut is_toy = false;
    for line in text.lines() {
        let is_behind_feature = core::mem::replace(&mut is_toy, line.ends_with(TOY));
        match &mut open {
            Some(_) if is_behind_feature => {}
            None if line.ends_with("{}") => {}
            None => open = declared(line, "enum ").map(|name| (name, Vec::new())),
            Some((_, variants)) => {
                let inner = line.strip_prefix("    ").unwrap_or_default();
                if inner.starts_with(char::is_uppercase) {
                    variants.push(word(inner).to_string());
                }
                if line == "}" {
                    enums.extend(open.take());
                }
            }
        }
    }
    assert!(open.is_none(), "an enum without an end");
    enums
}

/// The name of what a line declares.
fn declared<'a>(line: &'a str, what: &str) -> Option<&'a str> {
    let mut scopes = [
        "",
        "pub ",
        "pub(super) ",
        "pub(in crate::ledger) ",
        "pub(crate) ",
    ]
    .iter();
    let rest = scopes.find_map(|scope| line.strip_prefix(scope)?.strip_prefix(what))?;
    Some(word(rest))
}
