//! Filling a block: clusters are served round robin by bytes, the accounts of a
//! cluster one after the other, and lanes keep their order.
//!
//! Deficit round robin (Shreedhar and Varghese, SIGCOMM 1995): in every round the
//! same quantum of bytes is added to the deficit counter of each cluster, and a transaction
//! is taken as long as the counter covers it. So a
//! cluster gets its part of a block however large or many its transactions are.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::shares::Origin;
use super::{Pool, Queue};
use crate::crypto::Digest;
use crate::ledger::execution::executor::{BlockExecutor, Invalid};
use crate::ledger_types::{AccountId, Checked};
use crate::limits::LEDGER_QUANTUM_BYTES;

/// What waits of one account, last first.
struct Backlog {
    account: AccountId,
    waiting: Vec<Digest>,
}

/// The accounts with a backlog, each under the origin of its next transaction.
#[derive(Default)]
struct RoundRobin {
    of: BTreeMap<Origin, VecDeque<Backlog>>,
    deficit: BTreeMap<Origin, usize>,
}

/// What became of one transaction.
enum Taken {
    Yes,
    No,
    BlockFull,
}

impl RoundRobin {
    fn push(&mut self, pool: &Pool, backlog: Backlog) {
        if let Some(next) = backlog.waiting.last() {
            let origin = pool.by_hash[next].origin;
            self.of.entry(origin).or_default().push_back(backlog);
        }
    }

    /// The next account of an origin, if its deficit counter covers the transaction.
    fn next(&mut self, pool: &Pool, origin: Origin) -> Option<(Backlog, Digest, usize)> {
        let queue = self.of.get_mut(&origin)?;
        let Some(mut backlog) = queue.pop_front() else {
            self.of.remove(&origin);
            // An empty queue keeps no deficit.
            self.deficit.remove(&origin);
            return None;
        };
        let hash = *backlog
            .waiting
            .last()
            .expect("only accounts with a backlog are queued");
        let bytes = pool.by_hash[&hash].transaction.bytes().len();
        if bytes > self.deficit.get(&origin).copied().unwrap_or(0) {
            queue.push_front(backlog);
            return None;
        }
        backlog.waiting.pop();
        Some((backlog, hash, bytes))
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
        let mut round_robin = self.round_robin();
        'block: while !round_robin.of.is_empty() {
            for origin in self.order(&round_robin) {
                let deficit = round_robin.deficit.entry(origin).or_default();
                *deficit = deficit.saturating_add(LEDGER_QUANTUM_BYTES);
                while let Some((mut backlog, hash, bytes)) = round_robin.next(self, origin) {
                    match self.take(executor, hash, &mut backlog, &mut gone) {
                        Taken::Yes => {
                            self.last_served = (origin, backlog.account);
                            taken.push(self.by_hash[&hash].transaction.clone());
                            let deficit = round_robin.deficit.entry(origin).or_default();
                            *deficit = deficit.saturating_sub(bytes);
                        }
                        Taken::No => {}
                        Taken::BlockFull => break 'block,
                    }
                    round_robin.push(self, backlog);
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
        backlog: &mut Backlog,
        gone: &mut Vec<Digest>,
    ) -> Taken {
        let transaction = &self.by_hash[&hash].transaction;
        match executor.take(transaction) {
            Ok(()) => return Taken::Yes,
            Err(Invalid::Full) => return Taken::BlockFull,
            Err(Invalid::Gap(..) | Invalid::NewAccounts | Invalid::Quota) => {
                let lane = transaction.intent().lane;
                let lane_of = |hash: &Digest| self.by_hash[hash].transaction.intent().lane;
                backlog.waiting.retain(|hash| lane_of(hash) != lane);
            }
            // It may be in an open block that this one rests on: only what can never
            // come in again is dropped.
            Err(Invalid::Used(..)) => {}
            Err(Invalid::Expired(_) | Invalid::WrongKey | Invalid::Lanes) => gone.push(hash),
        }
        Taken::No
    }

    /// All accounts, beginning behind the one that was served last.
    fn round_robin(&self) -> RoundRobin {
        let after = (
            core::ops::Bound::Excluded(self.last_served.1),
            core::ops::Bound::Unbounded,
        );
        let first = self.accounts.range(after);
        let mut round_robin = RoundRobin::default();
        for (account, queue) in first.chain(self.accounts.range(..=self.last_served.1)) {
            let waiting = Queue::newest_first(queue);
            let account = *account;
            round_robin.push(self, Backlog { account, waiting });
        }
        round_robin
    }

    /// The origins of a round, beginning behind the one that was served last.
    fn order(&self, round_robin: &RoundRobin) -> Vec<Origin> {
        let all: BTreeSet<Origin> = round_robin.of.keys().copied().collect();
        let last = self.last_served.0;
        let behind = all.iter().filter(|origin| **origin > last);
        let before = all.iter().filter(|origin| **origin <= last);
        behind.chain(before).copied().collect()
    }
}
