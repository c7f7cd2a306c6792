//! Who has submitted transactions with bad signatures, for operators.
//!
//! Names cost nothing: whoever connects under fresh keys again and again has as many as
//! it likes. So only the worst are named, and the others are counted together. Who hands
//! in the most keeps its name, however many come after it.

use alloc::collections::BTreeMap;

use crate::limits::LEDGER_BAD_SOURCES_NAMED;
use crate::types::NodeId;

/// Transactions refused for a bad signature, by who handed them in.
#[derive(Debug, Default, Hash)]
pub struct BadSignatures {
    named: BTreeMap<NodeId, u64>,
    /// Those of nodes that have lost their names.
    of_others: u64,
}

impl BadSignatures {
    /// One more came by this node. It is named at once, else it could never rise above
    /// those that are; whoever has the fewest makes room.
    pub(super) fn note(&mut self, source: NodeId) {
        if self.is_full() && !self.named.contains_key(&source) {
            let counts = self.named.iter().map(|(node, count)| (*count, *node));
            let (count, node) = counts.min().expect("some are named");
            self.named.remove(&node);
            self.of_others = self.of_others.saturating_add(count);
        }
        let count = self.named.entry(source).or_default();
        *count = count.saturating_add(1);
    }

    fn is_full(&self) -> bool {
        self.named.len() >= LEDGER_BAD_SOURCES_NAMED
    }

    /// G2 Names have a bound.
    pub(super) fn check_bounds(&self) {
        assert!(
            self.named.len() <= LEDGER_BAD_SOURCES_NAMED,
            "G2: who is named for bad signatures"
        );
    }

    /// The worst nodes, and how many each has submitted since it was named.
    pub const fn named(&self) -> &BTreeMap<NodeId, u64> {
        &self.named
    }

    /// How many came by nodes that are not named any more.
    pub const fn of_others(&self) -> u64 {
        self.of_others
    }

    /// How many came in all.
    pub fn total(&self) -> u64 {
        let named = self.named.values().copied();
        named.fold(self.of_others, u64::saturating_add)
    }
}

#[cfg(test)]
#[path = "../tests/bad_signatures.rs"]
mod tests;
