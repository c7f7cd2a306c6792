//! The judge of leases and locks, judged.

use crate::check::guards::{Guards, Shown};

const SECOND: u64 = 1_000_000_000;

fn lease(lease: u64, now: u64) -> Shown {
    let ttl = 2 * SECOND;
    let expires_at = now + ttl;
    Shown::Lease {
        lease,
        ttl,
        expires_at,
    }
}

fn taken(lease: u64, token: u64) -> Shown {
    let lock = 1;
    Shown::Taken { lock, lease, token }
}

fn released(token: u64) -> Shown {
    Shown::Released { lock: 1, token }
}

fn judged(shown: &[(u64, Shown)]) -> Guards {
    let mut guards = Guards::default();
    for (place, shown) in shown {
        guards.add(*place, *shown).expect("one answer per place");
    }
    guards
}

fn rule(shown: &[(u64, Shown)]) -> Option<&'static str> {
    judged(shown).check().err().map(|(rule, _)| rule)
}

#[test]
fn what_may_happen_is_accepted() {
    let gone = Shown::Gone { lease: 1 };
    let revoked = Shown::Revoked { lease: 1 };
    let held = Shown::Held { lock: 1, token: 2 };
    assert_eq!(rule(&[]), None);
    // Renewed in time, then gone behind its end.
    assert_eq!(
        rule(&[(1, lease(1, 0)), (2, lease(1, SECOND)), (9, gone)]),
        None
    );
    assert_eq!(
        rule(&[(1, lease(1, 0)), (4, gone), (5, lease(5, 2 * SECOND))]),
        None
    );
    assert_eq!(
        rule(&[(1, lease(1, 0)), (2, revoked), (3, gone), (4, lease(4, 1))]),
        None
    );
    // Taken, taken again by the same lease, given back, taken again.
    let again = [
        (2, taken(1, 2)),
        (3, taken(1, 2)),
        (4, released(2)),
        (5, taken(1, 5)),
    ];
    assert_eq!(rule(&again), None);
    // Another takes it after the holder's end, or after its release.
    let after_end = [
        (1, lease(1, 0)),
        (2, taken(1, 2)),
        (3, lease(3, 2 * SECOND)),
        (4, taken(3, 4)),
    ];
    assert_eq!(rule(&after_end), None);
    let handed = [
        (1, lease(1, 0)),
        (2, taken(1, 2)),
        (3, held),
        (4, released(2)),
        (5, taken(9, 5)),
        (6, lease(9, 1)),
    ];
    assert_eq!(rule(&handed), None);
}

#[test]
fn what_must_not_happen_is_found() {
    let gone = Shown::Gone { lease: 1 };
    let bound = Shown::Bound { lease: 1 };
    let later = (9, lease(9, SECOND));
    // Time goes back, also across leases.
    assert_eq!(
        rule(&[(1, lease(1, 5)), (2, lease(2, 4))]),
        Some("log-time")
    );
    // Gone although a later entry is still before its end.
    assert_eq!(
        rule(&[(1, lease(1, 0)), (2, gone), later]),
        Some("lease-lasts")
    );
    // Used although an earlier entry was behind its end, or after it was gone.
    let late = [(1, lease(1, 0)), (2, lease(2, 2 * SECOND)), (3, bound)];
    assert_eq!(rule(&late), Some("lease-ends"));
    assert_eq!(
        rule(&[(1, lease(1, 0)), (2, gone), (3, bound)]),
        Some("lease-ends")
    );
    let renewed_late = [(1, lease(1, 0)), (3, lease(1, 2 * SECOND))];
    assert_eq!(rule(&renewed_late), Some("lease-ends"));
    // A token that comes back, falls, or is ahead of the log.
    let back = [(2, taken(1, 2)), (3, released(2)), (4, taken(1, 2))];
    assert_eq!(rule(&back), Some("fencing"));
    assert_eq!(rule(&[(5, taken(1, 5)), (6, taken(2, 4))]), Some("fencing"));
    assert_eq!(rule(&[(5, taken(1, 6))]), Some("fencing"));
    // Two holders.
    let two = [(1, lease(1, 0)), (2, taken(1, 2)), (3, taken(7, 3)), later];
    assert_eq!(rule(&two), Some("lock-exclusion"));
}

#[test]
fn what_may_have_happened_is_not_judged() {
    let gone = Shown::Gone { lease: 1 };
    let later = (9, lease(9, SECOND));
    let mut guards = judged(&[(1, lease(1, 0)), (2, gone), later]);
    guards.maybe_ended(1);
    assert_eq!(guards.check(), Ok(()));
    let mut guards = judged(&[(1, lease(1, 0)), (3, lease(1, 3 * SECOND))]);
    guards.maybe_renewed(1);
    assert_eq!(guards.check(), Ok(()));
    let mut guards = judged(&[(1, lease(1, 0)), (2, taken(1, 2)), (3, taken(7, 3)), later]);
    guards.maybe_released(2);
    assert_eq!(guards.check(), Ok(()));
    assert!(guards.add(2, gone).is_err(), "two answers at one place");
}
