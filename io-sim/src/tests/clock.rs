//! Clocks: monotonic, invertible, and apart from each other.

use decube_core::types::Time;

use super::Clock;

#[test]
fn a_deadline_is_reached_at_the_computed_instant_and_not_before() {
    for drift in [-499_999, -500, -1, 0, 1, 500, 499_999] {
        let clock = Clock::new(1_000, 77, drift, 0);
        for ahead in [0, 1, 2, 999, 1_000_000, 123_456_789, 3_600_000_000_000] {
            let deadline = Time(77 + ahead);
            let world = clock.world(deadline);
            assert!(
                clock.local(world) >= deadline,
                "drift {drift} ahead {ahead}"
            );
            if world > 1_000 {
                assert!(
                    clock.local(world - 1) < deadline,
                    "drift {drift} ahead {ahead}"
                );
            }
        }
    }
}

#[test]
fn the_wall_clock_jumps_and_the_monotonic_one_does_not() {
    let mut clock = Clock::new(0, 5, 100, 1_000);
    let before = (clock.local(10_000), clock.wall(10_000));
    clock.step_wall(-3_000);
    assert_eq!(clock.local(10_000), before.0);
    assert_eq!(clock.wall(10_000), before.1 - 3_000);
    assert_eq!(clock.wall_offset(), -2_000);
}

#[test]
fn times_past_the_end_saturate() {
    let clock = Clock::new(0, 0, -500, 0);
    assert_eq!(clock.world(Time::MAX), u64::MAX);
}
