//! A write, proven: over real processes, offline, and after a restart.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use serde_json::Value;

use super::process::{Cluster, decube};

fn run(arguments: &[&str], api: &str) -> Output {
    let output = decube().args(arguments).env("DECUBE_API", api).output();
    output.expect("the command runs")
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn keep(directory: &Path, name: &str, value: &Value) -> String {
    let path = directory.join(name);
    std::fs::write(&path, value.to_string()).expect("written");
    path.to_str().expect("a temporary path is text").to_owned()
}

#[test]
fn a_write_is_proven_offline_and_after_a_restart() {
    let mut cluster = Cluster::start(3);
    let directory = tempfile::tempdir().expect("a directory");
    let api = |cluster: &Cluster, node: usize| format!("http://{}", cluster.nodes[node].api);
    let put = run(
        &["kv", "put", "greeting", "hello", "-o", "json"],
        &api(&cluster, 1),
    );
    let index = json(&put)["index"].as_u64().expect("an index").to_string();
    let trust = json(&run(&["log", "trust"], &api(&cluster, 0)));
    let trust = keep(directory.path(), "trust.json", &trust);
    // The node that took the write has applied it.
    let proof = json(&run(
        &["log", "proof", "--first", &index],
        &api(&cluster, 1),
    ));
    let by_key = json(&run(
        &["log", "proof", "--key", "greeting"],
        &api(&cluster, 1),
    ));
    assert_eq!(by_key["entries"], proof["entries"]);
    let path = keep(directory.path(), "proof.json", &proof);
    let offline = "http://127.0.0.1:1";
    let verified = run(&["verify", &path, "--trust", &trust, "-o", "json"], offline);
    let verdict = json(&verified);
    assert_eq!(
        verdict["entries"][0]["what"],
        r#"puts "kv/greeting" = "hello" (5 bytes)"#
    );
    assert!(verdict["signers"].as_array().expect("a list").len() >= 2);

    let mut forged = proof;
    forged["entries"][0]["term"] = 99.into();
    let forged = keep(directory.path(), "forged.json", &forged);
    let refused = run(&["verify", &forged, "--trust", &trust], offline);
    assert_eq!(refused.status.code(), Some(7));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not proven"));

    for node in 0..3 {
        cluster.nodes[node].kill();
    }
    for node in 0..3 {
        cluster.nodes[node].start();
    }
    for node in &cluster.nodes {
        node.wait_ready(Duration::from_secs(30));
    }
    let again = run(
        &["log", "proof", "--first", &index, "--without-data"],
        &api(&cluster, 2),
    );
    let path = keep(directory.path(), "again.json", &json(&again));
    let verified = run(&["verify", &path, "--trust", &trust], offline);
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stderr)
    );

    let beyond = run(&["log", "proof", "--first", "1000000"], &api(&cluster, 0));
    assert!(String::from_utf8_lossy(&beyond.stderr).contains("is not applied on this node"));
}
