//! The task that owns the machine.
//!
//! One task calls `step`, and nothing else ever touches the machine. An **iteration**
//! of the task is: wait for one event, take whatever else is already there (up
//! to [`EVENTS_PER_ITERATION_MAX`], round-robin over the sources), and then, if the
//! machine's deadline has come, wake it. A machine that has gathered work to
//! flush returns a deadline that has passed, so one iteration makes one write and one
//! message to each peer however many events it took. The bound keeps a flood of
//! events from holding a due wake back for ever.
//!
//! | source | bound | when the host falls behind |
//! |---|---|---|
//! | file and store completions | one per operation in flight | always taken first |
//! | control (cancel, shutdown) | one per open request, plus the shutdowns | always taken |
//! | network | a bounded queue for each part | not read for a part that does not accept, or while [`OPERATIONS_IN_FLIGHT_MAX`] orders to its volume are open: the sockets push back |
//! | requests | the same, then `REQUESTS_OPEN_MAX` open ones | answered by the part's `busy` |
//!
//! Time is nanoseconds since the host began, from tokio's clock, so that a
//! simulated runtime controls it. The wall clock enters as `Event::Clock` before
//! the start and once a second.
//!
//! A host ends in one of the ways of [`HostExit`]. When the part in the cluster halts,
//! the others are shut down and the process must end: nothing that was not acknowledged
//! may be believed, and the next process recovers from the disk. When the part in the
//! ledger halts, the node goes on without it, and its status says so.
//!
//! | file | holds |
//! |---|---|
//! | `run.rs` | the task |
//! | `handle.rs` | [`NodeHandle`], [`Answers`], [`Watch`] |
//! | `requests.rs` | who waits for which answer |
//! | `outbound.rs` | messages on their way out |
//! | `volume.rs` | the volumes on their adapters |
//! | `view.rs` | what clients inside of the process follow all the time |
//! | `status.rs` | [`HostStatus`], [`HostExit`] |
//! | `metrics.rs` | [`Metrics`] |
//! | `recorder.rs` | [`Recorder`], the hook of the flight recorder |

mod handle;
mod metrics;
mod outbound;
mod recorder;
mod requests;
mod run;
mod status;
mod view;
mod volume;

#[cfg(test)]
mod tests;

pub use handle::{Answers, HostGone, NodeHandle, StreamEnd, Watch, WatchEnd};
pub use metrics::{Counter, Histogram, HistogramSnapshot, Metrics, VolumeCounter, VolumeMetrics};
pub use recorder::Recorder;
pub use run::{HostConfig, Hosted, spawn};
pub use status::{HostExit, HostStatus, SlowVolume};
pub use view::{BLOCKS_KEPT, follow_blocks, follow_cluster};

/// Events that one iteration takes before a due wake.
pub const EVENTS_PER_ITERATION_MAX: usize = 1024;
/// Operations in flight to a volume above which the host takes no new work for its part.
pub const OPERATIONS_IN_FLIGHT_MAX: usize = 4096;
/// Requests to one part that wait to be taken by the host.
pub const REQUEST_QUEUE_MAX: usize = 4096;
/// Parts of an answer that wait for a slow reader before its stream is ended.
pub const STREAM_QUEUE_MAX: usize = 256;
