//! One step of one node, and what becomes of its effects.

use decube_core::bft;
use decube_core::ledger::{Effect, Event, Message};
use decube_core::limits::{LEDGER_POOL_BYTES_MAX, REQUESTS_OPEN_MAX};
use decube_core::machine::Machine;
use decube_core::store::{Store, StoreBatch};
use decube_core::wal::{FileOp, FileOpId, FileResult};

use super::host::StoreTask;
use super::{Happening, LedgerWorld};
use crate::check::raft::Finding;
use crate::fingerprint::{self, Fold};
use crate::rng::{Domain, Keyed};
use crate::shell::{DISK_QUEUE_MAX, STEPS_PER_INSTANT_MAX, guarded, wake_at};

impl LedgerWorld {
    /// Gives a node an event, now or when it is resumed.
    pub(super) fn give(&mut self, slot: usize, event: Event) -> Result<(), Finding> {
        let host = &mut self.hosts[slot];
        if host.ledger.is_none() {
            return Ok(());
        }
        if host.paused {
            host.backlog.push_back(event);
            return Ok(());
        }
        self.step(slot, event)
    }

    /// One step of one node.
    pub(super) fn step(&mut self, slot: usize, event: Event) -> Result<(), Finding> {
        self.events += 1;
        self.steps_now += 1;
        if self.steps_now > STEPS_PER_INSTANT_MAX {
            let message = format!("slot {slot} steps without end at {}", self.now);
            return Err(("spin", message));
        }
        let logged = self
            .log
            .is_some_and(|(from, to)| (from..=to).contains(&self.events));
        if logged {
            self.describe(slot, ">>", &format!("{event:?}"));
        }
        let entity = u64::try_from(slot).expect("few slots");
        let mut fold = Fold(self.now ^ entity << 56);
        fingerprint::ledger_event(&mut fold, &event);
        let mut out = std::mem::take(&mut self.outbox);
        let host = &mut self.hosts[slot];
        if host.is_honest()
            && let (Some(ledger), Event::Message { from, message }) = (&host.ledger, &event)
            && let Message::Bft(bft::Message::Vote(vote)) = message
        {
            self.checker.hearing(slot, *from, vote, ledger);
        }
        if let Event::File { id, .. } = &event {
            host.must_halt |= host.fatal == Some(*id);
        }
        host.stepped = true;
        let local = host.clock.local(self.now);
        let ledger = host
            .ledger
            .as_mut()
            .expect("only a running node takes a step");
        guarded(slot, || ledger.step(local, event, &mut out))?;
        let cut = host.doom.filter(|_| !out.is_empty()).map(|doom| {
            let draw = self.crash_point.at(entity, self.events);
            (draw.index(out.len() + 1), doom)
        });
        let mut result = Ok(());
        for (number, effect) in out.drain().enumerate() {
            if cut.is_some_and(|(point, _)| number >= point) || result.is_err() {
                continue;
            }
            if logged {
                self.describe(slot, "<<", &format!("{effect:?}"));
            }
            fingerprint::ledger_effect(&mut fold, &effect);
            result = self.effect(slot, effect);
        }
        self.outbox = out;
        self.rolling.add(fold.0);
        result?;
        self.look(slot)?;
        self.checkpoint();
        match cut {
            Some((_, doom)) => {
                self.coverage.boundary_crashes += 1;
                self.crash(slot, doom.power);
                self.boot_after(slot, doom.down);
                Ok(())
            }
            None => self.after_step(slot),
        }
    }

    /// Lets the checkers look at a node after its step.
    fn look(&mut self, slot: usize) -> Result<(), Finding> {
        self.hosts[slot].note_progress();
        let host = &self.hosts[slot];
        let ledger = host.ledger.as_ref().expect("it took a step");
        if host.is_honest() {
            self.checker.stepped(slot, ledger)?;
        }
        let (files, open) = (host.disk.queued(), host.open.len());
        let pooled = ledger.pool().bytes();
        if files > DISK_QUEUE_MAX || open > REQUESTS_OPEN_MAX || pooled > LEDGER_POOL_BYTES_MAX {
            let message = format!(
                "slot {slot}: {files} file operations, {open} requests, {pooled} bytes of \
                 transactions"
            );
            return Err(("bounded", message));
        }
        Ok(())
    }

    fn after_step(&mut self, slot: usize) -> Result<(), Finding> {
        let host = &mut self.hosts[slot];
        if host.must_halt && host.exits.is_none() {
            let message = format!("slot {slot} goes on after its disk failed");
            return Err(("halt-on-failure", message));
        }
        match host.exits.take() {
            Some(reason) => self.halted(slot, reason),
            None => self.schedule_wake(slot),
        }
        Ok(())
    }

    pub(super) fn schedule_wake(&mut self, slot: usize) {
        let host = &self.hosts[slot];
        let Some(deadline) = host.ledger.as_ref().and_then(Machine::deadline) else {
            return;
        };
        let due = (self.now, deadline);
        let at = wake_at(&self.config, self.tie, self.events, &host.clock, due);
        let host = &mut self.hosts[slot];
        if host.wake.is_some_and(|queued| queued <= at) {
            return;
        }
        host.wake = Some(at);
        let process = host.process;
        self.schedule(at, Happening::Wake { slot, process });
    }

    pub(super) fn wake(&mut self, slot: usize, process: u64) -> Result<(), Finding> {
        let now = self.now;
        let host = &mut self.hosts[slot];
        if host.process != process || host.wake != Some(now) {
            return Ok(());
        }
        host.wake = None;
        if host.paused {
            return Ok(());
        }
        let deadline = host.ledger.as_ref().and_then(Machine::deadline);
        match deadline {
            Some(deadline) if deadline <= host.clock.local(now) => self.step(slot, Event::Wake),
            _ => {
                self.schedule_wake(slot);
                Ok(())
            }
        }
    }

    fn effect(&mut self, slot: usize, effect: Effect) -> Result<(), Finding> {
        match effect {
            Effect::Send { to, message } => return self.send(slot, to, message),
            Effect::Reply { id, response } => return self.reply(slot, id, response),
            Effect::Final(block) => {
                let host = &self.hosts[slot];
                if host.is_honest() {
                    let ledger = host.ledger.as_ref().expect("it took a step");
                    self.checker.on_final(slot, &block, ledger)?;
                }
            }
            Effect::StateFetched { height } => {
                self.coverage.states_fetched += 1;
                self.checker.fetched(slot, height);
            }
            Effect::File { id, op } => self.file(slot, id, op),
            Effect::StoreCommit(batch) => self.store(slot, StoreTask::Commit(batch)),
            Effect::StoreRead {
                id,
                from,
                to,
                bytes_max,
            } => {
                let task = StoreTask::Read {
                    id,
                    from,
                    to,
                    bytes_max,
                };
                self.store(slot, task);
            }
            Effect::Ready => self.hosts[slot].ready = Some(self.events),
            Effect::SafetyViolation { culprits } => {
                if self.hosts[slot].is_honest() {
                    return self.checker.on_accusation(slot, &culprits);
                }
            }
            Effect::Halted { reason } => return self.on_halted(slot, reason),
        }
        Ok(())
    }

    fn on_halted(&mut self, slot: usize, reason: &'static str) -> Result<(), Finding> {
        let fork = self.config.may_fork();
        let host = &mut self.hosts[slot];
        host.exits = Some(reason);
        if host.must_halt || host.damaged || fork || !host.is_honest() {
            return Ok(());
        }
        let message = format!("slot {slot} halts although its disk is sound: {reason}");
        Err(("needless-halt", message))
    }

    fn file(&mut self, slot: usize, id: FileOpId, op: FileOp) {
        if self.hosts[slot].disk.submit(id, op) {
            self.schedule_disk(slot);
        }
    }

    fn schedule_disk(&mut self, slot: usize) {
        let host = &self.hosts[slot];
        let process = host.process;
        if let Some(at) = host.disk.completes_at(&self.config, self.now) {
            self.schedule(at, Happening::Disk { slot, process });
        }
    }

    pub(super) fn disk_done(&mut self, slot: usize, process: u64) -> Result<(), Finding> {
        let host = &mut self.hosts[slot];
        if host.process != process {
            return Ok(());
        }
        let changing = host.disk.is_changing();
        let (id, result) = host.disk.complete(&self.config);
        let failed = matches!(result, FileResult::Failed(_));
        if failed && changing {
            host.fatal = Some(id);
        } else if failed {
            host.damaged = true;
        }
        self.coverage.disk_failures += u64::from(failed);
        self.schedule_disk(slot);
        self.give(slot, Event::File { id, result })
    }

    fn store(&mut self, slot: usize, task: StoreTask) {
        let host = &mut self.hosts[slot];
        host.store_tasks.push_back(task);
        if host.store_tasks.len() == 1 {
            self.schedule_store(slot);
        }
    }

    fn schedule_store(&mut self, slot: usize) {
        let entity = u64::try_from(slot).expect("few slots") | 1 << 32;
        let host = &mut self.hosts[slot];
        let mean = match host.store_tasks.front() {
            None => return,
            Some(StoreTask::Commit(batch)) if batch.sync => self.config.sync_mean_us,
            Some(_) => self.config.store_mean_us,
        };
        host.store_operations += 1;
        let draw = Keyed::new(self.seed, Domain::DiskDelay).at(entity, host.store_operations);
        let process = host.process;
        let at = self.now + draw.exponential(mean * 1_000);
        self.schedule(at, Happening::Store { slot, process });
    }

    pub(super) fn store_done(&mut self, slot: usize, process: u64) -> Result<(), Finding> {
        let host = &mut self.hosts[slot];
        if host.process != process {
            return Ok(());
        }
        let task = host.store_tasks.pop_front().expect("a task was under way");
        let event = match task {
            StoreTask::Commit(batch) => committed(&mut host.store, &batch),
            StoreTask::Read {
                id,
                from,
                to,
                bytes_max,
            } => match host.store.scan(&from, Some(&to), bytes_max) {
                Ok(pairs) => Event::StoreRead { id, pairs },
                Err(_) => Event::StoreFailed,
            },
        };
        self.schedule_store(slot);
        self.give(slot, event)
    }
}

fn committed(store: &mut impl Store, batch: &StoreBatch) -> Event {
    match store.commit(batch) {
        Ok(()) => Event::StoreCommitted { seq: batch.seq },
        Err(_) => Event::StoreFailed,
    }
}
