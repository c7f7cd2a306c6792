//! What is recorded is replayed, and what differs is found.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use decube_core::kv::LogTime;
use decube_core::machine::{Machine as _, Outbox};
use decube_core::node::{Config, Effect, Event, Node};
use decube_core::raft::Membership;
use decube_core::types::{ClusterId, NodeId, Time};
use tempfile::TempDir;

use super::{JournalConfig, JournalRecorder, Recording, Replay, ReplayEnd, ReplayError};
use crate::disk::{Directory, FileSystem as _};
use crate::host::Recorder as _;

fn config() -> Config {
    let voters = vec![NodeId(1)];
    let bootstrap = Membership {
        voters,
        ..Membership::default()
    };
    let mut config = Config::new(NodeId(1), ClusterId(7), bootstrap, 42);
    config.wal_segment_bytes = 1 << 20;
    config
}

/// Runs a node on real files and records it; returns where the run is.
fn record(place: &TempDir, journal: &JournalConfig, steps: u64) -> PathBuf {
    let wal = TempDir::new().unwrap();
    let mut files = Directory::open(wal.path()).unwrap();
    let mut recorder = JournalRecorder::start(journal, &config()).unwrap();
    let mut node = Node::new(config());
    let mut out = Outbox::new();
    let mut events: std::collections::VecDeque<_> =
        [Event::Clock { wall: LogTime(9) }, Event::Start].into();
    for step in 0..steps {
        let now = Time(step * 10_000_000);
        let event = events.pop_front().unwrap_or(Event::Wake);
        recorder.event(now, &event);
        node.step(now, event, &mut out);
        recorder.effects(out.as_slice());
        for effect in out.drain() {
            match effect {
                Effect::File { id, op } => {
                    let result = files.perform(op);
                    events.push_back(Event::File { id, result });
                }
                Effect::StoreScan { .. } => {
                    let (pairs, done) = (Vec::new(), true);
                    events.push_back(Event::StorePage { pairs, done });
                }
                Effect::StoreCommit(batch) => {
                    events.push_back(Event::StoreCommitted { seq: batch.seq });
                }
                _ => {}
            }
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
    let other = Node::new(Config {
        wal_segment_bytes: 2 << 20,
        ..config()
    });
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

#[test]
fn the_key_that_a_node_signs_with_is_not_recorded() {
    use decube_core::crypto::{P256Signer, SecretBytes, SecretKey, Signer as _};
    use decube_core::node::keys::HeadSigner;
    let place = TempDir::new().unwrap();
    let secret = SecretKey::from_entropy(&SecretBytes::new([7; 32]));
    let signer = P256Signer::new(&secret);
    let id = signer.public_key().node_id();
    let mut node = Config::new(id, ClusterId(7), Membership::default(), 42);
    node.voter_keys.insert(id, *signer.public_key());
    node.signer = Some(HeadSigner::new(signer));
    let recorder = JournalRecorder::start(&JournalConfig::new(place.path()), &node).unwrap();
    recorder.close();
    let run = super::runs(place.path()).unwrap().remove(0);
    let bytes = fs::read(run.join("000001.dcj")).unwrap();
    let exposed = secret.expose();
    let exposed: &[u8] = exposed.as_bytes();
    assert!(!bytes.windows(32).any(|window| window == exposed));
    let recording = Recording::open(&run).unwrap();
    assert!(recording.signs());
    assert_eq!(recording.config().signer, None);
    assert_eq!(recording.config().voter_keys, node.voter_keys);
}
