//! The ledger as a user meets it: real clusters, real keys, receipts on disk.

use std::path::Path;

use decube_core::proof::ledger::TrustedEpoch;
use decube_io_real::verifier::FastVerifier;
use decube_node::ledger::{genesis, receipt};
use serde_json::{Value, json};

use super::dev::{Dev, ports};

const NOTE: &[&str] = &["tx", "submit", "--type", "note", "--wait", "--payload"];

fn submit(dev: &Dev, payload: &str) -> Value {
    let (code, out, error) = dev.run(&[NOTE, &[payload]].concat());
    assert_eq!(code, 0, "{error}");
    serde_json::from_str(&out).expect("a receipt")
}

fn verify(dev: &Dev, directory: &Path, receipt: &Value, trust: &str) -> (i32, String, String) {
    let file = directory.join("receipt.json");
    std::fs::write(&file, receipt.to_string()).expect("written");
    dev.run(&["verify", file.to_str().expect("text"), "--trust", trust])
}

/// Four clusters; a receipt that holds offline, and none of its fields altered; the
/// ledger goes on without any one of the clusters, and over restarts.
#[test]
fn four_clusters_finalise_and_any_three_go_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("dev");
    let shape = ["--clusters", "4", "--nodes", "1"];
    let port = ports(4);
    let mut dev = Dev::start_nodes(&data, port, 4, &shape);
    let (code, trust, error) = dev.run(&["ledger", "genesis"]);
    assert_eq!(code, 0, "{error}");
    let path = dir.path().join("genesis.json");
    std::fs::write(&path, &trust).expect("written");
    let path = path.to_str().expect("text");

    let first = submit(&dev, "{\"hello\":\"world\"}");
    assert_eq!(first["payload"], json!({ "hello": "world" }));
    let (code, out, error) = verify(&dev, dir.path(), &first, path);
    assert_eq!((code, out.starts_with("proven")), (0, true), "{error}");
    let hash = first["tx_hash"].as_str().expect("a hash");
    let later = submit(&dev, "[1,2]");
    let (code, whole, _) = dev.run(&["tx", "receipt", hash]);
    assert_eq!(code, 0);
    let whole: Value = serde_json::from_str(&whole).expect("a receipt");
    assert_eq!(
        whole["outcome"], "done",
        "the next block proves how it ended"
    );
    let proofs = Proofs::new(&trust);
    proofs.refuse_alterations(&whole, Proofs::receipt);
    let (code, head, error) = dev.run(&["ledger", "checkpoint"]);
    assert_eq!(code, 0, "{error}");
    let kept = dir.path().join("head.json");
    std::fs::write(&kept, &head).expect("written");
    let head: Value = serde_json::from_str(&head).expect("a checkpoint");
    proofs.refuse_alterations(&head, Proofs::checkpoint);
    let mut altered = later.clone();
    altered["payload"] = json!([1, 3]);
    assert_eq!(verify(&dev, dir.path(), &altered, path).0, 7);
    let (code, _, error) = dev.run(&["tx", "submit", "--type", "a b", "--payload", "1"]);
    assert_eq!((code, error.contains("--type")), (2, true), "{error}");

    continues_what_was_kept(&dev, dir.path(), path, &proofs);
    let (code, fresh, error) = dev.run(&["tx", "receipt", hash, "--fresh"]);
    assert_eq!(code, 0, "{error}");
    let fresh: Value = serde_json::from_str(&fresh).expect("a receipt");
    let signed = |receipt: &Value| receipt["finality"]["header"]["height"].as_u64();
    assert_eq!(fresh["block_height"], whole["block_height"]);
    assert!(signed(&fresh) > signed(&whole), "{fresh}");
    proofs.refuse_alterations(&fresh, Proofs::receipt);
    assert_eq!(verify(&dev, dir.path(), &fresh, path).0, 0);

    dev.interrupt();
    for without in ["1", "2", "3", "4"] {
        let number: u16 = without.parse().expect("a number");
        let listening = if number == 1 { port + 1 } else { port };
        let arguments = [&shape[..], &["--without", without]].concat();
        let mut rest = Dev::start_some(&data, (port, listening), &arguments);
        let receipt = submit(&rest, without);
        assert_eq!(verify(&rest, dir.path(), &receipt, path).0, 0);
        let (code, out, _) = rest.run(&["tx", "show", hash]);
        assert_eq!((code, out.contains("confirmed")), (0, true), "{out}");
        rest.interrupt();
    }
}

/// The head that lies in `head.json` is the beginning of what the ledger is later.
fn continues_what_was_kept(dev: &Dev, directory: &Path, trust: &str, proofs: &Proofs) {
    submit(dev, "\"later\"");
    let file = |name: &str| directory.join(name).to_str().expect("text").to_owned();
    let (kept, now) = (file("head.json"), file("now.json"));
    let (code, out, error) = dev.run(&["ledger", "checkpoint", "--since", &kept]);
    assert_eq!(code, 0, "{error}");
    std::fs::write(&now, &out).expect("written");
    let extension: Value = serde_json::from_str(&out).expect("an extension");
    proofs.refuse_alterations(&extension, Proofs::extension);
    let check = |since: &str| dev.run(&["verify", &now, "--trust", trust, "--since", since]);
    let (code, out, error) = check(&kept);
    assert_eq!((code, out.contains("continues")), (0, true), "{error}");
    // Another head of the same size: the ledger was rewritten.
    let mut other: Value =
        serde_json::from_slice(&std::fs::read(&kept).expect("read")).expect("JSON");
    other["root"] = extension["checkpoint"]["root"].clone();
    let forged = file("forged.json");
    std::fs::write(&forged, other.to_string()).expect("written");
    let (code, _, error) = check(&forged);
    assert_eq!((code, error.contains("rewritten")), (7, true), "{error}");
    // A proof about something else than the kept head is none.
    let (code, _, error) = check(&now);
    assert_eq!((code, error.contains("speaks of")), (2, true), "{error}");
}

/// Documents are read and verified as `decube verify` does.
struct Proofs(TrustedEpoch);

impl Proofs {
    fn new(trust: &str) -> Self {
        let genesis = genesis::parse(trust).expect("a genesis");
        Self(TrustedEpoch::genesis(&genesis).expect("a ledger"))
    }

    fn receipt(&self, document: &Value) -> bool {
        let read = receipt::read_receipt(document).ok();
        read.is_some_and(|receipt| receipt.verify(&self.0, &FastVerifier).is_ok())
    }

    fn checkpoint(&self, document: &Value) -> bool {
        let read = receipt::read_checkpoint(document).ok();
        read.is_some_and(|checkpoint| checkpoint.verify(&self.0, &FastVerifier).is_ok())
    }

    fn extension(&self, document: &Value) -> bool {
        let read = receipt::read_extension(document).ok();
        read.is_some_and(|extension| extension.verify(&self.0, &FastVerifier).is_ok())
    }

    /// Each leaf of a document in turn, altered: it is refused by the reader or by
    /// the verifier.
    fn refuse_alterations(&self, document: &Value, holds: impl Fn(&Self, &Value) -> bool) {
        assert!(holds(self, document), "{document}");
        let mut places = Vec::new();
        leaves(document, String::new(), &mut places);
        for place in &places {
            let mut altered = document.clone();
            let leaf = altered.pointer_mut(place).expect("just found");
            *leaf = match &*leaf {
                Value::String(text) => Value::String(match text.strip_suffix('0') {
                    Some(rest) => format!("{rest}1"),
                    None => format!("{}0", &text[..text.len() - 1]),
                }),
                Value::Number(number) => json!(number.as_u64().expect("whole") ^ 1),
                Value::Bool(flag) => json!(!flag),
                other => panic!("{place}: {other}"),
            };
            assert!(!holds(self, &altered), "{place} can be altered");
        }
        let kind = &document["document"];
        println!("{kind}: {} fields altered, all refused", places.len());
    }
}

fn leaves(value: &Value, at: String, places: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                leaves(value, format!("{at}/{name}"), places);
            }
        }
        Value::Array(list) => {
            for (place, value) in list.iter().enumerate() {
                leaves(value, format!("{at}/{place}"), places);
            }
        }
        Value::Null => {}
        _ => places.push(at),
    }
}

/// What `decube dev` does without arguments, and a vote of its validators.
#[test]
fn the_default_network_takes_bundles_and_votes() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("dev");
    let port = ports(12);
    let mut dev = Dev::start_nodes(&data, port, 12, &[]);
    let bundle = ["--payload", "1", "--payload", "2"];
    let (code, out, error) = dev.run(&[&["tx", "submit", "--type", "n"], &bundle[..]].concat());
    assert_eq!((code, out.lines().count()), (0, 2), "{error}");
    for hash in out.lines() {
        let (code, out, error) = dev.run(&["tx", "wait", hash]);
        assert_eq!((code, out.contains(hash)), (0, true), "{error}");
    }
    let (_, list, _) = dev.run(&["validator", "list", "-o", "json"]);
    let list: Value = serde_json::from_str(&list).expect("JSON");
    assert_eq!(list["validators"].as_array().map(Vec::len), Some(12));
    let leaves = list["validators"][0]["node"].as_str().expect("an id");

    let keys: Vec<String> = (1..=9)
        .map(|number| data.join(format!("node-{number}/keys/identity.key")))
        .map(|path| path.to_str().expect("text").to_owned())
        .collect();
    let mut vote = vec!["validator", "remove", leaves, "--key"];
    vote.extend(keys.iter().map(String::as_str));
    let (code, out, error) = dev.run(&vote);
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("approved") && out.contains("done"), "{out}");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let (_, list, _) = dev.run(&["validator", "list", "-o", "json"]);
        let list: Value = serde_json::from_str(&list).expect("JSON");
        if list["epoch"] == json!(1) {
            assert_eq!(list["validators"].as_array().map(Vec::len), Some(11));
            break;
        }
        assert!(std::time::Instant::now() < deadline, "no new epoch: {list}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let (_, trust, _) = dev.run(&["ledger", "genesis"]);
    let path = dir.path().join("genesis.json");
    std::fs::write(&path, &trust).expect("written");
    let receipt = submit(&dev, "\"after\"");
    assert_eq!(receipt["epochs"].as_array().map(Vec::len), Some(1));
    let path = path.to_str().expect("text");
    let (code, _, error) = verify(&dev, dir.path(), &receipt, path);
    assert_eq!(code, 0, "{error}");
    let (code, out, error) = dev.run(&["ledger", "checkpoint"]);
    assert_eq!(code, 0, "{error}");
    let file = dir.path().join("head.json");
    std::fs::write(&file, out).expect("written");
    let head = file.to_str().expect("text");
    assert_eq!(dev.run(&["verify", head, "--trust", path]).0, 0);
    trust_is_kept_and_ages(&dev, dir.path(), path, &receipt);
    dev.interrupt();
}

/// The light client keeps the epoch that it followed to, and begins with that.
fn trust_is_kept_and_ages(dev: &Dev, directory: &Path, genesis: &str, receipt: &Value) {
    let file = |name: &str| directory.join(name).to_str().expect("text").to_owned();
    let (kept, saved, note) = (file("epoch.json"), file("saved.json"), file("head.note"));
    let follow = ["ledger", "follow", "--trust", genesis, "--save", &kept];
    let (code, _, error) = dev.run(&follow);
    assert_eq!(code, 0, "{error}");
    let text = std::fs::read_to_string(&kept).expect("kept");
    let epoch: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(epoch["epoch"], json!(1));

    // What an epoch leads to needs no hand-overs, and what leads to it saves the same.
    let hash = receipt["tx_hash"].as_str().expect("a hash");
    let (code, late, error) = dev.run(&["tx", "receipt", "--from-epoch", "1", hash]);
    assert_eq!(code, 0, "{error}");
    let late: Value = serde_json::from_str(&late).expect("JSON");
    assert_eq!(late["epochs"], json!([]));
    assert_eq!(verify(dev, directory, &late, &kept).0, 0);
    assert_eq!(verify(dev, directory, &late, genesis).0, 7, "another epoch");
    let (code, _, error) = verify(dev, directory, receipt, genesis);
    assert_eq!(code, 0, "{error}");
    let whole = file("receipt.json");
    let save = ["verify", &whole, "--trust", genesis, "--save-trust", &saved];
    assert_eq!(dev.run(&save).0, 0);
    assert_eq!(std::fs::read_to_string(&saved).expect("saved"), text);

    // The note of the head is signed by the validators of its own epoch.
    let (code, out, error) = dev.run(&["ledger", "checkpoint", "--note"]);
    assert_eq!((code, out.starts_with("decube/")), (0, true), "{error}");
    std::fs::write(&note, &out).expect("written");
    let (code, out, error) = dev.run(&["verify", &note, "--trust", &kept]);
    assert_eq!((code, out.contains("root")), (0, true), "{error}");
    assert_eq!(dev.run(&["verify", &note, "--trust", genesis]).0, 7);

    // Trust is judged by its age, when the verifier says what is too old.
    let aged = |more: &[&str]| {
        let line = [
            "verify",
            &note,
            "--trust",
            &kept,
            "--trusting-period",
            "36h",
        ];
        dev.run(&[&line, more].concat())
    };
    assert_eq!(aged(&[]).0, 0);
    let (code, _, error) = aged(&["--at", "2090-01-01T00:00:00Z"]);
    assert_eq!((code, error.contains("too old")), (7, true), "{error}");
}
