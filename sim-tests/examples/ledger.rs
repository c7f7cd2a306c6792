//! What agreement on the ledger costs in virtual time: `ledger [--quick]`. The
//! tables are the same on every machine.

use decube_core::bft::Relay;
use decube_core::types::Span;
use decube_io_sim::validators::{Distance, Figures, Setup, Validators};
use decube_sim_tests as _;

const COUNTS: [usize; 5] = [4, 7, 12, 31, 100];
const APART: Distance = Distance::Uniform(Span::from_millis(100));

fn main() {
    let blocks: u64 = match std::env::args().nth(1).as_deref() {
        Some("--quick") => 60,
        _ => 200,
    };
    println!("### Time to finality, ten regions\n");
    latency_head();
    for count in COUNTS {
        let setup = Setup::new(count, Distance::World, blocks);
        latency_row("-", setup.clone());
        latency_row("f", setup.with_faulty());
    }
    println!("\n### Time to finality, every message 100 ms\n");
    latency_head();
    latency_row("-", Setup::new(4, APART, blocks));
    latency_row("one leader", one_dead(4, blocks));
    latency_row("one leader", one_dead(31, blocks));
    let mut slow = Setup::new(4, APART, blocks);
    slow.disk = Span::from_millis(5);
    latency_row("each write 5 ms", slow);
    println!("\n### After thirty seconds in two halves\n");
    println!("| n | network | first final again ms | all ms |");
    println!("|---|---|---|---|");
    for count in COUNTS {
        for (name, distance) in [("100 ms", APART), ("ten regions", Distance::World)] {
            partition_row(count, name, distance);
        }
    }
    println!("\n### Messages and bytes of a final block, all validators together\n");
    println!("| n | network | certificates | messages | KB | of flooded |");
    println!("|---|---|---|---|---|---|");
    for count in COUNTS {
        for (name, distance) in [("100 ms", APART), ("ten regions", Distance::World)] {
            traffic_rows(count, name, distance, blocks / 4);
        }
    }
}

fn one_dead(count: usize, blocks: u64) -> Setup {
    let mut setup = Setup::new(count, APART, blocks);
    setup.faults.crashed.insert(0);
    setup
}

fn figures(setup: Setup) -> Figures {
    let mut validators = Validators::new(setup);
    validators.run();
    validators.figures()
}

fn latency_head() {
    println!(
        "| n | crashed | mean one-way ms | final p50 ms | p99 ms | p50 delays | p99 delays \
         | client p50 ms | p99 ms | worst ms | block every ms |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
}

fn latency_row(crashed: &str, setup: Setup) {
    let (count, mean) = (setup.count, setup.distance.mean(setup.count));
    let crashed = match crashed {
        "f" => setup.faults.crashed.len().to_string(),
        other => other.to_owned(),
    };
    let figures = figures(setup);
    let Figures {
        finality,
        delays,
        client,
        pause,
        ..
    } = figures;
    println!(
        "| {count} | {crashed} | {} | {} | {} | {}.{:02} | {}.{:02} | {} | {} | {} | {} |",
        mean.as_millis(),
        millis(finality.p50),
        millis(finality.p99),
        delays.p50 / 100,
        delays.p50 % 100,
        delays.p99 / 100,
        delays.p99 % 100,
        millis(client.p50),
        millis(client.p99),
        millis(client.max),
        millis(pause.p50),
    );
}

/// Over several moments at which the halves come together, the worst.
fn partition_row(count: usize, network: &str, distance: Distance) {
    let (mut first, mut all) = (0, 0);
    for moment in 0..8 {
        let begin = 3_000 + moment * 37;
        let end = begin + 30_000;
        let mut setup = Setup::new(count, distance, 60);
        setup.count_bytes = false;
        setup.faults.partition = Some((Span::from_millis(begin), Span::from_millis(end)));
        let mut validators = Validators::new(setup);
        validators.run();
        let (one, last) = validators.after_partition().expect("blocks behind it");
        (first, all) = (first.max(one), all.max(last));
    }
    println!(
        "| {count} | {network} | {} | {} |",
        millis(first),
        millis(all)
    );
}

fn traffic_rows(count: usize, network: &str, distance: Distance, blocks: u64) {
    let mut setup = Setup::new(count, distance, blocks);
    setup.relay = Relay::Flood;
    let flooded = figures(setup);
    let sparse = figures(Setup::new(count, distance, blocks));
    for (name, figures) in [("flooded", flooded), ("sparse", sparse)] {
        println!(
            "| {count} | {network} | {name} | {} | {} | {} % |",
            figures.messages,
            figures.bytes.div_ceil(1_000),
            figures.bytes * 100 / flooded.bytes.max(1),
        );
    }
}

fn millis(nanos: u64) -> u64 {
    nanos.div_ceil(1_000_000)
}
