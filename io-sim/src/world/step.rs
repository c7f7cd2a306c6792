//! One step of one node, and what becomes of its effects.

use std::panic::{AssertUnwindSafe, catch_unwind};

use decube_core::cluster::{Request, Response};
use decube_core::io::{Done, FileOp, FileOpId, Io, Volume};
use decube_core::limits::REQUESTS_OPEN_MAX;
use decube_core::machine::Machine;
use decube_core::node::{self, Effect, Event, Message};
use decube_core::part::{Health, Scope};
use decube_core::types::{NodeId, RequestId};

use super::{Happening, World};
use crate::check::raft::{Finding, id_slot, slot_id};
use crate::client::Ending;
use crate::fingerprint::{self, Fold, message_size};
use crate::rng::{Domain, Keyed};
use crate::shell::{
    DISK_QUEUE_MAX, Exit, STEPS_PER_INSTANT_MAX, StoreTask, guarded, line, panic_message, wake_at,
};
use crate::subject::Subject;

/// Wakes that are further ahead are queued once for many deadlines.
const FAR_NS: u64 = 1_000_000;

impl<S: Subject> World<S> {
    /// Gives a node an event, now or when it is resumed.
    pub(super) fn give(&mut self, slot: usize, event: Event) -> Result<(), Finding> {
        let host = &mut self.hosts[slot];
        if host.subject.is_none() {
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
            return Err((
                "spin",
                format!("slot {slot} steps without end at {}", self.now),
            ));
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
        self.checker.begin(self.events);
        let mut out = std::mem::take(&mut self.outbox);
        let host = &mut self.hosts[slot];
        if let Event::Io { done, .. } = &event {
            host.device.hears(done);
        }
        host.stepped = true;
        let local = host.clock.local(self.now);
        let subject = host
            .subject
            .as_mut()
            .expect("only a running node takes a step");
        guarded(slot, || subject.step(local, event, &mut out))?;
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
            fingerprint::effect(&mut fold, &effect);
            result = self.effect(slot, effect);
        }
        self.outbox = out;
        self.rolling.add(fold.0);
        result?;
        self.look(slot)?;
        self.checkpoint();
        if cut.is_none() {
            self.halts_when_it_must(slot)?;
        }
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
        let host = &self.hosts[slot];
        let subject = host
            .subject
            .as_ref()
            .expect("a node that took a step is running");
        self.checker.stepped(slot, subject)?;
        let role = subject.facts().map(|facts| facts.role);
        let is_joint = subject
            .membership()
            .is_some_and(|membership| !membership.outgoing.is_empty());
        if host.device.disk.queued() > DISK_QUEUE_MAX || host.open.len() > REQUESTS_OPEN_MAX {
            return Err((
                "bounded",
                format!(
                    "slot {slot}: {} file operations, {} requests are queued",
                    host.device.disk.queued(),
                    host.open.len()
                ),
            ));
        }
        self.cover_state(slot, role, is_joint);
        Ok(())
    }

    /// A node whose write or sync failed must stop in the step that hears of it.
    /// A step that a crash cuts short stops the node by itself.
    fn halts_when_it_must(&self, slot: usize) -> Result<(), Finding> {
        let host = &self.hosts[slot];
        if host.device.must_halt && host.exits.is_none() {
            return Err((
                "halt-on-failure",
                format!("slot {slot} goes on after its disk failed"),
            ));
        }
        Ok(())
    }

    fn after_step(&mut self, slot: usize) -> Result<(), Finding> {
        match self.hosts[slot].exits.take() {
            Some(Exit::Stopped) => {
                let down = self.hosts[slot].stop_down;
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

    fn effect(&mut self, slot: usize, effect: Effect) -> Result<(), Finding> {
        match effect {
            Effect::Send { to, message } => return self.send(slot, to, message),
            Effect::Reply { id, response } => return self.reply(slot, id, of_cluster(response)?),
            Effect::Stream { id, response } => return self.stream(slot, id, of_cluster(response)?),
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
        let host = &mut self.hosts[slot];
        match health {
            Health::Ready | Health::Degraded(_) => _ = host.ready.get_or_insert(event),
            Health::Halted(reason) => {
                let message = format!("slot {slot} halts although its disk is sound: {reason}");
                host.exits = Some(Exit::Halted(reason));
                // A contradiction between logs halts as well: on sound disks it
                // can only come from a broken rule.
                if !host.device.must_halt && !host.device.damaged {
                    return Err(("needless-halt", message));
                }
            }
            Health::Starting | Health::Stopping | Health::Stopped => {}
        }
        Ok(())
    }

    fn send(&mut self, slot: usize, to: NodeId, message: Message) -> Result<(), Finding> {
        self.checker.sending(slot, to, &message)?;
        self.coverage.message(&message);
        let Some(target) = id_slot(to, self.hosts.len()) else {
            return Ok(());
        };
        if target == slot {
            return Err((
                "self-send",
                format!("slot {slot} sends to itself: {message:?}"),
            ));
        }
        let size = message_size(&message);
        let fate = self
            .network
            .send(&self.config, self.now, slot, target, size);
        if fate.damaged && self.config.codec == 1 {
            return self.damage_frame(slot, target, &message);
        }
        let (Some(first), second) = (fate.first, fate.second) else {
            return Ok(());
        };
        let message = if self.config.codec == 1 {
            S::over_the_wire(message).map_err(|error| ("codec", error))?
        } else {
            message
        };
        let from = slot_id(slot);
        let slot = target;
        if let Some(second) = second {
            let message = message.clone();
            let event = Box::new(said(from, message));
            self.schedule(second, Happening::Deliver { slot, event });
        }
        let event = Box::new(said(from, message));
        self.schedule(first, Happening::Deliver { slot, event });
        Ok(())
    }

    /// A frame with flipped bits. The transport authenticates frames and drops
    /// it; what is tried here is that the decoder could stand it as well.
    fn damage_frame(&mut self, from: usize, to: usize, message: &Message) -> Result<(), Finding> {
        let link = u64::try_from(from * self.hosts.len() + to).expect("few links");
        let flips = Keyed::new(self.seed, Domain::Corrupt).at(link | 1 << 48, self.events);
        let message = AssertUnwindSafe(message);
        match catch_unwind(|| S::damaged_on_the_wire(*message, flips)) {
            Ok(Ok(true)) => self.coverage.frames_plausible += 1,
            Ok(Ok(false)) => self.coverage.frames_refused += 1,
            Ok(Err(error)) => return Err(("codec", error)),
            Err(panic) => return Err(("codec", panic_message(&*panic).to_owned())),
        }
        Ok(())
    }

    fn reply(&mut self, slot: usize, id: RequestId, response: Response) -> Result<(), Finding> {
        if let Some(watcher) = self.hosts[slot].watchers.get(&id).copied() {
            return self.answer_watcher(slot, id, watcher, &response);
        }
        let Some(client) = self.hosts[slot].open.remove(&id) else {
            return Err((
                "reply-once",
                format!("slot {slot} answers {id}, which is not open"),
            ));
        };
        self.coverage.response(&response);
        if let Some(client) = client {
            let at = self.now + self.client_delay(id.0 ^ 1 << 61);
            let ending = Ending::Answered(Box::new(response));
            self.schedule(at, Happening::Answer { client, id, ending });
        } else {
            self.coverage.changes_accepted += u64::from(response == Response::Accepted);
        }
        Ok(())
    }

    /// A part of an answer: only watches have more than one.
    fn stream(&mut self, slot: usize, id: RequestId, response: Response) -> Result<(), Finding> {
        match response {
            Response::Changed(changes) => self.changed(slot, id, &changes.changes),
            Response::Watching { revision } => self.watching(slot, id, revision),
            other => Err(("answer-kind", format!("a stream of {other:?}"))),
        }
    }

    pub(super) fn take_call(
        &mut self,
        client: Option<usize>,
        slot: usize,
        id: RequestId,
        request: Request,
    ) -> Result<(), Finding> {
        if self.hosts[slot].subject.is_none() {
            if let Some(client) = client {
                let at = self.now + self.client_delay(id.0 ^ 1 << 62);
                let ending = Ending::NoConnection;
                self.schedule(at, Happening::Answer { client, id, ending });
            }
            return Ok(());
        }
        self.hosts[slot].open.insert(id, client);
        let request = request.into();
        self.give(slot, Event::Request { id, request })
    }

    pub(super) fn cancel(&mut self, slot: usize, id: RequestId) -> Result<(), Finding> {
        let host = &mut self.hosts[slot];
        if host.open.remove(&id).is_none() {
            return Ok(());
        }
        if host.paused {
            // It may answer before it hears of this.
            host.open.insert(id, None);
        }
        self.give(slot, Event::Cancel { id })
    }

    fn file(&mut self, slot: usize, id: FileOpId, op: FileOp) {
        let event = self.events;
        if self.hosts[slot].device.submit(event, id, op) {
            self.schedule_disk(slot);
        }
    }

    fn schedule_disk(&mut self, slot: usize) {
        let host = &self.hosts[slot];
        let process = host.process;
        if let Some(at) = host.device.disk.completes_at(&self.config, self.now) {
            self.schedule(at, Happening::Disk { slot, process });
        }
    }

    pub(super) fn disk_done(&mut self, slot: usize, process: u64) -> Result<(), Finding> {
        let host = &mut self.hosts[slot];
        if host.process != process {
            return Ok(());
        }
        let completed = host.device.complete(&self.config);
        if let Some(asked) = completed.synced {
            self.checker.synced(slot, asked);
        }
        self.damaged(slot, completed.sectors_damaged);
        self.schedule_disk(slot);
        self.coverage.disk_failures += u64::from(completed.failed);
        if completed.is_read_lost {
            self.checker.damaged(slot);
        }
        self.give(slot, of_volume(completed.done))
    }

    fn store(&mut self, slot: usize, task: StoreTask) {
        if self.hosts[slot].device.queue(task) {
            self.schedule_store(slot);
        }
    }

    fn schedule_store(&mut self, slot: usize) {
        let host = &mut self.hosts[slot];
        let process = host.process;
        let Some(takes) = host.device.begin_task(self.seed, &self.config) else {
            return;
        };
        let at = self.now + takes;
        self.schedule(at, Happening::Store { slot, process });
    }

    pub(super) fn store_done(&mut self, slot: usize, process: u64) -> Result<(), Finding> {
        let host = &mut self.hosts[slot];
        if host.process != process {
            return Ok(());
        }
        let done = host.device.complete_task();
        self.schedule_store(slot);
        self.give(slot, of_volume(done))
    }

    pub(super) fn describe(&mut self, slot: usize, mark: &str, what: &str) {
        let line = line(self.events, self.now, slot, mark, what);
        self.lines.push(line);
    }
}

/// A peer of the one cluster says something.
fn said(from: NodeId, message: Message) -> Event {
    Event::Message {
        from,
        scope: Scope::Cluster,
        message,
    }
}

/// The one volume of a slot has done something.
const fn of_volume(done: Done) -> Event {
    Event::Io {
        volume: Volume::Cluster,
        done,
    }
}

/// What a part answers: scenarios of one cluster have no other.
fn of_cluster(response: node::Response) -> Result<Response, Finding> {
    match response {
        node::Response::Cluster(response) => Ok(response),
        other => Err(("answer-kind", format!("the cluster was asked: {other:?}"))),
    }
}
