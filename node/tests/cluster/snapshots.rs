//! Snapshots of real directories by real processes: stopped in the middle, and
//! restored although disks lost or damaged what they held.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::process::{Cluster, Node, decube};

/// Bytes of a directory that takes a while: several segments.
const LARGE: usize = 400 << 20;

fn snapshot(node: &Node, arguments: &[&str]) -> Command {
    let mut command = decube();
    command.arg("snapshot").args(arguments);
    command.env("DECUBE_API", format!("http://{}", node.api));
    command
}

fn run(node: &Node, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output: Output = snapshot(node, arguments).output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// Bytes that neither repeat nor compress.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// The segment files of a node.
fn segments(node: &Node) -> Vec<PathBuf> {
    fn collect(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.expect("readable").path();
            match path.is_dir() {
                true => collect(&path, found),
                false => found.push(path),
            }
        }
    }
    let mut found = Vec::new();
    collect(&node.data.join("blobs").join("seg"), &mut found);
    found
}

fn interrupt(mut child: Child, signal: &str) -> (Option<i32>, String) {
    let sent = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(sent.expect("kill is there").success());
    let status = child.wait().expect("it ends");
    let mut said = String::new();
    let mut errors = child.stderr.take().expect("it is piped");
    errors.read_to_string(&mut said).expect("text");
    (status.code(), said)
}

#[test]
fn an_interrupted_create_shows_nothing_and_is_resumed() {
    let cluster = Cluster::start(1);
    let node = &cluster.nodes[0];
    let dir = tempfile::tempdir().expect("a directory");
    let source = dir.path().join("large");
    fs::create_dir(&source).expect("made");
    fs::write(source.join("noise"), noise(LARGE, 7)).expect("written");
    let source = source.to_str().expect("text");
    for signal in ["-INT", "-TERM"] {
        let before = segments(node).len();
        let mut command = snapshot(node, &["create", "large", source]);
        let child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn();
        let child = child.expect("it starts");
        let deadline = Instant::now() + Duration::from_secs(30);
        while segments(node).len() == before && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        let (code, said) = interrupt(child, signal);
        assert_eq!(code, Some(130), "{said}");
        assert!(said.contains("Nothing was registered"), "{said}");
        let (code, out, error) = run(node, &["list", "--json"]);
        assert_eq!(
            (code, out.contains("large")),
            (Some(0), false),
            "{out}{error}"
        );
        let (code, ..) = run(node, &["show", "large"]);
        assert_eq!(code, Some(3));
    }
    let uploaded = segments(node).len();
    assert!(uploaded >= 2, "{uploaded} segments before the signals");
    let (code, out, error) = run(node, &["create", "large", source]);
    assert_eq!(code, Some(0), "{error}");
    assert!(
        out.contains("were there already") && !out.contains(", 0 B were there already"),
        "{out}"
    );
    let target = dir.path().join("restored");
    let (code, _, error) = run(node, &["restore", "large", target.to_str().expect("text")]);
    assert_eq!(code, Some(0), "{error}");
    let restored = target.join(source.trim_start_matches('/')).join("noise");
    assert!(fs::read(restored).expect("restored") == noise(LARGE, 7));
}

#[test]
fn what_one_disk_lost_or_damaged_comes_from_another() {
    let cluster = Cluster::start(3);
    let dir = tempfile::tempdir().expect("a directory");
    let source = dir.path().join("source");
    fs::create_dir(&source).expect("made");
    for number in 0..20_u64 {
        let bytes = noise(100_000, number + 1);
        fs::write(source.join(format!("file-{number}")), bytes).expect("written");
    }
    let path = source.to_str().expect("text");
    let (code, _, error) = run(&cluster.nodes[0], &["create", "kept", path]);
    assert_eq!(code, Some(0), "{error}");
    let holders: Vec<&Node> = cluster
        .nodes
        .iter()
        .filter(|node| !segments(node).is_empty())
        .collect();
    assert!(holders.len() >= 2, "two copies before it is acknowledged");
    let damaged = holders[0];
    for segment in segments(damaged) {
        let mut bytes = fs::read(&segment).expect("readable");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&segment, bytes).expect("written");
    }
    let (code, out, error) = run(damaged, &["verify", "kept"]);
    assert_eq!(code, Some(0), "{out}{error}");
    let target = dir.path().join("restored");
    let (code, _, error) = run(
        damaged,
        &["restore", "kept", target.to_str().expect("text")],
    );
    assert_eq!(code, Some(0), "{error}");
    for number in 0..20_u64 {
        let name = format!("{}/file-{number}", path.trim_start_matches('/'));
        let bytes = fs::read(target.join(name)).expect("restored");
        assert!(bytes == noise(100_000, number + 1), "file-{number}");
    }
    // With every copy gone it is said, by name, and nothing is written.
    for node in &cluster.nodes {
        for segment in segments(node) {
            fs::remove_file(segment).expect("removed");
        }
    }
    let (code, out, error) = run(damaged, &["verify", "kept"]);
    assert_eq!(code, Some(7), "{out}{error}");
    assert!(error.contains("damaged: "), "{error}");
    let absent = dir.path().join("absent");
    let (code, _, error) = run(
        damaged,
        &["restore", "kept", absent.to_str().expect("text")],
    );
    assert_eq!(code, Some(7), "{error}");
    assert!(!absent.exists());
}
