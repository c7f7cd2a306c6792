//! From a run to its trace, and back to what decided it.

use decube_core::trace::{Record, Trace};

use super::{RunReport, mutant_from_name};
use crate::config::SimConfig;
use crate::network::DecisionKey;
use crate::plan::{Fault, FaultKind};
use crate::scenario::Scenario;
use crate::workload::{Action, Planned, Workload};
use crate::world::Setup;

/// Nodes of a recorded run: a trace comes from anywhere, and each costs memory.
const NODES_MAX: u64 = 12;
/// Slots of it, with spare machines and replacements.
const SLOTS_MAX: u64 = 32;

/// The `M` record of a trace whose clients skip every operation not listed.
const WORKLOAD: &str = "workload";
const ONLY_LISTED: &str = "listed";

/// No trace asks for times beyond some days.
const WORLD_TIME_MAX_NS: u64 = 1 << 48;

/// The trace of a run.
pub fn record(report: &RunReport) -> Trace {
    let mut trace = Trace::default();
    let outcome = &report.outcome;
    trace.meta("scenario", report.spec.scenario.name());
    trace.meta("seed", &report.spec.seed.to_string());
    trace.meta("mutant", &format!("{:?}", report.spec.mutant));
    trace.meta("events", &outcome.events.to_string());
    if report.workload.is_only_given() {
        trace.meta(WORKLOAD, ONLY_LISTED);
    }
    let settings = report
        .config
        .pairs()
        .into_iter()
        .map(|(name, value)| Record::Setting {
            key: name.to_owned(),
            value,
        });
    trace.records.extend(settings);
    trace
        .records
        .extend(report.plan.iter().map(|fault| Record::Fault {
            at: fault.at,
            duration: fault.duration,
            kind: fault.kind.name().to_owned(),
            args: fault.args,
        }));
    trace.records.extend(operations(report));
    trace.records.extend(decisions(report));
    trace.records.extend(
        outcome
            .checkpoints
            .iter()
            .map(|checkpoint| Record::Checkpoint {
                event: checkpoint.event,
                at: checkpoint.at,
                hash: checkpoint.hash,
            }),
    );
    if let Some(violation) = &outcome.violation {
        trace.records.push(Record::Violation {
            event: violation.event,
            checker: violation.checker.to_owned(),
            message: violation.message.clone(),
        });
    }
    trace.digest = Some(outcome.digest);
    trace
}

/// Every operation that a client began, so that a later change of what the seed
/// draws changes nothing.
fn operations(report: &RunReport) -> impl Iterator<Item = Record> + '_ {
    let completed = (0..).zip(&report.outcome.completed_each);
    completed.flat_map(move |(client, completed)| {
        (0..=*completed).filter_map(move |number| {
            let planned = report
                .workload
                .operation(&report.config.load, client, number);
            let implied = planned.action == Action::Skip && report.workload.is_only_given();
            (!implied).then(|| Record::Work {
                client,
                number,
                fields: planned.fields(),
            })
        })
    })
}

/// The decisions that were not the seed's.
fn decisions(report: &RunReport) -> impl Iterator<Item = Record> + '_ {
    let slots = report.config.slots();
    report
        .overrides
        .iter()
        .map(move |(key, value)| Record::Decision {
            domain: key.domain,
            a: key.link / slots,
            b: key.link % slots,
            number: key.number,
            value: *value,
        })
}

/// What decided the run that a trace recorded: everything listed in it, and the
/// seed for the rest. A setting that it does not list is younger than the trace, and
/// has the value with which nothing changed when it came.
pub fn setup_of(trace: &Trace) -> Result<(Scenario, Setup), String> {
    let meta = |key: &str| {
        trace
            .meta_value(key)
            .ok_or(format!("the trace names no {key}"))
    };
    let scenario = meta("scenario")?;
    let scenario =
        Scenario::from_name(scenario).ok_or(format!("no scenario is called {scenario}"))?;
    let seed: u64 = meta("seed")?
        .parse()
        .map_err(|_| "the seed is not a number".to_owned())?;
    let mutant = trace.meta_value("mutant").unwrap_or("None");
    let mutant = mutant_from_name(mutant).ok_or(format!("no planted bug is called {mutant}"))?;
    let mut setup = scenario.setup(seed, mutant);
    setup.config = SimConfig::default();
    setup.plan.clear();
    setup.workload = Workload::new(seed);
    match trace.meta_value(WORKLOAD) {
        None => {}
        Some(ONLY_LISTED) => setup.workload.only_given(),
        Some(other) => return Err(format!("no workload is called {other}")),
    }
    for record in &trace.records {
        apply(&mut setup, record)?;
    }
    let (nodes, slots) = (setup.config.topology.nodes, setup.config.slots());
    if !(1..=NODES_MAX).contains(&nodes) || slots > SLOTS_MAX {
        return Err(format!(
            "a recorded run has 1 to {NODES_MAX} nodes and up to {SLOTS_MAX} slots, not {nodes} \
             and {slots}"
        ));
    }
    Ok((scenario, setup))
}

fn apply(setup: &mut Setup, record: &Record) -> Result<(), String> {
    match record {
        Record::Setting { key, value } => {
            if !setup.config.set(key, *value) {
                return Err(format!("no setting is called {key}"));
            }
        }
        Record::Fault {
            at,
            duration,
            kind,
            args,
        } => {
            let kind = FaultKind::from_name(kind).ok_or(format!("no fault is called {kind}"))?;
            setup.plan.push(Fault {
                at: (*at).min(WORLD_TIME_MAX_NS),
                duration: (*duration).min(WORLD_TIME_MAX_NS),
                kind,
                args: *args,
            });
        }
        Record::Work {
            client,
            number,
            fields,
        } => {
            let planned = Planned::from_fields(fields).ok_or("an operation has wrong fields")?;
            setup.workload.give(*client, *number, planned);
        }
        Record::Decision {
            domain,
            a,
            b,
            number,
            value,
        } => {
            let link = a.saturating_mul(setup.config.slots()).saturating_add(*b);
            let key = DecisionKey {
                domain: *domain,
                link,
                number: *number,
            };
            setup.overrides.push((key, *value));
        }
        Record::Meta { .. } | Record::Checkpoint { .. } | Record::Violation { .. } => {}
    }
    Ok(())
}
