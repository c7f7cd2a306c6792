//! The suites that run whole clusters in the simulator.
//!
//! The scenarios and the machinery live in `io-sim`, so that the `decube` binary
//! can run them as well; here are the suites, the corpus of recorded failures,
//! and what the suites share: reading the environment, and printing that appears
//! in plain `cargo test` output.

pub mod swarm;

use std::cell::RefCell;
use std::io::Write;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Prints a line to the terminal, past the capture of the test harness: counts
/// of what was simulated belong into every report.
pub fn say(line: &str) {
    let mut out = std::io::stderr().lock();
    // A closed terminal is no reason for a test to fail.
    let _printed = writeln!(out, "{}", line.trim_end());
}

/// A number from the environment, if it is set. Panics on nonsense: a typing
/// error must not silently run something else.
pub fn number_from_env(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
    )
}

thread_local! {
    /// The last panic of this thread, with its place.
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Panics of the machine under test are findings; their backtraces on the
/// terminal would only bury the report. Each is kept for [`last_panic`].
pub fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        LAST_PANIC.with_borrow_mut(|last| *last = panic.to_string());
    }));
}

/// What the last panic of this thread said and where: for one that is not the machine's
/// but the suite's own, which nobody else tells.
pub(crate) fn last_panic() -> String {
    LAST_PANIC.with_borrow(Clone::clone)
}
