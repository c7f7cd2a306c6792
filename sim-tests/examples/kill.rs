//! Hunts every planted bug in every scenario: `kill COUNT [MUTANT...]`. For choosing the
//! table of `tests/mutants.rs`.

use decube_core::mutant::Mutant;
use decube_io_sim::runner::{RunSpec, run};
use decube_io_sim::scenario::Scenario;
use decube_sim_tests as _;

fn main() {
    std::panic::set_hook(Box::new(|_| {}));
    let count = std::env::args()
        .nth(1)
        .and_then(|count| count.parse().ok())
        .unwrap_or(20);
    let only: Vec<String> = std::env::args().skip(2).collect();
    for mutant in Mutant::ALL {
        if !only.is_empty() && !only.contains(&format!("{mutant:?}")) {
            continue;
        }
        let mut line = format!("{mutant:?}:");
        for scenario in Scenario::ALL {
            let found = (1..=count).find_map(|seed| {
                let spec = RunSpec {
                    mutant,
                    ..RunSpec::new(scenario, seed)
                };
                run(&spec)
                    .outcome
                    .violation
                    .map(|violation| (seed, violation.checker))
            });
            line += &match found {
                Some((seed, checker)) => format!(" {}={seed}({checker})", scenario.name()),
                None => format!(" {}=-", scenario.name()),
            };
        }
        println!("{line}");
    }
}
