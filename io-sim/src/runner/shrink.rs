//! Making a failing run small: the least that still violates the same property.
//!
//! A candidate is a setup with something taken away; it is kept if it fails in
//! the same way. Keyed decisions make that work: what is taken away shifts nothing
//! else. The passes go from coarse to fine, as each makes the next one cheaper:
//! horizon, families of faults, clients and nodes, single faults, single losses
//! and delays, single operations. Halving lists is delta debugging (Zeller and
//! Hildebrandt 2002).

use std::ops::ControlFlow;

use super::{RunReport, RunSpec, run_setup};
use crate::config::SimConfig;
use crate::plan::{Fault, FaultKind};
use crate::workload::Action;
use crate::world::{Outcome, Setup};

/// How much work a minimisation may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Runs at most.
    pub runs: u64,
    /// Events of all runs at most.
    pub events: u64,
}

/// How large a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Nodes and spares.
    pub slots: u64,
    /// Clients.
    pub clients: u64,
    /// Planned faults.
    pub faults: usize,
    /// Operations that clients began.
    pub operations: u64,
    /// Events until the violation.
    pub events: u64,
}

/// What the minimiser is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub pass: &'static str,
    /// Runs so far.
    pub runs: u64,
    /// The smallest failing run so far.
    pub size: Size,
}

/// A minimised run.
#[derive(Debug, Clone)]
pub struct Shrunk {
    /// The smallest failing run that was found.
    pub report: RunReport,
    /// How large the first was.
    pub before: Size,
    /// How large it is.
    pub after: Size,
    /// Runs that it took.
    pub runs: u64,
}

/// Settings that make a world hostile; the calm value of each is its default.
const HOSTILE: [&str; 28] = [
    "bandwidth_bytes_per_ms",
    "read_fail_ppm",
    "misread_ppm",
    "write_fail_ppm",
    "full_ppm",
    "drift_ppm_max",
    "wall_offset_ms_max",
    "wake_late_us",
    "quantum_ns",
    "codec",
    "corrupt_ppm",
    "duplicate_ppm",
    "reorder_ppm",
    "loss_ppm",
    "delay_kind",
    "delay_base_us",
    "delay_mean_us",
    "sync_mean_us",
    "store_mean_us",
    "file_mean_us",
    "hot_ppm",
    "session_ppm",
    "value_bytes_max",
    "append_entries_max",
    "inflight_max",
    "strategies",
    "twins",
    "flood",
];

/// Events that a candidate may take, as a multiple of what the first run took.
const CANDIDATE_FACTOR: u64 = 3;
const CANDIDATE_SPARE_EVENTS: u64 = 10_000;
const MILLI: u64 = 1_000_000;

/// Makes a failing run small. `None` if it does not fail.
pub fn shrink(
    report: &RunReport,
    effort: Effort,
    on_progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Option<Shrunk> {
    let class = class_of(&report.outcome)?;
    let before = size_of(report);
    let mut shrinker = Shrinker {
        spec: RunSpec {
            log: None,
            ..report.spec.clone()
        },
        best: setup_of_report(report),
        report: report.clone(),
        class,
        events_max: before.events * CANDIDATE_FACTOR + CANDIDATE_SPARE_EVENTS,
        effort,
        runs: 0,
        events: 0,
        pass: "",
        stopped: false,
        on_progress,
    };
    shrinker.all_passes();
    Some(Shrunk {
        after: size_of(&shrinker.report),
        report: shrinker.report,
        before,
        runs: shrinker.runs,
    })
}

/// In which way a run failed: the checker, and for a panic its words without the
/// numbers.
fn class_of(outcome: &Outcome) -> Option<(&'static str, String)> {
    let violation = outcome.violation.as_ref()?;
    let words = match violation.checker {
        "panic" => violation
            .message
            .split_once(':')
            .map_or("", |(_, what)| what),
        _ => "",
    };
    let letters = words.chars().filter(|c| !c.is_ascii_digit()).take(60);
    Some((violation.checker, letters.collect()))
}

fn size_of(report: &RunReport) -> Size {
    let completed = &report.outcome.completed_each;
    let begun = |(client, completed): (u64, &u64)| {
        let skipped = |number: &u64| {
            let planned = report
                .workload
                .operation(&report.config.load, client, *number);
            planned.action == Action::Skip
        };
        completed + 1 - u64::try_from((0..=*completed).filter(skipped).count()).expect("fits")
    };
    Size {
        slots: report.config.slots(),
        clients: report.config.load.clients,
        faults: report.plan.len(),
        operations: (0..).zip(completed).map(begun).sum(),
        events: report.outcome.events,
    }
}

fn setup_of_report(report: &RunReport) -> Setup {
    Setup {
        cast: report.spec.scenario.cast(),
        seed: report.spec.seed,
        config: report.config.clone(),
        plan: report.plan.clone(),
        workload: report.workload.clone(),
        overrides: report.overrides.clone(),
        mutant: report.spec.mutant,
        events_max: u64::MAX,
        log: None,
    }
}

struct Shrinker<P> {
    spec: RunSpec,
    best: Setup,
    report: RunReport,
    class: (&'static str, String),
    events_max: u64,
    effort: Effort,
    runs: u64,
    events: u64,
    pass: &'static str,
    stopped: bool,
    on_progress: P,
}

impl<P: FnMut(Progress) -> ControlFlow<()>> Shrinker<P> {
    fn all_passes(&mut self) {
        self.enter("horizon");
        self.cut_horizon();
        self.enter("families");
        self.drop_families();
        self.calm_settings();
        self.fewer_byzantine();
        self.enter("clients and nodes");
        self.fewer_clients();
        self.fewer_nodes();
        self.cut_horizon();
        self.enter("faults");
        self.fewer_faults();
        self.enter("losses and delays");
        self.fewer_decisions();
        self.enter("operations");
        self.fewer_operations();
        self.cut_horizon();
        self.enter("done");
    }

    fn enter(&mut self, pass: &'static str) {
        self.pass = pass;
        self.tell();
    }

    fn tell(&mut self) {
        let progress = Progress {
            pass: self.pass,
            runs: self.runs,
            size: size_of(&self.report),
        };
        self.stopped |= (self.on_progress)(progress).is_break();
    }

    /// Runs a candidate; it becomes the best one if it fails in the same way.
    fn attempt(&mut self, candidate: Setup) -> bool {
        let spent = self.runs >= self.effort.runs || self.events >= self.effort.events;
        if self.stopped || spent {
            return false;
        }
        let setup = Setup {
            events_max: self.events_max,
            ..candidate.clone()
        };
        let report = run_setup(self.spec.clone(), setup);
        self.runs += 1;
        self.events += report.outcome.events;
        let fails = class_of(&report.outcome).as_ref() == Some(&self.class);
        if fails {
            self.best = candidate;
            self.report = report;
        }
        self.tell();
        fails
    }

    fn change(&mut self, change: impl FnOnce(&mut Setup)) -> bool {
        let mut candidate = self.best.clone();
        change(&mut candidate);
        self.attempt(candidate)
    }

    /// Ends the load where the violation was, or, if it came after the faults
    /// had ended, as early as it still comes.
    fn cut_horizon(&mut self) {
        let violation = self.report.outcome.violation.as_ref();
        let at = violation.expect("the best run fails").at;
        let end = at / MILLI + 1;
        if end < self.best.config.span.horizon_ms {
            self.change(|setup| {
                setup.config.span.horizon_ms = end;
                setup.plan.retain(|fault| fault.at <= at);
            });
            return;
        }
        while self.best.config.span.horizon_ms > 1 {
            let half = self.best.config.span.horizon_ms / 2;
            let shorter = self.change(|setup| {
                setup.config.span.horizon_ms = half;
                setup.plan.retain(|fault| fault.at < half * MILLI);
            });
            if !shorter {
                return;
            }
        }
    }

    fn drop_families(&mut self) {
        for (kind, _) in FaultKind::all() {
            if self.best.plan.iter().any(|fault| fault.kind == kind) {
                self.change(|setup| setup.plan.retain(|fault| fault.kind != kind));
            }
        }
    }

    fn calm_settings(&mut self) {
        let calm = SimConfig::default();
        for (name, value) in calm.pairs() {
            let differs = self.best.config.pairs().contains(&(name, value));
            if !differs && HOSTILE.contains(&name) {
                self.change(|setup| {
                    let known = setup.config.set(name, value);
                    assert!(known, "a listed setting exists");
                });
            }
        }
    }

    /// Fewer Byzantine nodes, and fewer ways to deviate.
    fn fewer_byzantine(&mut self) {
        for byzantine in 0..self.best.config.adversary.byzantine_nodes {
            if self.change(|setup| setup.config.adversary.byzantine_nodes = byzantine) {
                break;
            }
        }
        for bit in 0..u64::BITS {
            if self.best.config.adversary.strategies >> bit & 1 == 1 {
                self.change(|setup| setup.config.adversary.strategies &= !(1 << bit));
            }
        }
    }

    fn fewer_clients(&mut self) {
        for clients in [1, 2, 3, 4, 6, 8, 12] {
            if clients < self.best.config.load.clients
                && self.change(|setup| setup.config.load.clients = clients)
            {
                return;
            }
        }
    }

    fn fewer_nodes(&mut self) {
        if self.best.config.topology.wipes > 0 && !self.plans(FaultKind::Wipe) {
            self.change(|setup| setup.config.topology.wipes = 0);
        }
        for spares in 0..self.best.config.topology.spares {
            if self.change(|setup| setup.config.topology.spares = spares) {
                break;
            }
        }
        for nodes in 1..self.best.config.topology.nodes {
            if self.change(|setup| setup.config.topology.nodes = nodes) {
                break;
            }
        }
    }

    fn plans(&self, kind: FaultKind) -> bool {
        self.best.plan.iter().any(|fault| fault.kind == kind)
    }

    fn fewer_faults(&mut self) {
        let plan = self.best.plan.clone();
        self.halve(plan, |setup, kept: &[Fault]| setup.plan = kept.to_vec());
    }

    /// Losses, held back messages and copies become a list, and then fewer.
    fn fewer_decisions(&mut self) {
        let decisions = self.report.outcome.decisions.clone();
        let listed = self.change(|setup| {
            setup.overrides.clone_from(&decisions);
            let config = &mut setup.config;
            config.network.loss_ppm = 0;
            config.network.corrupt_ppm = 0;
            config.network.duplicate_ppm = 0;
            config.network.reorder_ppm = 0;
        });
        if listed {
            self.halve(decisions, |setup, kept| setup.overrides = kept.to_vec());
        }
    }

    fn fewer_operations(&mut self) {
        let completed = self.report.outcome.completed_each.clone();
        let all: Vec<(u64, u64)> = (0..)
            .zip(&completed)
            .flat_map(|(client, completed)| (0..=*completed).map(move |number| (client, number)))
            .collect();
        let drawn = self.best.clone();
        let listed = move |setup: &mut Setup, kept: &[(u64, u64)]| {
            setup.workload.clear_given();
            for (client, number) in kept {
                let planned = drawn
                    .workload
                    .operation(&drawn.config.load, *client, *number);
                setup.workload.give(*client, *number, planned);
            }
            setup.workload.only_given();
        };
        if self.change(|setup| listed(setup, &all)) {
            self.halve(all, listed);
        }
    }

    /// Takes ever smaller parts of a list away as long as the run still fails.
    fn halve<T: Clone>(&mut self, items: Vec<T>, apply: impl Fn(&mut Setup, &[T])) {
        let mut kept = items;
        let mut chunk = kept.len();
        while chunk > 0 && !self.stopped {
            let mut at = 0;
            while at < kept.len() {
                let end = (at + chunk).min(kept.len());
                let fewer = [&kept[..at], &kept[end..]].concat();
                if self.change(|setup| apply(setup, &fewer)) {
                    kept = fewer;
                } else {
                    at = end;
                }
            }
            chunk /= 2;
        }
    }
}
