//! Faults of the world, in small clusters of the real node.

use decube_core::mutant::Mutant;
use decube_core::node::Node;

use crate::config::SimConfig;
use crate::plan::{self, Fault, FaultKind};
use crate::runner::{RunSpec, run};
use crate::scenario::Scenario;
use crate::world::{Outcome, World};

fn outcome(seed: u64, settings: &[(&str, u64)]) -> Outcome {
    let mut spec = RunSpec::new(Scenario::RaftKv, seed);
    // A calm world, and then what the test is about.
    let calm = SimConfig::default();
    let all = calm.pairs().into_iter().chain(settings.iter().copied());
    spec.settings = all.map(|(name, value)| (name.to_owned(), value)).collect();
    let report = run(&spec);
    assert_eq!(report.outcome.violation, None, "{report}");
    report.outcome
}

#[test]
fn a_wiped_machine_is_replaced_by_a_new_node() {
    let mut setup = Scenario::RaftKv.setup(3, Mutant::None);
    setup.config = SimConfig::with(&[("wipes", 1), ("horizon_ms", 5_000)]);
    setup.plan = vec![Fault {
        at: 2_000_000_000,
        duration: 0,
        kind: FaultKind::Wipe,
        args: [1, 0, 0],
    }];
    let outcome = World::<Node>::new(setup).run();
    assert_eq!(outcome.violation, None);
    assert_eq!(outcome.faults[FaultKind::Wipe.ordinal()], 1);
    assert_eq!(outcome.coverage.replacements, 1);
    assert!(outcome.clients.completed > 100);
}

#[test]
fn damaged_frames_reach_the_decoder_when_the_codec_is_on() {
    let damage = [("corrupt_ppm", 50_000), ("horizon_ms", 3_000)];
    let off = outcome(3, &damage);
    assert!(off.network.damaged > 20);
    let tried = |outcome: &Outcome| {
        let coverage = &outcome.coverage;
        coverage.frames_refused + coverage.frames_plausible
    };
    assert_eq!(tried(&off), 0);
    let on = outcome(3, &[damage[0], damage[1], ("codec", 1)]);
    assert!(tried(&on) > 20);
    assert!(on.coverage.frames_refused > 0);
}

#[test]
fn every_family_is_planned_counted_and_survived() {
    let families = [
        ("disk_fulls", FaultKind::DiskFull),
        ("slow_syncs", FaultKind::SlowSync),
        ("paused_clock_steps", FaultKind::PausedClockStep),
        ("lying_syncs", FaultKind::LyingSyncs),
    ];
    for (name, kind) in families {
        let outcome = outcome(5, &[(name, 3), ("horizon_ms", 8_000)]);
        assert_eq!(outcome.faults[kind.ordinal()], 3, "{name}");
    }
}

#[test]
fn damage_stays_within_the_budget() {
    for seed in 0..200 {
        let config = SimConfig::draw(seed, &Scenario::WholeNode.ranges());
        let victims = plan::victims(seed, &config);
        assert!(victims.len() * 2 < usize::try_from(config.topology.nodes).expect("few"));
        let risky = |fault: &&Fault| {
            use FaultKind::{LyingSyncs, Misdirect, Rot, Wipe};
            matches!(fault.kind, LyingSyncs | Misdirect | Rot | Wipe)
        };
        for fault in plan::draw(seed, &config).iter().filter(risky) {
            assert!(victims.contains(&fault.args[0]), "{fault:?}");
        }
    }
}

#[test]
fn each_late_family_is_off_in_about_half_of_the_seeds() {
    let draws: Vec<SimConfig> = (0..400)
        .map(|seed| SimConfig::draw(seed, &Scenario::WholeNode.ranges()))
        .collect();
    let on = |family: fn(&SimConfig) -> u64| draws.iter().filter(|c| family(c) > 0).count();
    for count in [
        on(|config| config.disk.disk_fulls),
        on(|config| config.disk.slow_syncs),
        on(|config| config.clock.paused_clock_steps),
        on(|config| config.disk.lying_syncs),
        on(|config| config.disk.misread_ppm),
        on(|config| config.topology.wipes),
    ] {
        assert!((150..250).contains(&count), "{count}");
    }
}
