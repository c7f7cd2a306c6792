//! More than one module: what they share, and what a version says to the state of
//! another one.

use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::toy::{COUNTER, Notice, Op, Outcome, TOY, TTL, Toy, ToyOp, ToyOutcome, WithToy};
use crate::codec::{Decode as _, Encode as _};
use crate::kv::tests::{Disk, put};
use crate::kv::{self, Kv, LeaseId};
use crate::replica::{
    Command, Config, Envelope, Generation, ImageError, LoadError, Loader, LogTime, Module as _,
    Replica, SessionId, SnapshotError, Staging, Verdict, is_of_newer_version,
};
use crate::types::{LogId, Span, Term};

/// A state with both modules, the log that led to it and the store that mirrors it.
pub(super) struct Rig {
    pub(super) state: Replica<WithToy>,
    pub(super) disk: Disk,
    log: Vec<Envelope<Op>>,
    now: u64,
}

pub(super) fn both() -> WithToy {
    WithToy {
        kv: first(),
        toy: Toy::default(),
    }
}

pub(super) fn first() -> Kv {
    Kv::new(kv::Config::new())
}

impl Rig {
    /// The toy has been switched on, by entry 1.
    fn new(config: Config) -> Self {
        let mut rig = Self::with_toy_off(config);
        let on = rig.run(Command::Enable { module: TOY });
        assert_eq!(on, Verdict::ModuleOn { module: TOY }.into());
        rig
    }

    pub(super) fn with_toy_off(config: Config) -> Self {
        Self {
            state: Replica::new(config, both()),
            disk: Disk::default(),
            log: Vec::new(),
            now: 100,
        }
    }

    pub(super) fn run(&mut self, command: Command<Op>) -> Outcome {
        let envelope = Envelope {
            proposed_at: LogTime(self.now),
            command,
        };
        let bytes = envelope.to_bytes();
        assert_eq!(Envelope::from_bytes(&bytes), Ok(envelope.clone()));
        let mut ops = Vec::new();
        let at = next_id(&self.state);
        let outcome = self.state.apply(at, &envelope, &mut ops);
        assert_eq!(
            Outcome::from_bytes(&outcome.to_bytes()).as_ref(),
            Ok(&outcome)
        );
        self.state.audit();
        self.disk.commit(&ops);
        self.log.push(envelope);
        outcome
    }

    fn toy(&mut self, op: ToyOp) -> ToyOutcome {
        match self.run(Command::Once { op: Op::Toy(op) }) {
            Outcome::Toy(outcome) => outcome,
            other => panic!("of another module: {other:?}"),
        }
    }

    fn kv(&mut self, op: kv::Op) -> kv::Outcome {
        match self.run(Command::Once { op: Op::Kv(op) }) {
            Outcome::Kv(outcome) => outcome,
            other => panic!("of another module: {other:?}"),
        }
    }

    fn open(&mut self) -> SessionId {
        let (nonce, ttl) = (7, Span(1_000));
        match self.run(Command::OpenSession { nonce, ttl }) {
            Outcome::Kv(kv::Outcome::SessionOpened(session)) => session,
            other => panic!("not opened: {other:?}"),
        }
    }

    pub(super) fn value(&self, counter: u64) -> Option<u64> {
        self.state.module().toy.value(counter)
    }
}

fn next_id(state: &Replica<WithToy>) -> LogId {
    LogId::new(Term(1), state.applied().index.next())
}

pub(super) fn in_session(session: SessionId, sequence: u64, op: ToyOp) -> Command<Op> {
    Command::InSession {
        session,
        sequence,
        answered_upto: 0,
        op: Op::Toy(op),
    }
}

/// A state with something of every kind: entry 2 makes a counter, entry 4 a session.
fn filled() -> Rig {
    let mut rig = Rig::new(Config::new());
    rig.toy(ToyOp::Make);
    rig.kv(put("key", "value"));
    let session = rig.open();
    let add = ToyOp::Add { counter: 2, by: 5 };
    rig.run(in_session(session, 1, add));
    assert_eq!(rig.value(2), Some(5));
    rig
}

pub(super) fn frozen_chunks(state: &Replica<WithToy>) -> Vec<Bytes> {
    let mut frozen = state.freeze();
    (0..)
        .map_while(|number| frozen.chunk(number).map(|(chunk, _)| chunk))
        .collect()
}

fn load(disk: &Disk) -> Replica<WithToy> {
    let mut loader = Loader::new(Config::new(), both());
    loader.push(disk.0.clone());
    loader.finish().unwrap().unwrap()
}

/// The same commands again, to states that came about in other ways.
fn go_on(rig: &mut Rig) -> Vec<(Outcome, Vec<Notice>, [u8; 32])> {
    let session = SessionId(4);
    let add = |by| ToyOp::Add { counter: 2, by };
    let commands = vec![
        in_session(session, 1, add(5)),
        in_session(session, 2, add(7)),
        in_session(session, 3, add(0)),
        Command::Once {
            op: Op::Kv(put("key", "other")),
        },
        Command::Once {
            op: Op::Toy(ToyOp::Make),
        },
        Command::Tick,
        Command::CloseSession { session },
    ];
    let mut seen = Vec::new();
    for command in commands {
        rig.now += 20;
        let outcome = rig.run(command);
        seen.push((outcome, rig.state.take_notices(), rig.state.digest()));
    }
    seen
}

#[test]
fn a_second_module_survives_restart_snapshot_and_replay() {
    let mut rig = filled();
    let restarted = load(&rig.disk);
    let mut staging = Staging::new(Config::new(), both());
    for chunk in frozen_chunks(&rig.state) {
        staging.push_chunk(&chunk).unwrap();
    }
    let installed = staging.finish(rig.state.digest(), Generation(9)).unwrap();
    let mut replayed = Rig::with_toy_off(Config::new());
    for envelope in rig.log.clone() {
        replayed.run(envelope.command);
    }
    let (now, digest) = (rig.now, rig.state.digest());
    let expected = go_on(&mut rig);
    assert_eq!(
        expected[0].0,
        Outcome::Toy(ToyOutcome::Counted {
            counter: 2,
            value: 5
        }),
        "the first answer again"
    );
    for state in [restarted, installed, replayed.state] {
        assert_eq!(state.digest(), digest);
        let mut other = Rig {
            state,
            disk: Disk::default(),
            log: Vec::new(),
            now,
        };
        assert_eq!(go_on(&mut other), expected);
        assert_eq!(other.value(2), rig.value(2));
        assert_eq!(other.state.modules_on(), WithToy::ids());
    }
}

#[test]
fn what_modules_announce_ends_by_time_and_each_tells_its_own() {
    let mut rig = Rig::new(Config::new());
    rig.toy(ToyOp::Make);
    assert_eq!(rig.state.take_notices(), [Notice::Toy(2)]);
    let lease = rig.kv(kv::Op::LeaseGrant { ttl: TTL });
    let kv::Outcome::Lease { lease, .. } = lease else {
        panic!("not granted: {lease:?}")
    };
    assert_eq!(lease, LeaseId(3));
    rig.kv(crate::kv::tests::put_leased("key", "value", lease));
    let notices = rig.state.take_notices();
    assert!(matches!(notices[..], [Notice::Kv(_)]));
    assert_eq!(rig.state.next_expiry(), Some(LogTime(100 + TTL.0)));
    rig.now += TTL.0;
    let ticked = rig.run(Command::Tick);
    assert_eq!(ticked, Outcome::from(Verdict::Ticked));
    assert_eq!(rig.value(2), None);
    assert_eq!(rig.state.state_bytes(), 2, "the switch");
    assert_eq!(rig.state.next_expiry(), None);
}

#[test]
fn a_module_says_what_stands_for_data_in_a_full_state() {
    let mut rig = Rig::new(Config {
        state_bytes_max: 200,
        ..Config::new()
    });
    let session = rig.open();
    let quoted = rig.toy(ToyOp::Quote);
    assert!(matches!(quoted, ToyOutcome::Quoted(_)), "nothing is kept");
    for _ in 0..2 {
        let kept = rig.run(in_session(session, 1, ToyOp::Quote));
        assert_eq!(kept, Outcome::Toy(ToyOutcome::Refused));
    }
}

#[test]
fn the_first_module_has_the_same_bytes_with_and_without_another() {
    let mut alone = Replica::new(Config::new(), first());
    let mut rig = Rig::with_toy_off(Config::new());
    let (nonce, ttl) = (7, Span(1_000));
    let open = rig.run(Command::OpenSession { nonce, ttl });
    let put_it = rig.kv(put("key", "value"));
    let commands = [
        Command::OpenSession { nonce, ttl },
        Command::Once {
            op: put("key", "value"),
        },
    ];
    let Outcome::Kv(open) = open else {
        panic!("the first module speaks for the state: {open:?}")
    };
    for ((command, of_both), outcome) in commands.into_iter().zip(&rig.log).zip([open, put_it]) {
        let envelope = Envelope {
            proposed_at: LogTime(100),
            command,
        };
        assert_eq!(envelope.to_bytes(), of_both.to_bytes());
        let at = LogId::new(Term(1), alone.applied().index.next());
        assert_eq!(alone.apply(at, &envelope, &mut Vec::new()), outcome);
    }
    assert_eq!(alone.digest(), rig.state.digest());
}

#[test]
fn a_version_without_the_module_leaves_its_state_alone() {
    let rig = filled();
    let mut loader: Loader<Kv> = Loader::new(Config::new(), first());
    loader.push(rig.disk.0.clone());
    assert_eq!(loader.cleanup(), vec![], "nothing is deleted");
    let error = loader.finish().unwrap_err();
    assert_eq!(error, LoadError::Content(ImageError::Newer));
    assert!(error.is_newer());
    let mut staging: Staging<Kv> = Staging::new(Config::new(), first());
    for chunk in frozen_chunks(&rig.state) {
        staging.push_chunk(&chunk).unwrap();
    }
    let error = staging.finish(rig.state.digest(), Generation(9));
    let error = error.unwrap_err();
    assert_eq!(error, SnapshotError::Content(ImageError::Newer));
    assert!(error.is_newer());
}

#[test]
fn an_answer_of_the_module_is_enough_to_tell() {
    let mut rig = filled();
    rig.now += TTL.0;
    rig.run(Command::Tick);
    let is_counter = |key: &Bytes| key.get(9) == Some(&COUNTER);
    assert!(!rig.disk.0.keys().any(is_counter), "its pairs are gone");
    let mut loader: Loader<Kv> = Loader::new(Config::new(), first());
    loader.push(rig.disk.0.clone());
    assert!(loader.finish().unwrap_err().is_newer());
}

#[test]
fn damage_is_damage_whatever_module_it_hits() {
    let mut rig = filled();
    let is_counter = |(key, _): &(&Bytes, &mut Bytes)| key.get(9) == Some(&COUNTER);
    let (_, value) = rig.disk.0.iter_mut().find(is_counter).unwrap();
    let mut rotten = value.to_vec();
    rotten[0] ^= 1;
    *value = rotten.into();
    let mut loader: Loader<Kv> = Loader::new(Config::new(), first());
    loader.push(rig.disk.0.clone());
    let error = loader.finish().unwrap_err();
    assert_eq!(error, LoadError::Content(ImageError::Digest));
    assert!(!error.is_newer());
}

#[test]
fn a_command_of_the_module_is_told_from_garbage() {
    let rig = filled();
    let command = rig.log[1].to_bytes();
    let error = Envelope::<kv::Op>::from_bytes(&command).unwrap_err();
    assert!(is_of_newer_version(&error));
    let cut = command.slice(..command.len() - 1);
    let error = Envelope::<kv::Op>::from_bytes(&cut).unwrap_err();
    assert!(!is_of_newer_version(&error));
}

#[test]
#[should_panic(expected = "a module writes its own spaces")]
fn a_module_can_not_write_in_the_space_of_another() {
    Rig::new(Config::new()).toy(ToyOp::Trespass);
}

#[test]
fn spaces_and_tags_have_one_owner() {
    assert_eq!(WithToy::ids(), Kv::ids().and(Toy::ids()));
    for byte in 0..=u8::MAX {
        assert!(!(Kv::owns_space(byte) && Toy::owns_space(byte)));
        assert_eq!(
            WithToy::owns_space(byte),
            Kv::owns_space(byte) || Toy::owns_space(byte)
        );
        assert_eq!(
            WithToy::owns_tag(byte),
            Kv::owns_tag(byte) || Toy::owns_tag(byte)
        );
    }
}
