//! Sessions: exactly once.

use super::*;

fn in_session(session: SessionId, sequence: u64, answered_upto: u64, op: Op) -> Command {
    Command::InSession {
        session,
        sequence,
        answered_upto,
        op,
    }
}

#[test]
fn a_repeated_change_happens_once_and_gets_its_first_answer() {
    let mut rig = Rig::new(Config::new());
    let session = rig.open(7, 100);
    let first = in_session(session, 1, 0, put("a", "1"));
    assert_eq!(rig.run(first.clone()), changed(2, 0));
    rig.run(in_session(session, 2, 0, put("a", "2")));
    assert_eq!(rig.run(first), changed(2, 0));
    assert_eq!(rig.value("a"), Some("2".into()));
    assert_eq!(rig.pair("a").unwrap().modified, Revision(3));
    // Refusals are answers too: what failed once is not tried again.
    let cas = in_session(session, 3, 0, put_if("a", "3", Condition::Absent));
    let refused = rig.run(cas.clone());
    assert!(matches!(refused, Outcome::ConditionFailed { .. }));
    rig.once(delete("a"));
    assert_eq!(rig.run(cas), refused);
    assert_eq!(rig.value("a"), None);
}

#[test]
fn confirmed_answers_are_forgotten_and_the_window_is_bounded() {
    let mut rig = Rig::new(small());
    let session = rig.open(7, 100);
    let go = |sequence, upto| in_session(session, sequence, upto, put("a", "1"));
    assert_eq!(rig.run(go(3, 0)), changed(2, 0), "numbers may overtake");
    assert_eq!(rig.run(go(1, 0)), changed(3, 0));
    let ahead = Outcome::Invalid {
        rule: "a sequence is too far ahead of what is confirmed",
    };
    assert_eq!(rig.run(go(4, 0)), ahead);
    assert_eq!(rig.kv.counts().answers, 2);
    assert_eq!(rig.run(go(4, 1)), changed(5, 0));
    assert_eq!(rig.run(go(1, 0)), Outcome::AnswerGone);
    assert_eq!(rig.run(go(3, 0)), changed(2, 0), "still kept");
    assert_eq!(rig.run(go(5, 4)), changed(8, 0));
    assert_eq!(rig.kv.counts().answers, 1);
    assert_eq!(rig.run(go(2, 0)), Outcome::AnswerGone, "confirmed unused");
    for (sequence, upto) in [(0, 0), (5, 5), (5, 9)] {
        let outcome = rig.run(go(sequence, upto));
        assert!(matches!(outcome, Outcome::Invalid { .. }));
    }
}

#[test]
fn opening_is_idempotent_by_nonce_and_use_keeps_a_session_alive() {
    let mut rig = Rig::new(Config::new());
    let session = rig.open(7, 100);
    rig.now += 99;
    assert_eq!(rig.open(7, 100), session);
    rig.now += 99;
    let used = in_session(session, 1, 0, put("a", "1"));
    assert_eq!(rig.run(used.clone()), changed(3, 0));
    rig.now += 99;
    assert_eq!(rig.run(used.clone()), changed(3, 0), "a replay is a use");
    rig.now += 100;
    assert_eq!(rig.run(used), Outcome::NoSession);
    assert_eq!(rig.kv.counts().answers, 0);
    assert_eq!(rig.open(7, 100), SessionId(6), "the nonce is free again");
}

#[test]
fn a_closed_session_leaves_nothing_behind() {
    let mut rig = Rig::new(Config::new());
    let session = rig.open(7, 100);
    rig.run(in_session(session, 1, 0, delete("a")));
    let close = Command::CloseSession { session };
    assert_eq!(rig.run(close.clone()), Outcome::SessionClosed);
    assert_eq!(rig.run(close), Outcome::NoSession);
    assert_eq!(rig.kv.state_bytes(), 0);
    assert_eq!(rig.kv.next_expiry(), None);
}

#[test]
fn a_full_table_refuses_new_sessions_and_ends_none() {
    let mut rig = Rig::new(small());
    for nonce in 0..3 {
        rig.open(nonce, 100);
    }
    let refused = rig.run(Command::OpenSession {
        nonce: 9,
        ttl: Span(100),
    });
    assert_eq!(refused, Outcome::LimitExceeded { limit: "sessions" });
    assert_eq!(rig.kv.counts().sessions, 3);
    assert_eq!(rig.open(1, 100), SessionId(2), "reopening needs no room");
}

#[test]
fn a_full_state_still_answers_exactly_once() {
    let mut rig = Rig::new(small());
    let session = rig.open(7, 100);
    let value = "v".repeat(64);
    for number in 10..99 {
        rig.once(put(&alloc::format!("{number}"), &value));
    }
    let cas = in_session(session, 1, 0, put_if("10", "1", Condition::Absent));
    let full = Outcome::LimitExceeded {
        limit: "bytes of the state",
    };
    assert_eq!(
        rig.run(cas.clone()),
        full,
        "no room to keep the quoted value"
    );
    let remove = in_session(session, 2, 0, delete("10"));
    let removed = rig.run(remove.clone());
    assert!(matches!(removed, Outcome::Changed { deleted: 1, .. }));
    assert_eq!(rig.run(remove), removed);
    assert_eq!(rig.run(cas), full, "the first answer stands");
}
