//! The task that owns the machine.
//!
//! One task calls `step`, and nothing else ever touches the machine. A **turn**
//! of the task is: wait for one event, take whatever else is already there (up
//! to [`EVENTS_PER_TURN_MAX`], round-robin over the sources), and then, if the
//! machine's deadline has come, wake it. A machine that has gathered work to
//! flush returns a deadline that has passed, so one turn makes one write and one
//! message to each peer however many events it took. The bound keeps a flood of
//! events from holding a due wake back for ever.
//!
//! | source | bound | when the host falls behind |
//! |---|---|---|
//! | file and store completions | one per open order | always taken first |
//! | control (cancel, shutdown) | one per open request, plus the shutdowns | always taken |
//! | network | bounded channel | not read while [`ORDERS_OPEN_MAX`] orders are open: the sockets push back |
//! | requests | bounded channel, then `REQUESTS_OPEN_MAX` open ones | answered `Refused(Busy)` |
//!
//! Time is nanoseconds since the host began, from tokio's clock, so that a
//! simulated runtime controls it. The wall clock enters as `Event::Clock` before
//! the start and once a second.
//!
//! A host ends in one of the ways of [`HostExit`]. After `Halted` nothing that
//! was not acknowledged may be believed: the process must end, and the next one
//! recovers from the disk.
//!
//! | file | holds |
//! |---|---|
//! | `run.rs` | the task |
//! | `handle.rs` | [`NodeHandle`], [`Watch`] |
//! | `requests.rs` | who waits for which answer |
//! | `letters.rs` | messages on their way out |
//! | `ledger.rs` | the ledger's orders, clients and followers |
//! | `status.rs` | [`HostStatus`], [`HostExit`] |
//! | `metrics.rs` | [`Metrics`] |
//! | `recorder.rs` | [`Recorder`], the hook of the flight recorder |

mod handle;
mod ledger;
mod letters;
mod metrics;
mod recorder;
mod requests;
mod run;
mod status;

#[cfg(test)]
mod tests;

pub use handle::{HostGone, NodeHandle, Watch, WatchEnd};
pub use metrics::{Counter, Histogram, HistogramSnapshot, Metrics};
pub use recorder::Recorder;
pub use run::{HostConfig, spawn};
pub use status::{HostExit, HostStatus};

/// Events that one turn takes before a due wake.
pub const EVENTS_PER_TURN_MAX: usize = 1024;
/// Open file and store orders above which the host takes no new work.
pub const ORDERS_OPEN_MAX: usize = 4096;
/// Final blocks that a slow follower of the ledger may be behind before it has to
/// ask for what it missed.
pub const LEDGER_BLOCKS_KEPT: usize = 256;
/// Requests that wait to be taken by the host.
pub const REQUEST_QUEUE_MAX: usize = 4096;
/// Change sets that wait for a slow watcher before its watch is ended.
pub const WATCH_QUEUE_MAX: usize = 256;
