//! Messages between members of a cluster, and whom their transports notice.

use decube_core::node::{Event, Message};
use decube_core::part::Scope;
use decube_core::types::NodeId;

use super::World;
use crate::check::Finding;
use crate::fingerprint::message_size;
use crate::network::{Fate, ppm};
use crate::rng::{Domain, Keyed};
use crate::subject::Subject;
use crate::world::SimEvent;

/// What the delays of notices of the transport are drawn with.
const NOTICE: u64 = 1 << 58;

impl<S: Subject> World<S> {
    /// A member says something to another one.
    pub(in crate::world) fn send_in_cluster(
        &mut self,
        slot: usize,
        to: NodeId,
        message: Box<Message>,
    ) -> Result<(), Finding> {
        let (cluster, _) = self.clusters.places[slot].expect("a member speaks");
        self.coverage.message(&message);
        // Nobody is there under a name that an operator or a damaged log made up.
        let Some(target) = self.slot_in(cluster, to) else {
            return Ok(());
        };
        if !self.is_linked(slot, target) {
            return Ok(());
        }
        self.over_the_wire(&message)?;
        let size = message_size(&message);
        self.carry(slot, target, Scope::Cluster, message, size)
    }

    /// Now and then somebody of another cluster receives a message of one as well. It
    /// knows from its transport that the speaker is none of its own.
    pub(in crate::world) fn stray(&mut self, slot: usize, fate: Fate, message: &Message) {
        if self.config.network.stray_ppm == 0 || self.healed {
            return;
        }
        let entity = u64::try_from(slot).expect("few slots");
        let draw = Keyed::new(self.seed, Domain::Corrupt).at(entity | 1 << 49, self.events);
        let target = draw.again().index(self.hosts.len());
        if !draw.chance(ppm(self.config.network.stray_ppm))
            || self.clusters.are_together(slot, target)
        {
            return;
        }
        self.coverage.strays += 1;
        let once = Fate {
            second: None,
            ..fate
        };
        let from = self.hosts[slot].node;
        let message = Box::new(message.clone());
        self.arrive(target, once, from, Scope::Global, message);
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
        let event = SimEvent::Peer {
            slot,
            process,
            peer,
            up,
        };
        self.schedule(at, event);
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
