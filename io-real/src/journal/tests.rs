//! What is recorded is replayed, and what differs is found.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use decube_core::cluster::{self, Request};
use decube_core::crypto::{P256Signer, SecretBytes, SecretKey, SharedSigner, Signer as _};
use decube_core::io::{Done, Io, Read};
use decube_core::machine::{Machine as _, Outbox};
use decube_core::node::{Config, Effect, Event, Node, Response};
use decube_core::raft::Membership;
use decube_core::store::Page;
use decube_core::types::{ClusterId, NodeId, RequestId, Time, WallTime};
use decube_proto::journal::Record;
use decube_proto::journal::record::Body;
use prost::Message as _;
use tempfile::TempDir;

use super::{JournalConfig, JournalRecorder, Recording, Replay, ReplayEnd, ReplayError};
use crate::disk::{Directory, FileSystem as _};
use crate::host::Recorder as _;

const START: Event = Event::Start {
    used: std::collections::BTreeSet::new(),
};

fn config() -> Config {
    let voters = vec![NodeId(1)];
    let bootstrap = Membership {
        voters,
        ..Membership::default()
    };
    let mut config = cluster::Config::new(NodeId(1), ClusterId(7), bootstrap, 42);
    config.wal_segment_bytes = 1 << 20;
    Config::of_cluster(config)
}

/// Runs a node on real files and records it; returns where the run is.
fn record(place: &TempDir, journal: &JournalConfig, steps: u64) -> PathBuf {
    record_of(config(), place, journal, steps)
}

/// Asks for the signed head of the log in every tenth step of the second half.
fn record_of(mut config: Config, place: &TempDir, journal: &JournalConfig, steps: u64) -> PathBuf {
    let wal = TempDir::new().unwrap();
    let mut files = Directory::open(wal.path()).unwrap();
    let mut recorder = JournalRecorder::start(journal, &mut config).unwrap();
    let asks = of_cluster(&config).signer.is_some();
    let mut node = Node::new(config);
    let mut out = Outbox::new();
    let mut events: std::collections::VecDeque<_> =
        [Event::Clock { wall: WallTime(9) }, START].into();
    for step in 0..steps {
        let now = Time(step * 10_000_000);
        if asks && step > steps / 2 && step % 10 == 0 {
            let (id, request) = (RequestId(step), Request::LogHead.into());
            events.push_front(Event::Request { id, request });
        }
        let event = events.pop_front().unwrap_or(Event::Wake);
        recorder.event(now, &event);
        node.step(now, event, &mut out);
        recorder.effects(out.as_slice());
        for effect in out.drain() {
            let Effect::Io { volume, io } = effect else {
                continue;
            };
            let done = match io {
                Io::File { id, op } => {
                    let result = files.perform(op);
                    Done::File { id, result }
                }
                Io::Read(Read { id, .. }) => {
                    let page = Page::NONE;
                    Done::Read { id, page }
                }
                Io::Commit(batch) => Done::Committed { seq: batch.seq },
            };
            events.push_back(Event::Io { volume, done });
        }
    }
    recorder.close();
    let runs = fs::read_dir(place.path()).unwrap();
    let mut runs: Vec<_> = runs.map(|run| run.unwrap().path()).collect();
    runs.sort();
    runs.pop().unwrap()
}

fn replay(run: &Path) -> Result<Replay, ReplayError> {
    let recording = Recording::open(run)?;
    recording.replay(Node::new(recording.config().clone()), |_| {
        ControlFlow::Continue(())
    })
}

#[test]
fn a_run_replays_over_all_its_segments() {
    let place = TempDir::new().unwrap();
    let journal = JournalConfig {
        segment_bytes: 256,
        ..JournalConfig::new(place.path())
    };
    let run = record(&place, &journal, 300);
    assert!(fs::read_dir(&run).unwrap().count() > 2, "several segments");
    let mut seen = 0;
    let recording = Recording::open(&run).unwrap();
    let result = recording.replay(Node::new(config()), |step| {
        seen += 1;
        assert_eq!(step.number, seen);
        ControlFlow::Continue(())
    });
    let result = result.unwrap();
    assert_eq!((result.steps, result.confirmed, seen), (300, 300, 300));
    assert_eq!(result.end, ReplayEnd::Stopped);
    let until = recording.replay(Node::new(config()), |step| match step.number {
        17 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    let until = until.unwrap();
    assert_eq!((until.steps, until.end), (17, ReplayEnd::Asked));
}

#[test]
fn a_node_that_answers_otherwise_is_found_out() {
    let place = TempDir::new().unwrap();
    let run = record(&place, &JournalConfig::new(place.path()), 300);
    let mut other = config();
    let cluster = other.cluster.as_mut().unwrap();
    cluster.wal_segment_bytes = 2 << 20;
    let other = Node::new(other);
    let recording = Recording::open(&run).unwrap();
    let error = recording.replay(other, |_| ControlFlow::Continue(()));
    let error = error.unwrap_err();
    assert!(matches!(error, ReplayError::Diverged { .. }), "{error}");
}

#[test]
fn a_torn_end_is_where_the_replay_stops() {
    let place = TempDir::new().unwrap();
    let run = record(&place, &JournalConfig::new(place.path()), 300);
    let segment = run.join("000001.dcj");
    let bytes = fs::read(&segment).unwrap();
    fs::write(&segment, &bytes[..bytes.len() - 15]).unwrap();
    let result = replay(&run).unwrap();
    assert_eq!(result.end, ReplayEnd::Cut);
    assert!(result.steps >= 298, "{}", result.steps);
}

#[test]
fn a_run_that_is_full_says_so_and_replays_up_to_there() {
    let place = TempDir::new().unwrap();
    let journal = JournalConfig {
        run_bytes_max: 4096,
        bytes_max: 8192,
        ..JournalConfig::new(place.path())
    };
    let run = record(&place, &journal, 2000);
    let result = replay(&run).unwrap();
    assert_eq!(result.end, ReplayEnd::Full);
    assert!((1..2000).contains(&result.steps), "{}", result.steps);
    for _ in 0..5 {
        record(&place, &journal, 2000);
    }
    let runs = fs::read_dir(place.path()).unwrap().count();
    assert!(runs <= 3, "old runs make room: {runs}");
    assert!(!run.exists(), "the oldest goes first");
}

#[test]
fn no_byte_can_be_flipped_unnoticed() {
    let place = TempDir::new().unwrap();
    let run = record(&place, &JournalConfig::new(place.path()), 12);
    let whole = replay(&run).unwrap();
    let segment = run.join("000001.dcj");
    let bytes = fs::read(&segment).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        fs::write(&segment, &damaged).unwrap();
        // A damaged length can look like a torn end, but never like the whole.
        let result = replay(&run);
        assert!(
            !matches!(&result, Ok(result) if *result == whole),
            "byte {at} of {}: {result:?}",
            bytes.len()
        );
    }
}

fn secret() -> SecretKey {
    SecretKey::from_entropy(&SecretBytes::new([7; 32]))
}

/// One voter, which signs.
fn signing() -> Config {
    let signer = P256Signer::new(&secret());
    let id = signer.public_key().node_id();
    let bootstrap = Membership {
        voters: vec![id],
        ..Membership::default()
    };
    let mut config = cluster::Config::new(id, ClusterId(7), bootstrap, 42);
    config.wal_segment_bytes = 1 << 20;
    config.voter_keys.insert(id, *signer.public_key());
    config.signer = Some(SharedSigner::new(signer));
    Config::of_cluster(config)
}

fn of_cluster(config: &Config) -> &cluster::Config {
    config.cluster.as_ref().unwrap()
}

fn heads(effects: &[Effect]) -> usize {
    let head = |effect: &&Effect| {
        matches!(effect, Effect::Reply { response: Response::Cluster(cluster::Response::LogHead(made)), .. }
            if made.signed.signatures.len() == 1)
    };
    effects.iter().filter(head).count()
}

#[test]
fn a_node_that_signs_replays_without_its_key() {
    let place = TempDir::new().unwrap();
    let journal = JournalConfig {
        segment_bytes: 256,
        ..JournalConfig::new(place.path())
    };
    let run = record_of(signing(), &place, &journal, 300);
    let recording = Recording::open(&run).unwrap();
    assert_eq!(
        of_cluster(recording.config()).signer,
        of_cluster(&signing()).signer,
        "the same public key"
    );
    let known = &of_cluster(recording.config()).voter_keys;
    assert_eq!(*known, of_cluster(&signing()).voter_keys);
    for _ in 0..2 {
        let mut signed = 0;
        let node = Node::new(recording.config().clone());
        let result = recording.replay(node, |step| {
            signed += heads(step.effects);
            ControlFlow::Continue(())
        });
        let result = result.unwrap();
        assert_eq!((result.steps, result.confirmed), (300, 300));
        assert!(signed >= 10, "{signed} heads were signed");
    }
    for segment in fs::read_dir(&run).unwrap() {
        let bytes = fs::read(segment.unwrap().path()).unwrap();
        let exposed = secret().expose();
        let exposed: &[u8] = exposed.as_bytes();
        assert!(!bytes.windows(32).any(|window| window == exposed));
    }
}

#[test]
fn recorded_signatures_can_not_be_swapped() {
    let place = TempDir::new().unwrap();
    let run = record_of(signing(), &place, &JournalConfig::new(place.path()), 300);
    let segment = run.join("000001.dcj");
    let mut records = Vec::new();
    let mut bytes = bytes::Bytes::from(fs::read(&segment).unwrap());
    while !bytes.is_empty() {
        records.push(Record::decode_length_delimited(&mut bytes).unwrap());
    }
    // A signature of another key over nothing, in place of the last.
    let other = P256Signer::new(&SecretKey::from_entropy(&SecretBytes::new([8; 32])));
    let signed = records
        .iter_mut()
        .rev()
        .find_map(|record| match &mut record.body {
            Some(Body::Signed(signed)) => Some(signed),
            _ => None,
        });
    let signed = signed.unwrap();
    signed.signatures = vec![other.sign_bytes(b"").as_bytes().to_vec().into()];
    signed.checksum = super::signed_checksum(signed);
    let all: Vec<u8> = records
        .iter()
        .flat_map(Record::encode_length_delimited_to_vec)
        .collect();
    fs::write(&segment, all).unwrap();
    let error = replay(&run).unwrap_err();
    assert!(matches!(error, ReplayError::Diverged { .. }), "{error}");
}
