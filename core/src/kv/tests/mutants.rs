//! Each planted bug is caught by the test named after it, and the same scenario
//! passes without it.

use super::*;
use crate::mutant::Mutant;

fn rig(mutant: Mutant) -> Rig {
    Rig::new(Config {
        mutant,
        ..Config::new()
    })
}

/// How often a change happened that was sent twice under one number.
fn changes_of_a_repeated_change(mutant: Mutant) -> usize {
    let mut rig = rig(mutant);
    let session = rig.open(1, 100);
    let change = Command::InSession {
        session,
        sequence: 1,
        answered_upto: 0,
        op: put("a", "1"),
    };
    let mut changes = 0;
    for _ in 0..2 {
        rig.run(change.clone());
        changes += rig.kv.take_notices().len();
    }
    changes
}

#[test]
fn session_applies_twice_is_caught() {
    assert_eq!(changes_of_a_repeated_change(Mutant::None), 1);
    assert_eq!(changes_of_a_repeated_change(Mutant::SessionAppliesTwice), 2);
}

/// Whether a lease that was just renewed lives on when a leader with a slow clock
/// took over and then one with a good clock.
fn renewed_lease_survives_a_slow_clock(mutant: Mutant) -> bool {
    let mut rig = rig(mutant);
    let lease = rig.grant(100);
    rig.tick(90);
    let renewal = Command::Once {
        op: Op::LeaseRenew { lease },
    };
    for (proposed_at, command) in [(500, renewal), (1_110, Command::Tick)] {
        let envelope = Envelope {
            proposed_at: LogTime(proposed_at),
            command,
        };
        // Not through the rig: its audit notices the planted bug even earlier.
        let at = rig.next_id();
        rig.kv.apply(at, &envelope, &mut Vec::new());
    }
    rig.kv.module().counts().leases == 1
}

#[test]
fn lease_by_local_clock_is_caught() {
    assert!(renewed_lease_survives_a_slow_clock(Mutant::None));
    assert!(!renewed_lease_survives_a_slow_clock(
        Mutant::LeaseByLocalClock
    ));
}

/// Whether the second token of a lock is above the first.
fn tokens_rise(mutant: Mutant) -> bool {
    let mut rig = rig(mutant);
    let lease = rig.grant(1_000);
    let mut take = || {
        let name = Bytes::from_static(b"l");
        let outcome = rig.once(Op::LockAcquire {
            name: name.clone(),
            lease,
        });
        let Outcome::Locked { token } = outcome else {
            panic!("the lock is free: {outcome:?}");
        };
        rig.once(Op::LockRelease { name, token });
        token
    };
    take() < take()
}

#[test]
fn fencing_token_reused_is_caught() {
    assert!(tokens_rise(Mutant::None));
    assert!(!tokens_rise(Mutant::FencingTokenReused));
}
