//! What the judge of the ledger looks at while a run goes on.

use decube_core::bft;
use decube_core::ledger::{self, Ledger};
use decube_core::node::{Event, Message, Notice};
use decube_core::types::NodeId;

use super::LedgerChecker;
use crate::check::{Checker, Finding, Hooks, Step};
use crate::subject::Subject;
use crate::world::{Coverage, Host};

impl<S: Subject> Checker<S> for LedgerChecker {
    fn hooks(&self) -> Hooks {
        let always = Hooks::STARTED | Hooks::RECEIVED | Hooks::TOLD | Hooks::SENT | Hooks::STEPPED;
        let always = always | Hooks::DEVIATED;
        match self.fork {
            true => always | Hooks::TRANSMITTED | Hooks::DECIDED,
            false => always,
        }
    }

    fn started(&mut self, slot: usize) {
        Self::started(self, slot);
    }

    fn received(&mut self, step: &Step<'_, S>, event: &Event) -> Result<(), Finding> {
        if let Event::Message { from, message, .. } = event
            && let Message::Ledger(ledger::Message::Bft(bft::Message::Vote(vote))) = message
            && step.host.is_honest()
            && let Some(ledger) = step.host.ledger()
        {
            self.hearing(step.slot, *from, vote, ledger);
        }
        Ok(())
    }

    fn told(&mut self, step: &Step<'_, S>, notice: &Notice) -> Result<(), Finding> {
        let Notice::Ledger(notice) = notice else {
            return Ok(());
        };
        let Step { slot, host, .. } = *step;
        match notice {
            ledger::Notice::Final(block) if host.is_honest() => {
                let ledger = host.ledger().expect("its ledger told it");
                self.on_final(slot, block, ledger)
            }
            ledger::Notice::Replaced { at } => {
                self.fetched(slot, *at);
                Ok(())
            }
            ledger::Notice::Forked { culprits } if host.is_honest() => {
                self.on_fork_report(slot, culprits)
            }
            _ => Ok(()),
        }
    }

    fn sent(&mut self, step: &Step<'_, S>, _to: NodeId, message: &Message) -> Result<(), Finding> {
        match message {
            Message::Ledger(message) if step.host.is_honest() => {
                self.sending(step.slot, message, step.host.ledger_disk())
            }
            _ => Ok(()),
        }
    }

    fn stepped(&mut self, step: &Step<'_, S>) -> Result<(), Finding> {
        match step.host.ledger().filter(|_| step.host.is_honest()) {
            Some(ledger) => Self::stepped(self, step.slot, ledger),
            None => Ok(()),
        }
    }

    fn deviated(&mut self, message: &Message) -> Result<(), Finding> {
        match message {
            Message::Ledger(message) => self.on_deviation(message),
            _ => Ok(()),
        }
    }

    fn transmitted(&mut self, message: &Message) -> Result<(), Finding> {
        match message {
            Message::Ledger(message) => self.on_anything(message),
            _ => Ok(()),
        }
    }

    fn is_decided(&self) -> bool {
        self.settled.is_some()
    }

    fn aim(&mut self) {
        self.target = self.highest();
    }

    /// Whether every living honest node is there.
    fn is_reached(&self, hosts: &[Host<S>]) -> bool {
        let honest = hosts.iter().filter(|host| host.is_honest());
        let mut tips = honest
            .filter(|host| !host.is_dead() && !host.is_lost())
            .map(|host| host.ledger().and_then(Ledger::tip));
        tips.all(|tip| tip.is_some_and(|tip| tip.height >= self.target))
    }

    fn converged(&mut self) -> Result<(), Finding> {
        self.kept_its_word()
    }

    fn cover(&self, coverage: &mut Coverage) {
        Self::cover(self, coverage);
    }

    fn committed(&self) -> u64 {
        self.highest().0
    }
}
