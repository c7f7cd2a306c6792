//! What clients saw, key by key: one order must explain it.

use super::Finding;
use super::linear::{self, Verdict};
use super::order;
use crate::history::History;

/// States that the search for a linearization may look at, for each key.
const LINEAR_BUDGET: u64 = 300_000;

/// Checks all keys. Returns how many the search gave up on, and the first finding.
pub fn check(history: &History) -> (u64, Option<Finding>) {
    let mut undecided = 0;
    for (key, operations) in history.keys() {
        if let Err(message) = order::check_values(operations) {
            let finding = ("claimed-order", format!("key {key}: {message}"));
            return (undecided, Some(finding));
        }
        match linear::check(operations, LINEAR_BUDGET) {
            Verdict::Linearizable => {}
            Verdict::Undecided => undecided += 1,
            Verdict::Violated(operation) => {
                let message = format!("key {key}: no order explains {operation:?}");
                return (undecided, Some(("linearizable", message)));
            }
        }
    }
    (undecided, None)
}
