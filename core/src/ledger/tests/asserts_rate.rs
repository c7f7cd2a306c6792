//! The bound on token buckets, broken by hand.

use super::Meter;
use crate::ledger::AccountId;
use crate::ledger::tests::asserts::node;
use crate::limits::LEDGER_METERS_MAX;

#[test]
#[should_panic(expected = "G2: buckets")]
fn buckets_are_bounded() {
    let mut ledger = node();
    for number in (0_u64..).take(LEDGER_METERS_MAX + 1) {
        let mut account = [0; 20];
        account[..8].copy_from_slice(&number.to_be_bytes());
        let accounts = &mut ledger.pool.rates.accounts;
        accounts.insert(AccountId(account), Meter::default());
    }
    ledger.check_invariants();
}
