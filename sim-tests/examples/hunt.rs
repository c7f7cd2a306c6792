//! Looks for failing seeds: `hunt SCENARIO|all FIRST COUNT [MUTANT] [name=value...]`.
//! Prints each failure and goes on. `DECUBE_TRACE=path` writes the last run's
//! trace for the corpus; `DECUBE_LOG_FROM=event` describes a single failing run
//! from that event on.

use std::time::Instant;

use decube_core::trace::Record;
use decube_io_sim::runner::{self, RunSpec, SwarmReport, mutant_from_name};
use decube_io_sim::scenario::Scenario;
use decube_sim_tests as _;

fn main() {
    std::panic::set_hook(Box::new(|_| {}));
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [scenario, first, count, rest @ ..] = args.as_slice() else {
        eprintln!("hunt SCENARIO|all FIRST COUNT [MUTANT] [name=value...]");
        return;
    };
    let scenarios = match Scenario::from_name(scenario) {
        Some(scenario) => vec![scenario],
        None => Scenario::ALL.to_vec(),
    };
    let first: u64 = first.parse().expect("a number");
    let count: u64 = count.parse().expect("a number");
    let mutant = rest
        .first()
        .and_then(|name| mutant_from_name(name))
        .unwrap_or_default();
    let settings: Vec<(String, u64)> = rest
        .iter()
        .filter_map(|arg| arg.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.parse().expect("a number")))
        .collect();
    let start = Instant::now();
    let mut total = SwarmReport::default();
    let mut failures = 0;
    for seed in first..first + count {
        for scenario in &scenarios {
            let mut spec = RunSpec::new(*scenario, seed);
            spec.mutant = mutant;
            spec.settings.clone_from(&settings);
            let report = runner::run(&spec);
            total.add(&report);
            if let Ok(path) = std::env::var("DECUBE_TRACE") {
                // Without its checkpoints a trace is small and survives changes.
                let mut trace = runner::record(&report);
                trace.digest = None;
                let checkpoint = |record: &Record| matches!(record, Record::Checkpoint { .. });
                trace.records.retain(|record| !checkpoint(record));
                std::fs::write(&path, trace.to_text()).expect("a writable path");
            }
            if let Some(violation) = &report.outcome.violation {
                failures += 1;
                let mut line = violation.to_string();
                line.truncate(300);
                println!("{} {seed}: {line}", scenario.name());
                if count == 1 {
                    let mut spec = report.spec.clone();
                    if let Ok(from) = std::env::var("DECUBE_LOG_FROM") {
                        spec.log = Some((from.parse().expect("a number"), u64::MAX));
                        println!("{}", runner::run(&spec));
                    } else {
                        println!("{}", runner::explain(report));
                    }
                }
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let rate = total.total().events as f64 / seconds;
    println!("{total}{failures} failures, {seconds:.1} s, {rate:.0} events/s");
}
