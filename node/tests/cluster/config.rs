//! `decube config` as a user runs it.

use super::process::decube;

const WHITEPAPER: &str = r#"cluster:
  id: "cluster-001"
  raft:
    bind_addr: "0.0.0.0:7000"
    data_dir: "/var/lib/decube/raft"
gcl:
  endpoints:
    - "gcl-node-1:8080"
storage:
  secret_key: "decube-secret"
"#;

#[test]
fn a_configuration_is_checked_shown_and_explained() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("config.yaml");
    std::fs::write(&path, WHITEPAPER).expect("written");
    let run = |verb: &str, rest: &[&str]| {
        let output = decube()
            .args(["config", verb, "--config"])
            .arg(&path)
            .args(rest)
            .output();
        let output = output.expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let (code, out, notes) = run("check", &[]);
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "the configuration is valid\n")
    );
    assert!(notes.contains("`gcl.endpoints` has no effect"), "{notes}");
    let (_, out, _) = run("show", &["--set", "storage.replicas=1"]);
    assert!(
        out.contains("replicas: 1  # argument --set storage.replicas=1"),
        "{out}"
    );
    assert!(!out.contains("decube-secret"));
    let (_, out, _) = run("explain", &["cluster.id"]);
    assert!(out.contains("value:       \"cluster-001\""), "{out}");
    let (code, _, error) = run("check", &["--set", "cluster.idd=x"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("did you mean `cluster.id`?"), "{error}");
}
