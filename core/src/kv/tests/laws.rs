//! Laws over random histories.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::kv::FencingToken;

/// Applies a log to a fresh state.
fn replay(config: Config, log: &[Envelope]) -> (Replica, Vec<Outcome>, Vec<Vec<StoreOp>>) {
    let mut kv = config.state();
    let mut outcomes = Vec::new();
    let mut mirrored = Vec::new();
    for envelope in log {
        let mut ops = Vec::new();
        let at = LogId::new(Term(1), kv.applied().index.next());
        outcomes.push(kv.apply(at, envelope, &mut ops));
        kv.audit();
        mirrored.push(ops);
    }
    (kv, outcomes, mirrored)
}

/// Applies an entry to several states, which must agree on everything.
fn apply_to_all(states: &mut [Replica], envelope: &Envelope) {
    let mut results = Vec::new();
    for kv in states.iter_mut() {
        let mut ops = Vec::new();
        let at = LogId::new(Term(1), kv.applied().index.next());
        let outcome = kv.apply(at, envelope, &mut ops);
        kv.audit();
        results.push((outcome, kv.take_notices(), kv.digest(), kv.next_expiry()));
    }
    for pair in results.windows(2) {
        assert_eq!(pair[0], pair[1]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_same_log_gives_the_same_state_answers_and_store_operations(log in any_log(80)) {
        let (first, outcomes, ops) = replay(small(), &log);
        let (second, outcomes_again, ops_again) = replay(small(), &log);
        prop_assert_eq!(first.digest(), second.digest());
        prop_assert_eq!(outcomes, outcomes_again);
        prop_assert_eq!(ops, ops_again);
    }

    #[test]
    fn the_store_holds_the_state_after_every_entry(log in any_log(60)) {
        let mut kv = small().state();
        let mut disk = Disk::default();
        for envelope in &log {
            let mut ops = Vec::new();
            let at = LogId::new(Term(1), kv.applied().index.next());
            kv.apply(at, envelope, &mut ops);
            disk.commit(&ops);
            let loaded = disk.load(small()).unwrap().unwrap();
            loaded.audit();
            prop_assert_eq!(loaded.digest(), kv.digest());
            prop_assert_eq!(loaded.applied(), at);
            prop_assert_eq!(loaded.log_time(), kv.log_time());
            prop_assert_eq!(loaded.revision(), kv.revision());
            prop_assert_eq!(loaded.state_bytes(), kv.state_bytes());
        }
    }

    #[test]
    fn loaded_and_installed_states_behave_like_the_original(
        before in any_log(60),
        after in any_log(40),
    ) {
        let (kv, _, ops) = replay(small(), &before);
        let mut disk = Disk::default();
        ops.iter().for_each(|ops| disk.commit(ops));
        let loaded = disk.load(small()).unwrap().unwrap();
        let mut frozen = kv.freeze();
        let mut staging = small().staging();
        let mut number = 0;
        while let Some((chunk, last)) = frozen.chunk(number) {
            prop_assert_eq!(last, frozen.chunk(number + 1).is_none());
            staging.push_chunk(&chunk).unwrap();
            number += 1;
        }
        let installed = staging.finish(kv.digest(), Generation(9)).unwrap();
        installed.audit();
        let mut states = [kv, loaded, installed];
        for envelope in &after {
            apply_to_all(&mut states, envelope);
        }
    }

    #[test]
    fn a_repeated_session_command_is_applied_at_most_once(
        log in any_log(60),
        nonce in 100u128..200,
        op in any_op(),
        repeats in proptest::collection::vec(any::<bool>(), 1..5),
    ) {
        let mut rig = Rig::new(Config { sessions_max: 9, session_answers_max: 3, ..small() });
        let session = rig.open(nonce, 1 << 40);
        let command = Command::InSession { session, sequence: 1, answered_upto: 0, op };
        rig.now += 1;
        let first = rig.run(command.clone());
        let mut log = log.into_iter();
        for noise in repeats {
            if noise && let Some(envelope) = log.next() {
                // Other clients, never this session.
                if !matches!(&envelope.command, Command::InSession { session: s, .. }
                    | Command::CloseSession { session: s } if *s == session) {
                    rig.run(envelope.command);
                }
            }
            rig.now -= 1;
            rig.run(Command::Tick);
            let revision = rig.kv.revision();
            let again = rig.run(command.clone());
            prop_assert_eq!(&again, &first);
            prop_assert_eq!(rig.kv.revision(), revision);
            prop_assert_eq!(rig.kv.take_notices(), Vec::new());
        }
    }

    #[test]
    fn tokens_of_a_lock_rise_with_every_new_holder(log in any_log(120)) {
        let mut kv = small().state();
        let mut disk = Disk::default();
        let mut highest: BTreeMap<Bytes, FencingToken> = BTreeMap::new();
        let mut holders: BTreeMap<FencingToken, LeaseId> = BTreeMap::new();
        for (number, envelope) in log.iter().enumerate() {
            let mut ops = Vec::new();
            let at = LogId::new(Term(1), kv.applied().index.next());
            let outcome = kv.apply(at, envelope, &mut ops);
            disk.commit(&ops);
            if let (Outcome::Locked { token }, Command::Once { op: Op::LockAcquire { name, lease } }) =
                (outcome, &envelope.command)
            {
                let before = highest.insert(name.clone(), token);
                let same = holders.insert(token, *lease) == Some(*lease);
                prop_assert!(before < Some(token) || same && before == Some(token));
            }
            if number % 16 == 15 {
                kv = disk.load(small()).unwrap().unwrap();
            }
        }
    }

    #[test]
    fn a_watcher_that_follows_changes_has_the_keys_of_the_state(log in any_log(80)) {
        let mut kv = small().state();
        let mut seen: BTreeMap<Bytes, Pair> = BTreeMap::new();
        for envelope in &log {
            let before = kv.revision();
            let at = LogId::new(Term(1), kv.applied().index.next());
            kv.apply(at, envelope, &mut Vec::new());
            let late = kv.changes_since(b"", None, Revision(before.0 + 1)).unwrap();
            let live = kv.take_notices();
            prop_assert_eq!(&late, &live);
            for change in live {
                prop_assert_eq!(change.revision, kv.revision());
                match change.pair {
                    Some(pair) => seen.insert(change.key, pair),
                    None => seen.remove(&change.key),
                };
            }
            let mut from = Bytes::new();
            let mut listed = Vec::new();
            loop {
                let query = Query::Range { from, to: None, limit: 1_000, keys_only: false };
                let Found::Many { pairs, next } = kv.query(&query).found else {
                    panic!("a range finds many");
                };
                listed.extend(pairs);
                match next {
                    Some(next) => from = next,
                    None => break,
                }
            }
            prop_assert!(listed.iter().eq(seen.values()));
        }
    }
}
