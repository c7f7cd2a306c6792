//! Transactions that wait for a block.
//!
//! Everything that can be refused without a signature check is refused before it.
//! The pool is bounded in bytes, and so is the share of each account and of each
//! node that hands transactions in: one of them can not keep the others out. There
//! are no fees and no replacement: who comes first is served first within its
//! lane, and accounts take turns.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::known_keys::KnownKeys;
use super::params::Param;
use super::session::{Invalid, Session};
use super::transaction::{Checked, Intent, Transaction, TxError};
use super::types::{AccountId, Lane, Sequence, TxId};
use super::world::World;
use crate::bft::Height;
use crate::crypto::{ChainId, Digest, SharedVerifier, sha256};
use crate::limits::{
    LEDGER_LANE_GAP_MAX, LEDGER_LANES_MAX, LEDGER_POOL_ACCOUNT_BYTES_MAX, LEDGER_POOL_BYTES_MAX,
    LEDGER_POOL_SOURCE_BYTES_MAX,
};
use crate::types::NodeId;

/// The pool.
#[derive(Debug)]
pub struct Pool {
    chain: ChainId,
    verifier: SharedVerifier,
    by_hash: BTreeMap<Digest, Pooled>,
    accounts: BTreeMap<AccountId, Queue>,
    by_id: BTreeMap<TxId, Digest>,
    expiry: BTreeSet<(Height, Digest)>,
    bytes: usize,
    by_source: BTreeMap<NodeId, usize>,
    /// The account that was served last.
    cursor: AccountId,
    /// Transactions refused for a bad signature, by who handed them in.
    bad_signatures: BTreeMap<NodeId, u64>,
    /// Keys of transactions that were taken in.
    keys: KnownKeys,
}

#[derive(Debug)]
struct Pooled {
    transaction: Arc<Checked>,
    source: NodeId,
}

/// What waits of one account.
#[derive(Debug, Default)]
struct Queue {
    lanes: BTreeMap<(Lane, Sequence), Digest>,
    bytes: usize,
}

/// Why a transaction was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It is none, whatever the state of the ledger.
    #[error(transparent)]
    Tx(#[from] TxError),
    /// It has no place in the next block, nor in a later one.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// It names a last block that is too far away.
    #[error("valid_until is too far away: at most block {0}")]
    ValidTooLong(Height),
    /// Too many others of its lane have to come first.
    #[error("sequence {sequence} is too far ahead: the next of this lane is {next}")]
    TooFarAhead {
        /// Its sequence.
        sequence: u64,
        /// The next one.
        next: u64,
    },
    /// Another transaction waits at the same place of the lane.
    #[error("another transaction already waits at sequence {0} of this lane")]
    Taken(u64),
    /// The pool, or the share of the account or of the node, is full.
    #[error("too many transactions wait: try again later")]
    Full,
}

impl Rejection {
    /// Whether the same transaction may be taken later.
    pub const fn is_temporary(self) -> bool {
        matches!(
            self,
            Self::Full | Self::TooFarAhead { .. } | Self::Invalid(Invalid::Quota)
        )
    }

    /// A stable code for the edge.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Tx(TxError::TooLarge) => "tx_too_large",
            Self::Tx(TxError::Malformed(_)) => "tx_malformed",
            Self::Tx(TxError::WrongChain) => "tx_wrong_chain",
            Self::Tx(TxError::BadSignature) => "tx_bad_signature",
            Self::Tx(TxError::BadKeyProof) => "tx_bad_key_proof",
            Self::Invalid(Invalid::Expired(_)) => "tx_expired",
            Self::Invalid(Invalid::WrongKey) => "tx_wrong_key",
            Self::Invalid(Invalid::Used(..)) => "tx_sequence_used",
            Self::Invalid(Invalid::Gap(..)) => "tx_sequence_gap",
            Self::Invalid(Invalid::Lanes) => "tx_too_many_lanes",
            Self::Invalid(Invalid::Quota) => "tx_quota_used",
            Self::Invalid(Invalid::NewAccounts | Invalid::Full) | Self::Full => "pool_full",
            Self::ValidTooLong(_) => "tx_valid_too_long",
            Self::TooFarAhead { .. } => "tx_too_far_ahead",
            Self::Taken(_) => "tx_sequence_taken",
        }
    }
}

/// What became of a transaction that was handed in.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// The transaction.
    pub transaction: Arc<Checked>,
    /// Whether it was not there before.
    pub is_new: bool,
}

impl Pool {
    /// An empty pool.
    pub const fn new(chain: ChainId, verifier: SharedVerifier) -> Self {
        Self {
            chain,
            verifier,
            by_hash: BTreeMap::new(),
            accounts: BTreeMap::new(),
            by_id: BTreeMap::new(),
            expiry: BTreeSet::new(),
            bytes: 0,
            by_source: BTreeMap::new(),
            cursor: AccountId([0; 20]),
            bad_signatures: BTreeMap::new(),
            keys: KnownKeys::new(),
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

    /// A waiting transaction by the hash of its encoding.
    pub(super) fn get(&self, hash: &Digest) -> Option<&Arc<Checked>> {
        self.by_hash.get(hash).map(|pooled| &pooled.transaction)
    }

    /// A waiting transaction by the id of one of its operations.
    pub fn find(&self, id: &TxId) -> Option<&Arc<Checked>> {
        self.get(self.by_id.get(id)?)
    }

    /// How many transactions with bad signatures each node has handed in.
    pub const fn bad_signatures(&self) -> &BTreeMap<NodeId, u64> {
        &self.bad_signatures
    }

    /// The sequence that follows what is final and what waits, without a gap.
    pub(super) fn next_sequence(&self, id: &AccountId, lane: Lane, world: &World) -> Sequence {
        let account = world.account(id);
        let next = account.map_or(Sequence(0), |account| account.next(lane));
        let queue = self.accounts.get(id);
        queue.map_or(next, |queue| Sequence(queue.end_of_run(lane, next.0, self)))
    }

    /// The lanes in which something of an account waits.
    pub(super) fn lanes(&self, id: &AccountId) -> BTreeSet<Lane> {
        let queue = self.accounts.get(id).into_iter();
        queue
            .flat_map(|queue| queue.lanes.keys().map(|(lane, _)| *lane))
            .collect()
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
    pub fn admit(
        &mut self,
        bytes: Bytes,
        source: NodeId,
        world: &World,
        height: Height,
    ) -> Result<Admitted, Rejection> {
        let hash = sha256(&bytes);
        if let Some(known) = self.get(&hash) {
            return Ok(Admitted {
                transaction: known.clone(),
                is_new: false,
            });
        }
        let transaction = self.decode(&bytes)?;
        let intent = transaction.intent();
        self.check_room(intent.account, source, bytes.len())?;
        check_validity(intent, world, height)?;
        self.check_place(&transaction, world)?;
        let checked = match transaction.verify(bytes, &*self.verifier) {
            Ok(checked) => Arc::new(checked),
            Err(error) => {
                let count = self.bad_signatures.entry(source).or_default();
                *count = count.saturating_add(1);
                return Err(error.into());
            }
        };
        self.insert(checked.clone(), source);
        Ok(Admitted {
            transaction: checked,
            is_new: true,
        })
    }

    /// Decodes a transaction, at less cost if its key has signed lately. Its signature
    /// is unchecked.
    pub(super) fn decode(&self, bytes: &Bytes) -> Result<Transaction, TxError> {
        Transaction::decode_known(bytes, self.chain, |encoded| self.keys.find(encoded))
    }

    fn check_room(
        &self,
        account: AccountId,
        source: NodeId,
        bytes: usize,
    ) -> Result<(), Rejection> {
        let of_account = self.accounts.get(&account).map_or(0, |queue| queue.bytes);
        let of_source = self.by_source.get(&source).copied().unwrap_or(0);
        let fits = self.bytes.saturating_add(bytes) <= LEDGER_POOL_BYTES_MAX
            && of_account.saturating_add(bytes) <= LEDGER_POOL_ACCOUNT_BYTES_MAX
            && of_source.saturating_add(bytes) <= LEDGER_POOL_SOURCE_BYTES_MAX;
        fits.then_some(()).ok_or(Rejection::Full)
    }

    /// Whether it can follow what is final and what waits.
    fn check_place(&self, transaction: &Transaction, world: &World) -> Result<(), Rejection> {
        let intent = transaction.intent();
        let account = world.account(&intent.account);
        let owns = match &account {
            Some(account) => account.key == transaction.key().to_compressed(),
            None => AccountId::of(transaction.key()) == intent.account,
        };
        if !owns {
            return Err(Invalid::WrongKey.into());
        }
        let queue = self.accounts.get(&intent.account);
        let mut lanes: BTreeSet<Lane> = account
            .iter()
            .flat_map(|account| account.lanes.keys().copied())
            .chain(
                queue
                    .iter()
                    .flat_map(|queue| queue.lanes.keys().map(|(lane, _)| *lane)),
            )
            .collect();
        lanes.insert(intent.lane);
        if lanes.len() > LEDGER_LANES_MAX {
            return Err(Invalid::Lanes.into());
        }
        let next = account.map_or(Sequence(0), |account| account.next(intent.lane));
        let (sequence, next) = (intent.sequence.0, next.0);
        if sequence < next {
            return Err(Invalid::Used(sequence, next).into());
        }
        let is_taken = queue.is_some_and(|queue| queue.overlaps(intent, self));
        if is_taken {
            return Err(Rejection::Taken(sequence));
        }
        let expected = queue.map_or(next, |queue| queue.end_of_run(intent.lane, next, self));
        // A gap may be filled by what is still on its way, but holes are no place to
        // store things in.
        if sequence > expected.saturating_add(LEDGER_LANE_GAP_MAX) {
            return Err(Rejection::TooFarAhead {
                sequence,
                next: expected,
            });
        }
        let is_crowded = self.bytes > LEDGER_POOL_BYTES_MAX / 10 * 9;
        if sequence > expected && is_crowded {
            return Err(Rejection::Full);
        }
        Ok(())
    }

    fn insert(&mut self, transaction: Arc<Checked>, source: NodeId) {
        self.keys.note(transaction.key());
        let intent = transaction.intent();
        let (hash, bytes) = (transaction.hash(), transaction.bytes().len());
        let queue = self.accounts.entry(intent.account).or_default();
        queue.lanes.insert((intent.lane, intent.sequence), hash);
        queue.bytes = queue.bytes.saturating_add(bytes);
        self.bytes = self.bytes.saturating_add(bytes);
        let of_source = self.by_source.entry(source).or_default();
        *of_source = of_source.saturating_add(bytes);
        self.by_id
            .extend(transaction.ids().iter().map(|id| (*id, hash)));
        self.expiry.insert((intent.valid_until, hash));
        self.by_hash.insert(
            hash,
            Pooled {
                transaction,
                source,
            },
        );
    }

    /// Takes a transaction out.
    fn remove(&mut self, hash: &Digest) -> Option<Arc<Checked>> {
        let Pooled {
            transaction,
            source,
        } = self.by_hash.remove(hash)?;
        let intent = transaction.intent();
        let bytes = transaction.bytes().len();
        if let Some(queue) = self.accounts.get_mut(&intent.account) {
            queue.lanes.remove(&(intent.lane, intent.sequence));
            queue.bytes = queue.bytes.saturating_sub(bytes);
            if queue.lanes.is_empty() {
                self.accounts.remove(&intent.account);
            }
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(of_source) = self.by_source.get_mut(&source) {
            *of_source = of_source.saturating_sub(bytes);
            if *of_source == 0 {
                self.by_source.remove(&source);
            }
        }
        for id in transaction.ids() {
            self.by_id.remove(id);
        }
        self.expiry.remove(&(intent.valid_until, *hash));
        Some(transaction)
    }

    /// Fills a block: accounts take turns, lanes keep their order.
    pub(super) fn fill(&mut self, session: &mut Session<'_>) -> Vec<Arc<Checked>> {
        let mut taken = Vec::new();
        let mut gone = Vec::new();
        let mut turns = self.turns();
        while !turns.is_empty() {
            let mut next_round = Vec::new();
            for (account, mut waiting) in turns {
                let Some(hash) = waiting.pop() else { continue };
                let transaction = self.by_hash[&hash].transaction.clone();
                match session.take(&transaction) {
                    Ok(()) => {
                        self.cursor = account;
                        taken.push(transaction);
                    }
                    Err(Invalid::Full) => {
                        next_round.clear();
                        self.drop_all(&gone);
                        return taken;
                    }
                    Err(Invalid::Gap(..) | Invalid::NewAccounts | Invalid::Quota) => {
                        let lane = transaction.intent().lane;
                        waiting.retain(|hash| self.by_hash[hash].transaction.intent().lane != lane);
                    }
                    // It may be in an open block that this one rests on: only what
                    // can never come in again is dropped.
                    Err(Invalid::Used(..)) => {}
                    Err(Invalid::Expired(_) | Invalid::WrongKey | Invalid::Lanes) => {
                        gone.push(hash);
                    }
                }
                next_round.push((account, waiting));
            }
            turns = next_round;
        }
        self.drop_all(&gone);
        taken
    }

    fn drop_all(&mut self, hashes: &[Digest]) {
        for hash in hashes {
            self.remove(hash);
        }
    }

    /// What waits of each account, last first, beginning behind the account that
    /// was served last.
    fn turns(&self) -> Vec<(AccountId, Vec<Digest>)> {
        let queue = |(account, queue): (&AccountId, &Queue)| {
            (*account, queue.lanes.values().rev().copied().collect())
        };
        let after = (
            core::ops::Bound::Excluded(self.cursor),
            core::ops::Bound::Unbounded,
        );
        let first = self.accounts.range(after).map(queue);
        first
            .chain(self.accounts.range(..=self.cursor).map(queue))
            .collect()
    }

    /// A block is final: what it holds, and what can not come in any more, leaves.
    /// Gives back what expired.
    pub(super) fn on_final(
        &mut self,
        transactions: &[Arc<Checked>],
        world: &World,
        height: Height,
    ) -> Vec<Arc<Checked>> {
        for transaction in transactions {
            self.remove(&transaction.hash());
            self.drop_used(transaction.intent(), world);
        }
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
    fn drop_used(&mut self, intent: &Intent, world: &World) {
        let Some(queue) = self.accounts.get(&intent.account) else {
            return;
        };
        let account = world.account(&intent.account);
        let next = account.map_or(Sequence(0), |account| account.next(intent.lane));
        let used = queue
            .lanes
            .range((intent.lane, Sequence(0))..(intent.lane, next));
        let used: Vec<Digest> = used.map(|(_, hash)| *hash).collect();
        self.drop_all(&used);
    }

    /// Whether something waits that could be in the next block.
    pub(super) fn has_ready(&self, world: &World) -> bool {
        self.accounts.iter().any(|(id, queue)| {
            let account = world.account(id);
            let next = |lane| {
                let account = account.as_ref();
                account.map_or(Sequence(0), |account| account.next(lane))
            };
            queue
                .lanes
                .keys()
                .any(|(lane, sequence)| *sequence == next(*lane))
        })
    }
}

impl Queue {
    /// Whether another transaction waits at one of the places of this one.
    fn overlaps(&self, intent: &Intent, pool: &Pool) -> bool {
        let lane = intent.lane;
        let end = intent.next_sequence().expect("checked when it was decoded");
        // The last one that begins before this one ends.
        let before = self.lanes.range((lane, Sequence(0))..(lane, end));
        let last = before.last().and_then(|(_, hash)| pool.get(hash));
        last.is_some_and(|last| last.intent().next_sequence() > Some(intent.sequence))
    }

    /// The sequence behind the last one of an unbroken run from `next` on.
    fn end_of_run(&self, lane: Lane, next: u64, pool: &Pool) -> u64 {
        let mut end = next;
        let waiting = self
            .lanes
            .range((lane, Sequence(next))..=(lane, Sequence(u64::MAX)));
        for ((_, sequence), hash) in waiting {
            if sequence.0 > end {
                break;
            }
            let count = pool.get(hash).map_or(1, |one| one.intent().count());
            end = sequence.0.saturating_add(count);
        }
        end
    }
}

fn check_validity(intent: &Intent, world: &World, height: Height) -> Result<(), Rejection> {
    if intent.valid_until <= height {
        return Err(Invalid::Expired(intent.valid_until).into());
    }
    let most = height
        .0
        .saturating_add(world.params().get(Param::ValidBlocks));
    if intent.valid_until.0 > most {
        return Err(Rejection::ValidTooLong(Height(most)));
    }
    Ok(())
}
