//! What clients saw, and whether a single register could have shown it.
//!
//! Every write has its own value and every answer names a revision, so the
//! revisions are a witness: the history is linearizable if the order by revision
//! explains every answer and never contradicts real time.

use std::collections::BTreeMap;
use std::time::Instant;

/// One operation on one key.
#[derive(Debug, Clone)]
pub struct Operation {
    pub began: Instant,
    /// `None` if no answer came: it may have happened at any time since.
    pub ended: Option<Instant>,
    pub what: What,
}

#[derive(Debug, Clone)]
pub enum What {
    /// The value written and the revision, if acknowledged.
    Write(String, Option<u64>),
    /// The value and revision read; revision 0 if the key was absent.
    Read(String, u64),
}

/// Checks the history of one key; the error tells what cannot be.
pub fn check(operations: &[Operation]) -> Result<(), String> {
    let mut written: BTreeMap<&str, &Operation> = BTreeMap::new();
    for operation in operations {
        if let What::Write(value, _) = &operation.what {
            assert!(
                written.insert(value, operation).is_none(),
                "values are unique"
            );
        }
    }
    // The revision of each write: its own, or the one under which it was read.
    let mut revisions: BTreeMap<u64, &str> = BTreeMap::new();
    for operation in operations {
        let (value, revision) = match &operation.what {
            What::Write(value, Some(revision)) => (value, *revision),
            What::Read(value, revision) if *revision > 0 => (value, *revision),
            _ => continue,
        };
        let write = written
            .get(value.as_str())
            .ok_or(format!("{value:?} was never written"))?;
        if operation.ended.is_some_and(|ended| ended < write.began) {
            return Err(format!("{value:?} was read before it was written"));
        }
        if matches!(write.what, What::Write(_, Some(own)) if own != revision) {
            return Err(format!(
                "{value:?} was read under revision {revision}, not its own"
            ));
        }
        if *revisions.entry(revision).or_insert(value) != value.as_str() {
            return Err(format!("revision {revision} has two values"));
        }
    }
    real_time(operations)
}

/// What ended before another began must not come after it.
fn real_time(operations: &[Operation]) -> Result<(), String> {
    let place = |operation: &Operation| match operation.what {
        What::Write(_, revision) => revision,
        What::Read(_, revision) => Some(revision),
    };
    for earlier in operations {
        let (Some(ended), Some(before)) = (earlier.ended, place(earlier)) else {
            continue;
        };
        for later in operations.iter().filter(|later| later.began > ended) {
            let Some(after) = place(later) else { continue };
            let wrong = match later.what {
                What::Write(..) => after <= before,
                What::Read(..) => after < before,
            };
            if wrong {
                return Err(format!("{later:?} began after {earlier:?} had ended"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Operation, What, check};

    fn history(operations: &[(u64, u64, What)]) -> Result<(), String> {
        let zero = Instant::now();
        let at = |ms| zero + Duration::from_millis(ms);
        let operations: Vec<Operation> = operations
            .iter()
            .map(|(began, ended, what)| Operation {
                began: at(*began),
                ended: Some(at(*ended)),
                what: what.clone(),
            })
            .collect();
        check(&operations)
    }

    fn write(value: &str, revision: u64) -> What {
        What::Write(value.to_owned(), Some(revision))
    }

    fn read(value: &str, revision: u64) -> What {
        What::Read(value.to_owned(), revision)
    }

    #[test]
    fn the_checker_tells_right_from_wrong() {
        let fine = [
            (0, 1, write("a", 5)),
            (2, 9, write("b", 6)),
            (3, 4, read("a", 5)),
            (5, 6, read("b", 6)),
        ];
        assert_eq!(history(&fine), Ok(()));
        for (wrong, why) in [
            (
                vec![(0, 1, write("a", 5)), (2, 3, read("", 0))],
                "a lost write",
            ),
            (
                vec![
                    (0, 1, write("a", 5)),
                    (2, 3, write("b", 6)),
                    (4, 5, read("a", 5)),
                ],
                "a stale read",
            ),
            (
                vec![(0, 1, read("a", 5)), (2, 3, write("a", 5))],
                "a read from the future",
            ),
            (
                vec![(0, 1, write("a", 5)), (2, 3, read("a", 6))],
                "another revision",
            ),
            (
                vec![(0, 1, write("a", 5)), (0, 1, write("b", 5))],
                "one revision twice",
            ),
            (vec![(0, 1, read("ghost", 5))], "a value from nowhere"),
            (
                vec![(0, 1, write("a", 6)), (2, 3, write("b", 5))],
                "writes out of order",
            ),
        ] {
            assert!(history(&wrong).is_err(), "{why}");
        }
    }
}
