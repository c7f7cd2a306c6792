//! What a node tells its operator when the ledger is forked.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use crate::bft::{Evidence, ValidatorSet};
use crate::limits::LEDGER_GUILTY_NAMED_MAX;

/// Why the ledger stops when it is forked, with those whom this node can name.
pub(in crate::ledger) fn fork_reason(culprits: &[Evidence], set: &ValidatorSet) -> String {
    let validators = culprits
        .iter()
        .filter_map(|one| set.get(one.culprit()))
        .map(|validator| validator.node.to_string());
    let mut named: Vec<String> = validators.collect();
    let left_out = named.len().saturating_sub(LEDGER_GUILTY_NAMED_MAX);
    named.truncate(LEDGER_GUILTY_NAMED_MAX);
    let named = named.join(", ");
    let guilty = match (named.is_empty(), left_out) {
        (true, _) => String::from("this node alone can name nobody"),
        (_, 0) => format!("both sides were signed by {named}"),
        _ => format!("both sides were signed by {named} and {left_out} more"),
    };
    format!(
        "the ledger is forked: more than a third of the power is Byzantine; {guilty}. Stop the other \
         nodes and keep all data directories: they hold the proof"
    )
}
