//! The checkers: independent judges of what a run showed.
//!
//! They see facts, messages and answers, and restate every property with their
//! own arithmetic; none of them calls a production predicate. The world knows them as
//! [`Checker`]s in a list; which there are stands where a run is put together.
//!
//! | file | holds |
//! |---|---|
//! | `court.rs` | all checkers of a run, by what they want to see |
//! | `raft/` | the safety of consensus, after every step |
//! | `ledger/` | the promises of the ledger |
//! | `shape.rs` | no step without end, bounds, who is listened to, and who refuses |
//! | `records.rs` | what clients of a cluster saw, judged at the end |
//! | `guards.rs` | leases and locks, by the answers of clients |
//! | `history.rs` | keys, by the answers of clients |
//! | `linear.rs` | linearizability by search |
//! | `order.rs` | whether the order that answers claim explains them |
//! | `watches.rs` | what watchers saw |

mod court;
pub mod guards;
pub mod history;
pub mod ledger;
pub mod linear;
pub mod order;
pub mod raft;
pub mod records;
pub mod shape;
pub mod watches;

use std::cell::RefCell;
use std::rc::Rc;

use decube_core::io::Volume;
use decube_core::node::{Effect, Event, Message, Notice};
use decube_core::types::NodeId;

use crate::subject::Subject;
use crate::world::{Coverage, Host};

pub(crate) use court::Court;
pub use court::Hooks;

/// A violated rule: its name and what was seen.
pub type Finding = (&'static str, String);

/// What is both in the list of checkers and in the hands of those who feed it: a client
/// tells its judge what it was told. The world is single-threaded.
pub type Shared<T> = Rc<RefCell<T>>;

/// Puts something where several can reach it.
pub fn shared<T>(what: T) -> Shared<T> {
    Rc::new(RefCell::new(what))
}

/// What a checker sees of a node at one moment of a run.
#[derive(Debug)]
pub struct Step<'a, S: Subject> {
    /// The number of the step that is taken, or was taken last.
    pub event: u64,
    /// The time of the world.
    pub now: u64,
    /// How many steps all nodes took in this very instant.
    pub in_this_instant: u64,
    /// How much is to happen yet: what is under way between nodes, above all.
    pub to_come: usize,
    /// Which slot.
    pub slot: usize,
    /// What is in it.
    pub host: &'a Host<S>,
}

impl<S: Subject> Step<'_, S> {
    /// The running machine.
    pub fn subject(&self) -> &S {
        let subject = self.host.subject();
        subject.expect("a step is taken by a running node")
    }
}

/// What became of something that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// What was asked for in or before this step is durable.
    Durable {
        /// The step.
        asked: u64,
    },
    /// The volume no longer holds what was synced to it.
    Damaged,
}

/// A judge of a run: every hook sees, none changes anything, and an error ends the run.
///
/// For one step the hooks come in the order `received`, `acted`, `told`, `sent`,
/// `stepped`. A crash between two effects of a step leaves the rest of them out.
pub trait Checker<S: Subject> {
    /// Which hooks it has. One that is not named is never called, so that checkers of
    /// rare things cost nothing at the others.
    fn hooks(&self) -> Hooks {
        Hooks::ALL
    }

    /// A new process of a slot is about to start.
    fn started(&mut self, _slot: usize) {}

    /// A node is about to take a step.
    fn received(&mut self, _step: &Step<'_, S>, _event: &Event) -> Result<(), Finding> {
        Ok(())
    }

    /// It has taken it and wants these effects, none of which is carried out yet.
    fn acted(&mut self, _step: &Step<'_, S>, _effects: &[Effect]) -> Result<(), Finding> {
        Ok(())
    }

    /// A part of it told the node of something.
    fn told(&mut self, _step: &Step<'_, S>, _notice: &Notice) -> Result<(), Finding> {
        Ok(())
    }

    /// It says something. A Byzantine node does not say what its process says: see
    /// [`transmitted`](Self::transmitted).
    fn sent(
        &mut self,
        _step: &Step<'_, S>,
        _to: NodeId,
        _message: &Message,
    ) -> Result<(), Finding> {
        Ok(())
    }

    /// Its step is done.
    fn stepped(&mut self, _step: &Step<'_, S>) -> Result<(), Finding> {
        Ok(())
    }

    /// Something became of what a slot wrote.
    fn io(&mut self, _slot: usize, _volume: Volume, _written: Written) {}

    /// A Byzantine node makes up a message.
    fn deviated(&mut self, _message: &Message) -> Result<(), Finding> {
        Ok(())
    }

    /// The network takes a message to another cluster, whoever says it.
    fn transmitted(&mut self, _message: &Message) -> Result<(), Finding> {
        Ok(())
    }

    /// Whether there is nothing more to be seen: the run may end.
    fn is_decided(&self) -> bool {
        false
    }

    /// The faults are over and clients are served again: from now on what exists has to
    /// reach everybody.
    fn aim(&mut self) {}

    /// Whether it has reached everybody.
    fn is_reached(&self, _hosts: &[Host<S>]) -> bool {
        true
    }

    /// It has reached everybody: what must hold then.
    fn converged(&mut self) -> Result<(), Finding> {
        Ok(())
    }

    /// The run is over, and nothing was found.
    fn finish(&mut self, _coverage: &mut Coverage) -> Result<(), Finding> {
        Ok(())
    }

    /// Adds the situations that it saw, whether or not something was found.
    fn cover(&self, _coverage: &mut Coverage) {}

    /// How many entries or blocks it holds to be final, for the report.
    fn committed(&self) -> u64 {
        0
    }
}

impl<S: Subject, C: Checker<S>> Checker<S> for Shared<C> {
    fn hooks(&self) -> Hooks {
        self.borrow().hooks()
    }

    fn started(&mut self, slot: usize) {
        self.borrow_mut().started(slot);
    }

    fn received(&mut self, step: &Step<'_, S>, event: &Event) -> Result<(), Finding> {
        self.borrow_mut().received(step, event)
    }

    fn acted(&mut self, step: &Step<'_, S>, effects: &[Effect]) -> Result<(), Finding> {
        self.borrow_mut().acted(step, effects)
    }

    fn told(&mut self, step: &Step<'_, S>, notice: &Notice) -> Result<(), Finding> {
        self.borrow_mut().told(step, notice)
    }

    fn sent(&mut self, step: &Step<'_, S>, to: NodeId, message: &Message) -> Result<(), Finding> {
        self.borrow_mut().sent(step, to, message)
    }

    fn stepped(&mut self, step: &Step<'_, S>) -> Result<(), Finding> {
        self.borrow_mut().stepped(step)
    }

    fn io(&mut self, slot: usize, volume: Volume, written: Written) {
        self.borrow_mut().io(slot, volume, written);
    }

    fn deviated(&mut self, message: &Message) -> Result<(), Finding> {
        self.borrow_mut().deviated(message)
    }

    fn transmitted(&mut self, message: &Message) -> Result<(), Finding> {
        self.borrow_mut().transmitted(message)
    }

    fn is_decided(&self) -> bool {
        self.borrow().is_decided()
    }

    fn aim(&mut self) {
        self.borrow_mut().aim();
    }

    fn is_reached(&self, hosts: &[Host<S>]) -> bool {
        self.borrow().is_reached(hosts)
    }

    fn converged(&mut self) -> Result<(), Finding> {
        self.borrow_mut().converged()
    }

    fn finish(&mut self, coverage: &mut Coverage) -> Result<(), Finding> {
        self.borrow_mut().finish(coverage)
    }

    fn cover(&self, coverage: &mut Coverage) {
        self.borrow().cover(coverage);
    }

    fn committed(&self) -> u64 {
        self.borrow().committed()
    }
}
