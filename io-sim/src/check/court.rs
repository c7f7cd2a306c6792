//! All checkers of a run, by what they want to see.

use std::ops::BitOr;

use decube_core::io::Volume;
use decube_core::node::{Effect, Event, Message, Notice};
use decube_core::types::NodeId;

use super::{Checker, Finding, Step, Written};
use crate::subject::Subject;
use crate::world::{Coverage, Host};

/// A set of the hooks that are called while a run goes on; the others are called once,
/// and of every checker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hooks(u16);

const HOOKS: usize = 10;

impl Hooks {
    /// All of them.
    pub const ALL: Self = Self((1 << HOOKS) - 1);
    /// None of them.
    pub const NONE: Self = Self(0);
    /// [`Checker::started`].
    pub const STARTED: Self = Self(1);
    /// [`Checker::received`].
    pub const RECEIVED: Self = Self(1 << 1);
    /// [`Checker::acted`].
    pub const ACTED: Self = Self(1 << 2);
    /// [`Checker::told`].
    pub const TOLD: Self = Self(1 << 3);
    /// [`Checker::sent`].
    pub const SENT: Self = Self(1 << 4);
    /// [`Checker::stepped`].
    pub const STEPPED: Self = Self(1 << 5);
    /// [`Checker::io`].
    pub const IO: Self = Self(1 << 6);
    /// [`Checker::deviated`].
    pub const DEVIATED: Self = Self(1 << 7);
    /// [`Checker::transmitted`].
    pub const TRANSMITTED: Self = Self(1 << 8);
    /// [`Checker::is_decided`].
    pub const DECIDED: Self = Self(1 << 9);

    const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The place of a single hook in lists of all.
    const fn place(self) -> usize {
        self.0.trailing_zeros() as usize
    }
}

impl BitOr for Hooks {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The checkers, in the order in which they are asked: the first that finds something
/// names the violation.
pub(crate) struct Court<S: Subject> {
    checkers: Vec<Box<dyn Checker<S>>>,
    /// For each hook, who has it.
    having: [Vec<usize>; HOOKS],
}

impl<S: Subject> Default for Court<S> {
    fn default() -> Self {
        Self {
            checkers: Vec::new(),
            having: Default::default(),
        }
    }
}

impl<S: Subject> Court<S> {
    pub(crate) fn add(&mut self, checker: Box<dyn Checker<S>>) {
        let hooks = checker.hooks();
        for (place, having) in self.having.iter_mut().enumerate() {
            if hooks.has(Hooks(1 << place)) {
                having.push(self.checkers.len());
            }
        }
        self.checkers.push(checker);
    }

    /// Asks all that have a hook, up to the first that finds something.
    fn ask(
        &mut self,
        hook: Hooks,
        mut ask: impl FnMut(&mut dyn Checker<S>) -> Result<(), Finding>,
    ) -> Result<(), Finding> {
        for number in &self.having[hook.place()] {
            ask(&mut *self.checkers[*number])?;
        }
        Ok(())
    }

    pub(crate) fn started(&mut self, slot: usize) {
        for number in &self.having[Hooks::STARTED.place()] {
            self.checkers[*number].started(slot);
        }
    }

    pub(crate) fn received(&mut self, step: &Step<'_, S>, event: &Event) -> Result<(), Finding> {
        self.ask(Hooks::RECEIVED, |checker| checker.received(step, event))
    }

    pub(crate) fn acted(&mut self, step: &Step<'_, S>, effects: &[Effect]) -> Result<(), Finding> {
        self.ask(Hooks::ACTED, |checker| checker.acted(step, effects))
    }

    pub(crate) fn told(&mut self, step: &Step<'_, S>, notice: &Notice) -> Result<(), Finding> {
        self.ask(Hooks::TOLD, |checker| checker.told(step, notice))
    }

    pub(crate) fn sent(
        &mut self,
        step: &Step<'_, S>,
        to: NodeId,
        message: &Message,
    ) -> Result<(), Finding> {
        self.ask(Hooks::SENT, |checker| checker.sent(step, to, message))
    }

    pub(crate) fn stepped(&mut self, step: &Step<'_, S>) -> Result<(), Finding> {
        self.ask(Hooks::STEPPED, |checker| checker.stepped(step))
    }

    pub(crate) fn io(&mut self, slot: usize, volume: Volume, written: Written) {
        for number in &self.having[Hooks::IO.place()] {
            self.checkers[*number].io(slot, volume, written);
        }
    }

    pub(crate) fn deviated(&mut self, message: &Message) -> Result<(), Finding> {
        self.ask(Hooks::DEVIATED, |checker| checker.deviated(message))
    }

    pub(crate) fn transmitted(&mut self, message: &Message) -> Result<(), Finding> {
        self.ask(Hooks::TRANSMITTED, |checker| checker.transmitted(message))
    }

    pub(crate) fn is_decided(&self) -> bool {
        let mut deciding = self.having[Hooks::DECIDED.place()].iter();
        deciding.any(|number| self.checkers[*number].is_decided())
    }

    pub(crate) fn aim(&mut self) {
        self.checkers.iter_mut().for_each(|checker| checker.aim());
    }

    pub(crate) fn is_reached(&self, hosts: &[Host<S>]) -> bool {
        let mut all = self.checkers.iter();
        all.all(|checker| checker.is_reached(hosts))
    }

    pub(crate) fn converged(&mut self) -> Result<(), Finding> {
        let mut all = self.checkers.iter_mut();
        all.try_for_each(|checker| checker.converged())
    }

    pub(crate) fn finish(&mut self, coverage: &mut Coverage) -> Result<(), Finding> {
        let mut all = self.checkers.iter_mut();
        all.try_for_each(|checker| checker.finish(coverage))
    }

    pub(crate) fn cover(&self, coverage: &mut Coverage) {
        let all = self.checkers.iter();
        all.for_each(|checker| checker.cover(coverage));
    }

    pub(crate) fn committed(&self) -> u64 {
        self.checkers
            .iter()
            .map(|checker| checker.committed())
            .sum()
    }
}
