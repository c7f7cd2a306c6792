//! What watchers saw: every change once, in order, without a gap, and the same for
//! all of them.
//!
//! A watcher goes on at the next node from the revision behind the last one that it
//! saw. So what it saw is whole from where it began to its last change: every write
//! that was acknowledged with a revision in between must be among it. Where a node
//! has forgotten the past, the watcher begins again and vouches only for what
//! follows.

use std::collections::BTreeMap;

use super::Finding;
use crate::history::{History, Step, ValueId};

/// One watcher.
#[derive(Debug, Clone, Default)]
struct Seen {
    /// The revision wanted next; 0 for "from now on".
    next: u64,
    /// Where the present whole stretch begins.
    from: u64,
    /// Whole stretches before: first revision and last change.
    whole: Vec<(u64, u64)>,
    changes: u64,
}

/// All watchers.
#[derive(Debug, Clone, Default)]
pub struct Watches {
    watchers: Vec<Seen>,
    /// Per revision what it changed, as the first who saw it was told.
    changes: BTreeMap<u64, BTreeMap<u64, ValueId>>,
}

impl Watches {
    /// Watchers, each of which begins at the first revision or now.
    pub fn new(from_the_start: impl IntoIterator<Item = bool>) -> Self {
        let first = from_the_start.into_iter().map(|from_the_start| Seen {
            next: u64::from(from_the_start),
            from: u64::from(from_the_start),
            ..Seen::default()
        });
        Self {
            watchers: first.collect(),
            changes: BTreeMap::new(),
        }
    }

    /// How many watchers there are.
    pub fn len(&self) -> usize {
        self.watchers.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    /// Changes that all watchers saw, all together.
    pub fn seen(&self) -> u64 {
        self.watchers.iter().map(|watcher| watcher.changes).sum()
    }

    /// From which revision on a watcher wants changes; 0 for "from now on".
    pub fn next(&self, watcher: usize) -> u64 {
        self.watchers[watcher].next
    }

    /// A node began to tell, at this revision of its state.
    pub fn began(&mut self, watcher: usize, revision: u64) {
        let seen = &mut self.watchers[watcher];
        if seen.next == 0 {
            seen.next = revision + 1;
            seen.from = revision + 1;
        }
    }

    /// A node has forgotten what the watcher wants.
    pub fn lost(&mut self, watcher: usize) {
        let seen = &mut self.watchers[watcher];
        if seen.next > seen.from {
            seen.whole.push((seen.from, seen.next - 1));
        }
        seen.next = 0;
    }

    /// A node told of changes: revision, key and value, 0 for a removal.
    pub fn changed(&mut self, watcher: usize, told: &[(u64, u64, ValueId)]) -> Result<(), Finding> {
        let seen = &mut self.watchers[watcher];
        for (at, (revision, key, value)) in told.iter().copied().enumerate() {
            let same = at > 0 && told[at - 1].0 == revision;
            if seen.next == 0 || revision < seen.next && !same {
                return Err((
                    "watch-order",
                    format!(
                        "watcher {watcher} is told of revision {revision}, it waits for {}",
                        seen.next
                    ),
                ));
            }
            seen.next = revision + 1;
            seen.changes += 1;
            let known = self.changes.entry(revision).or_default();
            let known = *known.entry(key).or_insert(value);
            if known != value {
                return Err((
                    "watch-agreement",
                    format!("revision {revision} of key {key} is {known} and {value}"),
                ));
            }
        }
        Ok(())
    }

    /// Judges what was seen by what was acknowledged.
    pub fn check(&self, history: &History) -> Result<(), Finding> {
        for (key, operations) in history.keys() {
            for operation in operations {
                let (Step::Write { value, .. }, Some(revision)) =
                    (operation.step, operation.revision)
                else {
                    continue;
                };
                self.told(key, revision, value)?;
            }
        }
        Ok(())
    }

    /// Whoever saw all around a revision saw what it did.
    fn told(&self, key: u64, revision: u64, value: ValueId) -> Result<(), Finding> {
        let seen = self.changes.get(&revision);
        let seen = seen.and_then(|changes| changes.get(&key)).copied();
        let covered = self.watchers.iter().any(|watcher| watcher.covers(revision));
        match seen {
            Some(seen) if seen == value => Ok(()),
            None if !covered => Ok(()),
            seen => Err((
                "watch-gap",
                format!("revision {revision} set key {key} to {value}; watchers saw {seen:?}"),
            )),
        }
    }
}

impl Seen {
    fn covers(&self, revision: u64) -> bool {
        let inside = |(first, last): (u64, u64)| (first..=last).contains(&revision);
        let present = self.next > self.from && inside((self.from, self.next - 1));
        present || self.whole.iter().copied().any(inside)
    }
}
