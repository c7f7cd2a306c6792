//! The composition root: the one machine that shells drive.

pub mod config;
pub mod effect;
pub mod event;
pub mod message;
pub mod request;

pub use config::Config;
pub use effect::Effect;
pub use event::Event;
pub use message::PeerMessage;
pub use request::{Changes, Consistency, Request, Response, Status};

use crate::machine::{Machine, Outbox};
use crate::types::Time;

/// A node of a cluster.
#[derive(Debug)]
pub struct Node {
    config: Config,
}

impl Node {
    /// A node that has not started: feed it [`Event::Clock`] and [`Event::Start`].
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    /// What it was built from.
    pub fn config(&self) -> &Config {
        &self.config
    }
}

impl Machine for Node {
    type Event = Event;
    type Effect = Effect;

    fn step(&mut self, _now: Time, _event: Event, _out: &mut Outbox<Effect>) {}

    fn deadline(&self) -> Option<Time> {
        None
    }
}
