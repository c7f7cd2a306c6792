//! The bounds on token buckets: filled from outside, and broken by hand.

use super::{Meter, Rates, Sender};
use crate::ledger::tests::asserts::node;
use crate::ledger::{AccountId, Rejection, Share};
use crate::limits::{
    LEDGER_BAD_SIGNATURES_PER_SECOND, LEDGER_CLUSTER_METERS_MAX, LEDGER_METERS_MAX,
    LEDGER_OFFENDERS_MAX, LEDGER_RATE_BURST,
};
use crate::types::{ClusterId, NodeId, Span, Time};

const NOW: Time = Time(1_000);

fn account(number: u64) -> AccountId {
    let mut account = [0; 20];
    account[..8].copy_from_slice(&number.to_be_bytes());
    AccountId(account)
}

const fn sender(account: AccountId, node: u128) -> Sender {
    Sender {
        account,
        cluster: None,
        node: NodeId(node),
        bytes: 100,
    }
}

/// Nobody's bucket runs out in the meantime: no time passes.
#[test]
fn more_offenders_than_are_remembered_neither_grow_nor_free_the_worst() {
    let mut rates = Rates::default();
    let worst = NodeId(0);
    for _ in 0..LEDGER_RATE_BURST.0 / Span::from_secs(1).0 * LEDGER_BAD_SIGNATURES_PER_SECOND {
        rates.take_from_offender(worst, NOW);
    }
    for number in (1_u128..).take(3 * LEDGER_OFFENDERS_MAX) {
        rates.take_from_offender(NodeId(number), NOW);
        rates.check_bounds();
        assert!(
            rates.offenders.contains_key(&NodeId(number)),
            "news is kept"
        );
    }
    assert_eq!(rates.offenders.len(), LEDGER_OFFENDERS_MAX);
    let refused = rates.check(&sender(account(0), worst.0), NOW);
    let by_peer = |rejection: &Rejection| {
        let by = Share::Peer;
        matches!(rejection, Rejection::TooFast { by: of, .. } if *of == by)
    };
    assert!(refused.is_err_and(|it| by_peer(&it)), "it is held back");
    // When they have paid, nobody is remembered but who comes next.
    let later = NOW + LEDGER_RATE_BURST + Span::from_secs(1);
    rates.take_from_offender(NodeId(7), later);
    assert_eq!(rates.offenders.len(), 1);
}

#[test]
fn clusters_that_come_and_go_do_not_add_up() {
    let mut rates = Rates::default();
    for number in (0_u128..).take(3 * LEDGER_CLUSTER_METERS_MAX) {
        let cluster = Some(ClusterId(number));
        let sender = Sender {
            cluster,
            ..sender(account(0), 1)
        };
        rates.take_from_cluster(&sender, NOW);
        rates.check_bounds();
        assert!(rates.clusters.contains_key(&cluster));
    }
    assert_eq!(rates.clusters.len(), LEDGER_CLUSTER_METERS_MAX);
}

/// Accounts are refused while there are too many, and not for longer: also if all that
/// come later are new.
#[test]
fn accounts_that_have_paid_make_room_for_new_ones() {
    let mut rates = Rates::default();
    for number in (0..).take(LEDGER_METERS_MAX) {
        let mut meter = Meter::default();
        meter.take(100, super::ACCOUNT, NOW);
        rates.accounts.insert(account(number), meter);
    }
    let new = sender(account(u64::MAX), 1);
    let full = Err(Rejection::Full(Share::All));
    assert_eq!(rates.check(&new, NOW), full);
    let known = sender(account(0), 1);
    assert_eq!(rates.check(&known, NOW), Ok(()));
    let later = NOW + Span::from_secs(1);
    assert_eq!(rates.check(&new, later), Ok(()));
    assert_eq!(rates.accounts.len(), 0, "like none");
}

#[test]
#[should_panic(expected = "G2: buckets")]
fn buckets_are_bounded() {
    let mut ledger = node();
    for number in (0_u64..).take(LEDGER_METERS_MAX + 1) {
        let accounts = &mut ledger.pool.rates.accounts;
        accounts.insert(account(number), Meter::default());
    }
    ledger.check_invariants();
}

#[test]
#[should_panic(expected = "G2: buckets of offenders")]
fn buckets_of_offenders_are_bounded() {
    let mut ledger = node();
    let offenders = &mut ledger.pool.rates.offenders;
    offenders.extend(
        (0..)
            .map(|number| (NodeId(number), Meter::default()))
            .take(LEDGER_OFFENDERS_MAX + 1),
    );
    ledger.check_invariants();
}

#[test]
#[should_panic(expected = "G2: buckets of clusters")]
fn buckets_of_clusters_are_bounded() {
    let mut ledger = node();
    let clusters = &mut ledger.pool.rates.clusters;
    clusters.extend(
        (0..)
            .map(|number| (Some(ClusterId(number)), Meter::default()))
            .take(LEDGER_CLUSTER_METERS_MAX + 1),
    );
    ledger.check_invariants();
}
