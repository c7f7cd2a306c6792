//! Does the order that the system claims explain what clients saw?
//!
//! Every answer names its place in the system's one order: a write the revision
//! that it made, a read the revision of the state that it saw. If that order
//! respects real time, and every read sees the last write at or before its
//! revision, the history is linearizable, and strictly serializable over all
//! keys. Unlike the search in [`super::linear`] this is quick on any history; but
//! it trusts the order that the system claims, which is why both are run.

use crate::history::{Operation, Requires, Step, ValueId};

/// The real-time half, checked as answers come.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealTime {
    floor: u64,
}

impl RealTime {
    /// The revision that an operation invoked now must not fall behind.
    pub const fn floor(&self) -> u64 {
        self.floor
    }

    /// An operation that was invoked when the floor was `floor` returned with a
    /// revision. `made` tells whether it made the revision or only saw it.
    pub fn returned(&mut self, floor: u64, revision: u64, made: bool) -> Result<(), String> {
        self.floor = self.floor.max(revision);
        let fits = if made {
            revision > floor
        } else {
            revision >= floor
        };
        if fits {
            return Ok(());
        }
        let what = if made { "a write took" } else { "a read saw" };
        Err(format!(
            "{what} revision {revision} although revision {floor} was answered before it began"
        ))
    }
}

/// The value half, checked at the end for one key.
pub fn check_values(operations: &[Operation]) -> Result<(), String> {
    let mut writes: Vec<(u64, ValueId, &Operation)> = Vec::new();
    let mut open: Vec<ValueId> = Vec::new();
    for operation in operations {
        let Step::Write { value, .. } = operation.step else {
            continue;
        };
        match operation.revision {
            Some(revision) => writes.push((revision, value, operation)),
            None => open.push(value),
        }
    }
    writes.sort_unstable_by_key(|(revision, _, _)| *revision);
    for pair in writes.windows(2) {
        if pair[0].0 == pair[1].0 {
            return Err(format!(
                "two writes made revision {}: {:?}, {:?}",
                pair[0].0, pair[0].2, pair[1].2
            ));
        }
    }
    let value_at = |revision: u64| {
        let after = writes.partition_point(|(made, _, _)| *made <= revision);
        after.checked_sub(1).map_or(0, |last| writes[last].1)
    };
    for operation in operations {
        let (seen, revision) = match (operation.step, operation.revision) {
            (Step::Read(seen), Some(revision)) => (seen, revision),
            (
                Step::Write {
                    requires: Requires::Value(seen),
                    ..
                },
                Some(revision),
            ) => (seen, revision - 1),
            _ => continue,
        };
        let expected = value_at(revision);
        if seen != expected && !open.contains(&seen) {
            return Err(format!(
                "at revision {revision} the value is {expected:#x}, but {operation:?} saw {seen:#x}"
            ));
        }
    }
    Ok(())
}
