//! `decube snapshot` and `decub-snapshot`: directories into snapshots and back.

mod cli;
mod create;
mod error;
mod fetch;
mod ledger;
mod progress;
mod remote;
mod report;
mod restore;
mod stat;
mod verify;

#[cfg(test)]
mod tests;

pub use cli::{DecubSnapshot, SnapshotArgs, run};
pub use create::{CreateRequest, Created, create};
pub use error::{FetchError, SnapshotError};
pub use progress::Progress;
pub use remote::{AnyRemote, HttpRemote, LocalRemote, Record, Registration, Remote, RemoteError};
pub use restore::{RestoreRequest, Restored, restore};
pub use verify::verify;

/// Stack of a thread that walks a tree by recursion.
const THREAD_STACK_BYTES: usize = 64 << 20;

/// Runs blocking work that walks a tree on a thread of its own: the recursion
/// needs more stack than the runtime's threads have.
async fn on_thread<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (done, result) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(THREAD_STACK_BYTES)
        .spawn(move || {
            // Nobody listens any more if the command was stopped.
            let _ = done.send(work());
        })
        .expect("a thread can be started");
    result.await.expect("the thread does not panic")
}
