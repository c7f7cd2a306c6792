//! Filling a block: clusters take turns by bytes, the accounts of a cluster one
//! after the other, and lanes keep their order.
//!
//! Deficit round robin (Shreedhar and Varghese, SIGCOMM 1995): in every round each
//! cluster earns the same number of bytes and spends them on what it has. So a
//! cluster gets its part of a block however large or many its transactions are.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::shares::Origin;
use super::{Pool, Queue};
use crate::crypto::Digest;
use crate::ledger::execution::executor::{BlockExecutor, Invalid};
use crate::ledger_types::{AccountId, Checked};
use crate::limits::LEDGER_TURN_BYTES;

/// What waits of one account, last first.
struct Turn {
    account: AccountId,
    waiting: Vec<Digest>,
}

/// The accounts that take turns, each where its next transaction came from.
#[derive(Default)]
struct Turns {
    of: BTreeMap<Origin, VecDeque<Turn>>,
    earned: BTreeMap<Origin, usize>,
}

/// What became of one transaction.
enum Taken {
    Yes,
    No,
    BlockFull,
}

impl Turns {
    fn push(&mut self, pool: &Pool, turn: Turn) {
        if let Some(next) = turn.waiting.last() {
            let origin = pool.by_hash[next].origin;
            self.of.entry(origin).or_default().push_back(turn);
        }
    }

    /// The next account of an origin, if what it earned pays for its transaction.
    fn next(&mut self, pool: &Pool, origin: Origin) -> Option<(Turn, Digest, usize)> {
        let queue = self.of.get_mut(&origin)?;
        let Some(mut turn) = queue.pop_front() else {
            self.of.remove(&origin);
            // Who has nothing to say saves nothing up.
            self.earned.remove(&origin);
            return None;
        };
        let hash = *turn
            .waiting
            .last()
            .expect("only accounts that wait take turns");
        let bytes = pool.by_hash[&hash].transaction.bytes().len();
        if bytes > self.earned.get(&origin).copied().unwrap_or(0) {
            queue.push_front(turn);
            return None;
        }
        turn.waiting.pop();
        Some((turn, hash, bytes))
    }
}

impl Pool {
    /// Fills a block.
    pub(in crate::ledger) fn fill(
        &mut self,
        executor: &mut BlockExecutor<'_>,
    ) -> Vec<Arc<Checked>> {
        let mut taken = Vec::new();
        let mut gone = Vec::new();
        let mut turns = self.turns();
        'block: while !turns.of.is_empty() {
            for origin in self.order(&turns) {
                let earned = turns.earned.entry(origin).or_default();
                *earned = earned.saturating_add(LEDGER_TURN_BYTES);
                while let Some((mut turn, hash, bytes)) = turns.next(self, origin) {
                    match self.take(executor, hash, &mut turn, &mut gone) {
                        Taken::Yes => {
                            self.last_served = (origin, turn.account);
                            taken.push(self.by_hash[&hash].transaction.clone());
                            let earned = turns.earned.entry(origin).or_default();
                            *earned = earned.saturating_sub(bytes);
                        }
                        Taken::No => {}
                        Taken::BlockFull => break 'block,
                    }
                    turns.push(self, turn);
                }
            }
        }
        self.drop_all(&gone);
        taken
    }

    /// Puts one transaction into the block, if it has a place there.
    fn take(
        &self,
        executor: &mut BlockExecutor<'_>,
        hash: Digest,
        turn: &mut Turn,
        gone: &mut Vec<Digest>,
    ) -> Taken {
        let transaction = &self.by_hash[&hash].transaction;
        match executor.take(transaction) {
            Ok(()) => return Taken::Yes,
            Err(Invalid::Full) => return Taken::BlockFull,
            Err(Invalid::Gap(..) | Invalid::NewAccounts | Invalid::Quota) => {
                let lane = transaction.intent().lane;
                let lane_of = |hash: &Digest| self.by_hash[hash].transaction.intent().lane;
                turn.waiting.retain(|hash| lane_of(hash) != lane);
            }
            // It may be in an open block that this one rests on: only what can never
            // come in again is dropped.
            Err(Invalid::Used(..)) => {}
            Err(Invalid::Expired(_) | Invalid::WrongKey | Invalid::Lanes) => gone.push(hash),
        }
        Taken::No
    }

    /// All accounts, beginning behind the one that was served last.
    fn turns(&self) -> Turns {
        let after = (
            core::ops::Bound::Excluded(self.last_served.1),
            core::ops::Bound::Unbounded,
        );
        let first = self.accounts.range(after);
        let mut turns = Turns::default();
        for (account, queue) in first.chain(self.accounts.range(..=self.last_served.1)) {
            let waiting = Queue::newest_first(queue);
            let account = *account;
            turns.push(self, Turn { account, waiting });
        }
        turns
    }

    /// The origins of a round, beginning behind the one that was served last.
    fn order(&self, turns: &Turns) -> Vec<Origin> {
        let all: BTreeSet<Origin> = turns.of.keys().copied().collect();
        let last = self.last_served.0;
        let behind = all.iter().filter(|origin| **origin > last);
        let before = all.iter().filter(|origin| **origin <= last);
        behind.chain(before).copied().collect()
    }
}
