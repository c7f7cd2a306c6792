//! One step of one node, and what becomes of its effects.

use decube_core::io::{Done, FileOp, FileOpId, FileResult, Io, Volume};
use decube_core::limits::{LEDGER_POOL_BYTES_MAX, REQUESTS_OPEN_MAX};
use decube_core::machine::Machine;
use decube_core::node::{Effect, Event, Message, Notice, Response};
use decube_core::part::Health;
use decube_core::{bft, ledger};

use super::{Happening, LedgerWorld};
use crate::check::raft::Finding;
use crate::fingerprint::{self, Fold};
use crate::rng::{Domain, Keyed};
use crate::shell::{DISK_QUEUE_MAX, Exit, STEPS_PER_INSTANT_MAX, StoreTask, guarded, wake_at};

impl LedgerWorld {
    /// Gives a node an event, now or when it is resumed.
    pub(super) fn give(&mut self, slot: usize, event: Event) -> Result<(), Finding> {
        let host = &mut self.hosts[slot];
        if !host.is_up() {
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
        fingerprint::event(&mut fold, &event);
        let mut out = std::mem::take(&mut self.outbox);
        let host = &mut self.hosts[slot];
        if host.is_honest()
            && let Some(ledger) = host.ledger()
            && let Event::Message { from, message, .. } = &event
            && let Message::Ledger(ledger::Message::Bft(bft::Message::Vote(vote))) = message
        {
            self.checker.hearing(slot, *from, vote, ledger);
        }
        if let Event::Io {
            done: Done::File { id, .. },
            ..
        } = &event
        {
            host.must_halt |= host.fatal == Some(*id);
        }
        host.stepped = true;
        let local = host.clock.local(self.now);
        let node = host.process_node.as_mut();
        let node = node.expect("only a running node takes a step");
        guarded(slot, || node.step(local, event, &mut out))?;
        let cut = host.doom.filter(|_| !out.is_empty()).map(|doom| {
            let draw = self.crash_point.at(entity, self.events);
            (draw.index(out.len() + 1), doom)
        });
        let mut result = self.notices(slot, &mut fold);
        for (number, effect) in out.drain().enumerate() {
            if cut.is_some_and(|(point, _)| number >= point) || result.is_err() {
                continue;
            }
            if logged {
                self.describe(slot, "<<", &format!("{effect:?}"));
            }
            fingerprint::effect(&mut fold, &effect);
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
        let ledger = host.ledger().expect("it took a step");
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
            Some(Exit::Stopped) => {
                let down = host.stop_down;
                self.crash(slot, false);
                self.boot_after(slot, down);
            }
            Some(Exit::Halted(reason)) => self.halted(slot, &reason),
            None => self.schedule_wake(slot),
        }
        Ok(())
    }

    pub(super) fn schedule_wake(&mut self, slot: usize) {
        let host = &self.hosts[slot];
        let Some(deadline) = host.process_node.as_ref().and_then(Machine::deadline) else {
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
        let deadline = host.process_node.as_ref().and_then(Machine::deadline);
        match deadline {
            Some(deadline) if deadline <= host.clock.local(now) => self.step(slot, Event::Wake),
            _ => {
                self.schedule_wake(slot);
                Ok(())
            }
        }
    }

    /// What the parts of a node told each other in its step.
    fn notices(&mut self, slot: usize, fold: &mut Fold) -> Result<(), Finding> {
        let host = &self.hosts[slot];
        let node = host.process_node.as_ref().expect("it took a step");
        let ledger = node.ledger().expect("it has no other part");
        for notice in node.notices() {
            fingerprint::notice(fold, notice);
            match notice {
                Notice::Ledger(ledger::Notice::Final(block)) if host.is_honest() => {
                    self.checker.on_final(slot, block, ledger)?;
                }
                Notice::Ledger(ledger::Notice::Replaced { at }) => {
                    self.coverage.states_fetched += 1;
                    self.checker.fetched(slot, *at);
                }
                Notice::Ledger(ledger::Notice::Forked { culprits }) if host.is_honest() => {
                    self.checker.on_accusation(slot, culprits)?;
                }
                Notice::Ledger(_) => {}
                Notice::Cluster(notice) => match *notice {},
            }
        }
        Ok(())
    }

    fn effect(&mut self, slot: usize, effect: Effect) -> Result<(), Finding> {
        match effect {
            Effect::Send { to, message } => return self.send(slot, to, of_ledger(message)?),
            Effect::Reply { id, response } => {
                let Response::Ledger(response) = response else {
                    return Err(("answer-kind", format!("the ledger was asked: {response:?}")));
                };
                return self.reply(slot, id, response);
            }
            Effect::Stream { id, response } => {
                let message = format!("nobody follows as {id}: {response:?}");
                return Err(("answer-kind", message));
            }
            Effect::Io { io, .. } => match io {
                Io::File { id, op } => self.file(slot, id, op),
                Io::Commit(batch) => self.store(slot, StoreTask::Commit(batch)),
                Io::Read(read) => self.store(slot, StoreTask::Read(read)),
            },
            Effect::Health { health, .. } => return self.on_health(slot, health),
            Effect::Connect { .. } => {}
            // One that halted said so before.
            Effect::Stopped => _ = self.hosts[slot].exits.get_or_insert(Exit::Stopped),
        }
        Ok(())
    }

    fn on_health(&mut self, slot: usize, health: Health) -> Result<(), Finding> {
        let event = self.events;
        let fork = self.config.may_fork();
        let host = &mut self.hosts[slot];
        match health {
            Health::Ready | Health::Degraded(_) => _ = host.ready.get_or_insert(event),
            Health::Halted(reason) => {
                let message = format!("slot {slot} halts although its disk is sound: {reason}");
                host.exits = Some(Exit::Halted(reason));
                if !host.must_halt && !host.damaged && !fork && host.is_honest() {
                    return Err(("needless-halt", message));
                }
            }
            Health::Starting | Health::Stopping | Health::Stopped => {}
        }
        Ok(())
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
        self.give(slot, of_volume(Done::File { id, result }))
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
        let Some(task) = host.store_tasks.front() else {
            return;
        };
        let mean = match task.is_sync() {
            true => self.config.sync_mean_us,
            false => self.config.store_mean_us,
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
        let done = task.carry_out(&mut host.store);
        self.schedule_store(slot);
        self.give(slot, of_volume(done))
    }
}

/// The one volume of a slot has done something.
const fn of_volume(done: Done) -> Event {
    Event::Io {
        volume: Volume::Ledger,
        done,
    }
}

/// What these nodes say to each other: they are in no cluster.
fn of_ledger(message: Message) -> Result<ledger::Message, Finding> {
    match message {
        Message::Ledger(message) => Ok(message),
        other => Err(("other-part", format!("in no cluster: {other:?}"))),
    }
}
