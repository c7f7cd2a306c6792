//! The port to the files of the log, and the thread behind it.

use std::io;
use std::sync::mpsc as std_mpsc;
use std::thread;

use decube_core::io::{FileOp, FileOpId, FileResult};
use tokio::sync::{mpsc, oneshot};

use crate::ports::{Disk, DiskEvent};

/// Something that carries out file operations. It may block.
pub trait FileSystem: Send + 'static {
    /// Carries out one operation. Errors are results, never panics.
    fn perform(&mut self, op: FileOp) -> FileResult;

    /// What the system said of the last operation, if it failed, for people.
    fn said(&mut self) -> Option<String> {
        None
    }
}

/// Carries out file operations on a thread of their own, in order.
#[derive(Debug)]
pub struct DiskThread {
    operations: std_mpsc::Sender<(FileOpId, FileOp)>,
    ended: oneshot::Receiver<()>,
}

impl DiskThread {
    /// Starts the thread. The receiver gets one event for each operation, in the
    /// order of the operations.
    pub fn start(
        mut files: impl FileSystem,
    ) -> io::Result<(Self, mpsc::UnboundedReceiver<DiskEvent>)> {
        let (operations, operations_rx) = std_mpsc::channel::<(FileOpId, FileOp)>();
        let (events, events_rx) = mpsc::unbounded_channel();
        let (end, ended) = oneshot::channel();
        thread::Builder::new().name("wal".into()).spawn(move || {
            while let Ok((id, op)) = operations_rx.recv() {
                let result = files.perform(op);
                let said = files.said();
                // A host that is gone needs no answers, but its queued writes
                // are carried out: a graceful close waits for them.
                let _ = events.send(DiskEvent { id, result, said });
            }
            drop(files);
            let _ = end.send(());
        })?;
        Ok((Self { operations, ended }, events_rx))
    }
}

impl Disk for DiskThread {
    fn submit(&mut self, id: FileOpId, op: FileOp) {
        // If the thread is gone, the closed channel of events tells the host.
        let _ = self.operations.send((id, op));
    }

    async fn close(self) {
        drop(self.operations);
        // An error means that the thread is gone already.
        let _ = self.ended.await;
    }
}
