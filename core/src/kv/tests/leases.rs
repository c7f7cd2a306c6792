//! Leases, locks and log time.

use alloc::vec;

use super::*;

#[test]
fn keys_end_with_their_lease_at_the_revision_that_passed_the_time() {
    let mut rig = Rig::new(Config::new());
    let lease = rig.grant(100);
    rig.once(put_leased("a", "1", lease));
    rig.once(put("b", "1"));
    assert_eq!(rig.kv.next_expiry(), Some(LogTime(1_100)));
    rig.tick(99);
    assert!(rig.value("a").is_some());
    rig.tick(1);
    assert_eq!(rig.value("a"), None);
    assert_eq!(rig.value("b"), Some("1".into()));
    assert_eq!(rig.kv.revision(), Revision(5));
    let change = Change {
        revision: Revision(5),
        key: "a".into(),
        pair: None,
    };
    assert_eq!(rig.kv.take_notices(), vec![change]);
    assert_eq!(rig.kv.next_expiry(), None);
    assert_eq!(rig.once(Op::LeaseRenew { lease }), Outcome::NoLease);
    assert_eq!(rig.once(Op::LeaseRevoke { lease }), Outcome::NoLease);
    assert_eq!(rig.once(put_leased("a", "1", lease)), Outcome::NoLease);
}

#[test]
fn renewal_begins_the_time_anew_and_a_clock_that_falls_takes_nothing_away() {
    let mut rig = Rig::new(Config::new());
    let lease = rig.grant(100);
    rig.now += 50;
    let renewed = Outcome::Lease {
        lease,
        expires_at: LogTime(1_150),
    };
    assert_eq!(rig.once(Op::LeaseRenew { lease }), renewed);
    rig.now = 10;
    assert_eq!(rig.once(Op::LeaseRenew { lease }), renewed);
    assert_eq!(rig.kv.log_time(), LogTime(1_050));
    rig.now = 1_149;
    rig.tick(0);
    assert_eq!(rig.kv.module().counts().leases, 1);
    rig.tick(1);
    assert_eq!(rig.kv.module().counts().leases, 0);
}

#[test]
fn a_put_moves_its_key_to_the_lease_it_names() {
    let mut rig = Rig::new(Config::new());
    let first = rig.grant(100);
    let second = rig.grant(1_000);
    for key in ["a", "b", "c"] {
        rig.once(put_leased(key, "1", first));
    }
    rig.once(put("a", "2"));
    rig.once(put_leased("b", "2", second));
    assert_eq!(rig.pair("a").unwrap().lease, None);
    let listed = rig.kv.query(&Query::Lease { lease: first }).found;
    let expected = Some((LogTime(1_100), vec!["c".into()]));
    assert_eq!(listed, Found::Lease(expected));
    assert_eq!(
        rig.once(Op::LeaseRevoke { lease: first }),
        Outcome::LeaseEnded
    );
    assert_eq!(rig.value("c"), None);
    assert!(rig.value("a").is_some());
    assert!(rig.value("b").is_some());
    rig.once(Op::LeaseRevoke { lease: second });
    assert_eq!(rig.value("b"), None);
    let gone = rig.kv.query(&Query::Lease { lease: first }).found;
    assert_eq!(gone, Found::Lease(None));
}

#[test]
fn leases_and_what_is_bound_to_them_are_limited() {
    let mut rig = Rig::new(small());
    let lease = rig.grant(50);
    rig.grant(50);
    rig.grant(50);
    let leases = Outcome::LimitExceeded { limit: "leases" };
    assert_eq!(rig.once(Op::LeaseGrant { ttl: Span(50) }), leases);
    rig.once(put_leased("a", "1", lease));
    rig.once(put_leased("b", "1", lease));
    let lock = |name: &'static str| Op::LockAcquire {
        name: name.into(),
        lease,
    };
    assert!(matches!(rig.once(lock("l")), Outcome::Locked { .. }));
    let bound = Outcome::LimitExceeded {
        limit: "keys and locks of a lease",
    };
    assert_eq!(rig.once(lock("m")), bound);
    assert_eq!(rig.once(put_leased("c", "1", lease)), bound);
    assert!(matches!(
        rig.once(put_leased("a", "2", lease)),
        Outcome::Changed { .. }
    ));
    let txn = Op::Txn {
        conditions: vec![],
        ops: vec![delete("a"), put_leased("a", "3", lease), put("b", "2")],
    };
    assert!(matches!(rig.once(txn), Outcome::Changed { deleted: 1, .. }));
    assert!(
        matches!(rig.once(lock("m")), Outcome::Locked { .. }),
        "b was detached"
    );
}

#[test]
fn what_ends_together_ends_by_time_and_then_by_id() {
    let mut rig = Rig::new(Config::new());
    let late = rig.grant(30);
    let early = rig.grant(20);
    let twin = rig.grant(20);
    rig.once(put_leased("x", "1", late));
    rig.once(put_leased("z", "1", early));
    rig.once(put_leased("y", "1", twin));
    rig.tick(100);
    let keys: Vec<Bytes> = rig.kv.take_notices().into_iter().map(|c| c.key).collect();
    assert_eq!(keys, ["z", "y", "x"]);
}

#[test]
fn a_lock_has_one_holder_and_its_tokens_rise() {
    let mut rig = Rig::new(Config::new());
    let (first, second) = (rig.grant(100), rig.grant(1_000));
    let acquire = |lease| Op::LockAcquire {
        name: "l".into(),
        lease,
    };
    let release = |token| Op::LockRelease {
        name: "l".into(),
        token: FencingToken(token),
    };
    let locked = |token| Outcome::Locked {
        token: FencingToken(token),
    };
    let held = |token| Outcome::LockHeld {
        token: FencingToken(token),
    };
    assert_eq!(rig.once(release(1)), Outcome::LockNotHeld);
    assert_eq!(rig.once(acquire(LeaseId(99))), Outcome::NoLease);
    assert_eq!(rig.once(acquire(first)), locked(5));
    assert_eq!(
        rig.once(acquire(first)),
        locked(5),
        "idempotent for the holder"
    );
    assert_eq!(rig.once(acquire(second)), held(5));
    assert_eq!(rig.once(release(4)), Outcome::LockNotHeld);
    assert_eq!(rig.once(release(5)), Outcome::Unlocked);
    assert_eq!(rig.once(release(5)), Outcome::LockNotHeld);
    assert_eq!(rig.once(acquire(first)), locked(11));
    rig.tick(100);
    let query = Query::Lock { name: "l".into() };
    assert_eq!(
        rig.kv.query(&query).found,
        Found::Lock(None),
        "its lease ended"
    );
    assert_eq!(rig.once(acquire(second)), locked(13));
    // A restart forgets nothing that keeps tokens rising.
    rig.kv = rig.disk.load(Config::new()).unwrap().unwrap();
    let found = Found::Lock(Some((FencingToken(13), second)));
    assert_eq!(rig.kv.query(&query).found, found);
    assert_eq!(rig.once(release(13)), Outcome::Unlocked);
    assert_eq!(rig.once(acquire(second)), locked(15));
}

#[test]
fn the_end_of_time_is_survived() {
    let mut rig = Rig::new(Config::new());
    rig.now = u64::MAX;
    let lease = rig.grant(10);
    rig.once(put("a", "1"));
    assert_eq!(rig.once(Op::LeaseRenew { lease }), Outcome::NoLease);
}
