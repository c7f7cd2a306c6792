//! The judges judged: histories known to be good and bad.

use crate::check::linear::{Verdict, check};
use crate::check::order::{RealTime, check_values};
use crate::history::{Operation, Requires, Step};
use crate::rng::{Domain, Stream};

pub(super) fn operation(client: u64, invoked: u64, returned: Option<u64>, step: Step) -> Operation {
    Operation {
        client,
        number: invoked,
        invoked,
        returned,
        step,
        revision: None,
    }
}

fn write(client: u64, invoked: u64, returned: u64, value: u64) -> Operation {
    let requires = Requires::Nothing;
    operation(
        client,
        invoked,
        Some(returned),
        Step::Write { value, requires },
    )
}

fn swap(client: u64, invoked: u64, returned: u64, from: u64, value: u64) -> Operation {
    let requires = Requires::Value(from);
    operation(
        client,
        invoked,
        Some(returned),
        Step::Write { value, requires },
    )
}

fn open(client: u64, invoked: u64, value: u64) -> Operation {
    let requires = Requires::Nothing;
    operation(client, invoked, None, Step::Write { value, requires })
}

fn read(client: u64, invoked: u64, returned: u64, value: u64) -> Operation {
    operation(client, invoked, Some(returned), Step::Read(value))
}

pub(super) fn is_linearizable(operations: &[Operation]) -> bool {
    match check(operations, 100_000) {
        Verdict::Linearizable => true,
        Verdict::Violated(_) => false,
        Verdict::Undecided => panic!("a small history must be decided"),
    }
}

#[test]
fn known_good_histories() {
    assert!(is_linearizable(&[]));
    assert!(is_linearizable(&[read(1, 1, 2, 0)]));
    // Concurrent writes in either order.
    assert!(is_linearizable(&[
        write(1, 1, 5, 7),
        write(2, 2, 4, 8),
        read(3, 6, 7, 7)
    ]));
    assert!(is_linearizable(&[
        write(1, 1, 5, 7),
        write(2, 2, 4, 8),
        read(3, 6, 7, 8)
    ]));
    // A read during a write may see it or not.
    assert!(is_linearizable(&[write(1, 1, 4, 7), read(2, 2, 3, 7)]));
    assert!(is_linearizable(&[write(1, 1, 4, 7), read(2, 2, 3, 0)]));
    // A call without an answer may take effect late, or never.
    assert!(is_linearizable(&[
        open(1, 1, 7),
        write(2, 2, 3, 8),
        read(3, 4, 5, 8),
        read(3, 6, 7, 7)
    ]));
    assert!(is_linearizable(&[
        open(1, 1, 7),
        write(2, 2, 3, 8),
        read(3, 4, 5, 8)
    ]));
    // A chain of swaps.
    assert!(is_linearizable(&[
        swap(1, 1, 10, 0, 5),
        swap(2, 2, 9, 5, 6),
        read(3, 3, 11, 6)
    ]));
}

#[test]
fn known_bad_histories() {
    // A stale read.
    assert!(!is_linearizable(&[
        write(1, 1, 2, 7),
        write(1, 3, 4, 8),
        read(2, 5, 6, 7)
    ]));
    // A value from nowhere.
    assert!(!is_linearizable(&[read(1, 1, 2, 9)]));
    // A lost write.
    assert!(!is_linearizable(&[write(1, 1, 2, 7), read(2, 3, 4, 0)]));
    // Two readers disagree on the order of two writes.
    assert!(!is_linearizable(&[
        write(1, 1, 20, 7),
        write(2, 2, 19, 8),
        read(3, 3, 4, 7),
        read(3, 5, 6, 8),
        read(4, 7, 8, 7),
        read(4, 9, 10, 8),
    ]));
    // A write without an answer takes effect twice.
    assert!(!is_linearizable(&[
        open(1, 1, 7),
        read(3, 2, 3, 7),
        write(2, 4, 5, 8),
        read(3, 6, 7, 8),
        read(3, 8, 9, 7),
    ]));
    // Two swaps from the same value.
    assert!(!is_linearizable(&[
        swap(1, 1, 2, 0, 5),
        swap(2, 3, 4, 0, 6)
    ]));
    // A read before the write began.
    assert!(!is_linearizable(&[read(1, 1, 2, 7), write(2, 3, 4, 7)]));
}

/// Every order of the operations that respects real time, tried one by one.
fn by_brute_force(operations: &[Operation]) -> bool {
    fn search(left: &[Operation], value: u64) -> bool {
        if left.iter().all(|operation| operation.returned.is_none()) {
            return true;
        }
        let deadline = left.iter().filter_map(|operation| operation.returned).min();
        (0..left.len()).any(|at| {
            let next = left[at];
            if deadline.is_some_and(|deadline| next.invoked > deadline) {
                return false;
            }
            let after = match next.step {
                Step::Read(seen) if seen == value => value,
                Step::Read(_) => return false,
                Step::Write {
                    value: new,
                    requires,
                } => match requires {
                    Requires::Value(wanted) if wanted != value => return false,
                    Requires::Present if value == 0 => return false,
                    _ => new,
                },
            };
            let mut rest = left.to_vec();
            rest.remove(at);
            search(&rest, after)
        })
    }
    search(operations, 0)
}

pub(super) fn random_history(stream: &mut Stream) -> Vec<Operation> {
    let count = stream.range(1, 7);
    let mut stamps: Vec<u64> = (1..=count * 2).collect();
    stream.shuffle(&mut stamps);
    (0..count)
        .map(|number| {
            let at = usize::try_from(number * 2).expect("small");
            let (a, b) = (stamps[at], stamps[at + 1]);
            let returned = stream.chance(800_000).then_some(a.max(b));
            let value = number + 1;
            let seen = stream.range(0, count);
            let step = match stream.range(0, 4) {
                0 => Step::Write {
                    value,
                    requires: Requires::Value(seen),
                },
                1 => Step::Write {
                    value: 0,
                    requires: Requires::Present,
                },
                2 => Step::Write {
                    value,
                    requires: Requires::Nothing,
                },
                _ => Step::Read(seen),
            };
            operation(number, a.min(b), returned, step)
        })
        .collect()
}

#[test]
fn the_search_agrees_with_brute_force() {
    let mut stream = Stream::new(99, Domain::Workload);
    let mut counts = [0, 0];
    for _ in 0..20_000 {
        let history = random_history(&mut stream);
        let expected = by_brute_force(&history);
        assert_eq!(is_linearizable(&history), expected, "{history:#?}");
        counts[usize::from(expected)] += 1;
    }
    assert!(
        counts.iter().all(|count| *count > 2_000),
        "both kinds occur: {counts:?}"
    );
}

#[test]
fn real_time_is_respected() {
    let mut order = RealTime::default();
    let floor = order.floor();
    assert_eq!(order.returned(floor, 5, true), Ok(()));
    assert_eq!(order.floor(), 5);
    assert_eq!(order.returned(5, 5, false), Ok(()));
    assert!(order.returned(5, 4, false).is_err(), "a stale read");
    assert!(order.returned(5, 5, true).is_err(), "a write in the past");
    assert_eq!(
        order.returned(3, 4, true),
        Ok(()),
        "a slow write that overlapped"
    );
}

#[test]
fn values_must_fit_the_claimed_order() {
    let at = |mut operation: Operation, revision: u64| {
        operation.revision = Some(revision);
        operation
    };
    let good = [
        at(write(1, 1, 2, 7), 10),
        at(write(1, 3, 4, 8), 20),
        at(read(2, 5, 6, 8), 25),
        at(read(2, 1, 6, 7), 19),
    ];
    assert_eq!(check_values(&good), Ok(()));
    assert!(check_values(&[good[0], at(read(2, 5, 6, 9), 25)]).is_err());
    assert!(check_values(&[good[0], good[1], at(read(2, 5, 6, 7), 25)]).is_err());
    assert!(check_values(&[good[0], at(write(2, 5, 6, 9), 10)]).is_err());
    assert_eq!(
        check_values(&[good[0], open(3, 1, 9), at(read(2, 5, 6, 9), 25)]),
        Ok(())
    );
    assert!(
        check_values(&[at(swap(1, 1, 2, 3, 7), 10)]).is_err(),
        "the swap saw nothing"
    );
}
