//! A shell that carries operations out one by one and can stop at any of them.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::disk::Disk;
use crate::io::{FileOp, FileOpId};
use crate::machine::{Machine, Outbox};
use crate::mutant::Mutant;
use crate::types::{Span, Time};
use crate::wal::{Batch, Config, Effect, Event, Record, Recovered, Wal, WalSeq};

pub struct Host {
    pub wal: Wal,
    pub disk: Disk,
    pub now: Time,
    queue: VecDeque<(FileOpId, FileOp)>,
    out: Outbox<Effect>,
    /// What the owner was told, oldest first.
    pub recovered: Option<Recovered>,
    pub durable: Vec<WalSeq>,
    pub failed: Option<&'static str>,
    /// All operations carried out.
    pub done: Vec<FileOp>,
    seq: u64,
}

impl Host {
    pub fn new(disk: Disk, segment_bytes: u64, mutant: Mutant) -> Self {
        let config = Config {
            segment_bytes,
            mutant,
        };
        Self {
            wal: Wal::new(config),
            disk,
            now: Time(1),
            queue: VecDeque::new(),
            out: Outbox::new(),
            recovered: None,
            durable: Vec::new(),
            failed: None,
            done: Vec::new(),
            seq: 0,
        }
    }

    /// Starts a log on `disk` and recovers it.
    pub fn recover(disk: Disk, segment_bytes: u64, mutant: Mutant) -> Self {
        let mut host = Self::new(disk, segment_bytes, mutant);
        host.step(Event::Start);
        host.settle();
        host
    }

    pub fn step(&mut self, event: Event) {
        self.wal.step(self.now, event, &mut self.out);
        for effect in self.out.drain() {
            match effect {
                Effect::File { id, op } => self.queue.push_back((id, op)),
                Effect::Recovered(found) => assert!(self.recovered.replace(found).is_none()),
                Effect::Durable { seq } => self.durable.push(seq),
                Effect::Failed { reason } => assert!(self.failed.replace(reason).is_none()),
            }
        }
    }

    pub fn append(&mut self, records: Vec<Record>) -> WalSeq {
        self.seq += 1;
        let seq = WalSeq(self.seq);
        self.step(Event::Append(Batch { seq, records }));
        seq
    }

    /// Carries out one operation. `false`: there is none.
    pub fn run_one(&mut self) -> bool {
        let Some((id, op)) = self.queue.pop_front() else {
            return false;
        };
        let result = self.disk.execute(&op);
        self.done.push(op);
        self.step(Event::File { id, result });
        true
    }

    /// Runs until nothing is asked for and nothing is to be flushed at once.
    pub fn settle(&mut self) {
        while self.run_one() || self.wake_due() {}
    }

    /// Wakes the log if it is due.
    pub fn wake_due(&mut self) -> bool {
        let due = self.wal.deadline().is_some_and(|at| at <= self.now);
        if due {
            self.step(Event::Wake);
        }
        due
    }

    pub fn pass(&mut self, span: Span) {
        self.now = self.now + span;
    }

    /// Lets the idle mark be written.
    pub fn idle(&mut self) {
        self.settle();
        self.pass(Span::from_millis(50));
        self.settle();
    }
}
