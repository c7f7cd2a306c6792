//! What a node remembers beside its parts.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::clients::Clients;
use super::parts::{Config, Link, Notice, PartId, Parts};
use crate::crypto::Fingerprint;
use crate::part::Health;
use crate::types::NodeId;

/// A node: feed it [`super::Event::Clock`], then [`super::Event::Start`], then whatever
/// happens.
#[derive(Debug)]
pub struct Node {
    pub(super) config: Config,
    pub(super) parts: Parts,
    pub(super) clients: Clients,
    /// Whom the shell was told to connect to.
    pub(super) connected: BTreeSet<NodeId>,
    /// What the parts have told in the last step, in order.
    pub(super) notices: Vec<Notice>,
    /// What follows from that. Empty between steps.
    pub(super) links: VecDeque<Link>,
    /// Whether the shell was told that all parts have ended.
    pub(super) told_stopped: bool,
}

impl Node {
    /// A node that has not started.
    ///
    /// # Panics
    /// If it has no part, or parts of different nodes.
    pub fn new(config: Config) -> Self {
        let parts = Parts::new(&config);
        assert!(parts.nodes().count() > 0, "a node has a part");
        assert!(parts.nodes().all(|id| id == config.node), "one identity");
        Self {
            config,
            parts,
            clients: Clients::default(),
            connected: BTreeSet::new(),
            notices: Vec::new(),
            links: VecDeque::new(),
            told_stopped: false,
        }
    }

    /// What the node was built from.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// What the parts told each other in the last step, in order. For checkers.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// The health of each part, in the order of the table.
    pub fn health(&self) -> impl Iterator<Item = (PartId, &Health)> {
        self.parts.health()
    }

    /// Whether a part takes messages now: what is not taken stays with whoever sent it,
    /// and the other parts go on. Requests are answered even then.
    pub fn accepts(&self, part: PartId) -> bool {
        self.parts.accepts(part)
    }

    /// How many requests are not answered yet.
    pub fn requests_open(&self) -> usize {
        self.clients.len()
    }

    /// Whether every part has ended.
    pub fn has_ended(&self) -> bool {
        self.health().all(|(_, health)| health.has_ended())
    }

    /// A fingerprint of everything that decides the node's future: equal histories give
    /// equal digests on every platform.
    pub fn digest(&self) -> u128 {
        let Self {
            config: _,
            parts,
            clients,
            connected,
            notices: _,
            // Empty between steps; a node whose step panicked is described too.
            links: _,
            told_stopped,
        } = self;
        let mut fingerprint = Fingerprint::new();
        parts.digest_into(&mut fingerprint);
        fingerprint.add(&(clients, connected, told_stopped));
        fingerprint.digest()
    }
}
