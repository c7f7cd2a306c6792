//! Modules are used when they have been switched on, and not before.

use alloc::vec::Vec;

use bytes::Bytes;

use super::modules::{Rig, both, first, frozen_chunks, in_session};
use super::toy::{Op, Outcome, TOY, ToyOp, ToyOutcome, WithToy};
use crate::codec::{Decode as _, Encode as _};
use crate::kv::Kv;
use crate::replica::{
    Command, Config, Envelope, Generation, ImageError, LoadError, Loader, LogTime, Module as _,
    Replica, SessionId, SnapshotError, Staging, Verdict, is_of_newer_version,
};
use crate::types::{LogId, ModuleId, Modules, Span, Term};

const ENABLE: Command<Op> = Command::Enable { module: TOY };

fn off() -> Rig {
    Rig::with_toy_off(Config::new())
}

fn is_on(rig: &mut Rig) {
    let on = Verdict::ModuleOn { module: TOY };
    assert_eq!(rig.run(ENABLE), on.into());
    assert_eq!(rig.state.modules_on(), WithToy::ids());
}

fn is_refused(rig: &mut Rig, command: Command<Op>) {
    let refusal = Verdict::ModuleOff { module: TOY };
    assert_eq!(rig.run(command), refusal.into());
}

const fn once(op: ToyOp) -> Command<Op> {
    Command::Once { op: Op::Toy(op) }
}

/// The pairs of a state, as they stand in the store.
fn pairs(rig: &Rig) -> Vec<(Bytes, Bytes)> {
    let is_pair = |(key, _): &(&Bytes, &Bytes)| key.len() > 1;
    let pairs = rig.disk.0.iter().filter(is_pair);
    pairs
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

#[test]
fn an_operation_of_a_module_that_is_off_is_refused_and_changes_nothing() {
    let mut rig = off();
    assert_eq!(rig.state.modules_on(), Kv::ids());
    assert_eq!(rig.state.modules_known(), WithToy::ids());
    is_refused(&mut rig, once(ToyOp::Make));
    // Not even asked whether it is sound.
    is_refused(&mut rig, once(ToyOp::Add { counter: 1, by: 0 }));
    assert_eq!(pairs(&rig), []);
    assert!(rig.state.take_notices().is_empty());
}

#[test]
fn a_switch_is_a_pair_and_stays() {
    let mut rig = off();
    is_on(&mut rig);
    let before = pairs(&rig);
    assert_eq!(before.len(), 1);
    is_on(&mut rig);
    assert_eq!(pairs(&rig), before, "once more is the same");
    let made = rig.run(once(ToyOp::Make));
    let counter = ToyOutcome::Counted {
        counter: 3,
        value: 0,
    };
    assert_eq!(made, Outcome::Toy(counter));
}

#[test]
fn the_first_module_is_on_and_has_no_pair() {
    let mut rig = off();
    let module = ModuleId::FIRST;
    let on = rig.run(Command::Enable { module });
    assert_eq!(on, Verdict::ModuleOn { module }.into());
    assert_eq!(pairs(&rig), []);
}

#[test]
fn a_session_keeps_the_refusal() {
    let mut rig = off();
    let (nonce, ttl) = (7, Span(1_000));
    rig.run(Command::OpenSession { nonce, ttl });
    let session = SessionId(1);
    is_refused(&mut rig, in_session(session, 1, ToyOp::Make));
    is_on(&mut rig);
    // The client was told that nothing happened, so a late copy must not make it happen.
    is_refused(&mut rig, in_session(session, 1, ToyOp::Make));
    rig.run(in_session(session, 2, ToyOp::Make));
    assert_eq!(rig.value(5), Some(0));
}

#[test]
fn a_full_state_takes_no_switch() {
    let mut rig = Rig::with_toy_off(Config {
        state_bytes_max: 1,
        ..Config::new()
    });
    let refused = rig.run(ENABLE);
    let Outcome::Kv(crate::kv::Outcome::LimitExceeded { .. }) = refused else {
        panic!("it is full: {refused:?}")
    };
    assert_eq!(rig.state.modules_on(), Kv::ids());
}

#[test]
fn switches_survive_restart_and_snapshot() {
    let mut rig = off();
    is_on(&mut rig);
    let mut loader: Loader<WithToy> = Loader::new(Config::new(), both());
    loader.push(rig.disk.0.clone());
    let restarted = loader.finish().unwrap().unwrap();
    let mut staging = Staging::new(Config::new(), both());
    for chunk in frozen_chunks(&rig.state) {
        staging.push_chunk(&chunk).unwrap();
    }
    let installed = staging.finish(rig.state.digest(), Generation(9)).unwrap();
    for state in [restarted, installed] {
        assert_eq!(state.modules_on(), WithToy::ids());
        assert_eq!(state.digest(), rig.state.digest());
        state.audit();
    }
}

#[test]
fn a_version_without_the_module_stops_at_its_switch() {
    let mut rig = off();
    let before: Replica<Kv> = Replica::new(Config::new(), first());
    is_on(&mut rig);
    assert!(before.is_newer(&Command::Enable { module: TOY }));
    assert!(!rig.state.is_newer(&ENABLE));
    let mut loader: Loader<Kv> = Loader::new(Config::new(), first());
    loader.push(rig.disk.0.clone());
    assert_eq!(loader.cleanup(), [], "nothing is deleted");
    let error = loader.finish().unwrap_err();
    assert_eq!(error, LoadError::Content(ImageError::Newer));
    let mut staging: Staging<Kv> = Staging::new(Config::new(), first());
    for chunk in frozen_chunks(&rig.state) {
        staging.push_chunk(&chunk).unwrap();
    }
    let error = staging.finish(rig.state.digest(), Generation(9));
    let error = error.unwrap_err();
    assert_eq!(error, SnapshotError::Content(ImageError::Newer));
}

#[test]
fn a_node_that_claims_a_module_takes_its_switch() {
    let claiming = Config {
        claimed_modules: Modules::of(TOY),
        ..Config::new()
    };
    let mut rig = off();
    is_on(&mut rig);
    let mut loader: Loader<Kv> = Loader::new(claiming, first());
    loader.push(rig.disk.0.clone());
    let state = loader.finish().unwrap().unwrap();
    assert_eq!(state.modules_on(), WithToy::ids());
}

#[test]
#[should_panic(expected = "whoever does not know a command stops in front of it")]
fn a_switch_of_an_unknown_module_is_not_applied() {
    let mut state: Replica<Kv> = Replica::new(Config::new(), first());
    let envelope = Envelope {
        proposed_at: LogTime(1),
        command: Command::Enable { module: TOY },
    };
    let at = LogId::new(Term(1), state.applied().index.next());
    state.apply(at, &envelope, &mut Vec::new());
}

#[test]
fn a_number_that_is_no_module_is_of_a_newer_version() {
    let mut bytes = Envelope {
        proposed_at: LogTime(1),
        command: ENABLE,
    }
    .to_bytes()
    .to_vec();
    *bytes.last_mut().unwrap() = ModuleId::END;
    let error = Envelope::<Op>::from_bytes(&bytes.into()).unwrap_err();
    assert!(is_of_newer_version(&error));
}
