//! The execution of one block: which transactions it may hold, and what they do.
//! Everything here is a function of the state before and of the block, so that
//! all nodes come to the same end.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;

use super::ledger_state::{Account, Changes, LedgerState, Rules, encode_list, keys};
use crate::bft::{Epoch, Height};
use crate::codec::Encode;
use crate::crypto::{ChainId, Digest, SharedVerifier};
use crate::ledger_types::{AccountId, Checked, Intent, OpResult, Param, ResultsHead, Sequence};
use crate::limits::LEDGER_LANES_MAX;

/// Why a transaction has no place in this block. In a block of somebody else it
/// makes the whole block invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Hash)]
pub enum Invalid {
    /// The block is behind the last one that may take it.
    #[error("it was valid up to block {0}")]
    Expired(Height),
    /// The key is not the account's.
    #[error("the key is not the account's")]
    WrongKey,
    /// The sequence is used up.
    #[error("sequence {0} of this lane is used; the next is {1}")]
    Used(u64, u64),
    /// Another one has to come first.
    #[error("sequence {0} of this lane has to wait for {1}")]
    Gap(u64, u64),
    /// The account has too many lanes.
    #[error("an account has at most {LEDGER_LANES_MAX} lanes")]
    Lanes,
    /// The account has used up what an epoch gives it.
    #[error("the account's share of this epoch is used up")]
    Quota,
    /// The block begins as many accounts as one may.
    #[error("too many new accounts in one block")]
    NewAccounts,
    /// The block is full.
    #[error("the block is full")]
    Full,
}

/// Where a block stands.
#[derive(Debug, Clone)]
pub struct Place {
    /// The ledger.
    pub chain: ChainId,
    /// The height of the block.
    pub height: Height,
    /// How evidence is checked.
    pub verifier: SharedVerifier,
}

/// A block under execution.
#[derive(Debug)]
pub struct BlockExecutor<'a> {
    pub(in crate::ledger) place: Place,
    ledger_state: &'a LedgerState,
    /// As they are now.
    pub(in crate::ledger) rules: Rules,
    changes: Changes,
    accounts: BTreeMap<AccountId, Account>,
    results: Vec<OpResult>,
    new_accounts: u64,
    items: u64,
    bytes: u64,
    pub(in crate::ledger) evidence: usize,
}

/// What a block has done.
#[derive(Debug, Clone)]
pub struct Executed {
    /// The state after it.
    pub ledger_state: LedgerState,
    /// What changed.
    pub changes: Changes,
    /// How each of its operations ended.
    pub results: Vec<OpResult>,
    /// The root over those.
    pub results_root: Digest,
}

impl<'a> BlockExecutor<'a> {
    /// Begins a block on this state.
    pub fn new(ledger_state: &'a LedgerState, place: Place) -> Self {
        Self {
            place,
            ledger_state,
            rules: ledger_state.rules().clone(),
            changes: Changes::new(),
            accounts: BTreeMap::new(),
            results: Vec::new(),
            new_accounts: 0,
            items: 0,
            bytes: 0,
            evidence: 0,
        }
    }

    /// Takes a transaction into the block and executes it.
    ///
    /// # Errors
    /// It has no place here; nothing has changed.
    pub fn take(&mut self, transaction: &Checked) -> Result<(), Invalid> {
        let account = self.admit(transaction)?;
        let intent = transaction.intent();
        if !self.exists(&intent.account) {
            self.new_accounts = self.new_accounts.saturating_add(1);
        }
        self.items = self.items.saturating_add(1);
        self.bytes = self.bytes.saturating_add(transaction.size());
        self.accounts.insert(intent.account, account);
        for (operation, id) in intent.operations.iter().zip(transaction.ids()) {
            let id = *id;
            let outcome = self.execute(transaction, operation, id);
            self.results.push(OpResult { id, outcome });
        }
        Ok(())
    }

    /// The account as it is after this transaction, if it may be taken.
    fn admit(&self, transaction: &Checked) -> Result<Account, Invalid> {
        let (intent, params) = (transaction.intent(), self.ledger_state.params());
        let full = self.items >= params.get(Param::BlockItems)
            || self.bytes.saturating_add(transaction.size()) > params.get(Param::BlockBytes);
        if full {
            return Err(Invalid::Full);
        }
        if intent.valid_until < self.place.height {
            return Err(Invalid::Expired(intent.valid_until));
        }
        let mut account = match self.account(&intent.account) {
            Some(account) if account.key == transaction.key().to_compressed() => account,
            Some(_) => return Err(Invalid::WrongKey),
            None if AccountId::of(transaction.key()) != intent.account => {
                return Err(Invalid::WrongKey);
            }
            None if self.new_accounts >= params.get(Param::NewAccounts) => {
                return Err(Invalid::NewAccounts);
            }
            None => Account::new(transaction.key()),
        };
        follow(&mut account, intent)?;
        self.charge(&mut account, transaction)?;
        Ok(account)
    }

    /// Counts the transaction against what an epoch gives an account.
    fn charge(&self, account: &mut Account, transaction: &Checked) -> Result<(), Invalid> {
        let (params, epoch) = (self.ledger_state.params(), self.ledger_state.epoch().epoch);
        if account.epoch != epoch {
            (account.epoch, account.operations, account.bytes) = (epoch, 0, 0);
        }
        account.operations = account
            .operations
            .saturating_add(transaction.intent().count());
        account.bytes = account.bytes.saturating_add(transaction.size());
        let fits = account.operations <= params.get(Param::AccountOps)
            && account.bytes <= params.get(Param::AccountBytes);
        fits.then_some(()).ok_or(Invalid::Quota)
    }

    fn exists(&self, id: &AccountId) -> bool {
        self.accounts.contains_key(id) || self.ledger_state.raw(&keys::account(id)).is_some()
    }

    /// An account as it is now.
    pub(in crate::ledger) fn account(&self, id: &AccountId) -> Option<Account> {
        let changed = self.accounts.get(id).cloned();
        changed.or_else(|| self.ledger_state.account(id))
    }

    pub(in crate::ledger) fn put_account(&mut self, id: AccountId, account: Account) {
        self.accounts.insert(id, account);
    }

    /// The state before the block.
    pub(in crate::ledger) const fn before(&self) -> &LedgerState {
        self.ledger_state
    }

    /// A value as it is now.
    pub(in crate::ledger) fn get(&self, key: &[u8]) -> Option<&Bytes> {
        match self.changes.get(key) {
            Some(changed) => changed.as_ref(),
            None => self.ledger_state.raw(key),
        }
    }

    pub(in crate::ledger) fn put(&mut self, key: Bytes, value: &impl Encode) {
        self.changes.insert(key, Some(value.to_bytes()));
    }

    pub(in crate::ledger) fn put_list<T: Encode>(&mut self, key: &'static [u8], list: &[T]) {
        let key = Bytes::from_static(key);
        self.changes.insert(key, Some(encode_list(list)));
    }

    pub(in crate::ledger) fn remove(&mut self, key: Bytes) {
        self.changes.insert(key, None);
    }

    /// Ends the block. `ends_epoch` tells that it is the last one of its epoch:
    /// the next one begins with the members that are listed now.
    pub fn finish(mut self, ends_epoch: bool) -> Executed {
        for (id, account) in core::mem::take(&mut self.accounts) {
            self.put(keys::account(&id), &account);
        }
        if self.changes.contains_key(keys::MEMBERS) {
            self.note_due_change();
        }
        if ends_epoch {
            self.begin_epoch();
        }
        Executed {
            ledger_state: self.ledger_state.with(&self.changes, self.rules),
            changes: self.changes,
            results_root: ResultsHead::of(&self.results).root(),
            results: self.results,
        }
    }
}

/// Strict order inside of a lane: each sequence once, none left out.
fn follow(account: &mut Account, intent: &Intent) -> Result<(), Invalid> {
    let next = account.next(intent.lane);
    if intent.sequence < next {
        return Err(Invalid::Used(intent.sequence.0, next.0));
    }
    if intent.sequence > next {
        return Err(Invalid::Gap(intent.sequence.0, next.0));
    }
    let is_new = !account.lanes.contains_key(&intent.lane);
    if is_new && account.lanes.len() >= LEDGER_LANES_MAX {
        return Err(Invalid::Lanes);
    }
    let after: Sequence = intent.next_sequence().expect("checked when it was decoded");
    account.lanes.insert(intent.lane, after);
    Ok(())
}

/// Whether a block at this height is the last one of its epoch. It depends on the
/// state before the block alone, so that it is known before anything in the block
/// is executed.
pub fn ends_epoch(before: &LedgerState, height: Height) -> bool {
    let epoch = before.epoch();
    let age = height.0.saturating_sub(epoch.root_height.0);
    age >= before.params().get(Param::EpochBlocks) || epoch.change_is_due
}

/// The epoch after the present one.
pub(in crate::ledger) const fn following(epoch: Epoch) -> Epoch {
    Epoch(epoch.0.checked_add(1).expect("epochs can be numbered"))
}
