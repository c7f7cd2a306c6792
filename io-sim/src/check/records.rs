//! What the clients and watchers of a cluster saw, written down while the run goes on and
//! judged at its end.

use decube_core::types::ClusterId;

use super::guards::Guards;
use super::watches::Watches;
use super::{Checker, Finding, Hooks, Shared, history};
use crate::history::History;
use crate::subject::Subject;
use crate::world::Coverage;

/// What the clients and watchers of one cluster did and saw.
#[derive(Debug, Default)]
pub struct Records {
    /// Operations on keys.
    pub history: History,
    /// What was shown of leases and locks.
    pub guards: Guards,
    /// What watchers were told.
    pub watches: Watches,
}

/// Whether the clients of a cluster saw one order of what happened.
#[derive(Debug)]
pub struct OneOrder {
    /// Which cluster.
    pub cluster: ClusterId,
    /// What was seen there.
    pub records: Shared<Records>,
}

impl<S: Subject> Checker<S> for OneOrder {
    fn hooks(&self) -> Hooks {
        Hooks::NONE
    }

    fn finish(&mut self, coverage: &mut Coverage) -> Result<(), Finding> {
        let Records {
            history,
            guards,
            watches,
        } = &*self.records.borrow();
        let (undecided, finding) = history::check(history);
        coverage.keys_undecided += undecided;
        let finding = finding.or_else(|| guards.check().err());
        let finding = finding.or_else(|| watches.check(history).err());
        match finding {
            Some((checker, message)) => {
                Err((checker, format!("cluster {}: {message}", self.cluster)))
            }
            None => Ok(()),
        }
    }
}
