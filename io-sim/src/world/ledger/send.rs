//! Messages between nodes: what an honest node says, what a Byzantine node makes of it, and
//! whom of two twins one hears.

use decube_core::codec::Encode as _;
use decube_core::limits::MESSAGE_BYTES_MAX;
use decube_core::node::{Event, Message};
use decube_core::part::Scope;
use decube_core::types::NodeId;

use super::{MILLI, SimEvent, World};
use crate::adversary::{ByzantineNode, Deviation, Scene, twins};
use crate::check::Finding;
use crate::rng::{Domain, Keyed};
use crate::subject::Subject;
use crate::world::host::Part;

impl<S: Subject> World<S> {
    /// A node says something.
    pub(in crate::world) fn send_on_ledger(
        &mut self,
        slot: usize,
        to: NodeId,
        message: Box<Message>,
    ) -> Result<(), Finding> {
        match &self.hosts[slot].part {
            Part::Honest => {
                if let Message::Ledger(inner) = &*message {
                    self.coverage.ledger_message(inner);
                }
                self.over_the_wire(&message)?;
                self.transmit_if_linked(slot, to, message);
            }
            Part::Twin => self.transmit(slot, to, message),
            Part::Byzantine(_) => {
                let deviations = self.with_byzantine(slot, |byzantine, scene| {
                    byzantine.on_send(scene, to, *message)
                });
                self.say(slot, deviations);
            }
        }
        Ok(())
    }

    /// Gives a message to the network where there is a connection. A Byzantine node makes its own.
    fn transmit_if_linked(&mut self, slot: usize, to: NodeId, message: Box<Message>) {
        let target = self.names.iter().position(|name| *name == to);
        if target.is_some_and(|target| self.is_linked(slot, target)) {
            self.transmit(slot, to, message);
        }
    }

    /// Gives a message to the network, for each process that has the name.
    pub(in crate::world) fn transmit(&mut self, slot: usize, to: NodeId, message: Box<Message>) {
        if let Err((checker, what)) = self.court.transmitted(&message) {
            return self.violate(checker, what);
        }
        // Only a network whose links are narrow asks how long a message is.
        let size = match (self.config.network.bandwidth_bytes_per_ms, &*message) {
            (1.., Message::Ledger(inner)) => {
                u64::try_from(inner.size_hint()).expect("lengths fit 64 bits")
            }
            _ => 0,
        };
        let mut before = None;
        for target in 0..self.hosts.len() {
            let known = self.hosts[target].node == to && target != slot;
            if !known || !self.twins_let_pass(slot, target) {
                continue;
            }
            if let Some(twin) = before.replace(target) {
                self.carry_to_any(slot, twin, message.clone(), size);
            }
        }
        if let Some(target) = before {
            self.carry_to_any(slot, target, message, size);
        }
    }

    fn carry_to_any(&mut self, slot: usize, target: usize, message: Box<Message>, size: u64) {
        if let Err((checker, what)) = self.carry(slot, target, Scope::Global, message, size) {
            self.violate(checker, what);
        }
    }

    /// Whether two slots hear each other, if one of them is a twin.
    fn twins_let_pass(&self, from: usize, to: usize) -> bool {
        let is_twin = |slot: usize| matches!(self.hosts[slot].part, Part::Twin);
        let (twin, other) = match (is_twin(from), is_twin(to)) {
            (false, false) => return true,
            (true, _) => (from, to),
            (false, true) => (to, from),
        };
        let delta = self.config.ledger.delta_ms.max(1) * MILLI;
        let window = self.now / (delta * twins::WINDOW_DELAYS);
        let name = self.hosts[twin].node;
        let mut before = self.hosts.iter().take(twin);
        let is_second = before.any(|host| host.node == name);
        twins::let_pass(self.seed, name, is_second, other, window)
    }

    /// A message arrives.
    pub(in crate::world) fn deliver(
        &mut self,
        slot: usize,
        from: NodeId,
        scope: Scope,
        message: Box<Message>,
    ) -> Result<(), Finding> {
        if let (Part::Byzantine(_), Message::Ledger(_)) = (&self.hosts[slot].part, &*message) {
            let deviations = self.with_byzantine(slot, |byzantine, scene| {
                byzantine.on_receive(scene, from, &message)
            });
            self.say(slot, deviations);
        }
        let event = Event::Message {
            from,
            scope,
            message: *message,
        };
        self.give(slot, event)
    }

    /// A Byzantine node has a free moment.
    pub(in crate::world) fn deviate(&mut self, slot: usize) {
        let deviations = self.with_byzantine(slot, |byzantine, scene| byzantine.on_idle(scene));
        self.say(slot, deviations);
        let pause = self.config.ledger.delta_ms.max(10) * MILLI / 2;
        let number = self.fresh_draw();
        let draw = Keyed::new(self.seed, Domain::Byzantine).at(1 << 41, number);
        self.schedule(
            self.now + pause / 2 + draw.below(pause),
            SimEvent::Deviate { slot },
        );
    }

    /// Lets a Byzantine node act on what its own process knows. One that is down is silent.
    fn with_byzantine(
        &mut self,
        slot: usize,
        act: impl FnOnce(&mut ByzantineNode, &Scene<'_>) -> Vec<Deviation>,
    ) -> Vec<Deviation> {
        let host = &mut self.hosts[slot];
        let ledger = host.subject.as_ref().and_then(Subject::ledger);
        let (Part::Byzantine(byzantine), Some(ledger)) = (&mut host.part, ledger) else {
            return Vec::new();
        };
        let Some(bft) = ledger.bft().filter(|_| !host.paused) else {
            return Vec::new();
        };
        let scene = Scene {
            now: self.now,
            me: host.node,
            peers: &self.names,
            ledger,
            bft,
        };
        act(byzantine, &scene)
    }

    fn say(&mut self, slot: usize, deviations: Vec<Deviation>) {
        for Deviation { to, message, after } in deviations {
            self.coverage.deviations += 1;
            if let Err((checker, what)) = self.court.deviated(&message) {
                self.violate(checker, what);
            }
            // No decoder takes it: on a real wire it ends at the first one. Here messages
            // travel as values, and what is over a bound cannot even be encoded.
            if !message.is_readable() || message.size_hint() > MESSAGE_BYTES_MAX {
                self.coverage.deviations_unreadable += 1;
                continue;
            }
            let message = Box::new(message);
            if after == 0 {
                self.transmit(slot, to, message);
                continue;
            }
            self.schedule(self.now + after, SimEvent::Say { slot, to, message });
        }
    }
}
