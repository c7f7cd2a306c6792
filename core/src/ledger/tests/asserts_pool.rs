//! The asserts of the pool and its shares, broken by hand.

use alloc::vec::Vec;

use super::Shares;
use crate::ledger::AccountId;
use crate::ledger::pool::Pool;
use crate::ledger::pool::tests::broken;
use crate::ledger::tests::asserts::node;
use crate::limits::{LEDGER_POOL_ACCOUNT_BYTES_MAX, LEDGER_POOL_BYTES_MAX};

macro_rules! stopped {
    ($($name:ident: $rule:literal, |$pool:ident| $break:block)+) => {$(
        #[test]
        #[should_panic(expected = $rule)]
        fn $name() {
            broken(|$pool| $break);
        }
    )+};
}

/// Takes one of those that wait out, and puts it in again.
fn again(pool: &mut Pool) {
    let (hash, _) = pool.by_hash.first_key_value().expect("two wait");
    let hash = *hash;
    let one = pool.by_hash.remove(&hash).expect("it waits");
    pool.insert(one);
}

stopped! {
    each_origin_has_its_rank: "G6: each origin has its rank", |pool| {
        pool.shares.by_bytes.clear();
    }
    each_account_has_its_rank: "G6: each account has its rank", |pool| {
        let origins = pool.shares.origins.values_mut();
        origins.for_each(|waiting| waiting.by_bytes.clear());
    }
    accounts_add_up_to_their_share: "G6: accounts add up to their share", |pool| {
        let origins = pool.shares.origins.values_mut();
        origins.for_each(|waiting| waiting.accounts.clear());
    }
    an_origin_is_the_sum_of_its_accounts: "the sum of nothing", |pool| {
        let (origin, waiting) = pool.shares.origins.first_key_value().expect("one");
        let (account, bytes) = waiting.accounts.first_key_value().expect("two");
        let (origin, account, bytes) = (*origin, *account, *bytes);
        pool.shares.origins.get_mut(&origin).expect("one").bytes = bytes;
        pool.shares.remove(origin, account, bytes);
    }
    an_account_takes_up_so_much: "G6: an account takes up so much at most", |pool| {
        let queue = pool.accounts.values_mut().next().expect("two");
        queue.bytes = LEDGER_POOL_ACCOUNT_BYTES_MAX + 1;
    }
    room_is_made_before: "G6: room was made before", |pool| {
        pool.bytes = LEDGER_POOL_BYTES_MAX;
        again(pool);
    }
    what_leaves_was_in_a_run: "in one run", |pool| {
        let queue = pool.accounts.values_mut().next().expect("two");
        queue.runs.values_mut().for_each(|end| end.0 = 0);
        let one = pool.by_hash.values().map(|one| one.transaction.clone());
        for transaction in one.collect::<Vec<_>>() {
            pool.remove(&transaction.hash());
        }
    }
}

#[test]
#[should_panic(expected = "G2: the pool")]
fn the_pool_is_bounded() {
    let mut ledger = node();
    ledger.pool.bytes = LEDGER_POOL_BYTES_MAX + 1;
    ledger.check_invariants();
}

/// What the tests above break is whole when nothing is broken.
#[test]
fn whoever_leaves_leaves_nothing() {
    let mut shares = Shares::default();
    shares.add(None, AccountId([1; 20]), 5);
    shares.add(None, AccountId([2; 20]), 7);
    shares.check_sums(12);
    shares.remove(None, AccountId([1; 20]), 5);
    shares.check_sums(7);
    shares.remove(None, AccountId([2; 20]), 7);
    shares.check_sums(0);
    assert!(shares.origins.is_empty() && shares.by_bytes.is_empty());
}
