//! What is recorded is replayed, and what differs is found.

use std::fs;
use std::path::PathBuf;

use decube_core::kv::LogTime;
use decube_core::machine::{Machine as _, Outbox};
use decube_core::node::{Config, Effect, Event, Node};
use decube_core::raft::Membership;
use decube_core::types::{ClusterId, NodeId, Time};
use tempfile::TempDir;

use super::{JournalConfig, JournalRecorder, ReplayEnd, ReplayError, replay};
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
    let result = replay(&run, Node::new, |_, _, _| seen += 1).unwrap();
    assert_eq!(
        (result.steps, result.end, seen),
        (300, ReplayEnd::Stopped, 300)
    );
}

#[test]
fn a_node_that_answers_otherwise_is_found_out() {
    let place = TempDir::new().unwrap();
    let run = record(&place, &JournalConfig::new(place.path()), 300);
    let build = |config| {
        Node::new(Config {
            wal_segment_bytes: 2 << 20,
            ..config
        })
    };
    let error = replay(&run, build, |_, _, _| {}).unwrap_err();
    assert!(matches!(error, ReplayError::Diverged { .. }), "{error}");
}

#[test]
fn a_torn_end_is_where_the_replay_stops() {
    let place = TempDir::new().unwrap();
    let run = record(&place, &JournalConfig::new(place.path()), 300);
    let segment = run.join("000001.dcj");
    let bytes = fs::read(&segment).unwrap();
    fs::write(&segment, &bytes[..bytes.len() - 15]).unwrap();
    let result = replay(&run, Node::new, |_, _, _| {}).unwrap();
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
    let result = replay(&run, Node::new, |_, _, _| {}).unwrap();
    assert_eq!(result.end, ReplayEnd::Full);
    assert!((1..2000).contains(&result.steps), "{}", result.steps);
    for _ in 0..5 {
        record(&place, &journal, 2000);
    }
    let runs = fs::read_dir(place.path()).unwrap().count();
    assert!(runs <= 3, "old runs make room: {runs}");
    assert!(!run.exists(), "the oldest goes first");
}
