//! When blocks were proposed, and when the first validator knew them to be final.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The record of a run. Blocks go by their views.
#[derive(Default)]
pub struct Record(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    proposed: HashMap<u64, Instant>,
    waits: Vec<Duration>,
}

impl Record {
    /// A block leaves its leader.
    pub fn propose(&self, view: u64) {
        let mut inner = self.0.lock().expect("no panics");
        inner.proposed.entry(view).or_insert_with(Instant::now);
    }

    /// The validator that counts knows a block to be final.
    pub fn commit(&self, view: u64) {
        let mut inner = self.0.lock().expect("no panics");
        let wait = inner.proposed.remove(&view).map(|at| at.elapsed());
        inner.waits.extend(wait);
    }

    /// Begins again, and returns the waits of all blocks so far.
    pub fn take(&self) -> Vec<Duration> {
        std::mem::take(&mut self.0.lock().expect("no panics").waits)
    }
}
