//! How long a node with a full log needs to be ready after a kill:
//! `cargo bench -p node --bench restart`.

#![allow(dead_code, reason = "the modules of the tests serve them as well")]
#![allow(
    clippy::disallowed_methods,
    reason = "there is no runtime here: these threads wait for another process"
)]

#[path = "../tests/cluster/http.rs"]
mod http;
#[path = "../tests/cluster/process.rs"]
mod process;
#[path = "../tests/cluster/restart.rs"]
mod restart;

/// Just below the number at which the log is compacted.
const ENTRIES: u64 = 99_000;

fn main() {
    for _ in 0..3 {
        let (writing, starting) = restart::restart(ENTRIES);
        println!(
            "{ENTRIES} entries of 100 bytes written in {:.1} s; after a kill ready in {:.2} s",
            writing.as_secs_f64(),
            starting.as_secs_f64()
        );
    }
}
