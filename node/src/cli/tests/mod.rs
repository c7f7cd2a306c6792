//! Arguments, and how results and failures look.

use clap::{CommandFactory, Parser};

use super::client::{Client, encode, query};
use super::exit::{self, Failure};
use super::{Cli, output};

#[test]
fn the_command_tree_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn commands_of_the_documents_are_understood() {
    for line in [
        "decube dev --nodes 3 --data /tmp/x --listen 127.0.0.1:8080",
        "decube node --config config.yaml",
        "decube node id --config config.yaml --set cluster.id=a",
        "decube kv get greeting",
        "decube kv get greeting --stale -o json",
        "decube kv put greeting hello --if-revision 12",
        "decube kv put greeting - --if-absent --lease 7",
        "decube kv delete greeting --api http://10.0.0.1:8080",
        "decube kv delete greeting --server http://10.0.0.1:8080",
        "decube kv delete greeting -s http://10.0.0.1:8080",
        "decube snapshot --api http://10.0.0.1:8080 list",
        "decube snapshot list --server http://10.0.0.1:8080",
        "decube kv list config/ --limit 5",
        "decube kv watch config/ --since 3",
        "decube object put backup.tar ./backup.tar --if-absent",
        "decube object get backup.tar",
        "decube object stat backup.tar -o json",
        "decube object rm backup.tar",
        "decube catalog query cluster=a --type snapshots --limit 3",
        "decube ledger checkpoint --since head.json",
        "decube ledger checkpoint --height 7 --note",
        "decube ledger follow --trust epoch.json --trusting-period 14d --save epoch.json",
        "decube ledger block 5 --header",
        "decube tx receipt --fresh 0x01",
        "decube tx receipt --from-epoch 40 0x01",
        "decube verify now.json --trust genesis.json --since head.json",
        "decube verify r.json --trust e.json --trusting-period 36h --at 2030-01-31T12:00:00Z",
        "decube verify r.json --trust e.json --save-trust e.json",
        "decube status",
        "decube config check --config config.yaml --set a.b=c",
        "decube config explain api.rest.bind_addr",
        "decube sim run --seed 42 --set nodes=5 --log 10..20 --trace x.dct",
        "decube sim swarm --seeds 10 --seconds 60 --first-seed 7",
        "decube sim replay x.dct --mode regress",
        "decube sim shrink x.dct --out y.dct --runs 100 --seconds 10",
        "decube sim cat x.dct",
        "decube snapshot create test-snapshot /data/etcd /data/volumes",
        "decube node --config config.yaml --record /tmp/r",
        "decube dev --record /tmp/r",
        "decube replay /tmp/r --until 7 -o json",
        "decube completions bash",
    ] {
        Cli::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn wrong_usage_is_refused() {
    for line in [
        "decube",
        "decube kv put greeting",
        "decube kv put k v --if-revision 1 --if-absent",
        "decube kv get k --output yaml",
        "decube catalog query --type pods",
        "decube dev --nodes 8",
        "decube sim run",
        "decube sim run --seed 1 --scenario nonsense",
        "decube ledger checkpoint --note --since head.json",
        "decube verify r.json --trust e.json --trusting-period soon",
        "decube verify r.json --trust e.json --trusting-period 0d",
        "decube verify r.json --trust e.json --at 2030-01-31T12:00:00Z",
        "decube verify r.json --trust e.json --trusting-period 1d --at tomorrow",
        "decube nonsense",
    ] {
        let error = Cli::try_parse_from(line.split(' ')).expect_err(line);
        assert_eq!(error.exit_code(), i32::from(exit::USAGE), "{line}");
    }
}

#[test]
fn failures_say_what_and_what_next() {
    let problem = br#"{"code":"precondition-failed","detail":"the condition does not hold","title":"Read again."}"#;
    let failure = Failure::of_problem(412, problem);
    assert_eq!(failure.code, exit::CONFLICT);
    assert_eq!(
        failure.to_string(),
        "error: the condition does not hold\n  Read again."
    );
    assert_eq!(Failure::of_problem(404, b"{}").code, exit::NOT_FOUND);
    assert_eq!(Failure::of_problem(503, b"").code, exit::UNAVAILABLE);
    assert_eq!(
        Failure::of_problem(422, br#"{"code":"storage/hash-mismatch"}"#).code,
        exit::INTEGRITY
    );
    assert_eq!(
        Failure::of_problem(500, b"not json").to_string(),
        "error: the node answered with status 500"
    );
}

#[test]
fn paths_and_queries_are_encoded() {
    assert_eq!(encode("a/b c&ü"), "a%2Fb%20c%26%C3%BC");
    assert_eq!(
        query(&[
            ("a", None),
            ("b", Some("x=y".into())),
            ("c", Some(String::new()))
        ]),
        "?b=x%3Dy&c="
    );
    assert_eq!(query(&[("a", None)]), "");
    for server in ["https://x", "", "http://a/b"] {
        assert_eq!(Client::new(server).expect_err(server).code, exit::USAGE);
    }
}

#[test]
fn tables_line_up_and_do_not_steer_the_terminal() {
    let rows = [
        vec!["a\u{1b}[2J".to_owned(), "1".to_owned()],
        vec!["b".to_owned(), "22".to_owned()],
    ];
    assert_eq!(
        output::render(&["KEY", "N"], &rows),
        "KEY         N\na\\u{1b}[2J  1\nb           22\n"
    );
}
