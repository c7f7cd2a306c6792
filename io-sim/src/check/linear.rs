//! Is a key's history linearizable?
//!
//! The search of Wing and Gong (1993) in the form of Lowe's "just in time"
//! linearization (2017): walk through the history once and keep every state that
//! some order of the calls so far can explain. An operation takes effect at the
//! latest when its answer comes. Three facts keep the set of states small:
//! linearizability is checked key by key (P-compositionality, Horn and Kroening
//! 2015); a read that fits can be placed at once, since it changes nothing; and
//! a state that has used fewer of the calls without an answer can do whatever
//! one that used more of them can.

use std::collections::BTreeSet;

use crate::history::{Operation, Requires, Step, ValueId};

/// What the search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Some order explains everything.
    Linearizable,
    /// No order explains the answer of this operation after all before it.
    Violated(Operation),
    /// The search was given up: too many calls without an answer, or too many
    /// states. Nothing is known.
    Undecided,
}

/// Searches for an order. `budget` bounds the states looked at.
pub fn check(operations: &[Operation], budget: u64) -> Verdict {
    let relevant = drop_unseen(operations);
    let mut search = Search::new(budget);
    for (operation, returns) in timeline(&relevant) {
        let outcome = if returns {
            search.returned(&relevant, operation)
        } else {
            search.invoked(&relevant, operation)
        };
        match outcome {
            Ok(()) => {}
            Err(Stop::Exhausted) => return Verdict::Undecided,
            Err(Stop::Impossible) => return Verdict::Violated(relevant[operation]),
        }
    }
    Verdict::Linearizable
}

enum Stop {
    Exhausted,
    Impossible,
}

/// One explanation of the history so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Configuration {
    value: ValueId,
    /// Which of the open calls have taken effect, by slot.
    done: u128,
}

struct Search {
    configurations: BTreeSet<Configuration>,
    /// The operation in each slot.
    open: Vec<Option<usize>>,
    /// Slots of calls that never return.
    optional: u128,
    budget: u64,
}

const SLOTS: usize = 128;

impl Search {
    fn new(budget: u64) -> Self {
        let absent = Configuration { value: 0, done: 0 };
        Self {
            configurations: BTreeSet::from([absent]),
            open: vec![None; SLOTS],
            optional: 0,
            budget,
        }
    }

    fn invoked(&mut self, operations: &[Operation], operation: usize) -> Result<(), Stop> {
        let slot = self
            .open
            .iter()
            .position(Option::is_none)
            .ok_or(Stop::Exhausted)?;
        self.open[slot] = Some(operation);
        if operations[operation].returned.is_none() {
            self.optional |= 1 << slot;
        }
        if matches!(operations[operation].step, Step::Read(_)) {
            let all = std::mem::take(&mut self.configurations);
            self.configurations = all
                .into_iter()
                .map(|one| self.place_reads(operations, one))
                .collect();
        }
        Ok(())
    }

    fn returned(&mut self, operations: &[Operation], operation: usize) -> Result<(), Stop> {
        let slot = self.slot_of(operation);
        let bit = 1 << slot;
        let mut next = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut stack: Vec<Configuration> = Vec::new();
        for configuration in std::mem::take(&mut self.configurations) {
            if configuration.done & bit != 0 {
                next.insert(configuration);
            } else {
                stack.push(configuration);
            }
        }
        while let Some(configuration) = stack.pop() {
            if !seen.insert(configuration) {
                continue;
            }
            self.budget = self.budget.checked_sub(1).ok_or(Stop::Exhausted)?;
            for (slot, candidate) in self.open.iter().enumerate() {
                let Some(candidate) = *candidate else {
                    continue;
                };
                let Some(after) = apply(configuration, slot, &operations[candidate]) else {
                    continue;
                };
                let after = self.place_reads(operations, after);
                if after.done & bit != 0 {
                    next.insert(after);
                } else {
                    stack.push(after);
                }
            }
        }
        if next.is_empty() {
            return Err(Stop::Impossible);
        }
        self.open[slot] = None;
        self.configurations = next
            .into_iter()
            .map(|one| Configuration {
                done: one.done & !bit,
                ..one
            })
            .collect();
        self.drop_dominated();
        Ok(())
    }

    fn slot_of(&self, operation: usize) -> usize {
        let slot = self.open.iter().position(|open| *open == Some(operation));
        slot.expect("an operation returns after it was invoked")
    }

    /// Places every open read that sees the present value.
    fn place_reads(&self, operations: &[Operation], mut at: Configuration) -> Configuration {
        for (slot, open) in self.open.iter().enumerate() {
            let Some(open) = *open else { continue };
            if operations[open].step == Step::Read(at.value) {
                at.done |= 1 << slot;
            }
        }
        at
    }

    fn drop_dominated(&mut self) {
        if self.optional == 0 || self.configurations.len() < 2 {
            return;
        }
        let all: Vec<Configuration> = self.configurations.iter().copied().collect();
        let optional = self.optional;
        self.configurations.retain(|one| {
            !all.iter().any(|other| {
                other.value == one.value
                    && other.done & !optional == one.done & !optional
                    && other.done != one.done
                    && other.done & optional & !one.done == 0
            })
        });
    }
}

/// The state after an open call takes effect, if it can.
fn apply(at: Configuration, slot: usize, operation: &Operation) -> Option<Configuration> {
    let bit = 1 << slot;
    if at.done & bit != 0 {
        return None;
    }
    let done = at.done | bit;
    match operation.step {
        Step::Read(value) => (value == at.value).then_some(Configuration { done, ..at }),
        Step::Write { value, requires } => {
            let fits = match requires {
                Requires::Nothing => true,
                Requires::Value(wanted) => at.value == wanted,
                Requires::Present => at.value != 0,
            };
            fits.then_some(Configuration { value, done })
        }
    }
}

/// Without the calls that have no answer and whose value nobody ever saw or
/// required: no answer depends on whether they happened, unless on the key being
/// there at all.
fn drop_unseen(operations: &[Operation]) -> Vec<Operation> {
    let mut seen = BTreeSet::new();
    let mut existence_matters = false;
    for operation in operations {
        match operation.step {
            Step::Read(_) if operation.returned.is_none() => {}
            Step::Read(value) => _ = seen.insert(value),
            Step::Write { requires, .. } => match requires {
                Requires::Value(value) => _ = seen.insert(value),
                Requires::Present => existence_matters = true,
                Requires::Nothing => {}
            },
        }
    }
    let keep = |operation: &&Operation| match (operation.returned, operation.step) {
        (Some(_), _) => true,
        (None, Step::Read(_)) => false,
        (None, Step::Write { value, .. }) => existence_matters || seen.contains(&value),
    };
    operations.iter().filter(keep).copied().collect()
}

/// Calls and answers in the order of their stamps: `(operation, is the answer)`.
fn timeline(operations: &[Operation]) -> Vec<(usize, bool)> {
    let mut stamped = Vec::with_capacity(operations.len() * 2);
    for (at, operation) in operations.iter().enumerate() {
        stamped.push((operation.invoked, at, false));
        if let Some(returned) = operation.returned {
            stamped.push((returned, at, true));
        }
    }
    stamped.sort_unstable();
    stamped
        .into_iter()
        .map(|(_, at, returns)| (at, returns))
        .collect()
}
