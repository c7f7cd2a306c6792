//! Starting runs: one seed, a swarm of seeds, or a recorded trace.
//!
//! Nothing here reads a clock or prints: whoever calls decides when a swarm has
//! run long enough, and where the reports go.
//!
//! ```
//! use decube_io_sim::runner::{RunSpec, run};
//! use decube_io_sim::scenario::Scenario;
//!
//! let report = run(&RunSpec::new(Scenario::RaftKv, 1));
//! assert!(report.outcome.violation.is_none(), "{report}");
//! ```

mod replay;
mod report;
mod shrink;
mod trace;

pub use replay::{Mode, ReplayError, ReplayReport, replay};
pub use report::{RunReport, SwarmReport, Tally, mutant_from_name};
pub use shrink::{Effort, Progress, Shrunk, Size, shrink};
pub use trace::{record, setup_of};

use std::ops::ControlFlow;

use decube_core::mutant::Mutant;
use decube_core::node::Node;

use crate::config::SimConfig;
use crate::scenario::Scenario;
use crate::world::{Setup, World};

/// Events described before the one that showed a violation.
const CONTEXT_EVENTS: u64 = 40;

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSpec {
    pub scenario: Scenario,
    pub seed: u64,
    /// The planted bug. It only exists in builds with the feature `mutants`.
    pub mutant: Mutant,
    /// Settings that replace what the seed draws, by name.
    pub settings: Vec<(String, u64)>,
    /// Describe the steps with these event numbers, from and to.
    pub log: Option<(u64, u64)>,
}

impl RunSpec {
    /// A run of a seed as the scenario draws it.
    pub const fn new(scenario: Scenario, seed: u64) -> Self {
        Self {
            scenario,
            seed,
            mutant: Mutant::None,
            settings: Vec::new(),
            log: None,
        }
    }

    /// Everything that decides the run. Unknown settings are an error with their name.
    pub fn setup(&self) -> Result<Setup, String> {
        let mut setup = self.scenario.setup(self.seed, self.mutant);
        if !self.settings.is_empty() {
            for (name, value) in &self.settings {
                if !setup.config.set(name, *value) {
                    return Err(format!("no setting is called {name}"));
                }
            }
            setup.plan = crate::plan::draw(self.seed, &setup.config);
        }
        setup.log = self.log;
        Ok(setup)
    }
}

/// Runs one seed. Panics if a setting has an unknown name: check with
/// [`RunSpec::setup`] what comes from a user.
pub fn run(spec: &RunSpec) -> RunReport {
    let setup = spec.setup().expect("settings were checked by the caller");
    run_setup(spec.clone(), setup)
}

/// Runs what a setup says; `spec` names where it came from.
pub(crate) fn run_setup(spec: RunSpec, setup: Setup) -> RunReport {
    let kept = setup.clone();
    let outcome = World::<Node>::new(setup).run();
    RunReport {
        spec,
        config: kept.config,
        plan: kept.plan,
        workload: kept.workload,
        overrides: kept.overrides,
        outcome,
    }
}

/// Runs a failing seed again and describes its last steps before the violation.
/// A run without violation is returned as it was.
pub fn explain(report: RunReport) -> RunReport {
    let Some(violation) = &report.outcome.violation else {
        return report;
    };
    let to = violation.event;
    let log = Some((to.saturating_sub(CONTEXT_EVENTS), to));
    run(&RunSpec { log, ..report.spec })
}

/// Runs seeds `first_seed..` of the scenarios in turn until one fails or
/// `on_progress` breaks. The failing run, if any, is explained.
pub fn swarm(
    scenarios: &[Scenario],
    first_seed: u64,
    mutant: Mutant,
    mut on_progress: impl FnMut(&RunReport, &SwarmReport) -> ControlFlow<()>,
) -> SwarmReport {
    assert!(!scenarios.is_empty(), "a swarm needs a scenario");
    let mut total = SwarmReport::default();
    for seed in first_seed.. {
        for scenario in scenarios {
            let spec = RunSpec {
                mutant,
                ..RunSpec::new(*scenario, seed)
            };
            let report = run(&spec);
            total.add(&report);
            let failed = report.outcome.violation.is_some();
            let flow = on_progress(&report, &total);
            if failed {
                total.failure = Some(Box::new(explain(report)));
                return total;
            }
            if flow.is_break() {
                return total;
            }
        }
    }
    total
}

/// The settings of a calm cluster under load, for measuring speed.
pub fn calm_setup(seed: u64, nodes: u64, clients: u64, horizon_ms: u64) -> Setup {
    let config = SimConfig::with(&[
        ("nodes", nodes),
        ("clients", clients),
        ("horizon_ms", horizon_ms),
    ]);
    let mut setup = Scenario::RaftKv.setup(seed, Mutant::None);
    setup.plan = crate::plan::draw(seed, &config);
    setup.config = config;
    setup
}
