//! The network does what its settings say.

use super::{DecisionKey, Network};
use crate::config::NetworkSettings;
use crate::rng::Domain;

fn lossy() -> NetworkSettings {
    NetworkSettings {
        loss_ppm: 200_000,
        duplicate_ppm: 100_000,
        duplicate_ms_max: 50,
        corrupt_ppm: 10_000,
        ..NetworkSettings::default()
    }
}

#[test]
fn losses_and_duplicates_have_their_rates() {
    let config = lossy();
    let mut network = Network::new(5, 3);
    let fates: Vec<_> = (0..20_000)
        .map(|_| network.send(&config, 0, 0, 1, 100))
        .collect();
    let lost = fates
        .iter()
        .filter(|fate| fate.first.is_none() && !fate.damaged)
        .count();
    let twice = fates.iter().filter(|fate| fate.second.is_some()).count();
    assert!((3_800..4_200).contains(&lost), "{lost}");
    assert!((1_400..1_800).contains(&twice), "{twice}");
    assert!(
        fates
            .iter()
            .all(|fate| fate.second.is_none() || fate.second >= fate.first)
    );
    assert_eq!(network.stats.sent, 20_000);
}

#[test]
fn cuts_are_directed_and_add_up() {
    let config = NetworkSettings::default();
    let mut network = Network::new(5, 2);
    network.cut(0, 1);
    network.cut(0, 1);
    network.mend(0, 1);
    assert!(!network.is_open(0, 1));
    assert_eq!(network.send(&config, 0, 0, 1, 1).first, None);
    assert!(network.send(&config, 0, 1, 0, 1).first.is_some());
    network.heal();
    assert!(network.send(&config, 0, 0, 1, 1).first.is_some());
}

#[test]
fn bandwidth_makes_messages_queue() {
    let config = NetworkSettings {
        bandwidth_bytes_per_ms: 1_000,
        delay_kind: 0,
        delay_base_us: 0,
        ..NetworkSettings::default()
    };
    let mut network = Network::new(5, 2);
    assert_eq!(network.send(&config, 0, 0, 1, 1_000).first, Some(1_000_000));
    assert_eq!(network.send(&config, 0, 0, 1, 500).first, Some(1_500_000));
    assert_eq!(
        network.send(&config, 9_000_000, 0, 1, 1_000).first,
        Some(10_000_000)
    );
}

#[test]
fn one_decision_changes_and_no_other() {
    let config = lossy();
    let fates = |overrides: Vec<(DecisionKey, u64)>| {
        let mut network = Network::new(5, 2);
        network.set_overrides(overrides);
        (0..100)
            .map(|_| network.send(&config, 0, 0, 1, 1))
            .collect::<Vec<_>>()
    };
    let plain = fates(Vec::new());
    let kept = plain
        .iter()
        .position(|fate| fate.first.is_some())
        .expect("one arrives");
    let key = DecisionKey {
        domain: Domain::Loss as u64,
        link: 1,
        number: u64::try_from(kept).expect("small"),
    };
    let changed = fates(vec![(key, 1)]);
    for (number, (before, after)) in plain.iter().zip(&changed).enumerate() {
        if number == kept {
            assert_eq!(after.first, None);
        } else {
            assert_eq!(before, after);
        }
    }
}

#[test]
fn decisions_repeat_a_network_without_its_settings() {
    let config = NetworkSettings {
        reorder_ppm: 100_000,
        reorder_ms_max: 30,
        ..lossy()
    };
    let run = |config: &NetworkSettings, overrides: Vec<(DecisionKey, u64)>| {
        let mut network = Network::new(5, 2);
        network.set_overrides(overrides);
        let fates: Vec<_> = (0..2_000)
            .map(|_| network.send(config, 0, 0, 1, 1))
            .map(|fate| (fate.first, fate.second))
            .collect();
        (fates, network.take_decisions())
    };
    let (drawn, decisions) = run(&config, Vec::new());
    let (listed, _) = run(&NetworkSettings::default(), decisions);
    assert_eq!(drawn, listed);
}
