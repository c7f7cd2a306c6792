//! The tables, row by row: every row of ours beside the one that it is held against.

use decube_core::bft::Relay;
use decube_core::types::Span;
use measure::Spread;

use crate::{
    COUNTS, CostRun, FAULT_COUNTS, Faults, LATENCY_COUNTS, Length, Plan, Rival, Seen, Traffic,
    Work, ours,
};

/// Runs of each row on processor time, interleaved, so that whatever else the machine
/// does meets all.
const RUNS: usize = 5;

/// Blocks of a run on latency.
fn blocks_of(count: usize) -> u64 {
    if count > 50 { 60 } else { 200 }
}

/// Moments at which halves part: the worst one counts.
const MOMENTS: u64 = 8;

/// Prints all tables.
pub fn compare(rival: &Rival) {
    let title = rival.title;
    cost(rival);
    work(rival);
    signed(rival);
    heading(&format!("Time to finality in ten regions, against {title}"));
    println!(
        "| n | what goes wrong | contender | final p50 ms | p99 ms | block every ms | longest pause ms | proposals lost |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for count in LATENCY_COUNTS {
        for (name, faults) in [
            ("nothing", Faults::default()),
            ("as many dead as are tolerated", dead((count - 1) / 3)),
        ] {
            finality(rival, name, count, faults);
        }
    }
    for count in FAULT_COUNTS {
        for (name, faults) in trouble() {
            finality(rival, name, count, faults);
        }
    }
    partition(rival);
    traffic(rival);
}

fn heading(title: &str) {
    println!("\n#### {title}\n");
}

fn cost(rival: &Rival) {
    heading(&format!(
        "Processor time of a final block, against {}",
        rival.title
    ));
    cost_head();
    let runs = [(rival.ours, ours::free as CostRun), (rival.row, rival.free)];
    for count in COUNTS {
        costs(count, &runs, Length::free(count));
    }
}

fn signed(rival: &Rival) {
    heading(&format!(
        "Processor time of a final block with P-256 signatures, against {}",
        rival.title
    ));
    cost_head();
    let name = format!("{}, ring", rival.ours);
    let mut runs = vec![(name.as_str(), ours::signed as CostRun)];
    runs.extend(rival.signed);
    for count in COUNTS {
        costs(count, &runs, Length::signed(count));
    }
}

fn cost_head() {
    println!("| n | contender | CPU µs per block and validator | min–max | ours ÷ it |");
    println!("|---|---|---|---|---|");
}

/// One row for each; the first is ours.
fn costs(count: usize, runs: &[(&str, CostRun)], length: Length) {
    let mut taken = vec![Vec::new(); runs.len()];
    for _ in 0..RUNS {
        for (list, (_, run)) in taken.iter_mut().zip(runs) {
            list.push(run(count, length));
        }
    }
    let costs: Vec<Spread> = taken.into_iter().map(Spread::of).collect();
    for ((name, _), cost) in runs.iter().zip(&costs) {
        let Spread { median, min, max } = cost;
        let ratio = costs[0].median / median;
        println!("| {count} | {name} | {median:.1} | {min:.1}–{max:.1} | {ratio:.2} |");
    }
}

fn work(rival: &Rival) {
    heading(&format!("Work of a final block, against {}", rival.title));
    println!("| n | contender | signed | checked | allocations |");
    println!("|---|---|---|---|---|");
    for count in COUNTS {
        for (name, work) in [
            (rival.ours, ours::work(count)),
            (rival.row, (rival.work)(count)),
        ] {
            let Work {
                signed,
                checked,
                allocations,
            } = work;
            let [signed, checked] = [signed, checked]
                .map(|each| each.map_or("not counted".to_owned(), |each| format!("{each:.1}")));
            println!("| {count} | {name} | {signed} | {checked} | {allocations:.0} |");
        }
    }
}

/// So many dead, spread over the places.
fn dead(number: usize) -> Faults {
    let mut faults = Faults::default();
    faults.crash(number);
    faults
}

fn trouble() -> Vec<(&'static str, Faults)> {
    let late = |millis| Faults {
        late: Some((1, Span::from_millis(millis))),
        ..Faults::default()
    };
    let loss = Faults {
        loss_ppm: 10_000,
        ..Faults::default()
    };
    vec![
        ("one dead", dead(1)),
        ("one proposes 300 ms late", late(300)),
        ("one proposes 1,500 ms late", late(1_500)),
        ("1 % of messages lost", loss),
    ]
}

fn finality(rival: &Rival, name: &str, count: usize, faults: Faults) {
    let mut plan = Plan::new(count, blocks_of(count));
    plan.faults = faults;
    for (contender, seen) in [
        (rival.ours, ours::run(plan.clone())),
        (rival.row, (rival.run)(plan)),
    ] {
        if seen.stalled {
            println!("| {count} | {name} | {contender} | stands still | | | | |");
            continue;
        }
        let figures = seen.finality();
        println!(
            "| {count} | {name} | {contender} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} % |",
            figures.p50, figures.p99, figures.pause, figures.longest, figures.lost
        );
    }
}

fn partition(rival: &Rival) {
    heading(&format!(
        "After thirty seconds in two halves, against {}",
        rival.title
    ));
    println!("| n | contender | first final again ms | all ms |");
    println!("|---|---|---|---|");
    for count in FAULT_COUNTS {
        for (name, run) in [
            (rival.ours, ours::run as fn(Plan) -> Seen),
            (rival.row, rival.run),
        ] {
            match worst(count, run) {
                Some((first, all)) => println!("| {count} | {name} | {first:.0} | {all:.0} |"),
                None => println!("| {count} | {name} | never | never |"),
            }
        }
    }
}

/// The worst of several moments.
fn worst(count: usize, run: fn(Plan) -> Seen) -> Option<(f64, f64)> {
    let (mut first, mut all) = (0_f64, 0_f64);
    for moment in 0..MOMENTS {
        let begin = 3_000 + moment * 37;
        let mut plan = Plan::new(count, 60);
        let (begin, end) = (Span::from_millis(begin), Span::from_millis(begin + 30_000));
        plan.faults.partition = Some((begin, end));
        let seen = run(plan);
        let (one, last) = seen.after(end.0).filter(|_| !seen.stalled)?;
        (first, all) = (first.max(one), all.max(last));
    }
    Some((first, all))
}

fn traffic(rival: &Rival) {
    heading(&format!(
        "Messages and bytes of a final block in ten regions, against {}",
        rival.title
    ));
    println!("| n | contender | messages, all together | KB, all together | ours ÷ it |");
    println!("|---|---|---|---|---|");
    for count in LATENCY_COUNTS {
        let sparse = ours::traffic(count, Relay::default());
        let flooded = ours::traffic(count, Relay::Flood);
        let flooded_name = format!("{}, certificates flooded", rival.ours);
        for (name, traffic) in [
            (rival.ours, sparse),
            (flooded_name.as_str(), flooded),
            (rival.row, (rival.traffic)(count)),
        ] {
            let Traffic { messages, bytes } = traffic;
            let (kilobytes, ratio) = (bytes / 1e3, sparse.bytes / bytes);
            println!("| {count} | {name} | {messages:.0} | {kilobytes:.1} | {ratio:.2} |");
        }
    }
}
