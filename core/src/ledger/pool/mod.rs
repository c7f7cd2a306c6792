//! Transactions that wait for a block.
//!
//! Everything that can be refused without a signature check is refused before it.
//! The pool is bounded in bytes, and so is what each account and each cluster takes
//! up: one of them cannot keep the others out. When it is full, whoever takes up
//! the most makes room for who takes up less. How fast transactions come is bounded
//! for each account and cluster, and a node that submits bad signatures is soon not
//! listened to. There are no fees and no replacement: who comes first is served
//! first within its lane, and clusters and accounts are served round robin.
//!
//! | file | holds |
//! |---|---|
//! | `rejection.rs` | why a transaction is not taken |
//! | `bad_signatures.rs` | who has submitted bad signatures |
//! | `rate.rs` | how fast they may come |
//! | `shares.rs` | how much may wait |
//! | `fill.rs` | deficit round robin: what goes into a block |
//! | `key_cache.rs` | keys that need no square root again |

mod bad_signatures;
mod digest;
mod fill;
mod key_cache;
mod rate;
mod rejection;
mod shares;
#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::execution::executor::Invalid;
use super::execution::ledger_state::LedgerState;
use crate::bft::Height;
use crate::crypto::{ChainId, Digest, SharedVerifier};
use crate::ledger_types::{AccountId, Checked, Intent, Lane, Sequence, Transaction, TxError, TxId};
use crate::limits::{
    LEDGER_LANE_GAP_MAX, LEDGER_LANES_MAX, LEDGER_POOL_ACCOUNT_BYTES_MAX, LEDGER_POOL_BYTES_MAX,
    LEDGER_POOL_CROWDED_BYTES,
};
use crate::merkle::LeafHash;
use crate::types::{ClusterId, NodeId, Time};
use key_cache::KeyCache;

use rate::{Rates, Sender};
use shares::{Origin, Shares};

pub use bad_signatures::BadSignatures;
use rejection::check_validity;
pub use rejection::{Rejection, Share};

/// The pool.
#[derive(Debug)]
pub struct Pool {
    node: NodeId,
    chain: ChainId,
    verifier: SharedVerifier,
    by_hash: BTreeMap<Digest, Pooled>,
    accounts: BTreeMap<AccountId, Queue>,
    by_id: BTreeMap<TxId, Digest>,
    expiry: BTreeSet<(Height, Digest)>,
    bytes: usize,
    shares: Shares,
    rates: Rates,
    /// The clusters of the listed nodes.
    clusters: BTreeMap<NodeId, ClusterId>,
    /// The list that they were read from.
    members: Bytes,
    /// Who was served last in a block.
    last_served: (Origin, AccountId),
    bad_signatures: BadSignatures,
    /// Transactions that had to make room for those of others.
    evicted: u64,
    /// Keys of transactions that were taken in.
    keys: KeyCache,
}

#[derive(Debug)]
struct Pooled {
    transaction: Arc<Checked>,
    /// The node that handed it in.
    source: NodeId,
    /// Its cluster at that time.
    origin: Origin,
}

/// Who hands a transaction in, when, and on top of what.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The node.
    pub source: NodeId,
    pub now: Time,
    /// The state after the last final block.
    pub ledger_state: &'a LedgerState,
    pub height: Height,
}

/// What waits of one account.
#[derive(Debug, Default)]
struct Queue {
    lanes: BTreeMap<(Lane, Sequence), Digest>,
    /// The sequences of those, in runs without a gap: where each begins, and what
    /// follows it.
    runs: BTreeMap<(Lane, Sequence), Sequence>,
    bytes: usize,
}

/// What became of a transaction that was submitted.
#[derive(Debug, Clone)]
pub struct Admitted {
    pub transaction: Arc<Checked>,
    /// Whether it was not there before.
    pub is_new: bool,
}

impl Pool {
    /// The empty pool of a node.
    pub fn new(node: NodeId, chain: ChainId, verifier: SharedVerifier) -> Self {
        Self {
            node,
            chain,
            verifier,
            by_hash: BTreeMap::new(),
            accounts: BTreeMap::new(),
            by_id: BTreeMap::new(),
            expiry: BTreeSet::new(),
            bytes: 0,
            shares: Shares::default(),
            rates: Rates::default(),
            clusters: BTreeMap::new(),
            members: Bytes::new(),
            last_served: (None, AccountId([0; 20])),
            bad_signatures: BadSignatures::default(),
            evicted: 0,
            keys: KeyCache::new(),
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.by_hash.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }

    /// Bytes of what waits.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// A waiting transaction by its leaf hash.
    pub(super) fn get(&self, hash: &Digest) -> Option<&Arc<Checked>> {
        self.by_hash.get(hash).map(|pooled| &pooled.transaction)
    }

    /// A waiting transaction by the id of one of its operations.
    pub fn find(&self, id: &TxId) -> Option<&Arc<Checked>> {
        self.get(self.by_id.get(id)?)
    }

    /// Who has submitted transactions with bad signatures.
    pub const fn bad_signatures(&self) -> &BadSignatures {
        &self.bad_signatures
    }

    /// How many transactions had to make room for those of others.
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// G2 What is kept of those who send has a bound.
    pub(super) fn check_bounds(&self) {
        assert!(self.bytes <= LEDGER_POOL_BYTES_MAX, "G2: the pool");
        self.bad_signatures.check_bounds();
        self.rates.check_bounds();
    }

    /// G6 What waits is counted once, in all and by account, origin and operation.
    pub(super) fn check_sums(&self) {
        let sizes = self.by_hash.values().map(|one| one.transaction.bytes());
        let bytes: usize = sizes.map(Bytes::len).sum();
        assert_eq!(bytes, self.bytes, "G6: the bytes of what waits");
        let accounts = || self.accounts.values().map(|queue| queue.bytes);
        assert!(
            accounts().all(|bytes| bytes <= LEDGER_POOL_ACCOUNT_BYTES_MAX),
            "G6: an account takes up so much at most"
        );
        assert_eq!(accounts().sum::<usize>(), bytes, "G6: accounts add up");
        self.shares.check_sums(bytes);
        let waiting = self.by_hash.len();
        assert_eq!(self.expiry.len(), waiting, "G6: each expires once");
        let places = self.accounts.values().map(|queue| queue.lanes.len());
        assert_eq!(places.sum::<usize>(), waiting, "G6: each has one place");
        let operations = self.by_hash.values().map(|one| one.transaction.ids().len());
        assert_eq!(
            operations.sum::<usize>(),
            self.by_id.len(),
            "G6: each operation waits once"
        );
        for queue in self.accounts.values() {
            assert!(!queue.lanes.is_empty(), "G6: no account without anything");
        }
    }

    /// The sequence that follows what is final and what waits, without a gap.
    pub(super) fn next_sequence(
        &self,
        id: &AccountId,
        lane: Lane,
        state: &LedgerState,
    ) -> Sequence {
        let account = state.account(id);
        let next = account.map_or(Sequence(0), |account| account.next(lane));
        let queue = self.accounts.get(id);
        queue.map_or(next, |queue| queue.end_of_run(lane, next))
    }

    /// The lanes in which something of an account waits.
    pub(super) fn lanes(&self, id: &AccountId) -> BTreeSet<Lane> {
        let queue = self.accounts.get(id);
        queue.map_or_else(BTreeSet::new, Queue::lanes)
    }

    /// All that wait and came by this node, oldest sequence first.
    pub(super) fn of_source(&self, source: NodeId) -> impl Iterator<Item = &Arc<Checked>> {
        self.by_hash
            .values()
            .filter(move |pooled| pooled.source == source)
            .map(|pooled| &pooled.transaction)
    }

    /// Takes a transaction in, after every check; the cheap ones first.
    ///
    /// # Errors
    /// See [`Rejection`].
    pub fn admit(&mut self, bytes: Bytes, arrival: &Arrival<'_>) -> Result<Admitted, Rejection> {
        let hash = *LeafHash::of(&bytes).digest();
        if let Some(known) = self.get(&hash) {
            return Ok(Admitted {
                transaction: known.clone(),
                is_new: false,
            });
        }
        let Arrival {
            source,
            now,
            ledger_state: state,
            ..
        } = *arrival;
        let transaction = self.decode(&bytes)?;
        let intent = transaction.intent();
        self.read_members(state);
        let origin = self.clusters.get(&source).copied();
        let sender = Sender {
            account: intent.account,
            cluster: origin,
            node: source,
            bytes: u64::try_from(bytes.len()).expect("at most 64 KiB"),
        };
        self.rates.check(&sender, now)?;
        self.check_room(intent.account, origin, bytes.len())?;
        check_validity(intent, state, arrival.height)?;
        self.check_place(&transaction, state)?;
        self.rates.take_from_cluster(&sender, now);
        let checked = match transaction.verify(bytes, &*self.verifier) {
            Ok(checked) => Arc::new(checked),
            Err(error) => {
                // Others check before they hand on; what clients of this node hand
                // in, nobody has checked, and one of them must not stop the others.
                if source != self.node {
                    self.rates.take_from_offender(source, now);
                }
                self.bad_signatures.note(source);
                return Err(error.into());
            }
        };
        self.rates.take_from_account(&sender, now);
        self.make_room(checked.bytes().len());
        self.insert(Pooled {
            transaction: checked.clone(),
            source,
            origin,
        });
        Ok(Admitted {
            transaction: checked,
            is_new: true,
        })
    }

    /// Learns which node belongs to which cluster.
    fn read_members(&mut self, state: &LedgerState) {
        let list = state.raw(super::execution::ledger_state::keys::MEMBERS);
        if list.is_some_and(|list| *list != self.members) {
            self.members = list.cloned().unwrap_or_default();
            let members = state.members().iter();
            self.clusters = members.map(|one| (one.node, one.cluster)).collect();
        }
    }

    /// How many clusters are listed.
    fn clusters_len(&self) -> usize {
        self.clusters.values().collect::<BTreeSet<_>>().len()
    }

    fn check_room(
        &self,
        account: AccountId,
        origin: Origin,
        bytes: usize,
    ) -> Result<(), Rejection> {
        let of_account = self.accounts.get(&account).map_or(0, |queue| queue.bytes);
        if of_account.saturating_add(bytes) > LEDGER_POOL_ACCOUNT_BYTES_MAX {
            return Err(Rejection::Full(Share::Account));
        }
        let with_this = self.shares.of(origin).saturating_add(bytes);
        if with_this > Shares::most(self.clusters_len()) {
            return Err(Rejection::Full(Share::Cluster));
        }
        let is_full = self.bytes.saturating_add(bytes) > LEDGER_POOL_BYTES_MAX;
        let largest = self.shares.largest().map_or(0, |(bytes, ..)| bytes);
        // Two that take up the same would push each other out for ever.
        if is_full && largest <= with_this {
            return Err(Rejection::Full(Share::All));
        }
        Ok(())
    }

    /// Whoever takes up the most gives way: the last of what waits of its largest
    /// account.
    fn make_room(&mut self, bytes: usize) {
        while self.bytes.saturating_add(bytes) > LEDGER_POOL_BYTES_MAX {
            let largest = self.shares.largest();
            let (_, origin, account) = largest.expect("a full pool is not empty");
            let queue = &self.accounts[&account];
            let is_of = |hash: &&Digest| self.by_hash[*hash].origin == origin;
            let last = queue.lanes.values().rev().find(is_of).copied();
            self.remove(&last.expect("its bytes are counted"));
            self.evicted = self.evicted.saturating_add(1);
        }
    }

    /// Whether it can follow what is final and what waits.
    fn check_place(&self, transaction: &Transaction, state: &LedgerState) -> Result<(), Rejection> {
        let intent = transaction.intent();
        let account = state.account(&intent.account);
        let owns = match &account {
            Some(account) => account.key == transaction.key().to_compressed(),
            None => AccountId::of(transaction.key()) == intent.account,
        };
        if !owns {
            return Err(Invalid::WrongKey.into());
        }
        let queue = self.accounts.get(&intent.account);
        let mut lanes = queue.map_or_else(BTreeSet::new, Queue::lanes);
        lanes.extend(account.iter().flat_map(|account| account.lanes.keys()));
        lanes.insert(intent.lane);
        if lanes.len() > LEDGER_LANES_MAX {
            return Err(Invalid::Lanes.into());
        }
        let next = account.map_or(Sequence(0), |account| account.next(intent.lane));
        let sequence = intent.sequence.0;
        if intent.sequence < next {
            return Err(Invalid::Used(sequence, next.0).into());
        }
        let is_taken = queue.is_some_and(|queue| queue.overlaps(intent));
        if is_taken {
            return Err(Rejection::Taken(sequence));
        }
        let end = queue.map_or(next, |queue| queue.end_of_run(intent.lane, next));
        let expected = end.0;
        // A gap may be filled by what is still on its way, but holes are no place to
        // store things in.
        if sequence > expected.saturating_add(LEDGER_LANE_GAP_MAX) {
            return Err(Rejection::TooFarAhead {
                sequence,
                next: expected,
            });
        }
        let is_crowded = self.bytes > LEDGER_POOL_CROWDED_BYTES;
        if sequence > expected && is_crowded {
            let next = expected;
            return Err(Rejection::Crowded { sequence, next });
        }
        Ok(())
    }

    /// Decodes a transaction, at less cost if its key has signed lately. Its signature
    /// is unchecked.
    pub(in crate::ledger) fn decode(&self, bytes: &Bytes) -> Result<Transaction, TxError> {
        Transaction::decode_known(bytes, self.chain, |encoded| self.keys.find(encoded))
    }

    fn insert(&mut self, pooled: Pooled) {
        let transaction = &pooled.transaction;
        self.keys.note(transaction.key());
        let intent = transaction.intent();
        let (hash, bytes) = (transaction.hash(), transaction.bytes().len());
        let queue = self.accounts.entry(intent.account).or_default();
        queue.lanes.insert((intent.lane, intent.sequence), hash);
        queue.join(intent);
        queue.bytes = queue.bytes.saturating_add(bytes);
        self.bytes = self.bytes.saturating_add(bytes);
        self.shares.add(pooled.origin, intent.account, bytes);
        self.by_id
            .extend(transaction.ids().iter().map(|id| (*id, hash)));
        self.expiry.insert((intent.valid_until, hash));
        let before = self.by_hash.insert(hash, pooled);
        assert!(before.is_none(), "G6: nothing waits twice");
        assert!(
            self.bytes <= LEDGER_POOL_BYTES_MAX,
            "G6: room was made before"
        );
    }

    /// Takes a transaction out.
    fn remove(&mut self, hash: &Digest) -> Option<Arc<Checked>> {
        let Pooled {
            transaction,
            origin,
            ..
        } = self.by_hash.remove(hash)?;
        let intent = transaction.intent();
        let bytes = transaction.bytes().len();
        if let Some(queue) = self.accounts.get_mut(&intent.account) {
            queue.lanes.remove(&(intent.lane, intent.sequence));
            queue.part(intent);
            queue.bytes = queue.bytes.saturating_sub(bytes);
            if queue.lanes.is_empty() {
                self.accounts.remove(&intent.account);
            }
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        self.shares.remove(origin, intent.account, bytes);
        for id in transaction.ids() {
            self.by_id.remove(id);
        }
        self.expiry.remove(&(intent.valid_until, *hash));
        Some(transaction)
    }

    fn drop_all(&mut self, hashes: &[Digest]) {
        for hash in hashes {
            self.remove(hash);
        }
    }

    /// A block is final: what it holds, and what cannot come in any more, leaves.
    /// Gives back what expired.
    pub(super) fn on_final(
        &mut self,
        transactions: &[Arc<Checked>],
        state: &LedgerState,
        height: Height,
    ) -> Vec<Arc<Checked>> {
        for transaction in transactions {
            self.remove(&transaction.hash());
            self.drop_used(transaction.intent(), state);
        }
        self.drop_expired(height)
    }

    /// The state has changed by more than one block.
    pub(super) fn on_jump(&mut self, state: &LedgerState, height: Height) -> Vec<Arc<Checked>> {
        let mut used = Vec::new();
        for (id, queue) in &self.accounts {
            let Some(account) = state.account(id) else {
                continue;
            };
            let is_used = |place: &(Lane, Sequence)| place.1 < account.next(place.0);
            let places = queue.lanes.iter().filter(|(place, _)| is_used(place));
            used.extend(places.map(|(_, hash)| *hash));
        }
        self.drop_all(&used);
        self.drop_expired(height)
    }

    fn drop_expired(&mut self, height: Height) -> Vec<Arc<Checked>> {
        let mut expired = Vec::new();
        while let Some((last, hash)) = self.expiry.first().copied() {
            if last > height {
                break;
            }
            expired.extend(self.remove(&hash));
        }
        expired
    }

    /// Drops what waits at places of the lane that are used now.
    fn drop_used(&mut self, intent: &Intent, state: &LedgerState) {
        let Some(queue) = self.accounts.get(&intent.account) else {
            return;
        };
        let account = state.account(&intent.account);
        let next = account.map_or(Sequence(0), |account| account.next(intent.lane));
        let used = queue
            .lanes
            .range((intent.lane, Sequence(0))..(intent.lane, next));
        let used: Vec<Digest> = used.map(|(_, hash)| *hash).collect();
        self.drop_all(&used);
    }

    /// Whether something waits that could be in the next block.
    pub(super) fn has_ready(&self, state: &LedgerState) -> bool {
        self.accounts.iter().any(|(id, queue)| {
            let account = state.account(id);
            let next = |lane| {
                let account = account.as_ref();
                account.map_or(Sequence(0), |account| account.next(lane))
            };
            let is_ready = |lane: Lane| queue.lanes.contains_key(&(lane, next(lane)));
            queue.lanes().into_iter().any(is_ready)
        })
    }
}

impl Queue {
    /// What waits, the last of the last lane first.
    fn newest_first(&self) -> Vec<Digest> {
        self.lanes.values().rev().copied().collect()
    }

    /// The lanes in which something waits.
    fn lanes(&self) -> BTreeSet<Lane> {
        self.runs.keys().map(|(lane, _)| *lane).collect()
    }

    /// The last run of a lane that begins before a sequence.
    fn run_before(&self, lane: Lane, end: Sequence) -> Option<(Sequence, Sequence)> {
        let before = self.runs.range((lane, Sequence(0))..(lane, end));
        let last = before.last();
        last.map(|((_, begin), end)| (*begin, *end))
    }

    /// Whether another transaction waits at one of the places of this one.
    fn overlaps(&self, intent: &Intent) -> bool {
        let end = end_of(intent);
        let before = self.run_before(intent.lane, end);
        before.is_some_and(|(_, end)| end > intent.sequence)
    }

    /// The sequence behind the last one of an unbroken run from `next` on.
    fn end_of_run(&self, lane: Lane, next: Sequence) -> Sequence {
        let after = Sequence(next.0.saturating_add(1));
        let run = self.run_before(lane, after);
        run.map_or(next, |(_, end)| end.max(next))
    }

    /// Adds the places of a transaction to the runs.
    fn join(&mut self, intent: &Intent) {
        let (lane, end) = (intent.lane, end_of(intent));
        let mut begin = intent.sequence;
        if let Some((before, _)) = self
            .run_before(lane, begin)
            .filter(|(_, end)| *end == begin)
        {
            begin = before;
        }
        let behind = self.runs.remove(&(lane, end));
        self.runs.insert((lane, begin), behind.unwrap_or(end));
    }

    /// Takes them out again.
    fn part(&mut self, intent: &Intent) {
        let (lane, end) = (intent.lane, end_of(intent));
        let run = self.run_before(lane, end);
        let (begin, behind) = run.expect("what waits is in a run");
        assert!(begin <= intent.sequence && end <= behind, "in one run");
        self.runs.remove(&(lane, begin));
        if begin < intent.sequence {
            self.runs.insert((lane, begin), intent.sequence);
        }
        if end < behind {
            self.runs.insert((lane, end), behind);
        }
    }
}

/// The place behind a transaction.
fn end_of(intent: &Intent) -> Sequence {
    let end = intent.next_sequence();
    end.expect("checked when it was decoded")
}
