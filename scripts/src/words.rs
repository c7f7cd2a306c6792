//! Words that are not the field's, and what stands for them (`docs/src/reference/glossary.md`).

use std::path::Path;

use crate::tidy::files_named;

/// Where the words themselves stand: here, and where old traces are read.
const EXEMPT: [&str; 2] = ["scripts/src/words.rs", "io-sim/src/config/sections.rs"];

/// What must not stand in code or documentation, as whole words, and what to write.
const REFUSED: &[(&str, &str)] = &[
    ("can not", "cannot"),
    ("anew", "again"),
    ("hand in", "submit"),
    ("hands in", "submits"),
    ("handed in", "submitted"),
    ("Letters", "OutboundEncoder"),
    ("KnownKeys", "KeyCache"),
    ("stirred", "rules_dirty"),
    ("Footing", "ParentJustification"),
    ("footing", "parent_justification"),
    ("on_spare", "on_redundant"),
    ("SilentUpto", "VoteFloor"),
    ("let_go", "release"),
    ("say_again", "retransmit"),
    ("Handover", "Transfer"),
    ("heir", "successor"),
    ("annex", "snapshot metadata"),
    ("Located", "OperationLocation"),
    ("Gathering", "SignatureCollection"),
    ("Happening", "SimEvent"),
    ("Doom", "PendingCrash"),
    ("Census", "TreeSummary"),
    ("Patience", "ElectionTimeout"),
    ("patience", "idle_hold, or what it is the timeout of"),
    ("orders_open", "operations in flight"),
    ("ORDERS_OPEN_MAX", "OPERATIONS_IN_FLIGHT_MAX"),
    ("LEDGER_TURN_BYTES", "LEDGER_QUANTUM_BYTES"),
    ("spare vote", "redundant vote"),
    ("sum of the log", "log accumulator"),
    ("Edge", "DelegatedSigner"),
    ("forget_older", "drop_before"),
    ("at the edge", "at the HTTP API"),
    ("Commitments::tail", "Commitments::epoch_closing"),
    ("Message::Base", "Message::EarliestRetained"),
    ("liar", "Byzantine node"),
    ("liars", "Byzantine nodes"),
    ("Liar", "ByzantineNode"),
    ("lies_told", "deviations"),
    ("lying leader", "Byzantine leader"),
    ("power lies", "power is Byzantine"),
    ("LEDGER_LIARS_MAX", "LEDGER_OFFENDERS_MAX"),
    ("point_blocks", "checkpoint_blocks"),
    ("LEDGER_POINTS_KEPT", "LEDGER_CHECKPOINTS_KEPT"),
];

/// Adds a complaint for each place.
pub fn check(root: &Path, errors: &mut Vec<String>) -> Result<(), String> {
    for (path, text) in files_named(root, &["rs", "md"])? {
        if EXEMPT.contains(&path.as_str()) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let found = REFUSED.iter().filter(|(word, _)| has_word(line, word));
            errors.extend(found.map(|(word, better)| {
                format!("{path}:{}: `{word}`: write `{better}`", number + 1)
            }));
        }
    }
    Ok(())
}

/// Whether a line has this word, with no part of a name beside it.
fn has_word(line: &str, word: &str) -> bool {
    let is_of_name = |found: Option<char>| found.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        let (before, behind) = (&line[..at], &line[at + word.len()..]);
        !is_of_name(before.chars().next_back()) && !is_of_name(behind.chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::has_word;

    #[test]
    fn words_are_whole() {
        assert!(has_word("what can not be", "can not"));
        assert!(has_word("Doom", "Doom"));
        assert!(!has_word("Doomed, DoomsDay, a_Doom", "Doom"));
        assert!(!has_word("can nothing", "can not"));
    }
}
