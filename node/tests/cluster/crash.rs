//! Nodes that are killed while clients write.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::history::{Operation, What, check};
use super::http::call;
use super::process::Cluster;

const KEYS: u64 = 3;

type History = Arc<Mutex<BTreeMap<u64, Vec<Operation>>>>;

/// One client: writes and reads by turns, each time through another node.
fn client(number: u64, nodes: &[SocketAddr], history: &History, stop: &AtomicBool) {
    let mut step = number;
    while !stop.load(Ordering::Relaxed) {
        step += 1;
        let node = nodes[usize::try_from(step).expect("small") % nodes.len()];
        let key = step % KEYS;
        let value = format!("{number}-{step}");
        let path = format!("/v1/kv/reg/{key}");
        let began = Instant::now();
        let reads = step.is_multiple_of(2);
        let answer = match reads {
            true => call(node, "GET", &path, b""),
            false => call(node, "PUT", &path, value.as_bytes()),
        };
        let ended = Instant::now();
        let revision = |tag: Option<&str>| tag.and_then(|tag| tag.trim_matches('"').parse().ok());
        let what = match (reads, answer) {
            (true, Ok(answer)) if answer.status == 200 => {
                let revision = revision(answer.header("etag")).expect("a read names its revision");
                What::Read(answer.text(), revision)
            }
            (true, Ok(answer)) if answer.status == 404 => What::Read(String::new(), 0),
            (true, _) => continue,
            (false, Ok(answer)) if answer.status == 200 => {
                What::Write(value, revision(answer.header("etag")))
            }
            // Refused for certain: it did not happen.
            (false, Ok(answer)) if answer.status == 503 => continue,
            (false, _) => What::Write(value, None),
        };
        let ended = match what {
            What::Write(_, None) => None,
            _ => Some(ended),
        };
        let operation = Operation { began, ended, what };
        history
            .lock()
            .expect("held")
            .entry(key)
            .or_default()
            .push(operation);
    }
}

#[test]
fn no_acknowledged_write_is_lost_when_leaders_are_killed() {
    let mut cluster = Cluster::start(3);
    let nodes: Vec<SocketAddr> = cluster.nodes.iter().map(|node| node.api).collect();
    let history = History::default();
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|number| {
            let (nodes, history, stop) = (nodes.clone(), history.clone(), stop.clone());
            std::thread::spawn(move || client(number * 1_000_000, &nodes, &history, &stop))
        })
        .collect();
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(1500));
        let leader = cluster.leader();
        cluster.nodes[leader].kill();
        // Two of three go on without it.
        let next = cluster
            .nodes
            .iter()
            .position(|node| node.running())
            .expect("two run");
        cluster.nodes[next].wait_ready(Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(500));
        cluster.nodes[leader].start();
        cluster.nodes[leader].wait_ready(Duration::from_secs(20));
    }
    std::thread::sleep(Duration::from_millis(500));
    stop.store(true, Ordering::Relaxed);
    clients
        .into_iter()
        .for_each(|client| client.join().expect("clients do not panic"));
    // All at once without warning, then once more from the disks alone.
    cluster.nodes.iter_mut().for_each(|node| node.kill());
    cluster.nodes.iter_mut().for_each(|node| node.start());
    cluster
        .nodes
        .iter()
        .for_each(|node| node.wait_ready(Duration::from_secs(30)));
    let mut histories = history.lock().expect("held").clone();
    for (key, operations) in &mut histories {
        let began = Instant::now();
        let answer = cluster.nodes[0]
            .get(&format!("/v1/kv/reg/{key}"))
            .expect("it answers");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let revision = answer
            .header("etag")
            .and_then(|tag| tag.trim_matches('"').parse().ok());
        operations.push(Operation {
            began,
            ended: Some(Instant::now()),
            what: What::Read(answer.text(), revision.expect("a revision")),
        });
    }
    let acknowledged = |operation: &&Operation| matches!(operation.what, What::Write(_, Some(_)));
    for (key, operations) in &histories {
        let writes = operations.iter().filter(acknowledged).count();
        assert!(
            writes > 10,
            "key {key}: only {writes} writes were acknowledged"
        );
        check(operations).unwrap_or_else(|error| panic!("key {key}: {error}"));
    }
}

#[test]
fn objects_survive_the_node_that_took_them() {
    let mut cluster = Cluster::start(3);
    let content: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let put = cluster.nodes[1]
        .put("/storage/objects/big", &content)
        .expect("it answers");
    assert_eq!(put.status, 201, "{}", put.text());
    for node in &cluster.nodes {
        let get = node.get("/storage/objects/big").expect("it answers");
        assert_eq!(
            (get.status, get.body == content),
            (200, true),
            "through {}",
            node.id
        );
    }
    cluster.nodes[1].kill();
    // It may have led: the others refuse for certain, and retryably, until they
    // have a new leader.
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let get = cluster.nodes[2]
            .get("/storage/objects/big")
            .expect("it answers");
        if get.status != 503 || Instant::now() > deadline {
            assert_eq!((get.status, get.body == content), (200, true));
            break;
        }
    }
}

#[test]
fn a_stop_is_graceful_and_a_second_process_is_refused() {
    let mut cluster = Cluster::start(3);
    let again = cluster.nodes[0].start_again();
    assert_eq!(again.status.code(), Some(1));
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(said.contains("is in use by process"), "{said}");

    let leader = cluster.leader();
    assert_eq!(
        cluster.nodes[leader]
            .put("/v1/kv/k", b"v")
            .expect("it answers")
            .status,
        200
    );
    assert_eq!(
        cluster.nodes[leader].stop().code(),
        Some(0),
        "{}",
        cluster.logs()
    );
    let other = (leader + 1) % 3;
    cluster.nodes[other].wait_ready(Duration::from_secs(20));
    assert_eq!(
        cluster.nodes[other]
            .get("/v1/kv/k")
            .expect("it answers")
            .text(),
        "v"
    );
}
