//! One step of one node, and what becomes of its effects.

use decube_core::io::{FileOp, FileOpId, Io, Volume};
use decube_core::limits::{LEDGER_POOL_BYTES_MAX, REQUESTS_OPEN_MAX};
use decube_core::machine::Machine;
use decube_core::node::{Effect, Event, Message, Notice, Response};
use decube_core::part::{Health, Scope};
use decube_core::{bft, ledger};

use super::{Happening, MILLI, World};
use crate::check::raft::Finding;
use crate::fingerprint::{self, Fold};
use crate::shell::{DISK_QUEUE_MAX, Exit, STEPS_PER_INSTANT_MAX, StoreTask, guarded, wake_at};
use crate::subject::Subject;

/// Wakes that are further ahead are queued once for many deadlines.
const FAR_NS: u64 = MILLI;

/// How long a machine waits with a part that halted until somebody looks after it.
const OPERATOR_NS: u64 = 1_000 * MILLI;

impl<S: Subject> World<S> {
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
        self.clusters.begin_step(slot, self.events);
        let mut out = std::mem::take(&mut self.outbox);
        let host = &mut self.hosts[slot];
        if host.is_honest()
            && let Some(ledger) = host.ledger()
            && let Event::Message { from, message, .. } = &event
            && let Message::Ledger(ledger::Message::Bft(bft::Message::Vote(vote))) = message
        {
            self.checker.hearing(slot, *from, vote, ledger);
        }
        if let Event::Io { volume, done } = &event {
            host.device(*volume).hears(done);
        }
        host.stepped = true;
        let local = host.clock.local(self.now);
        let subject = host.subject.as_mut();
        let subject = subject.expect("only a running node takes a step");
        let before = is_from_stranger(&event).then(|| subject.digest());
        guarded(slot, || subject.step(local, event, &mut out))?;
        if before.is_some_and(|before| !out.is_empty() || subject.digest() != before) {
            let message = format!("slot {slot} listens to another cluster");
            return Err(("stranger", message));
        }
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
        if let Some(ledger) = host.ledger().filter(|_| host.is_honest()) {
            self.checker.stepped(slot, ledger)?;
        }
        let queued = host.devices.values().map(|device| device.disk.queued());
        let (files, open) = (queued.max().unwrap_or(0), host.open.len());
        let pooled = host.ledger().map_or(0, |ledger| ledger.pool().bytes());
        if files > DISK_QUEUE_MAX || open > REQUESTS_OPEN_MAX || pooled > LEDGER_POOL_BYTES_MAX {
            let message = format!(
                "slot {slot}: {files} file operations, {open} requests, {pooled} bytes of \
                 transactions"
            );
            return Err(("bounded", message));
        }
        self.look_at_cluster(slot)
    }

    fn after_step(&mut self, slot: usize) -> Result<(), Finding> {
        let host = &mut self.hosts[slot];
        let mut devices = host.devices.iter();
        let goes_on = devices.find(|(_, device)| device.must_halt && !device.has_ended);
        if let Some((volume, _)) = goes_on
            && host.exits.is_none()
        {
            let message = format!("slot {slot}: the {volume:?} goes on after its disk failed");
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
        let host = &mut self.hosts[slot];
        let Some(deadline) = host.subject.as_ref().and_then(Machine::deadline) else {
            return;
        };
        let due = (self.now, deadline);
        let at = wake_at(&self.config, self.tie, self.events, &host.clock, due);
        if host.wakes.iter().flatten().any(|queued| *queued <= at) {
            return;
        }
        let far = at - self.now > FAR_NS;
        host.wakes[usize::from(far)] = Some(at);
        let process = host.process;
        self.schedule(at, Happening::Wake { slot, process, far });
    }

    pub(super) fn wake(&mut self, slot: usize, process: u64, far: bool) -> Result<(), Finding> {
        let now = self.now;
        let host = &mut self.hosts[slot];
        if host.process != process || host.wakes[usize::from(far)] != Some(now) {
            return Ok(());
        }
        host.wakes[usize::from(far)] = None;
        if host.paused {
            return Ok(());
        }
        let deadline = host.subject.as_ref().and_then(Machine::deadline);
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
        let subject = host.subject.as_ref().expect("it took a step");
        for notice in subject.notices() {
            fingerprint::notice(fold, notice);
            match notice {
                Notice::Ledger(ledger::Notice::Final(block)) if host.is_honest() => {
                    let ledger = subject.ledger().expect("its ledger told it");
                    self.checker.on_final(slot, block, ledger)?;
                }
                Notice::Ledger(ledger::Notice::Replaced { at }) => {
                    self.coverage.states_fetched += 1;
                    self.checker.fetched(slot, *at);
                }
                Notice::Ledger(ledger::Notice::Forked { culprits }) if host.is_honest() => {
                    self.checker.on_accusation(slot, culprits)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn effect(&mut self, slot: usize, effect: Effect) -> Result<(), Finding> {
        match effect {
            Effect::Send { to, message } if to == self.hosts[slot].node => {
                let message = format!("slot {slot} sends to itself: {message:?}");
                return Err(("self-send", message));
            }
            Effect::Send { to, message } => match (message.part().scope(), message) {
                (_, Message::Ledger(message)) => return self.send(slot, to, message),
                (Scope::Cluster, message) => return self.send_in_cluster(slot, to, message),
                (Scope::Global, message) => return self.send_to_any(slot, to, &message),
            },
            Effect::Reply { id, response } => return self.reply(slot, id, response),
            Effect::Stream { id, response } => match response {
                Response::Cluster(response) => return self.stream(slot, id, response),
                response => {
                    let message = format!("nobody follows as {id}: {response:?}");
                    return Err(("answer-kind", message));
                }
            },
            Effect::Io { volume, io } => match io {
                Io::File { id, op } => self.file(slot, volume, id, op),
                Io::Commit(batch) => self.store(slot, volume, StoreTask::Commit(batch)),
                Io::Read(read) => self.store(slot, volume, StoreTask::Read(read)),
            },
            Effect::Health { part, health } => return self.on_health(slot, part.volume(), health),
            Effect::Connect { peers } => self.hosts[slot].connected = peers,
            // One that halted said so before.
            Effect::Stopped => _ = self.hosts[slot].exits.get_or_insert(Exit::Stopped),
        }
        Ok(())
    }

    fn on_health(&mut self, slot: usize, volume: Volume, health: Health) -> Result<(), Finding> {
        let event = self.events;
        let fork = self.config.may_fork();
        let host = &mut self.hosts[slot];
        match health {
            Health::Ready | Health::Degraded(_) => host.part_ready(volume, event),
            Health::Halted(reason) => {
                let is_honest = host.is_honest() || volume == Volume::Cluster;
                let goes_on = volume == Volume::Ledger && host.has_cluster();
                let device = host.device(volume);
                device.has_ended = true;
                let (may, process) = (device.must_halt || device.damaged, host.process);
                if !may && !fork && is_honest {
                    let message = format!("slot {slot} halts although its disk is sound: {reason}");
                    return Err(("needless-halt", message));
                }
                if goes_on {
                    // The cluster serves until somebody looks after the machine.
                    self.coverage.parts_halted += 1;
                    let at = self.now + OPERATOR_NS;
                    self.schedule(at, Happening::Operator { slot, process });
                } else {
                    host.exits = Some(Exit::Halted(reason));
                }
            }
            // What it had still asked for is nobody's business any more.
            Health::Stopped => host.device(volume).has_ended = true,
            Health::Starting | Health::Stopping => {}
        }
        Ok(())
    }

    fn file(&mut self, slot: usize, volume: Volume, id: FileOpId, op: FileOp) {
        let event = self.events;
        let device = self.hosts[slot].device(volume);
        if device.submit(event, id, op) {
            self.schedule_disk(slot, volume);
        }
    }

    fn schedule_disk(&mut self, slot: usize, volume: Volume) {
        let host = &mut self.hosts[slot];
        let process = host.process;
        let disk = &host.device(volume).disk;
        if let Some(at) = disk.completes_at(&self.config, self.now) {
            let happening = Happening::Disk {
                slot,
                process,
                volume,
            };
            self.schedule(at, happening);
        }
    }

    pub(super) fn disk_done(
        &mut self,
        slot: usize,
        process: u64,
        volume: Volume,
    ) -> Result<(), Finding> {
        let host = &mut self.hosts[slot];
        if host.process != process {
            return Ok(());
        }
        let completed = host.device(volume).complete(&self.config);
        self.coverage.disk_failures += u64::from(completed.failed);
        if let Some(asked) = completed.synced {
            self.clusters.synced(slot, volume, asked);
        }
        self.damaged(slot, volume, completed.sectors_damaged);
        if completed.is_read_lost {
            self.clusters.damaged(slot, volume);
        }
        self.schedule_disk(slot, volume);
        let done = completed.done;
        self.give(slot, Event::Io { volume, done })
    }

    fn store(&mut self, slot: usize, volume: Volume, task: StoreTask) {
        if self.hosts[slot].device(volume).queue(task) {
            self.schedule_store(slot, volume);
        }
    }

    fn schedule_store(&mut self, slot: usize, volume: Volume) {
        let host = &mut self.hosts[slot];
        let process = host.process;
        let device = host.device(volume);
        let Some(takes) = device.begin_task(self.seed, &self.config) else {
            return;
        };
        let at = self.now + takes;
        let happening = Happening::Store {
            slot,
            process,
            volume,
        };
        self.schedule(at, happening);
    }

    pub(super) fn store_done(
        &mut self,
        slot: usize,
        process: u64,
        volume: Volume,
    ) -> Result<(), Finding> {
        let host = &mut self.hosts[slot];
        if host.process != process {
            return Ok(());
        }
        let done = host.device(volume).complete_task();
        self.schedule_store(slot, volume);
        self.give(slot, Event::Io { volume, done })
    }
}

/// Whether somebody of another cluster says what is for the own one only.
const fn is_from_stranger(event: &Event) -> bool {
    matches!(
        event,
        Event::Message {
            scope: Scope::Global,
            message: Message::Cluster(_),
            ..
        }
    )
}
