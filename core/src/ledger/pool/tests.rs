//! Who gets how much of the pool, of the time and of a block.

extern crate std;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::{Arrival, Pool, Rejection, Share};
use crate::bft::Height;
use crate::codec::Encode as _;
use crate::crypto::fake::FakeAuthority;
use crate::crypto::{SharedVerifier, Signer as _};
use crate::ledger::execution::executor::{BlockExecutor, Place};
use crate::ledger::{
    AccountId, Genesis, Intent, Lane, LedgerState, Member, Name, Operation, Params, Sequence,
    TimeMs,
};
use crate::limits::*;
use crate::merkle::LeafHash;
use crate::types::{ClusterId, NodeId, Span, Time};

/// Nodes of so many clusters, one each, and a pool of a node outside of them.
struct Setup {
    authority: FakeAuthority,
    genesis: Genesis,
    ledger_state: LedgerState,
    pool: Pool,
    now: Time,
    clusters: Vec<NodeId>,
}

const STRANGER: NodeId = NodeId(1);
const ME: NodeId = NodeId(2);

impl Setup {
    fn new(clusters: u64) -> Self {
        let authority = FakeAuthority::new(5);
        let members: Vec<Member> = (0..clusters)
            .map(|number| {
                let key = *authority.signer(number).public_key();
                let cluster = ClusterId(u128::from(number) + 1);
                Member::new(key.node_id(), key, cluster, 1)
            })
            .collect();
        let genesis = Genesis {
            name: "pool".into(),
            time: TimeMs(1),
            params: Params::default(),
            members: members.clone(),
        };
        let verifier = SharedVerifier::new(authority.verifier());
        Self {
            ledger_state: LedgerState::genesis(&genesis).expect("a genesis"),
            pool: Pool::new(ME, genesis.chain(), verifier),
            clusters: members.iter().map(|member| member.node).collect(),
            now: Time(1_000),
            authority,
            genesis,
        }
    }

    /// A transaction of an account, about so large.
    fn sign(&self, account: u64, sequence: u64, size: usize) -> Bytes {
        let signer = self.authority.signer(1_000 + account);
        let intent = Intent {
            chain: self.genesis.chain(),
            account: AccountId::of(signer.public_key()),
            lane: Lane(0),
            sequence: Sequence(sequence),
            valid_until: Height(50),
            operations: (0..size.div_ceil(LEDGER_DATA_BYTES_MAX).max(1))
                .map(|_| Operation::Data {
                    kind: Name::new("x").unwrap(),
                    payload: vec![7; size.min(LEDGER_DATA_BYTES_MAX)].into(),
                })
                .collect(),
        };
        intent.sign(&signer).to_bytes()
    }

    fn admit(&mut self, bytes: Bytes, source: NodeId) -> Result<bool, Rejection> {
        let arrival = Arrival {
            source,
            now: self.now,
            ledger_state: &self.ledger_state,
            height: Height(0),
        };
        let admitted = self.pool.admit(bytes, &arrival);
        admitted.map(|admitted| admitted.is_new)
    }

    /// Lets so much time pass that nobody has to wait.
    fn pause(&mut self) {
        self.now = self.now.saturating_add(LEDGER_RATE_BURST);
        self.now = self.now.saturating_add(Span::from_secs(1));
    }

    /// Hands in large transactions of ever new accounts until one is refused.
    fn flood(&mut self, source: NodeId, first: u64) -> (u64, Rejection) {
        for number in 0.. {
            self.pause();
            let bytes = self.sign(first + number, 0, LEDGER_DATA_BYTES_MAX);
            match self.admit(bytes, source) {
                Ok(_) => {}
                Err(rejection) => return (number, rejection),
            }
        }
        unreachable!("the pool is bounded")
    }

    /// How many bytes of a block come by each node, by the account ranges of `by`.
    fn block(&mut self) -> Vec<(AccountId, u64, usize)> {
        let place = Place {
            chain: self.genesis.chain(),
            height: Height(1),
            verifier: SharedVerifier::new(self.authority.verifier()),
        };
        let mut executor = BlockExecutor::new(&self.ledger_state, place);
        let taken = self.pool.fill(&mut executor);
        let line = |one: &Arc<crate::ledger_types::Checked>| {
            let intent = one.intent();
            (intent.account, intent.sequence.0, one.bytes().len())
        };
        let taken: Vec<_> = taken.iter().map(line).collect();
        self.ledger_state = executor.finish(false).ledger_state;
        taken
    }

    fn account(&self, number: u64) -> AccountId {
        AccountId::of(self.authority.signer(1_000 + number).public_key())
    }
}

#[test]
fn one_cluster_does_not_keep_the_others_out() {
    let mut setup = Setup::new(4);
    let [first, second, ..] = setup.clusters[..] else {
        unreachable!()
    };
    let (_, rejection) = setup.flood(first, 0);
    assert_eq!(rejection, Rejection::Full(Share::Cluster));
    // A fifth, since strangers have a part too, and an eighth.
    let most = LEDGER_POOL_BYTES_MAX / 5 + LEDGER_POOL_BYTES_MAX / 8;
    assert!(setup.pool.bytes() <= most);
    assert!(setup.pool.bytes() > most - LEDGER_TX_BYTES_MAX);
    let bytes = setup.sign(900_000, 0, 100);
    assert_eq!(setup.admit(bytes, second), Ok(true));
    // Strangers have a place of their own, one for all of them.
    let (_, rejection) = setup.flood(STRANGER, 100_000);
    assert_eq!(rejection, Rejection::Full(Share::Cluster));
    setup.pause();
    let bytes = setup.sign(900_001, 0, LEDGER_DATA_BYTES_MAX);
    let other = setup.admit(bytes, NodeId(77));
    assert_eq!(other, Err(Rejection::Full(Share::Cluster)));
}

#[test]
fn in_a_full_pool_whoever_takes_up_the_most_makes_room() {
    let mut setup = Setup::new(4);
    let clusters = setup.clusters.clone();
    let mut last = None;
    for (place, cluster) in (0..).zip(&clusters) {
        let (_, rejection) = setup.flood(*cluster, place * 10_000);
        last = Some(rejection);
    }
    // Four times a fifth and an eighth is more than all: the last one pushed the
    // others down to its own measure, and no further.
    assert_eq!(last, Some(Rejection::Full(Share::All)));
    assert!(setup.pool.bytes() <= LEDGER_POOL_BYTES_MAX);
    assert!(setup.pool.evicted() > 0);
    let held: Vec<usize> = clusters
        .iter()
        .map(|node| {
            let all = setup.pool.of_source(*node);
            all.map(|one| one.bytes().len()).sum()
        })
        .collect();
    let (least, most) = (held.iter().min().unwrap(), held.iter().max().unwrap());
    assert!(most - least <= 2 * LEDGER_TX_BYTES_MAX, "{held:?}");
    // A newcomer finds room, and those who wait in line lose no more than it takes.
    let before = setup.pool.len();
    setup.pause();
    let bytes = setup.sign(900_000, 0, 100);
    assert_eq!(setup.admit(bytes, STRANGER), Ok(true));
    assert!(setup.pool.len() >= before);
}

#[test]
fn the_last_of_a_lane_makes_room_first() {
    let mut setup = Setup::new(1);
    let cluster = setup.clusters[0];
    // One account fills its share, others of the cluster the rest.
    let mut count = 0;
    loop {
        setup.pause();
        let bytes = setup.sign(0, count, LEDGER_DATA_BYTES_MAX);
        if let Err(rejection) = setup.admit(bytes, cluster) {
            assert_eq!(rejection, Rejection::Full(Share::Account));
            break;
        }
        count += 1;
    }
    setup.flood(cluster, 100);
    setup.flood(STRANGER, 50_000);
    assert!(setup.pool.evicted() > 0);
    let account = setup.account(0);
    let next = setup
        .pool
        .next_sequence(&account, Lane(0), &setup.ledger_state);
    let left = setup.pool.accounts.get(&account).unwrap().lanes.len();
    assert!(next.0 < count, "something left");
    assert_eq!(
        next.0,
        u64::try_from(left).unwrap(),
        "no hole is left behind"
    );
}

#[test]
fn what_waits_for_others_is_refused_when_it_is_crowded() {
    let mut setup = Setup::new(2);
    let gapped = setup.sign(900_000, 1, 100);
    assert_eq!(setup.admit(gapped, STRANGER), Ok(true));
    for (place, cluster) in (0..).zip(setup.clusters.clone()) {
        setup.flood(cluster, place * 10_000);
    }
    setup.flood(STRANGER, 50_000);
    assert!(setup.pool.bytes() > LEDGER_POOL_BYTES_MAX / 10 * 9);
    setup.pause();
    let gapped = setup.sign(900_001, 3, 100);
    let rejection = setup.admit(gapped, setup.clusters[0]).unwrap_err();
    let crowded = matches!(
        rejection,
        Rejection::Crowded {
            sequence: 3,
            next: 0
        }
    );
    assert!(
        crowded || rejection == Rejection::Full(Share::All),
        "{rejection:?}"
    );
}

#[test]
fn who_comes_too_fast_is_told_how_long_to_wait() {
    let mut setup = Setup::new(2);
    let [cluster, other] = setup.clusters[..] else {
        unreachable!()
    };
    let mut taken = 0;
    let wait = loop {
        let bytes = setup.sign(0, taken, 1_000);
        match setup.admit(bytes, cluster) {
            Ok(_) => taken += 1,
            Err(Rejection::TooFast { by, wait }) => {
                assert_eq!(by, Share::Account);
                break wait;
            }
            Err(other) => panic!("{other}"),
        }
    };
    // No time has passed: it is the burst, and no more.
    let bytes = u64::try_from(setup.pool.bytes()).unwrap();
    let burst = LEDGER_RATE_BURST.0 / Span::from_secs(1).0;
    assert!(bytes <= burst * LEDGER_ACCOUNT_BYTES_PER_SECOND);
    assert!(bytes + 2_000 > burst * LEDGER_ACCOUNT_BYTES_PER_SECOND);
    let next = setup.sign(0, taken, 1_000);
    let someone = setup.sign(1, 0, 1_000);
    assert_eq!(
        setup.admit(someone, cluster),
        Ok(true),
        "others are not slowed"
    );
    setup.now = Time(setup.now.0 + wait.0 - 1);
    let early = setup.admit(next.clone(), other);
    assert!(matches!(early, Err(Rejection::TooFast { .. })), "{early:?}");
    setup.now = Time(setup.now.0 + 1);
    assert_eq!(setup.admit(next, other), Ok(true));
}

#[test]
fn a_cluster_is_held_to_its_rate_over_all_its_accounts() {
    let mut setup = Setup::new(2);
    let [cluster, other] = setup.clusters[..] else {
        unreachable!()
    };
    let mut bytes = 0;
    for account in 0.. {
        let one = setup.sign(account, 0, LEDGER_DATA_BYTES_MAX);
        let size = one.len() as u64;
        match setup.admit(one, cluster) {
            Ok(_) => bytes += size,
            Err(rejection) => {
                // The share of the pool is smaller than the burst of the rate.
                assert_eq!(rejection, Rejection::Full(Share::Cluster));
                break;
            }
        }
    }
    let burst = LEDGER_RATE_BURST.0 / Span::from_secs(1).0;
    assert!(bytes <= burst * LEDGER_CLUSTER_BYTES_PER_SECOND);
    // Blocks empty the pool, but the rate holds on.
    let waiting: Vec<_> = setup.pool.by_hash.keys().copied().collect();
    setup.pool.drop_all(&waiting);
    let mut refused = None;
    for account in 100_000.. {
        let one = setup.sign(account, 0, LEDGER_DATA_BYTES_MAX);
        let size = one.len() as u64;
        match setup.admit(one, cluster) {
            Ok(_) => bytes += size,
            Err(rejection) => {
                refused = Some(rejection);
                break;
            }
        }
    }
    let by = Share::Cluster;
    assert!(
        matches!(refused, Some(Rejection::TooFast { by: of, .. }) if of == by),
        "{refused:?}"
    );
    assert!(bytes <= burst * LEDGER_CLUSTER_BYTES_PER_SECOND);
    let one = setup.sign(900_000, 0, 100);
    assert_eq!(setup.admit(one, other), Ok(true));
}

/// The same transaction with a signature that is none.
fn forged(bytes: &Bytes) -> Bytes {
    let mut forged = bytes.to_vec();
    *forged.last_mut().unwrap() ^= 1;
    forged.into()
}

#[test]
fn who_hands_in_bad_signatures_is_not_listened_to() {
    let mut setup = Setup::new(2);
    let [offender, honest] = setup.clusters[..] else {
        unreachable!()
    };
    let mut checked = 0;
    loop {
        let bytes = forged(&setup.sign(0, 0, 100 + checked));
        match setup.admit(bytes, offender) {
            Err(Rejection::Tx(_)) => checked += 1,
            Err(Rejection::TooFast { by, .. }) => {
                assert_eq!(by, Share::Peer);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    let burst = LEDGER_RATE_BURST.0 / Span::from_secs(1).0;
    assert_eq!(checked as u64, burst * LEDGER_BAD_SIGNATURES_PER_SECOND);
    // Neither the account that it spoke for nor anybody else has paid for it.
    let good = setup.sign(0, 0, 100);
    assert!(matches!(
        setup.admit(good.clone(), offender),
        Err(Rejection::TooFast {
            by: Share::Peer,
            ..
        })
    ));
    assert_eq!(setup.admit(good, honest), Ok(true));
    // Clients of this node do not stop each other.
    for number in 0..200 {
        let bytes = forged(&setup.sign(5, 0, 100 + number));
        let refused = setup.admit(bytes, ME);
        assert!(matches!(refused, Err(Rejection::Tx(_))), "{refused:?}");
    }
    let good = setup.sign(6, 0, 100);
    assert_eq!(setup.admit(good, ME), Ok(true));
    setup.pause();
    let good = setup.sign(7, 0, 100);
    assert_eq!(
        setup.admit(good, offender),
        Ok(true),
        "after a while it is heard again"
    );
}

#[test]
fn clusters_share_a_block_by_bytes() {
    let mut setup = Setup::new(2);
    let [many, large] = setup.clusters[..] else {
        unreachable!()
    };
    // Thousands of small ones against a few large ones of a single account.
    for account in 0..900 {
        for sequence in 0..6 {
            let bytes = setup.sign(account, sequence, 200);
            assert_eq!(setup.admit(bytes, many), Ok(true));
        }
        setup.now = setup.now.saturating_add(Span::from_millis(10));
    }
    for sequence in 0..20 {
        let bytes = setup.sign(5_000, sequence, LEDGER_DATA_BYTES_MAX);
        assert_eq!(setup.admit(bytes, large), Ok(true));
    }
    let whale = setup.account(5_000);
    let block = setup.block();
    let of_large: usize = block
        .iter()
        .filter(|one| one.0 == whale)
        .map(|one| one.2)
        .sum();
    let all: usize = block.iter().map(|one| one.2).sum();
    assert!(
        all > BLOCK_BYTES_MAX - LEDGER_TX_BYTES_MAX,
        "the block is full"
    );
    let half = all / 2;
    assert!(
        of_large.abs_diff(half) <= 2 * LEDGER_TX_BYTES_MAX,
        "{of_large} of {all}"
    );
    let mut next: BTreeMap<AccountId, u64> = BTreeMap::new();
    for (account, sequence, _) in &block {
        let expected = next.entry(*account).or_default();
        assert_eq!(sequence, expected, "lanes keep their order");
        *expected += 1;
    }
    // All small accounts were served about equally often.
    let small = next.iter().filter(|(account, _)| **account != whale);
    let counts: Vec<u64> = small.map(|(_, count)| *count).collect();
    assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
}

#[test]
fn many_clusters_are_served_alike_over_the_blocks() {
    let mut setup = Setup::new(40);
    let mut owner = BTreeMap::new();
    for (place, cluster) in (0..).zip(setup.clusters.clone()) {
        for number in 0..4 {
            let account = place * 100 + number;
            owner.insert(setup.account(account), cluster);
            for sequence in 0..8 {
                let bytes = setup.sign(account, sequence, 20_000);
                assert_eq!(setup.admit(bytes, cluster), Ok(true));
            }
            setup.pause();
        }
    }
    let mut served: BTreeMap<NodeId, usize> = BTreeMap::new();
    for _ in 0..8 {
        for (account, _, bytes) in setup.block() {
            *served.entry(owner[&account]).or_default() += bytes;
        }
    }
    let (least, most) = (
        served.values().min().unwrap(),
        served.values().max().unwrap(),
    );
    assert_eq!(served.len(), 40);
    assert!(most - least <= 3 * LEDGER_TX_BYTES_MAX, "{least} to {most}");
}

#[test]
fn a_lane_that_comes_by_several_clusters_is_taken_as_a_whole() {
    let mut setup = Setup::new(3);
    for sequence in 0..30 {
        let place = usize::try_from(sequence % 3).unwrap();
        let bytes = setup.sign(0, sequence, 100);
        assert_eq!(setup.admit(bytes, setup.clusters[place]), Ok(true));
    }
    let sequences: Vec<u64> = setup.block().iter().map(|one| one.1).collect();
    assert_eq!(sequences, (0..30).collect::<Vec<u64>>());
}

#[test]
fn runs_are_what_waits_without_a_gap() {
    // Against a plain set of sequences.
    let mut setup = Setup::new(1);
    let mut random = 9_u64;
    let mut waiting: BTreeMap<u64, Bytes> = BTreeMap::new();
    let account = setup.account(0);
    for _ in 0..2_000 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let sequence = random >> 33 & 31;
        if random >> 60 < 8 {
            let bytes = setup.sign(0, sequence, 10);
            let admitted = setup.admit(bytes.clone(), STRANGER);
            assert_eq!(admitted, Ok(waiting.insert(sequence, bytes).is_none()));
        } else if let Some(bytes) = waiting.remove(&sequence) {
            setup.pool.remove(LeafHash::of(&bytes).digest());
        }
        setup.pause();
        let next = (0..).find(|place| !waiting.contains_key(place)).unwrap();
        let found = setup
            .pool
            .next_sequence(&account, Lane(0), &setup.ledger_state);
        assert_eq!(found.0, next);
        let is_ready = waiting.contains_key(&0);
        assert_eq!(setup.pool.has_ready(&setup.ledger_state), is_ready);
    }
}

fn digest(pool: &Pool) -> u128 {
    let mut fingerprint = crate::crypto::Fingerprint::new();
    fingerprint.add(pool);
    fingerprint.digest()
}

#[test]
fn whatever_waits_shows_in_the_fingerprint() {
    let mut setup = Setup::new(2);
    let mut seen = vec![digest(&setup.pool)];
    for (account, source) in [(0, 0), (1, 0), (2, 1)] {
        let bytes = setup.sign(account, 0, 100);
        let source = setup.clusters[source];
        assert_eq!(setup.admit(bytes, source), Ok(true));
        let digest = digest(&setup.pool);
        assert!(!seen.contains(&digest), "one more waits");
        seen.push(digest);
    }
    let before = digest(&setup.pool);
    let hash = *setup.pool.by_hash.first_key_value().expect("three wait").0;
    let mut one = setup.pool.by_hash.remove(&hash).expect("it waits");
    one.source = NodeId(77);
    setup.pool.by_hash.insert(hash, one);
    assert_ne!(digest(&setup.pool), before, "it came by another node");
}

/// A pool with two that wait, broken in one way; its sums are checked then.
pub(super) fn broken(change: impl Fn(&mut Pool)) {
    let mut setup = Setup::new(2);
    let cluster = setup.clusters[0];
    for account in 0..2 {
        let bytes = setup.sign(account, 0, 100);
        assert_eq!(setup.admit(bytes, cluster), Ok(true));
    }
    setup.pool.check_sums();
    change(&mut setup.pool);
    setup.pool.check_sums();
}

macro_rules! stopped {
    ($($name:ident: $rule:literal, |$pool:ident| $break:expr;)+) => {$(
        #[test]
        #[should_panic(expected = $rule)]
        fn $name() {
            broken(|$pool| {
                $break;
            });
        }
    )+};
}

stopped! {
    bytes_are_counted: "G6: the bytes of what waits", |pool| pool.bytes += 1;
    accounts_add_up: "G6: accounts add up",
        |pool| pool.accounts.values_mut().for_each(|queue| queue.bytes += 1);
    shares_add_up: "G6: the shares add up", |pool| pool.shares.add(None, ACCOUNT, 1);
    what_leaves_was_counted: "G6: what leaves was counted",
        |pool| pool.shares.remove(None, ACCOUNT, 1);
    each_expires_once: "G6: each expires once", |pool| pool.expiry.pop_first();
    each_has_one_place: "G6: each has one place",
        |pool| pool.accounts.values_mut().for_each(|queue| queue.lanes.clear());
    each_operation_waits_once: "G6: each operation waits once", |pool| pool.by_id.pop_first();
    no_account_without_anything: "G6: no account without anything",
        |pool| pool.accounts.insert(ACCOUNT, super::Queue::default());
    nothing_waits_twice: "G6: nothing waits twice", |pool| {
        let (_, one) = pool.by_hash.first_key_value().expect("two wait");
        pool.insert(super::Pooled {
            transaction: one.transaction.clone(),
            source: one.source,
            origin: one.origin,
        })
    };
}

const ACCOUNT: AccountId = AccountId([7; 20]);
