use super::*;
use crate::validators::figures::HUNDREDTHS;

fn uniform(count: usize) -> Setup {
    Setup::new(count, Distance::Uniform(Span::from_millis(100)), 30)
}

fn figures(setup: Setup) -> Figures {
    let mut validators = Validators::new(setup);
    validators.run();
    validators.figures()
}

#[test]
fn a_block_takes_three_delays_and_the_next_begins_after_two() {
    for count in [4, 7] {
        let figures = figures(uniform(count));
        let third = Span::from_millis(300).0;
        assert_eq!((figures.finality.p50, figures.finality.max), (third, third));
        assert_eq!(figures.delays.max, 3 * HUNDREDTHS);
        assert_eq!(figures.pause.max, Span::from_millis(200).0);
    }
}

#[test]
fn around_the_world_blocks_take_what_the_distances_say() {
    let figures = figures(Setup::new(7, Distance::World, 30));
    assert_eq!(figures.delays.p50, 3 * HUNDREDTHS);
    assert!(figures.finality.p99 < Span::from_millis(600).0);
}

#[test]
fn a_leader_that_is_known_to_be_dead_costs_a_delay() {
    let mut setup = uniform(4);
    setup.faults.crashed.insert(0);
    let figures = figures(setup);
    // It is given up at once, and a delay later all know.
    let given_up = Span::from_millis(100).0;
    assert_eq!(figures.pause.max, Span::from_millis(200).0 + given_up);
    assert!(figures.client.max < Span::from_secs(2).0);
}

#[test]
fn a_slow_disk_delays_each_vote() {
    let mut setup = uniform(4);
    setup.disk = Span::from_millis(10);
    // The votes to notarise and to finalise, and the commit. The leader's own write
    // is before the proposal leaves.
    assert_eq!(figures(setup).finality.max, Span::from_millis(330).0);
}

#[test]
fn equal_setups_give_equal_figures() {
    let setup = || Setup::new(5, Distance::World, 20).with_faulty();
    assert_eq!(figures(setup()), figures(setup()));
}

/// With everybody well the sparse rule sends a proposal and two votes of everybody to
/// all, and the two certificates of a view from one more than may fail to the next
/// leader. Nothing else, wherever the validators are.
#[test]
fn sparse_certificates_cost_next_to_nothing() {
    for distance in [Distance::Uniform(Span::from_millis(100)), Distance::World] {
        let sparse = figures(Setup::new(16, distance, 40));
        let votes = 2 * 16 * 15;
        assert!(
            sparse.messages >= 15 + votes - 2 * 15,
            "each vote to each other"
        );
        // Up to two views more have begun than blocks are final.
        let most = (15 + votes + 2 * 6) * 42 / 40;
        assert!(sparse.messages <= most, "{} of {most}", sparse.messages);
        let mut setup = Setup::new(16, distance, 40);
        setup.relay = Relay::Flood;
        let flooded = figures(setup);
        assert!(
            flooded.messages > 2 * votes - 2 * 15,
            "and each certificate"
        );
        assert!(sparse.bytes * 4 < flooded.bytes);
    }
}

#[test]
fn distances_are_symmetric_and_never_nothing() {
    for from in 0..12 {
        for to in 0..12 {
            let there = Distance::World.between(from, to);
            assert_eq!(there, Distance::World.between(to, from));
            assert_eq!(there == Span::ZERO, from == to);
        }
    }
}

/// Two halves of which none is a quorum stand still, and go on together at once.
#[test]
fn after_a_partition_blocks_are_final_within_two_seconds() {
    for count in [4, 7] {
        let mut setup = uniform(count);
        setup.faults.partition = Some((Span::from_secs(2), Span::from_secs(32)));
        let mut validators = Validators::new(setup);
        validators.run();
        let (first, all) = validators.after_partition().unwrap();
        assert!(first > 0 && all < Span::from_secs(2).0, "{first} {all}");
    }
}

/// Blocks go on when messages are lost, and a lost proposal costs nobody its place:
/// everybody has every block in the end.
#[test]
fn lost_messages_delay_blocks_and_lose_none() {
    let mut setup = uniform(7);
    setup.faults.loss_ppm = 50_000;
    let figures = figures(setup);
    assert!(figures.blocks >= 20, "30 blocks but the first ten");
    let third = Span::from_millis(300).0;
    assert_eq!(figures.finality.p50, third, "most of them are as fast");
    assert!(figures.finality.max > third, "some are not");
}

/// A proposal within the deadline is only late; one behind it is skipped, and the
/// next leader has its turn.
#[test]
fn a_late_leader_delays_its_own_views_only() {
    let run = |millis| {
        let mut setup = uniform(4);
        setup.faults.late = Some((1, Span::from_millis(millis)));
        figures(setup)
    };
    let late = run(300);
    assert_eq!(late.pause.p50, Span::from_millis(200).0);
    assert_eq!(late.pause.max, Span::from_millis(500).0);
    let too_late = run(900);
    assert_eq!(too_late.pause.p50, Span::from_millis(200).0);
    assert!(too_late.pause.max < Span::from_secs(1).0);
}
