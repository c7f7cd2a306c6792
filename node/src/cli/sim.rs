//! `decube sim`: the simulator on the same core that runs in production.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand, ValueEnum};
use decube_core::mutant::Mutant;
use decube_io_sim::runner::{self, Effort, Mode, RunReport, RunSpec, Shrunk, Size, SwarmReport};
use decube_io_sim::scenario::Scenario;
use indicatif::{ProgressBar, ProgressStyle};

use super::exit::{FAILED, FINDINGS, Failure, INTERRUPTED, Outcome, USAGE};
use super::node::runtime;
use super::output;

/// How long a swarm tries to make its failure small.
const SWARM_SHRINK: Duration = Duration::from_secs(30);
const SWARM_SHRINK_EFFORT: Effort = Effort {
    runs: 1_000,
    events: 20_000_000,
};

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  decube sim run --seed 42
  decube sim swarm --seeds 1000
  decube sim swarm --seconds 60 --trace failure.dct
  decube sim replay failure.dct
  decube sim shrink failure.dct
  decube sim cat failure.dct")]
pub enum SimCommand {
    /// Run one seed and print what came of it
    Run(RunArgs),
    /// Run seed after seed until one fails or the end is reached
    Swarm(SwarmArgs),
    /// Run a recorded trace again
    Replay {
        /// The trace
        trace: PathBuf,
        /// What is required of the run
        #[arg(long, value_enum, default_value_t = ReplayMode::Exact)]
        mode: ReplayMode,
    },
    /// Make a failing trace small: the least that still fails in the same way
    Shrink(ShrinkArgs),
    /// Print a trace in its canonical form, checked
    Cat {
        /// The trace
        trace: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// The scenario
    #[arg(long, default_value = Scenario::ALL[0].name(), value_parser = scenario)]
    scenario: Scenario,
    /// The seed
    #[arg(long)]
    seed: u64,
    /// Replaces a setting that the seed draws
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, u64)>,
    /// A planted bug
    #[cfg(feature = "mutants")]
    #[arg(long, value_parser = mutant, default_value = "None")]
    mutant: Mutant,
    /// Describe the steps with these event numbers
    #[arg(long, value_name = "FROM..TO", value_parser = range)]
    log: Option<(u64, u64)>,
    /// Write the trace of the run to this file
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct SwarmArgs {
    /// The scenario; without it all in turn
    #[arg(long, value_parser = scenario)]
    scenario: Option<Scenario>,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Runs at most
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// Seconds at most
    #[arg(long)]
    seconds: Option<u64>,
    /// A planted bug
    #[cfg(feature = "mutants")]
    #[arg(long, value_parser = mutant, default_value = "None")]
    mutant: Mutant,
    /// Write the trace of a failing run to this file
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ShrinkArgs {
    /// The trace
    trace: PathBuf,
    /// Where the small trace goes; without it beside the other, as NAME.min.dct
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Runs at most
    #[arg(long, default_value_t = 3_000)]
    runs: u64,
    /// Seconds at most
    #[arg(long, default_value_t = 120)]
    seconds: u64,
}

/// What a replay requires.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ReplayMode {
    /// The same run, event by event
    Exact,
    /// The same faults and operations
    Loose,
    /// The same, and nothing is violated
    Regress,
}

/// Runs the command.
pub fn run(command: SimCommand) -> Outcome {
    // A panic of the core is a finding, which the report describes.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = match command {
        SimCommand::Run(args) => one(args),
        SimCommand::Swarm(args) => runtime()?.block_on(swarm(args)),
        SimCommand::Replay { trace, mode } => replay(&trace, mode),
        SimCommand::Shrink(args) => shrink(&args),
        SimCommand::Cat { trace } => cat(&trace),
    };
    std::panic::set_hook(hook);
    outcome
}

fn one(args: RunArgs) -> Outcome {
    let mut spec = RunSpec::new(args.scenario, args.seed);
    spec.settings = args.set;
    spec.log = args.log;
    #[cfg(feature = "mutants")]
    {
        spec.mutant = args.mutant;
    }
    spec.setup().map_err(|error| Failure::new(USAGE, error))?;
    let spinner = spinner(&format!("{} seed {}", spec.scenario.name(), spec.seed));
    let began = Instant::now();
    let mut report = runner::run(&spec);
    let mut summary = SwarmReport::default();
    summary.add(&report);
    let speed = speed(&summary, began);
    if spec.log.is_none() {
        report = runner::explain(report);
    }
    spinner.finish_and_clear();
    write_trace(args.trace.as_deref(), &report)?;
    output::raw(format!("{report}{summary}{speed}\n").as_bytes())?;
    found(&report)
}

async fn swarm(args: SwarmArgs) -> Outcome {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = interrupted.clone();
    let bar = progress(args.seeds);
    let shown = bar.clone();
    #[cfg(feature = "mutants")]
    let mutant = args.mutant;
    #[cfg(not(feature = "mutants"))]
    let mutant = Mutant::None;
    let scenarios = args
        .scenario
        .map_or_else(|| Scenario::ALL.to_vec(), |one| vec![one]);
    let (first_seed, seeds) = (args.first_seed, args.seeds);
    let deadline = args
        .seconds
        .map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let began = Instant::now();
    let work = tokio::task::spawn_blocking(move || {
        runner::swarm(&scenarios, first_seed, mutant, |_, total| {
            let runs = total.total().runs;
            shown.set_position(runs);
            shown.set_message(speed(total, began));
            let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            match late || runs >= seeds || flag.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })
    });
    let watcher = {
        let interrupted = interrupted.clone();
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                interrupted.store(true, Ordering::Relaxed);
            }
        })
    };
    let total = work.await;
    watcher.abort();
    bar.finish_and_clear();
    let total =
        total.map_err(|error| Failure::new(FAILED, format!("the simulator ended: {error}")))?;
    output::raw(format!("{total}{}\n", speed(&total, began)).as_bytes())?;
    if let Some(failure) = &total.failure {
        return failed(failure, args.trace.as_deref());
    }
    match interrupted.load(Ordering::Relaxed) {
        true => Err(Failure::new(
            INTERRUPTED,
            "interrupted; the numbers are of the runs until then",
        )),
        false => Ok(()),
    }
}

/// A seed of a swarm failed: its trace is kept, and a small one if a short search
/// finds it.
fn failed(failure: &RunReport, path: Option<&Path>) -> Outcome {
    let name = format!(
        "decube-{}-{}.dct",
        failure.spec.scenario.name(),
        failure.spec.seed
    );
    let path = path.map_or_else(|| std::env::temp_dir().join(name), Path::to_path_buf);
    write_trace(Some(&path), failure)?;
    let deadline = Instant::now() + SWARM_SHRINK;
    let small = path.with_extension("min.dct");
    let kept = match minimise(failure, SWARM_SHRINK_EFFORT, deadline) {
        Some(shrunk) => {
            write_trace(Some(&small), &shrunk.report)?;
            let size = size(&shrunk.after);
            format!("a smaller one is {}: {size}\n", small.display())
        }
        None => String::new(),
    };
    output::raw(format!("the trace is {}\n{kept}", path.display()).as_bytes())?;
    found(failure)
}

fn shrink(args: &ShrinkArgs) -> Outcome {
    let replayed = runner::replay(&read(&args.trace)?, Mode::Loose);
    let replayed = replayed
        .map_err(|error| Failure::new(USAGE, format!("{}: {error}", args.trace.display())))?;
    let effort = Effort {
        runs: args.runs,
        events: u64::MAX,
    };
    let deadline = Instant::now() + Duration::from_secs(args.seconds);
    let Some(shrunk) = minimise(&replayed.report, effort, deadline) else {
        let message = format!("{} does not fail any more", args.trace.display());
        return Err(Failure::new(FAILED, message));
    };
    let out = args.out.clone();
    let out = out.unwrap_or_else(|| args.trace.with_extension("min.dct"));
    write_trace(Some(&out), &shrunk.report)?;
    let text = format!(
        "before: {}\nafter:  {}\n{} runs; replay it: decube sim replay {}\n",
        size(&shrunk.before),
        size(&shrunk.after),
        shrunk.runs,
        out.display()
    );
    output::raw(text.as_bytes())
}

fn minimise(report: &RunReport, effort: Effort, deadline: Instant) -> Option<Shrunk> {
    let spinner = spinner("shrinking");
    let mut pass = "";
    let shrunk = runner::shrink(report, effort, |progress| {
        let line = format!(
            "{}: {} runs, {}",
            progress.pass,
            progress.runs,
            size(&progress.size)
        );
        if spinner.is_hidden() && pass != progress.pass {
            output::note(&line);
        }
        pass = progress.pass;
        spinner.set_message(line);
        match Instant::now() >= deadline {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    spinner.finish_and_clear();
    shrunk
}

fn size(size: &Size) -> String {
    format!(
        "{} nodes, {} clients, {} planned faults, {} operations, {} events",
        size.slots, size.clients, size.faults, size.operations, size.events
    )
}

fn replay(path: &Path, mode: ReplayMode) -> Outcome {
    let text = read(path)?;
    let mode = match mode {
        ReplayMode::Exact => Mode::Exact,
        ReplayMode::Loose => Mode::Loose,
        ReplayMode::Regress => Mode::Regress,
    };
    let replayed = runner::replay(&text, mode);
    let replayed =
        replayed.map_err(|error| Failure::new(USAGE, format!("{}: {error}", path.display())))?;
    output::raw(replayed.report.to_string().as_bytes())?;
    match replayed.mismatch {
        Some(mismatch) => Err(Failure::new(FINDINGS, mismatch)),
        None => Ok(()),
    }
}

fn cat(path: &Path) -> Outcome {
    let trace = decube_core::trace::Trace::parse(&read(path)?);
    let trace =
        trace.map_err(|error| Failure::new(USAGE, format!("{}: {error}", path.display())))?;
    output::raw(trace.to_text().as_bytes())
}

fn found(report: &RunReport) -> Outcome {
    match &report.outcome.violation {
        None => Ok(()),
        Some(violation) => {
            Err(Failure::new(FINDINGS, violation.to_string()).hint(report.command()))
        }
    }
}

fn write_trace(path: Option<&Path>, report: &RunReport) -> Outcome {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, runner::record(report).to_text())
        .map_err(|error| Failure::new(FAILED, format!("cannot write {}: {error}", path.display())))
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::new(USAGE, format!("cannot read {}: {error}", path.display())))
}

fn speed(total: &SwarmReport, began: Instant) -> String {
    let total = total.total();
    let seconds = began.elapsed().as_secs_f64().max(0.001);
    let per_second = |number: u64| number as f64 / seconds;
    format!(
        "{:.0} events/s, {:.0} s of virtual time per second",
        per_second(total.events),
        per_second(total.simulated / 1_000_000_000)
    )
}

fn progress(seeds: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} runs {elapsed} {msg}");
    ProgressBar::new(seeds).with_style(style.expect("a fixed template"))
}

fn spinner(what: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner().with_message(what.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

fn scenario(text: &str) -> Result<Scenario, String> {
    Scenario::from_name(text).ok_or_else(|| {
        let names: Vec<&str> = Scenario::ALL
            .iter()
            .map(|scenario| scenario.name())
            .collect();
        format!("the scenarios are {}", names.join(", "))
    })
}

fn setting(text: &str) -> Result<(String, u64), String> {
    let pair = text
        .split_once('=')
        .and_then(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
    pair.ok_or_else(|| "a setting is NAME=NUMBER".to_owned())
}

#[cfg(feature = "mutants")]
fn mutant(text: &str) -> Result<Mutant, String> {
    runner::mutant_from_name(text).ok_or_else(|| format!("there is no mutant {text:?}"))
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let pair = text
        .split_once("..")
        .and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    pair.filter(|(from, to)| from <= to)
        .ok_or_else(|| "a range is FROM..TO".to_owned())
}
