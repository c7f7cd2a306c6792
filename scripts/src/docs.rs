//! Public items say what they are. The compiler's lint would ask for a sentence on each
//! field as well, which for many could only repeat the name.

use std::path::Path;

use crate::tidy::files_named;

/// What needs a sentence, behind `pub`.
const ITEMS: &[&str] = &[
    "fn", "struct", "enum", "trait", "type", "const", "static", "union",
];
/// What may stand between `pub` and `fn`.
const QUALIFIERS: &[&str] = &["async", "const", "unsafe", "extern", "\"C\""];
/// Libraries: what is public there is for others.
const LIBRARIES: &[&str] = &[
    "codec-derive/src/",
    "core/src/",
    "io-real/src/",
    "io-sim/src/",
];

/// Adds a complaint for each public item without a sentence.
pub fn check(root: &Path, errors: &mut Vec<String>) -> Result<(), String> {
    for (path, text) in files_named(root, &["rs"])? {
        let is_test = path.contains("/tests/") || path.ends_with("/tests.rs");
        let is_test = is_test || path.contains("/golden/");
        if is_test || !LIBRARIES.iter().any(|library| path.starts_with(library)) {
            continue;
        }
        let lines: Vec<&str> = text.lines().collect();
        for number in undocumented(&lines) {
            let line = lines[number].trim();
            errors.push(format!("{path}:{}: `{line}` has no comment", number + 1));
        }
    }
    Ok(())
}

/// The places of public items that nothing is said of.
fn undocumented(lines: &[&str]) -> Vec<usize> {
    let places = (0..lines.len()).filter(|number| is_public_item(lines[*number]));
    places
        .filter(|number| !has_comment(&lines[..*number]))
        .collect()
}

fn is_public_item(line: &str) -> bool {
    let Some(rest) = line.trim_start().strip_prefix("pub ") else {
        return false;
    };
    let mut words = rest.split_whitespace().peekable();
    let is_constant = rest.starts_with("const ") && !rest.contains("fn ");
    is_constant
        || words
            .find(|word| !QUALIFIERS.contains(word))
            .is_some_and(|word| ITEMS.contains(&word))
}

/// Whether a comment ends these lines, apart from attributes.
fn has_comment(before: &[&str]) -> bool {
    for line in before.iter().rev().map(|line| line.trim()) {
        if line.starts_with("///") || line.starts_with("#[doc") || line.starts_with("$(#[") {
            return true;
        }
        let is_over = line.is_empty() || line.ends_with(['{', '}', ';']);
        if is_over {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::undocumented;

    #[test]
    fn items_need_a_comment_and_fields_do_not() {
        let text = "\
/// What it is.
#[derive(Debug)]
pub struct One {
    pub field: u8,
}

pub struct Two;
pub(crate) fn inner() {}
pub const fn three() {}
/// Four.
#[cfg_attr(
    test,
    allow(unused)
)]
pub async fn four() {}
pub const FIVE: u8 = 5;
";
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(undocumented(&lines), [6, 8, 15]);
    }
}
