//! Configurations that load.

use std::path::PathBuf;
use std::time::Duration;

use super::super::{Effect, KEYS, Kind, LogFormat, Value, explain, load, notes, show};
use super::{file, loaded};

/// The whitepaper's example, word for word.
const WHITEPAPER: &str = r#"# config.yaml
cluster:
  id: "cluster-001"
  raft:
    bind_addr: "0.0.0.0:7000"
    data_dir: "/var/lib/decube/raft"

gcl:
  endpoints:
    - "gcl-node-1:8080"
    - "gcl-node-2:8080"

storage:
  cas_endpoint: "http://cas:9000"
  access_key: "decube"
  secret_key: "decube-secret"
"#;

#[test]
fn the_whitepapers_file_loads_as_it_stands() {
    let loaded = loaded(WHITEPAPER);
    let settings = &loaded.settings;
    assert_eq!(settings.cluster.id, "cluster-001");
    assert_eq!(settings.cluster.bind_addr, "0.0.0.0:7000");
    assert_eq!(
        settings.cluster.data_dir,
        PathBuf::from("/var/lib/decube/raft")
    );
    assert_eq!(
        settings.storage.data_dir,
        PathBuf::from("/var/lib/decube/raft/blobs")
    );
    assert_eq!(settings.api.bind_addr, "0.0.0.0:8080");
    assert_eq!(
        loaded.resolved.get("gcl.endpoints"),
        Some(&Value::List(vec![
            "gcl-node-1:8080".into(),
            "gcl-node-2:8080".into()
        ]))
    );
}

#[test]
fn keys_without_effect_are_reported_and_never_silent() {
    let notes = notes(&loaded(WHITEPAPER));
    let cas =
        "objects and segments are kept in the node's own content-addressed store in this release";
    assert_eq!(
        notes,
        [
            format!("config.yaml:14:17: `storage.cas_endpoint` has no effect: {cas}"),
            format!("config.yaml:15:15: `storage.access_key` has no effect: {cas}"),
            format!("config.yaml:16:15: `storage.secret_key` has no effect: {cas}"),
            "config.yaml:10:5: `gcl.endpoints` has no effect: every node of gcl.genesis is a part \
             of the ledger itself: there is nothing to connect to"
                .to_owned(),
            "config.yaml:16:15: `storage.secret_key` is a secret in the open; prefer \
             `storage.secret_key_file`"
                .to_owned(),
            "`cluster.peers` is empty: this node begins a cluster of one".to_owned(),
        ]
    );
}

#[test]
fn the_nested_form_of_other_configurations_is_the_same() {
    let nested = WHITEPAPER
        .replace("  cas_endpoint:", "  cas:\n    endpoint:")
        .replace("\n  access_key:", "\n    access_key:")
        .replace("\n  secret_key:", "\n    secret_key:");
    let flat = loaded(WHITEPAPER);
    let nested = loaded(&nested);
    assert_eq!(flat.settings, nested.settings);
    for key in [
        "storage.cas_endpoint",
        "storage.access_key",
        "storage.secret_key",
    ] {
        assert_eq!(flat.resolved.get(key), nested.resolved.get(key));
    }
}

#[test]
fn later_layers_win_and_values_know_their_origin() {
    let mut layers =
        file("cluster:\n  id: a\n  raft: { bind_addr: 'h:1' }\napi: {rest: {bind_addr: ':1'}}\n");
    layers.env = vec![
        ("DECUBE__CLUSTER__RAFT__BIND_ADDR".into(), "h:2".into()),
        ("DECUBE__API__REST__BIND_ADDR".into(), ":2".into()),
        ("DECUBE_CONFIG".into(), "not one of ours".into()),
    ];
    layers.set = vec!["api.rest.bind_addr=:3".into()];
    let loaded = load(&layers).expect("valid");
    let origin = |key| loaded.resolved.origin(key).to_string();
    assert_eq!(loaded.settings.cluster.bind_addr, "h:2");
    assert_eq!(loaded.settings.api.bind_addr, ":3");
    assert_eq!(origin("cluster.id"), "config.yaml:2:7");
    assert_eq!(
        origin("cluster.raft.bind_addr"),
        "environment variable DECUBE__CLUSTER__RAFT__BIND_ADDR"
    );
    assert_eq!(
        origin("api.rest.bind_addr"),
        "argument --set api.rest.bind_addr=:3"
    );
    assert_eq!(origin("logging.level"), "default");
}

#[test]
fn values_of_every_kind_are_read() {
    let loaded = loaded(
        "cluster:
  id: 007
  raft: {heartbeat_timeout: 50ms, election_timeout: 2s, max_append_entries: 100}
  join: true
  peers:
    - id: 00000000000000000000000000000001
      addr: /ip4/10.0.0.1/tcp/7000
    - {id: 0000000000000000000000000000000a, addr: 'node-2:7000'}
storage: {replicas: 2}
api: {rest: {max_request_size: 1MiB}}
logging: {format: json, level: debug}
",
    );
    let settings = loaded.settings;
    assert_eq!(settings.cluster.id, "007", "a text is not read as a number");
    assert_eq!(settings.cluster.heartbeat, Duration::from_millis(50));
    assert_eq!(settings.cluster.election_timeout, Duration::from_secs(2));
    assert_eq!(settings.cluster.append_entries_max, 100);
    assert!(settings.cluster.join);
    assert_eq!(settings.cluster.peers[1].id.0, 10);
    assert_eq!(settings.cluster.peers[0].addr, "10.0.0.1:7000");
    assert_eq!(settings.cluster.peers[1].addr, "node-2:7000");
    assert_eq!(settings.storage.replicas, Some(2));
    assert_eq!(settings.api.json_bytes_max, 1 << 20);
    assert_eq!(settings.log.format, LogFormat::Json);
}

#[test]
fn what_is_shown_loads_again_and_hides_secrets() {
    let loaded = loaded(WHITEPAPER);
    let text = show(&loaded);
    assert!(
        text.contains("  secret_key: \"[REDACTED]\"  # config.yaml:16:15"),
        "{text}"
    );
    assert!(!text.contains("decube-secret"));
    assert!(!format!("{loaded:?}").contains("decube-secret"));
    let again = super::loaded(&text);
    assert_eq!(loaded.settings, again.settings);
}

#[test]
fn a_key_is_explained() {
    let loaded = loaded(WHITEPAPER);
    assert_eq!(
        explain(&loaded.resolved, "api.rest.address").expect("an alias is known"),
        "api.rest.bind_addr
  Where the REST API listens.
  type:        address, host:port
  default:     0.0.0.0:8080
  environment: DECUBE__API__REST__BIND_ADDR
  also:        api.rest.address
  value:       \"0.0.0.0:8080\"
  from:        default
"
    );
    assert_eq!(
        explain(&loaded.resolved, "api.rest.bnd_addr"),
        Err("unknown key `api.rest.bnd_addr`; did you mean `api.rest.bind_addr`?".to_owned())
    );
}

#[test]
fn a_secret_comes_from_its_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("secret");
    std::fs::write(&path, "from-the-file\n").expect("written");
    let text = format!(
        "cluster: {{id: a}}\nstorage:\n  secret_key_file: {}\n",
        path.display()
    );
    let loaded = loaded(&text);
    let secret = super::super::Secret("from-the-file".to_owned());
    assert_eq!(
        loaded.resolved.get("storage.secret_key"),
        Some(&Value::Secret(secret))
    );
    assert!(
        !notes(&loaded)
            .iter()
            .any(|note| note.contains("in the open"))
    );
}

#[test]
fn the_table_is_sound() {
    for key in KEYS {
        assert!(key.about.ends_with('.'), "{}: a sentence", key.path);
        assert!(
            KEYS.iter().filter(|other| other.path == key.path).count() == 1,
            "{}",
            key.path
        );
        if let Some(default) = key.default {
            super::super::value::parse_scalar(key.kind, default)
                .unwrap_or_else(|error| panic!("{}: {error}", key.path));
        }
        if key.kind == Kind::Secret {
            let twin = format!("{}_file", key.path);
            assert!(KEYS.iter().any(|key| key.path == twin), "{twin} is missing");
        }
        if let Effect::NotYet(reason) = key.effect {
            assert!(
                key.default.is_none(),
                "{}: {reason}, so it has no default",
                key.path
            );
        }
    }
}
