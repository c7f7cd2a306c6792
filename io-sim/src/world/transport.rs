//! What lies between two nodes, whichever of their parts speak: a connection, frames, and
//! the network.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use decube_core::node::Message;
use decube_core::part::Scope;
use decube_core::types::NodeId;

use super::{SimEvent, World};
use crate::check::Finding;
use crate::fingerprint::message_size;
use crate::network::Fate;
use crate::rng::{Domain, Keyed};
use crate::shell::panic_message;
use crate::subject::Subject;

impl<S: Subject> World<S> {
    /// Whether one of two nodes wants to be connected to the other: without that there is
    /// no connection that a message could take.
    pub(super) fn is_linked(&mut self, one: usize, other: usize) -> bool {
        let wants = |from: usize, to: usize| {
            let connected = self.hosts[from].connected.get(to);
            connected.is_some_and(|wanted| *wanted)
        };
        let is_linked = wants(one, other) || wants(other, one);
        self.coverage.unconnected += u64::from(!is_linked);
        is_linked
    }

    /// A process names whom it wants to be connected to.
    pub(super) fn connect(&mut self, slot: usize, peers: &BTreeSet<NodeId>) {
        let wanted = self.hosts.iter().map(|host| peers.contains(&host.node));
        self.hosts[slot].connected = wanted.collect();
    }

    /// A part that no Byzantine node speaks for says something to a node of any cluster.
    pub(super) fn send_to_any(
        &mut self,
        slot: usize,
        to: NodeId,
        message: &Message,
    ) -> Result<(), Finding> {
        self.over_the_wire(message)?;
        let size = message_size(message);
        for target in 0..self.hosts.len() {
            let is_it = self.hosts[target].node == to && target != slot;
            if is_it && self.is_linked(slot, target) {
                self.carry(slot, target, Scope::Global, Box::new(message.clone()), size)?;
            }
        }
        Ok(())
    }

    /// Every message is what it says after it was encoded and decoded again.
    pub(super) fn over_the_wire(&self, message: &Message) -> Result<(), Finding> {
        match self.config.network.codec {
            0 => Ok(()),
            _ => S::over_the_wire(message, self.mutant).map_err(|error| ("codec", error)),
        }
    }

    /// Gives a message of so many bytes to the network, from a slot to another one.
    pub(super) fn carry(
        &mut self,
        slot: usize,
        target: usize,
        scope: Scope,
        message: Box<Message>,
        size: u64,
    ) -> Result<(), Finding> {
        let fate = self
            .network
            .send(&self.config.network, self.now, slot, target, size);
        if fate.damaged && self.config.network.codec == 1 {
            return self.damage_frame(slot, target, &message);
        }
        if fate.first.is_none() {
            return Ok(());
        }
        let from = self.hosts[slot].node;
        if scope == Scope::Cluster {
            self.stray(slot, fate, &message);
        }
        self.arrive(target, fate, from, scope, message);
        Ok(())
    }

    /// A message is on its way, perhaps twice.
    pub(super) fn arrive(
        &mut self,
        slot: usize,
        fate: Fate,
        from: NodeId,
        scope: Scope,
        message: Box<Message>,
    ) {
        let deliver = |message| SimEvent::Deliver {
            slot,
            from,
            scope,
            message,
        };
        if let Some(second) = fate.second {
            self.schedule(second, deliver(message.clone()));
        }
        if let Some(first) = fate.first {
            self.schedule(first, deliver(message));
        }
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
}
