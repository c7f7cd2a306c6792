//! Looks for failing seeds: `hunt SCENARIO|all FIRST COUNT [MUTANT] [name=value...]`, or
//! `hunt TRACE FIRST COUNT [name=value...]` for seeds that fail as a trace of the corpus did:
//! under its planted bug and with its settings, when the code has drifted away from it.
//! Prints each failure and goes on. `DECUBE_TRACE=path` writes the trace of the first one,
//! for the corpus; `DECUBE_LOG_FROM=event` describes a single failing run from that event on.

use std::time::Instant;

use decube_core::trace::Record;
use decube_io_sim::runner::{self, Mode, RunReport, RunSpec, SwarmReport, mutant_from_name};
use decube_io_sim::scenario::Scenario;
use decube_sim_tests as _;

fn main() {
    std::panic::set_hook(Box::new(|_| {}));
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [what, first, count, rest @ ..] = args.as_slice() else {
        eprintln!("hunt SCENARIO|TRACE|all FIRST COUNT [MUTANT] [name=value...]");
        return;
    };
    let mut mutant = rest
        .first()
        .and_then(|name| mutant_from_name(name))
        .unwrap_or_default();
    let mut settings = Vec::new();
    let scenarios = match (Scenario::from_name(what), what.as_str()) {
        (Some(scenario), _) => vec![scenario],
        (None, "all") => Scenario::ALL.to_vec(),
        (None, path) => {
            let text = std::fs::read_to_string(path).expect("a scenario, \"all\" or a trace");
            let failed = runner::replay(&text, Mode::Loose).expect("a trace");
            mutant = failed.report.spec.mutant;
            let pairs = failed.report.config.pairs().into_iter();
            settings.extend(pairs.map(|(name, value)| (name.to_owned(), value)));
            vec![failed.report.spec.scenario]
        }
    };
    let first: u64 = first.parse().expect("a number");
    let count: u64 = count.parse().expect("a number");
    let named = rest.iter().filter_map(|arg| arg.split_once('='));
    settings.extend(named.map(|(name, value)| {
        let value = value.parse().expect("a number");
        (name.to_owned(), value)
    }));
    let mut trace_path = std::env::var("DECUBE_TRACE").ok();
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
            if let Some(violation) = &report.outcome.violation {
                failures += 1;
                if let Some(path) = trace_path.take() {
                    write_trace(&path, &report);
                }
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

/// Without its checkpoints a trace is small and survives changes.
fn write_trace(path: &str, report: &RunReport) {
    let mut trace = runner::record(report);
    trace.digest = None;
    let checkpoint = |record: &Record| matches!(record, Record::Checkpoint { .. });
    trace.records.retain(|record| !checkpoint(record));
    std::fs::write(path, trace.to_text()).expect("a writable path");
}
