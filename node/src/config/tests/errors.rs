//! Every kind of refusal, in its exact words.

use proptest::prelude::*;

use super::super::{Layers, load};
use super::{file, refused};

#[test]
fn an_unknown_key_is_shown_with_a_suggestion() {
    assert_eq!(
        refused(&file(
            "cluster:\n  id: a\n  raft:\n    bind_adr: \"0.0.0.0:7000\"\n"
        )),
        "error: unknown key `cluster.raft.bind_adr`
 --> config.yaml:4:5
  |
4 |     bind_adr: \"0.0.0.0:7000\"
  |     ^^^^^^^^
  = help: did you mean `cluster.raft.bind_addr`?
"
    );
}

#[test]
fn an_unknown_section_is_one_error() {
    assert_eq!(
        refused(&file("cluster: {id: a}\nwebhooks:\n  url: x\n  token: y\n")),
        "error: unknown key `webhooks`
 --> config.yaml:2:1
  |
2 | webhooks:
  | ^^^^^^^^
  = help: `decube config show` lists every key
"
    );
}

#[test]
fn a_wrong_type_points_at_the_value() {
    assert_eq!(
        refused(&file("cluster:\n  id: a\n  join: maybe\n")),
        "error: `cluster.join` must be true or false, found `maybe`
 --> config.yaml:3:9
  |
3 |   join: maybe
  |         ^^^^^
"
    );
}

#[test]
fn all_errors_are_shown_at_once() {
    let text = refused(&file(
        "cluster:
  id: a
  raft: {heartbeat_timeout: 5, bind_addr: nowhere, data_dir: [x], max_append_entries: 5000}
storage:
  engine: leveldb
  cas_endpoint: cas:9000
  replicas: two
gcl:
  endpoints: one
api:
  rest: 8080
limits:
  header_bytes_max: 1TB
record:
  dir:
",
    ));
    let messages: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("error"))
        .collect();
    assert_eq!(
        messages,
        [
            "error: `cluster.raft.heartbeat_timeout` must be a time like 500ms or 2s, found `5`",
            "error: `cluster.raft.bind_addr` must be an address like 0.0.0.0:8080, found `nowhere`",
            "error: `cluster.raft.data_dir` must be one value, not a list",
            "error: `cluster.raft.max_append_entries` must be between 1 and 1024, found 5000",
            "error: `storage.engine` must be one of embedded, rocksdb, found `leveldb`",
            "error: `storage.cas_endpoint` must be a URL like http://cas:9000, found `cas:9000`",
            "error: `storage.replicas` must be a whole number, found `two`",
            "error: `gcl.endpoints` must be a list, found `one`",
            "error: `api.rest` must hold keys, not a value",
            "error: `limits.header_bytes_max` must be between 8192 and 1048576, found 1000000000000",
            "error: `record.dir` must have a value; remove the line to use the default",
        ]
    );
}

#[test]
fn syntax_errors_have_a_place() {
    assert_eq!(
        refused(&file("cluster:\n  id: [a\n")),
        "error: not valid YAML: while parsing a flow sequence, expected ',' or ']'
 --> config.yaml:3:1
  |
3 | 
  | ^
"
    );
    let text = refused(&file("cluster: {id: a}\n---\ncluster: {id: b}\n"));
    assert!(
        text.starts_with("error: a second YAML document begins here\n --> config.yaml:2:1\n"),
        "{text}"
    );
    let text = refused(&file("cluster: &x {id: a}\n"));
    assert!(
        text.starts_with("error: anchors and tags are not supported here\n"),
        "{text}"
    );
}

#[test]
fn a_key_given_twice_is_refused_even_by_another_name() {
    assert_eq!(
        refused(&file("cluster:\n  id: a\n  id: b\n")),
        "error: `id` is given twice, first in line 2
 --> config.yaml:3:3
  |
3 |   id: b
  |   ^^
"
    );
    assert_eq!(
        refused(&file(
            "cluster: {id: a}\nlogging: {level: info}\nlog: {level: warn}\n"
        )),
        "error: `log.level` sets `logging.level`, which line 2 sets already
 --> config.yaml:3:7
  |
3 | log: {level: warn}
  |       ^^^^^
"
    );
}

#[test]
fn errors_in_the_environment_and_arguments_name_them() {
    let layers = Layers {
        env: vec![("DECUBE__CLUSTER__RAFT__BINDADDR".into(), "x".into())],
        set: vec!["cluster.id".into(), "limits.requests_max=0".into()],
        ..file("cluster: {id: a}\n")
    };
    assert_eq!(
        refused(&layers),
        "error: unknown key `cluster.raft.bindaddr`
 --> environment variable DECUBE__CLUSTER__RAFT__BINDADDR
  = help: did you mean `cluster.raft.bind_addr`?

error: `--set` needs KEY=VALUE
 --> argument --set cluster.id
  = help: for example --set api.rest.bind_addr=127.0.0.1:8080

error: `limits.requests_max` must be between 1 and 65536, found 0
 --> argument --set limits.requests_max=0
"
    );
}

#[test]
fn nodes_of_the_cluster_are_checked_field_by_field() {
    let text = refused(&file(
        "cluster:
  id: a
  peers:
    - {id: 12, addr: somewhere}
    - {id: 00000000000000000000000000000001, adr: 'h:1'}
    - just-a-name
",
    ));
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("error") || line.contains("-->"))
        .collect();
    assert_eq!(
        lines,
        [
            "error: `cluster.peers[0].id` must be the 32 hexadecimal digits that `decube node id` \
             prints, found `12`",
            " --> config.yaml:4:12",
            "error: `cluster.peers[0].addr` must be an address like node-2:7000 or \
             /ip4/10.0.0.2/tcp/7000, found \
             `somewhere`",
            " --> config.yaml:4:22",
            "error: unknown field `adr` of a node",
            " --> config.yaml:5:46",
            "error: each node needs `id` and `addr`",
            " --> config.yaml:6:7",
        ]
    );
}

#[test]
fn what_must_hold_between_keys_is_checked() {
    assert_eq!(
        refused(&file(
            "cluster:\n  id: a\n  raft: {heartbeat_timeout: 300ms}\n"
        )),
        "error: `cluster.raft.election_timeout` (500ms) must be at least three times \
         `cluster.raft.heartbeat_timeout` (300ms)
  = help: a follower must not call an election because one message was late
"
    );
    assert_eq!(
        refused(&file("storage: {replicas: 3}\n")),
        "error: `cluster.id` is missing
  = help: name the cluster, the same on all its nodes: cluster: { id: \"my-cluster\" }

error: `storage.replicas` is 3, the cluster begins with 1
 --> config.yaml:1:21
  |
1 | storage: {replicas: 3}
  |                     ^
  = help: no write of an object could ever be acknowledged
"
    );
    let few = refused(&file("cluster: {id: a}\ngcl: {retain_blocks: 1023}\n"));
    assert!(
        few.starts_with("error: `gcl.retain_blocks` is 1023, and at least 1024 or 0\n"),
        "{few}"
    );
    for enough in ["0", "1024"] {
        let text = format!("cluster: {{id: a}}\ngcl: {{retain_blocks: {enough}}}\n");
        let loaded = load(&file(&text)).expect("enough");
        assert_eq!(loaded.settings.gcl.retain_blocks.to_string(), enough);
    }
    let same = "cluster: {id: a, raft: {bind_addr: 'h:1'}}\napi: {rest: {bind_addr: 'h:1'}}\n";
    let text = refused(&file(same));
    assert!(
        text.contains("`api.rest.bind_addr` and `cluster.raft.bind_addr` are both h:1"),
        "{text}"
    );
}

#[test]
fn a_secret_in_two_places_is_refused_and_never_shown() {
    let text = refused(&file(
        "cluster: {id: a}\nstorage:\n  secret_key: hunter2\n  secret_key: hunter3\n",
    ));
    assert!(!text.contains("hunter"), "{text}");
    let layers = Layers {
        set: vec!["storage.secret_key=hunter2".into()],
        ..file("cluster: {id: a}\nstorage:\n  secret_key_file: /nowhere\n")
    };
    let text = refused(&layers);
    assert!(
        text.starts_with(
            "error: both `storage.secret_key` and `storage.secret_key_file` are given\n"
        ),
        "{text}"
    );
    assert!(!text.contains("hunter"), "{text}");
}

proptest! {
    /// A file can hold anything; loading it ends in a value or a report.
    #[test]
    fn no_text_is_fatal(text in "(?s).{0,300}") {
        let _ = load(&file(&text)).map_err(|report| report.to_string());
    }

    /// The same with texts that look like configurations.
    #[test]
    fn no_yaml_is_fatal(
        lines in prop::collection::vec(
            "[ ]{0,6}(cluster|raft|id|peers|storage|- |\\{|\\[|x)(: ?)?(a|1|'|\")?",
            0..20,
        ),
    ) {
        let _ = load(&file(&lines.join("\n"))).map_err(|report| report.to_string());
    }
}
