//! A node with a long log comes back with all of it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::http::Connection;
use super::process::Cluster;

/// Writers at the same time; each writes keys of its own.
const WRITERS: u64 = 64;
/// Keys of one writer, so that most writes replace a value.
const KEYS: u64 = 50;

/// Writes so many entries and returns what each key must hold.
fn fill(api: SocketAddr, entries: u64) -> Vec<(String, String)> {
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            std::thread::spawn(move || {
                let mut connection = Connection::open(api).expect("it listens");
                let mut last = vec![String::new(); usize::try_from(KEYS).expect("few")];
                for number in 0..entries.div_ceil(WRITERS) {
                    let key = number % KEYS;
                    let value = format!("{number:0100}");
                    let path = format!("/v1/kv/long/{writer}/{key}");
                    let status = connection.put(&path, value.as_bytes()).expect("it answers");
                    assert_eq!(status, 200);
                    last[usize::try_from(key).expect("few")] = value;
                }
                let named = last.into_iter().enumerate();
                named
                    .map(|(key, value)| (format!("/v1/kv/long/{writer}/{key}"), value))
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let written = writers.into_iter();
    written
        .flat_map(|writer| writer.join().expect("writers do not panic"))
        .collect()
}

/// Kills a node with so many entries in its log; returns how long the writes took,
/// and how long it took from the start of the process until it is ready.
pub fn restart(entries: u64) -> (Duration, Duration) {
    let mut cluster = Cluster::start(1);
    let began = Instant::now();
    let expected = fill(cluster.nodes[0].api, entries);
    let writing = began.elapsed();
    cluster.nodes[0].kill();
    let began = Instant::now();
    cluster.nodes[0].start();
    cluster.nodes[0].wait_ready(Duration::from_secs(60));
    let starting = began.elapsed();
    let status = cluster.nodes[0].get("/v1/status").expect("it answers");
    let status: serde_json::Value = serde_json::from_slice(&status.body).expect("JSON");
    let index = |name: &str| status[name].as_u64().expect("an index");
    let kept = index("last_index") - index("base_index");
    assert!(kept >= entries, "the log was kept whole: {status}");
    for (path, value) in expected.iter().filter(|(_, value)| !value.is_empty()) {
        let answer = cluster.nodes[0].get(path).expect("it answers");
        assert_eq!(
            (answer.status, answer.text()),
            (200, value.clone()),
            "{path}"
        );
    }
    (writing, starting)
}

#[test]
fn a_long_log_survives_a_kill() {
    restart(10_000);
}
