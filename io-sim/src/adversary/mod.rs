//! Byzantine nodes of the ledger: a [`ByzantineNode`] is an honest process whose messages are
//! changed on their way out, by a list of behaviours; twins are two honest processes with one key.
//!
//! A Byzantine node holds its own key and what it has heard, nothing else, so it cannot forge a
//! vote of somebody else (see [`decube_core::crypto::fake`]). Each behaviour is an
//! [`Adversary`] and one bit of
//! [`strategies`](crate::config::AdversarySettings::strategies), so that a minimiser can
//! find out which one a failure needs. Adversaries touch what goes to other clusters only:
//! inside of one nobody is Byzantine.
//!
//! | file | behaviour |
//! |---|---|
//! | `byzantine_node.rs` | a Byzantine node: what it knows, and its behaviours in order |
//! | `mind.rs` | what a Byzantine node knows, and what all of its behaviours make with its key |
//! | `speech.rs` | how it says a block: in the short form or not, and what it answers for it |
//! | `equivocation.rs` | two good blocks of one view, each to some |
//! | `withholding.rs` | nothing at all to some, for a while |
//! | `selection.rs` | votes to some only |
//! | `lateness.rs` | blocks so late that others may have given the view up |
//! | `invalidity.rs` | blocks that break a rule |
//! | `replay.rs` | what it once heard, again, of earlier epochs as well |
//! | `garbage.rs` | certificates that no quorum signed |
//! | `sync.rs` | wrong answers to those who catch up |
//! | `false_report.rs` | reports of equivocations that were none |
//! | `spam.rs` | work for nothing |
//! | `double_votes.rs` | votes for everything, and for giving it up |
//! | `silence.rs` | nothing at all, for a while |
//! | `forking.rs` | what keeps the two sides of a fork apart |
//! | `twins.rs` | whom of two twins one hears |

mod byzantine_node;
mod double_votes;
mod equivocation;
mod false_report;
mod forking;
mod garbage;
mod invalidity;
mod lateness;
mod mind;
mod replay;
mod selection;
mod silence;
mod spam;
mod speech;
mod sync;
pub(crate) mod twins;
mod withholding;

use std::fmt;
use std::ops::ControlFlow;

use decube_core::bft::{self, Bft, Proposal};
use decube_core::ledger::{self, Ledger};
use decube_core::node::Message;
use decube_core::types::NodeId;

use crate::config::AdversarySettings;

pub use byzantine_node::ByzantineNode;
pub use mind::Mind;

/// What a Byzantine node sees when it acts.
#[derive(Debug)]
pub struct Scene<'a> {
    /// The time of the world.
    pub now: u64,
    /// Its own name.
    pub me: NodeId,
    /// The names of all nodes.
    pub peers: &'a [NodeId],
    /// The ledger of its honest process.
    pub ledger: &'a Ledger,
    /// The consensus of its honest process.
    pub bft: &'a Bft,
}

/// A message to another cluster, as a Byzantine node says it.
#[derive(Debug, Clone)]
pub struct Deviation {
    /// To whom.
    pub to: NodeId,
    /// What.
    pub message: Message,
    /// How much later it leaves.
    pub after: u64,
}

/// What becomes of a message on its way out.
#[derive(Debug)]
pub enum Outgoing {
    /// The other behaviours may change it as well.
    Pass(Deviation),
    /// It leaves as it is.
    Final(Deviation),
    /// It does not leave.
    Nothing,
}

/// A way to deviate.
///
/// Behaviours are asked in the order of a list. Whatever one draws from the
/// [`Mind`] shifts what the next ones draw, so a new one belongs at the end.
pub trait Adversary: fmt::Debug {
    /// What becomes of a message of the honest process, or of what the behaviours before
    /// made of it.
    fn on_send(&mut self, _mind: &mut Mind, _scene: &Scene<'_>, deviation: Deviation) -> Outgoing {
        Outgoing::Pass(deviation)
    }

    /// Deviations that a message provokes. A break keeps the behaviours behind from theirs.
    fn on_receive(
        &mut self,
        _mind: &mut Mind,
        _scene: &Scene<'_>,
        _from: NodeId,
        _message: &Message,
        _deviations: &mut Vec<Deviation>,
    ) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// Deviations that need no occasion. A break keeps the behaviours behind from theirs.
    fn on_idle(
        &mut self,
        _mind: &mut Mind,
        _scene: &Scene<'_>,
        _deviations: &mut Vec<Deviation>,
    ) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl Deviation {
    /// The message of consensus, if it is one.
    pub const fn bft(&self) -> Option<&bft::Message> {
        match &self.message {
            Message::Ledger(ledger::Message::Bft(message)) => Some(message),
            _ => None,
        }
    }

    /// The same with another block, if it says one. An error is the deviation as it was.
    fn with_proposal(self, change: impl FnOnce(Proposal) -> Proposal) -> Self {
        match self.message {
            Message::Ledger(ledger::Message::Bft(bft::Message::Proposal(proposal))) => Self {
                message: wrapped(bft::Message::Proposal(Box::new(change(*proposal)))),
                ..self
            },
            message => Self { message, ..self },
        }
    }

    /// The view of the block that it says, if it says one.
    fn view(&self) -> Option<u64> {
        match self.bft()? {
            bft::Message::Proposal(proposal) => Some(proposal.block.header().view.0),
            _ => None,
        }
    }
}

/// What the consensus of the ledger says, as a node says it.
const fn wrapped(message: bft::Message) -> Message {
    Message::Ledger(ledger::Message::Bft(message))
}

/// The behaviours that settings name, in the order in which they are asked. The numbers
/// are the bits of the settings.
fn behaviours(settings: &AdversarySettings) -> Vec<Box<dyn Adversary>> {
    let all: [(u32, Box<dyn Adversary>); 12] = [
        (11, Box::new(silence::Silence)),
        (1, Box::new(withholding::Withholding)),
        (2, Box::new(selection::Selection)),
        (0, Box::new(equivocation::Equivocation)),
        (4, Box::new(invalidity::Invalidity)),
        (5, Box::new(replay::Replay)),
        (6, Box::new(garbage::Garbage)),
        (3, Box::new(lateness::Lateness)),
        (7, Box::new(sync::SyncDeviations)),
        (8, Box::new(false_report::FalseReport)),
        (9, Box::new(spam::Spam)),
        (10, Box::new(double_votes::DoubleVotes::default())),
    ];
    let has = |bit: u32| settings.strategies >> bit & 1 == 1;
    let mut behaviours: Vec<Box<dyn Adversary>> = Vec::new();
    if settings.fork != 0 {
        behaviours.push(Box::new(forking::Forking));
    }
    let named = all.into_iter().filter(|(bit, _)| has(*bit));
    behaviours.extend(named.map(|(_, behaviour)| behaviour));
    behaviours
}
