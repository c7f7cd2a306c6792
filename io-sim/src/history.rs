//! What clients did and saw, as the checkers of consistency need it.
//!
//! Every operation is broken into steps on single keys: a range read is one read
//! of every key in it, which linearizability requires as well (it is local:
//! Herlihy and Wing 1990, §3.2). Values carry unique numbers, so a read names
//! the write that it saw.

use std::collections::BTreeMap;

/// A value's unique number; 0 stands for "no such key".
pub type ValueId = u64;

/// What must have held of the key for the step to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requires {
    /// Nothing.
    Nothing,
    /// This value, or absence for 0.
    Value(ValueId),
    /// Some value.
    Present,
}

/// What a step did to its key, or saw of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It saw this value.
    Read(ValueId),
    /// It set this value.
    Write {
        /// The value, 0 for a deletion.
        value: ValueId,
        /// What must have held before.
        requires: Requires,
    },
}

/// One step on one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// Who.
    pub client: u64,
    /// Which of the client's operations.
    pub number: u64,
    /// When it was invoked: a stamp that no other event has.
    pub invoked: u64,
    /// When its answer came, or `None` if it may or may not have happened.
    pub returned: Option<u64>,
    /// What it did.
    pub step: Step,
    /// For a write, the revision it made; for a read, that of the state it saw.
    pub revision: Option<u64>,
}

/// All steps, by key.
#[derive(Debug, Clone, Default)]
pub struct History {
    by_key: BTreeMap<u64, Vec<Operation>>,
    count: u64,
}

impl History {
    /// Adds a step.
    pub fn add(&mut self, key: u64, operation: Operation) {
        if let Some(returned) = operation.returned {
            assert!(
                operation.invoked < returned,
                "an answer follows its question"
            );
        }
        self.by_key.entry(key).or_default().push(operation);
        self.count += 1;
    }

    /// The steps of each key.
    pub fn keys(&self) -> impl Iterator<Item = (u64, &[Operation])> {
        self.by_key
            .iter()
            .map(|(key, operations)| (*key, operations.as_slice()))
    }

    /// How many steps there are.
    pub const fn len(&self) -> u64 {
        self.count
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}
