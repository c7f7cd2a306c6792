//! Token buckets, in integers and in the machine's own time.
//!
//! A bucket is one number: until when what was taken from it is paid for. Whoever
//! takes faster than the rate runs ahead of the clock, and may do so by the burst.

use alloc::collections::BTreeMap;

use super::rejection::{Rejection, Share};
use crate::limits::{
    LEDGER_ACCOUNT_BYTES_PER_SECOND, LEDGER_ACCOUNT_TXS_PER_SECOND,
    LEDGER_BAD_SIGNATURES_PER_SECOND, LEDGER_CLUSTER_BYTES_PER_SECOND, LEDGER_CLUSTER_METERS_MAX,
    LEDGER_CLUSTER_TXS_PER_SECOND, LEDGER_METERS_MAX, LEDGER_OFFENDERS_MAX, LEDGER_RATE_BURST,
};
use crate::types::{ClusterId, NodeId, Span, Time};

use crate::ledger_types::AccountId;

/// What one sender has taken.
#[derive(Debug, Default, Clone, Copy, Hash)]
struct Meter {
    /// Until when its transactions are paid for.
    txs_until: Time,
    /// Until when its bytes are.
    bytes_until: Time,
}

/// How fast one sender may take.
#[derive(Debug, Clone, Copy)]
struct Rate {
    txs_per_second: u64,
    bytes_per_second: u64,
}

const ACCOUNT: Rate = Rate {
    txs_per_second: LEDGER_ACCOUNT_TXS_PER_SECOND,
    bytes_per_second: LEDGER_ACCOUNT_BYTES_PER_SECOND,
};
const CLUSTER: Rate = Rate {
    txs_per_second: LEDGER_CLUSTER_TXS_PER_SECOND,
    bytes_per_second: LEDGER_CLUSTER_BYTES_PER_SECOND,
};
/// Bad signatures of one node; bytes do not matter.
const BAD_SIGNATURES: Rate = Rate {
    txs_per_second: LEDGER_BAD_SIGNATURES_PER_SECOND,
    bytes_per_second: u64::MAX,
};

/// The time that an amount is worth.
fn worth(amount: u64, per_second: u64) -> Span {
    let nanos = u128::from(amount) * u128::from(Span::from_secs(1).0) / u128::from(per_second);
    Span(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// How long to wait before so much may be taken; zero if it may be now.
fn wait(until: Time, now: Time, cost: Span) -> Span {
    let ahead = until.saturating_since(now).0.saturating_add(cost.0);
    Span(ahead.saturating_sub(LEDGER_RATE_BURST.0))
}

impl Meter {
    /// How long to wait before a transaction of so many bytes may be taken.
    fn wait(self, bytes: u64, rate: Rate, now: Time) -> Span {
        let txs = wait(self.txs_until, now, worth(1, rate.txs_per_second));
        let bytes = wait(self.bytes_until, now, worth(bytes, rate.bytes_per_second));
        txs.max(bytes)
    }

    fn take(&mut self, bytes: u64, rate: Rate, now: Time) {
        let pay = |until: Time, cost| until.max(now).saturating_add(cost);
        self.txs_until = pay(self.txs_until, worth(1, rate.txs_per_second));
        self.bytes_until = pay(self.bytes_until, worth(bytes, rate.bytes_per_second));
    }

    /// Whether it has to be remembered: a full bucket is like none.
    fn is_open(&self, now: Time) -> bool {
        self.txs_until > now || self.bytes_until > now
    }
}

/// Makes room for one more, if it is not there already: for that, whoever is the first to
/// have paid is forgotten. Who takes the most is so held back for the longest, under how
/// many names ever others come.
fn make_room<K: Ord + Copy>(meters: &mut BTreeMap<K, Meter>, key: &K, most: usize, now: Time) {
    if meters.len() < most || meters.contains_key(key) {
        return;
    }
    meters.retain(|_, meter| meter.is_open(now));
    while meters.len() >= most {
        let paid = |(key, meter): (&K, &Meter)| (meter.txs_until.max(meter.bytes_until), *key);
        let (_, first) = meters.iter().map(paid).min().expect("some are kept");
        meters.remove(&first);
    }
}

/// The buckets of all senders.
#[derive(Debug, Default, Hash)]
pub(super) struct Rates {
    accounts: BTreeMap<AccountId, Meter>,
    clusters: BTreeMap<Option<ClusterId>, Meter>,
    /// Nodes that have submitted bad signatures.
    offenders: BTreeMap<NodeId, Meter>,
}

/// Who hands a transaction in, and how large it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender {
    pub(super) account: AccountId,
    pub(super) cluster: Option<ClusterId>,
    pub(super) node: NodeId,
    pub(super) bytes: u64,
}

impl Rates {
    /// Whether a transaction may be looked at now. Nothing is taken yet.
    pub(super) fn check(&mut self, sender: &Sender, now: Time) -> Result<(), Rejection> {
        let is_full = |accounts: &BTreeMap<AccountId, Meter>| {
            accounts.len() >= LEDGER_METERS_MAX && !accounts.contains_key(&sender.account)
        };
        if is_full(&self.accounts) {
            // Else only an account that is known could make room for a new one.
            self.accounts.retain(|_, meter| meter.is_open(now));
        }
        let meter = |found: Option<&Meter>| found.copied().unwrap_or_default();
        let account = meter(self.accounts.get(&sender.account));
        let cluster = meter(self.clusters.get(&sender.cluster));
        let offender = meter(self.offenders.get(&sender.node));
        for (by, wait) in [
            (Share::Peer, offender.wait(0, BAD_SIGNATURES, now)),
            (Share::Cluster, cluster.wait(sender.bytes, CLUSTER, now)),
            (Share::Account, account.wait(sender.bytes, ACCOUNT, now)),
        ] {
            if wait > Span::ZERO {
                return Err(Rejection::TooFast { by, wait });
            }
        }
        if is_full(&self.accounts) {
            return Err(Rejection::Full(Share::All));
        }
        Ok(())
    }

    /// The cluster pays for the check of a signature, whatever its outcome.
    pub(super) fn take_from_cluster(&mut self, sender: &Sender, now: Time) {
        let (clusters, most) = (&mut self.clusters, LEDGER_CLUSTER_METERS_MAX);
        make_room(clusters, &sender.cluster, most, now);
        let meter = clusters.entry(sender.cluster).or_default();
        meter.take(sender.bytes, CLUSTER, now);
    }

    /// The account pays only for what it has signed: else others could spend what
    /// is its own.
    pub(super) fn take_from_account(&mut self, sender: &Sender, now: Time) {
        if self.accounts.len() >= LEDGER_METERS_MAX / 2 {
            self.accounts.retain(|_, meter| meter.is_open(now));
        }
        let meter = self.accounts.entry(sender.account).or_default();
        meter.take(sender.bytes, ACCOUNT, now);
    }

    /// Somebody submitted a bad signature.
    pub(super) fn take_from_offender(&mut self, node: NodeId, now: Time) {
        self.offenders.retain(|_, meter| meter.is_open(now));
        make_room(&mut self.offenders, &node, LEDGER_OFFENDERS_MAX, now);
        let meter = self.offenders.entry(node).or_default();
        meter.take(0, BAD_SIGNATURES, now);
    }

    /// G2 What is kept of each kind of sender has its own bound.
    pub(super) fn check_bounds(&self) {
        assert!(self.accounts.len() <= LEDGER_METERS_MAX, "G2: buckets");
        assert!(
            self.clusters.len() <= LEDGER_CLUSTER_METERS_MAX,
            "G2: buckets of clusters"
        );
        assert!(
            self.offenders.len() <= LEDGER_OFFENDERS_MAX,
            "G2: buckets of offenders"
        );
    }
}

#[cfg(test)]
#[path = "../tests/asserts_rate.rs"]
mod tests;
