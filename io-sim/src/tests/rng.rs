//! Golden vectors: what a seed means may never change.

use super::{Domain, Draw, Keyed, Stream, mix64};

#[test]
fn the_generators_are_frozen() {
    let mut stream = Stream::new(42, Domain::Plan);
    let sequence: Vec<u64> = (0..4).map(|_| stream.draw().0).collect();
    let keyed = Keyed::new(42, Domain::Loss);
    let decisions = [keyed.at(0, 0).0, keyed.at(1, 0).0, keyed.at(0, 1).0];
    assert_eq!(sequence, GOLDEN_SEQUENCE);
    assert_eq!(decisions, GOLDEN_DECISIONS);
    assert_eq!(mix64(1), 0x5692_161d_100b_05e5);
}

/// Computed by a separate program from the published algorithms.
const GOLDEN_SEQUENCE: [u64; 4] = [
    0x8777_2e31_9d9f_8789,
    0xa4c8_f816_e93b_85ae,
    0x2dd1_a02f_631a_6309,
    0xbddb_a7a8_d6c5_e7ff,
];
const GOLDEN_DECISIONS: [u64; 3] = [
    0x114b_f960_145e_e60c,
    0xc21f_b43c_2052_44bc,
    0x1a28_b638_2905_08fe,
];

#[test]
fn exponential_draws_have_their_mean_and_bound() {
    let mut stream = Stream::new(7, Domain::Latency);
    let count = 100_000;
    let draws: Vec<u64> = (0..count)
        .map(|_| stream.draw().exponential(10_000))
        .collect();
    let mean = draws.iter().sum::<u64>() / count;
    assert!((9_800..10_200).contains(&mean), "mean {mean}");
    assert!(draws.iter().all(|draw| *draw <= 160_000));
    let below_mean = draws.iter().filter(|draw| **draw < 10_000).count();
    // 1 - 1/e = 63.2 %.
    assert!((62_700..63_700).contains(&below_mean), "{below_mean}");
    assert_eq!(Draw(0).exponential(0), 0);
    assert!(Draw(0).exponential(u64::MAX) > 0);
}

#[test]
fn ranges_and_chances_are_uniform() {
    let mut stream = Stream::new(3, Domain::Config);
    let mut counts = [0_u32; 10];
    for _ in 0..100_000 {
        counts[stream.draw().index(10)] += 1;
    }
    assert!(
        counts.iter().all(|count| (9_500..10_500).contains(count)),
        "{counts:?}"
    );
    let hits = (0..100_000).filter(|_| stream.chance(250_000)).count();
    assert!((24_500..25_500).contains(&hits), "{hits}");
    assert_eq!(Draw(u64::MAX).range(0, u64::MAX), u64::MAX);
    assert!((0..1_000).all(|_| (3..=90).contains(&stream.magnitude(3, 90))));
}

#[test]
fn neighbouring_keys_are_independent() {
    let keyed = Keyed::new(1, Domain::Loss);
    let mut ones = 0;
    for counter in 0..1_000 {
        ones += (keyed.at(5, counter).0 ^ keyed.at(5, counter + 1).0).count_ones();
        ones += (keyed.at(counter, 9).0 ^ keyed.at(counter + 1, 9).0).count_ones();
    }
    // 2000 pairs of 64 bits differ in half of their bits.
    assert!((63_000..65_000).contains(&ones), "{ones}");
}
