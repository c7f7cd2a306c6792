//! Measures this project's consensus core against others. See `README.md`.

mod cluster;
mod node;
mod report;
mod rows;
mod workload;

use std::process::ExitCode;

use rows::Effort;

#[global_allocator]
static ALLOCATOR: measure::Counting = measure::Counting;

const USAGE: &str = "\
usage: bench [--quick] [floor|core|throughput|structural|idle]...
       bench profile core BATCH SIZE
       bench profile node WINDOW";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, what, numbers @ ..] = &arguments[..]
        && command == "profile"
    {
        return profile(what, numbers);
    }
    let mut effort = Effort::FULL;
    let mut wanted = Vec::new();
    for argument in arguments {
        match argument.as_str() {
            "--quick" => effort = Effort::QUICK,
            "floor" | "core" | "throughput" | "structural" | "idle" => wanted.push(argument),
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::FAILURE;
            }
        }
    }
    print(effort, &wanted);
    ExitCode::SUCCESS
}

/// Keeps one contender of ours busy for a profiler.
fn profile(what: &str, numbers: &[String]) -> ExitCode {
    let numbers: Vec<usize> = numbers
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect();
    match (what, &numbers[..]) {
        ("core", &[batch, size]) if batch > 0 => rows::core_cost::profile(batch, size),
        ("node", &[window]) if window > 0 => rows::throughput::profile(window),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Prints the tables that are wanted, all if none is named.
fn print(effort: Effort, wanted: &[String]) {
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|other| other == name);
    println!("{}", report::circumstances());
    println!("Median of {} interleaved runs.\n", effort.runs);
    if is_wanted("structural") {
        println!("### Structure (counted)\n\n{}", rows::structural::table());
    }
    if is_wanted("core") {
        println!("### Core cost\n\n{}", rows::core_cost::table(effort));
    }
    if is_wanted("floor") {
        println!("### Floors\n\n{}", rows::floor::table(effort));
    }
    if is_wanted("throughput") {
        println!(
            "### Throughput, payload 256 B\n\n{}",
            rows::throughput::table(effort)
        );
    }
    if is_wanted("idle") {
        println!("### Idle\n\n{}", rows::idle::table(effort));
    }
}
