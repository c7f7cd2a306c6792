//! Messages between members of a cluster, and whom their transports notice.

use std::panic::{AssertUnwindSafe, catch_unwind};

use decube_core::node::{Event, Message};
use decube_core::part::Scope;
use decube_core::types::NodeId;

use super::{Cluster, World};
use crate::check::raft::Finding;
use crate::fingerprint::message_size;
use crate::network::{Fate, ppm};
use crate::rng::{Domain, Keyed};
use crate::shell::panic_message;
use crate::subject::Subject;
use crate::world::Happening;

/// What the delays of notices of the transport are drawn with.
const NOTICE: u64 = 1 << 58;

impl<S: Subject> World<S> {
    /// A member says something to another one.
    pub(in crate::world) fn send_in_cluster(
        &mut self,
        slot: usize,
        to: NodeId,
        message: Message,
    ) -> Result<(), Finding> {
        let Some((cluster, place)) = self.clusters.places[slot] else {
            return Err(("other-part", format!("in no cluster: {message:?}")));
        };
        let Cluster { checker, .. } = &mut self.clusters.list[cluster];
        checker.sending(place, to, &message)?;
        self.coverage.message(&message);
        // Nobody is there under a name that an operator or a damaged log made up.
        let Some(target) = self.slot_in(cluster, to) else {
            return Ok(());
        };
        if target == slot {
            let message = format!("slot {slot} sends to itself: {message:?}");
            return Err(("self-send", message));
        }
        if !self.is_linked(slot, target) {
            return Ok(());
        }
        let size = message_size(&message);
        let fate = self
            .network
            .send(&self.config, self.now, slot, target, size);
        if fate.damaged && self.config.codec == 1 {
            return self.damage_frame(slot, target, &message);
        }
        if fate.first.is_none() {
            return Ok(());
        }
        let message = match self.config.codec {
            1 => S::over_the_wire(message).map_err(|error| ("codec", error))?,
            _ => message,
        };
        let event = Event::Message {
            from: self.hosts[slot].node,
            scope: Scope::Cluster,
            message,
        };
        self.stray(slot, fate, &event);
        self.arrive(target, fate, event);
        Ok(())
    }

    /// Whether one of two nodes wants to be connected to the other: without that there is
    /// no connection that a message could take.
    pub(in crate::world) fn is_linked(&mut self, one: usize, other: usize) -> bool {
        let wants = |from: usize, to: usize| {
            let name = self.hosts[to].node;
            self.hosts[from].connected.contains(&name)
        };
        let is_linked = wants(one, other) || wants(other, one);
        self.coverage.unconnected += u64::from(!is_linked);
        is_linked
    }

    /// Now and then somebody of another cluster hears as well what is said in one. It
    /// knows from its transport that the speaker is none of its own.
    fn stray(&mut self, slot: usize, fate: Fate, event: &Event) {
        if self.config.stray_ppm == 0 || self.healed {
            return;
        }
        let entity = u64::try_from(slot).expect("few slots");
        let draw = Keyed::new(self.seed, Domain::Corrupt).at(entity | 1 << 49, self.events);
        let target = draw.again().index(self.hosts.len());
        if !draw.chance(ppm(self.config.stray_ppm)) || self.clusters.are_together(slot, target) {
            return;
        }
        let mut event = event.clone();
        if let Event::Message { scope, .. } = &mut event {
            *scope = Scope::Global;
        }
        self.coverage.strays += 1;
        let once = Fate {
            second: None,
            ..fate
        };
        self.arrive(target, once, event);
    }

    /// A message is on its way, perhaps twice.
    pub(in crate::world) fn arrive(&mut self, slot: usize, fate: Fate, event: Event) {
        if let Some(second) = fate.second {
            let event = Box::new(event.clone());
            self.schedule(second, Happening::Deliver { slot, event });
        }
        if let Some(first) = fate.first {
            let event = Box::new(event);
            self.schedule(first, Happening::Deliver { slot, event });
        }
    }

    /// A frame with flipped bits. The transport authenticates frames and drops
    /// it; what is tried here is that the decoder could stand it as well.
    pub(in crate::world) fn damage_frame(
        &mut self,
        from: usize,
        to: usize,
        message: &Message,
    ) -> Result<(), Finding> {
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

    /// The transports of a slot and of the other nodes of its cluster notice that it came
    /// or went.
    pub(in crate::world) fn announce(&mut self, slot: usize, up: bool) {
        let Some((cluster, _)) = self.clusters.places[slot] else {
            return;
        };
        for place in 0..self.clusters.list[cluster].slots.len() {
            let other = self.clusters.list[cluster].slots[place];
            if other == slot || !self.hosts[other].is_up() {
                continue;
            }
            if self.network.is_open(slot, other) {
                self.tell_later(other, slot, up);
            }
            if up && self.network.is_open(other, slot) {
                self.tell_later(slot, other, up);
            }
        }
    }

    /// The transport of a slot notices that a node of its cluster came or went.
    pub(in crate::world) fn tell_later(&mut self, slot: usize, peer: usize, up: bool) {
        if !self.clusters.are_together(slot, peer) {
            return;
        }
        let process = self.hosts[slot].process;
        let salt = self.fresh_draw() ^ NOTICE;
        let at = self.now + self.client_delay(salt);
        let happening = Happening::Peer {
            slot,
            process,
            peer,
            up,
        };
        self.schedule(at, happening);
    }

    pub(in crate::world) fn tell_peer(
        &mut self,
        slot: usize,
        process: u64,
        peer: usize,
        up: bool,
    ) -> Result<(), Finding> {
        if self.hosts[slot].process != process {
            return Ok(());
        }
        let event = Event::Peer {
            peer: self.hosts[peer].node,
            scope: Scope::Cluster,
            is_up: up,
        };
        self.give(slot, event)
    }
}
