//! One step of one node, and what becomes of its effects.

use decube_core::io::{FileOp, FileOpId, Io, Volume};
use decube_core::machine::Machine;
use decube_core::node::{Effect, Event, Message};
use decube_core::part::{Health, Scope};
use decube_core::types::NodeId;

use super::{MILLI, SimEvent, World};
use crate::check::{Finding, Step, Written};
use crate::shell::{Exit, StoreTask, guarded, wake_at};
use crate::subject::Subject;

/// Wakes that are further ahead are queued once for many deadlines.
const FAR_NS: u64 = MILLI;

/// How long a machine waits with a part that halted until somebody looks after it.
const OPERATOR_NS: u64 = 1_000 * MILLI;

/// What the checkers see of a slot now. A macro, so that they can be asked beside it.
macro_rules! step_of {
    ($world:ident, $slot:ident) => {
        Step {
            event: $world.events,
            now: $world.now,
            in_this_instant: $world.steps_now,
            to_come: $world.queue.len(),
            slot: $slot,
            host: &$world.hosts[$slot],
        }
    };
}

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
        match self.held_back(slot, &event) {
            None => self.step(slot, event),
            Some(queue) => {
                queue.push(event);
                Ok(())
            }
        }
    }

    /// One step of one node, and those for what its parts take afterwards.
    pub(super) fn step(&mut self, slot: usize, event: Event) -> Result<(), Finding> {
        self.step_once(slot, event)?;
        while let Some(event) = self.taken_up(slot) {
            self.step_once(slot, event)?;
        }
        Ok(())
    }

    fn step_once(&mut self, slot: usize, event: Event) -> Result<(), Finding> {
        self.events += 1;
        self.steps_now += 1;
        self.court.received(&step_of!(self, slot), &event)?;
        let logged = self
            .log
            .is_some_and(|(from, to)| (from..=to).contains(&self.events));
        if logged {
            self.describe(slot, ">>", &format!("{event:?}"));
        }
        let entity = u64::try_from(slot).expect("few slots");
        self.rolling.add(&(self.now, entity, &event));
        let mut out = std::mem::take(&mut self.outbox);
        let host = &mut self.hosts[slot];
        if let Event::Io { volume, done } = &event {
            host.device(*volume).hears(done);
        }
        host.stepped = true;
        let local = host.clock.local(self.now);
        let subject = host.subject.as_mut();
        let subject = subject.expect("only a running node takes a step");
        guarded(slot, || subject.step(local, event, &mut out))?;
        self.court.acted(&step_of!(self, slot), out.as_slice())?;
        let cut = self.hosts[slot]
            .pending_crash
            .filter(|_| !out.is_empty())
            .map(|pending_crash| {
                let draw = self.crash_point.at(entity, self.events);
                (draw.index(out.len() + 1), pending_crash)
            });
        let mut result = self.notices(slot);
        let mut left = cut.map_or(out.len(), |(point, _)| point);
        for effect in out.drain() {
            if left == 0 || result.is_err() {
                break;
            }
            left -= 1;
            if logged {
                self.describe(slot, "<<", &format!("{effect:?}"));
            }
            self.rolling.add(&effect);
            result = self.effect(slot, effect);
        }
        self.outbox = out;
        result?;
        self.look(slot)?;
        self.checkpoint();
        match cut {
            Some((_, pending_crash)) => {
                self.coverage.boundary_crashes += 1;
                self.crash(slot, pending_crash.power);
                self.boot_after(slot, pending_crash.down);
                Ok(())
            }
            None => self.after_step(slot),
        }
    }

    /// Lets the checkers look at a node after its step.
    fn look(&mut self, slot: usize) -> Result<(), Finding> {
        self.hosts[slot].note_progress();
        self.court.stepped(&step_of!(self, slot))?;
        if self.clusters.of(slot).is_some() {
            self.cover_state(slot);
        }
        Ok(())
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
        let (config, clock) = (&self.config, &host.clock);
        let at = wake_at(config, self.tie, self.events, clock, self.now, deadline);
        if host.wakes.iter().flatten().any(|queued| *queued <= at) {
            return;
        }
        let far = at - self.now > FAR_NS;
        host.wakes[usize::from(far)] = Some(at);
        let process = host.process;
        self.schedule(at, SimEvent::Wake { slot, process, far });
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
    fn notices(&mut self, slot: usize) -> Result<(), Finding> {
        let step = step_of!(self, slot);
        for notice in step.subject().notices() {
            self.rolling.add(notice);
            self.court.told(&step, notice)?;
        }
        Ok(())
    }

    fn effect(&mut self, slot: usize, effect: Effect) -> Result<(), Finding> {
        match effect {
            Effect::Send { to, message } if to == self.hosts[slot].node => {
                let message = format!("slot {slot} sends to itself: {message:?}");
                return Err(("self-send", message));
            }
            Effect::Send { to, message } => {
                self.court.sent(&step_of!(self, slot), to, &message)?;
                // From here to its arrival it lies where it is: to move it costs more.
                return self.send(slot, to, Box::new(message));
            }
            Effect::Reply { id, response } => return self.reply(slot, id, response),
            Effect::Stream { id, response } => return self.stream(slot, id, response),
            Effect::Io { volume, io } => match io {
                Io::File { id, op } => self.file(slot, volume, id, op),
                Io::Commit(batch) => self.store(slot, volume, StoreTask::Commit(batch)),
                Io::Read(read) => self.store(slot, volume, StoreTask::Read(read)),
            },
            Effect::Health { part, health } => return self.on_health(slot, part.volume(), health),
            Effect::Connect { peers } => self.connect(slot, &peers),
            // One that halted said so before.
            Effect::Stopped => _ = self.hosts[slot].exits.get_or_insert(Exit::Stopped),
        }
        Ok(())
    }

    fn send(&mut self, slot: usize, to: NodeId, message: Box<Message>) -> Result<(), Finding> {
        match (message.part().scope(), &*message) {
            (_, Message::Ledger(_)) => self.send_on_ledger(slot, to, message),
            (Scope::Cluster, _) => self.send_in_cluster(slot, to, message),
            (Scope::Global, _) => self.send_to_any(slot, to, &message),
        }
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
                    self.schedule(at, SimEvent::Operator { slot, process });
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
        let (event, mutant) = (self.events, self.mutant);
        let device = self.hosts[slot].device(volume);
        if device.submit(event, id, op, mutant) {
            self.schedule_disk(slot, volume);
        }
    }

    fn schedule_disk(&mut self, slot: usize, volume: Volume) {
        let host = &mut self.hosts[slot];
        let process = host.process;
        let disk = &host.device(volume).disk;
        if let Some(at) = disk.completes_at(&self.config.disk, self.now) {
            let event = SimEvent::Disk {
                slot,
                process,
                volume,
            };
            self.schedule(at, event);
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
        let completed = host.device(volume).complete(&self.config.disk);
        self.coverage.disk_failures += u64::from(completed.failed);
        if let Some(asked) = completed.synced {
            self.court.io(slot, volume, Written::Durable { asked });
        }
        self.damaged(slot, volume, completed.sectors_damaged);
        if completed.is_read_lost {
            self.court.io(slot, volume, Written::Damaged);
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
        let Some(takes) = device.begin_task(self.seed, &self.config.disk) else {
            return;
        };
        let at = self.now + takes;
        let event = SimEvent::Store {
            slot,
            process,
            volume,
        };
        self.schedule(at, event);
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
