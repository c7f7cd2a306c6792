//! Documents of a log with real signatures: what was written is proven, and
//! nothing that was altered is.

use std::collections::BTreeMap;

use bytes::Bytes;
use decube_core::cluster::AttestedHead;
use decube_core::codec::Encode as _;
use decube_core::crypto::{
    P256Signer, P256Verifier, PublicKey, SecretBytes, SecretKey, Signer as _,
};
use decube_core::kv::{Condition, Op};
use decube_core::merkle::Tree;
use decube_core::proof::{LogHead, LogProof, Payload, ProofEntry, SignedHead, verify_log_proof};
use decube_core::raft::{EntryKind, Membership};
use decube_core::replica::{Command, Envelope, LogTime};
use decube_core::types::{ClusterId, Index, NodeId, Term};
use serde_json::{Value, json};

use super::{Document, Invalid, describe, head_json, proof_json, read, read_trust, trust_json};

const CLUSTER: &str = "cluster-a";

fn signers() -> Vec<P256Signer> {
    let signer =
        |number| P256Signer::new(&SecretKey::from_entropy(&SecretBytes::new([number; 32])));
    (1..=3).map(signer).collect()
}

fn entries() -> Vec<ProofEntry> {
    let put = Envelope {
        proposed_at: LogTime(5),
        command: Command::Once {
            op: Op::Put {
                key: Bytes::from_static(b"kv/greeting"),
                value: Bytes::from_static(b"hello\x1b[31m"),
                condition: Condition::Always,
                lease: None,
            },
        },
    };
    let entry = |term, kind, data: Bytes| ProofEntry {
        term: Term(term),
        kind,
        payload: Payload::Data(data),
    };
    vec![
        entry(1, EntryKind::Noop, Bytes::new()),
        entry(1, EntryKind::App, put.to_bytes()),
        entry(2, EntryKind::Noop, Bytes::new()),
    ]
}

/// A log of three entries, signed by two of three voters; a proof of its last two.
fn made() -> (AttestedHead, LogProof) {
    let cluster = ClusterId::from_name(CLUSTER);
    let mut tree = Tree::new();
    for (index, entry) in (1..).map(Index).zip(entries()) {
        tree.append(decube_core::merkle::LeafHash::assume(
            entry.hash(cluster, index),
        ));
    }
    let head = LogHead {
        cluster,
        membership_epoch: Index(0),
        size: Index(3),
        root: tree.root(),
        commit_term: Term(2),
    };
    let signatures = signers()[..2]
        .iter()
        .map(|signer| head.sign(signer))
        .collect();
    let signed = SignedHead::new(head, signatures);
    let proof = LogProof::prove(&tree, signed.clone(), Index(2), entries().split_off(1));
    let mut voters: Vec<NodeId> = keys().into_keys().collect();
    voters.sort_unstable();
    let membership = Membership {
        voters,
        ..Membership::default()
    };
    (
        AttestedHead { signed, membership },
        proof.expect("the range is in the log"),
    )
}

fn keys() -> BTreeMap<NodeId, PublicKey> {
    let keys = signers().into_iter().map(|signer| *signer.public_key());
    keys.map(|key| (key.node_id(), key)).collect()
}

fn trust() -> Value {
    trust_json(CLUSTER, &made().0, &keys()).expect("all keys are known")
}

/// Everything that `decube verify` does, as one yes or no.
fn proven(trust: &Value, document: &Value) -> Result<Vec<String>, String> {
    let text = |value: &Value| serde_json::to_vec(value).expect("JSON");
    let (_, trusted) = read_trust(&text(trust)).map_err(|error| error.to_string())?;
    match read(&text(document)).map_err(|error| error.to_string())? {
        Document::Head(head) => head
            .verify(&P256Verifier, &trusted)
            .map(|_| Vec::new())
            .map_err(|error| error.to_string()),
        Document::Proof(proof) => verify_log_proof(&P256Verifier, &trusted, None, &proof)
            .map(|proven| proven.iter().map(|(_, entry)| describe(entry)).collect())
            .map_err(|error| error.to_string()),
    }
}

#[test]
fn what_was_written_is_proven() {
    let (made, proof) = made();
    assert_eq!(proven(&trust(), &head_json(&made.signed)), Ok(vec![]));
    let lines = proven(&trust(), &proof_json(&proof, false)).expect("proven");
    // Control characters of a user do not reach a terminal.
    assert_eq!(
        lines[0],
        r#"puts "kv/greeting" = "hello\u{1b}[31m" (10 bytes)"#
    );
    assert_eq!(lines[1], "begins the term of a leader");
    let lines = proven(&trust(), &proof_json(&proof, true)).expect("proven without data");
    assert!(lines[0].contains("SHA-256"), "{lines:?}");
}

/// Every field, one after the other: a number one higher, a text with another
/// digit, an element less.
#[test]
fn no_altered_field_is_proven() {
    let (made, proof) = made();
    let mut altered = 0;
    for document in [
        head_json(&made.signed),
        proof_json(&proof, false),
        proof_json(&proof, true),
    ] {
        for pointer in pointers(&document) {
            let mut forged = document.clone();
            alter(forged.pointer_mut(&pointer).expect("listed"));
            assert_ne!(forged, document, "{pointer}");
            let verdict = proven(&trust(), &forged);
            assert!(
                verdict.is_err(),
                "{pointer} altered, and still proven: {verdict:?}"
            );
            altered += 1;
        }
    }
    assert!(altered > 40, "only {altered} fields");
}

#[test]
fn a_proof_needs_the_right_voters() {
    let (made, proof) = made();
    let document = proof_json(&proof, false);
    let mut other = trust();
    other["cluster_id"] = json!(ClusterId::from_name("cluster-b").to_string());
    assert!(proven(&other, &document).is_err_and(|error| error.contains("belongs to cluster")));
    let mut other = trust();
    other["membership_epoch"] = json!(2);
    assert!(proven(&other, &document).is_err_and(|error| error.contains("under membership")));
    let mut other = trust();
    other["voters"].as_array_mut().expect("a list").remove(0);
    assert!(
        proven(&other, &document).is_err(),
        "a signer is no voter any more"
    );
    let mut one = made.signed;
    one.signatures.pop();
    let lone = proven(&trust(), &head_json(&one));
    assert!(lone.is_err_and(|error| error.contains("no majority")));
}

#[test]
fn documents_that_are_not_whole_are_refused() {
    let (_, proof) = made();
    let document = proof_json(&proof, false);
    let verdict = |document: &Value| read(&serde_json::to_vec(document).expect("JSON"));
    let mut extra = document.clone();
    extra["verified"] = json!(true);
    assert_eq!(
        verdict(&extra),
        Err(Invalid::Unknown("verified".to_owned()))
    );
    let mut extra = document.clone();
    extra["entries"][0]["note"] = json!("trust me");
    assert_eq!(
        verdict(&extra),
        Err(Invalid::Unknown("entries[0].note".to_owned()))
    );
    for text in ["", "[]", "null", "{\"entries\":", "{}"] {
        assert!(read(text.as_bytes()).is_err(), "{text}");
    }
    let mut long = document;
    long["path"] = Value::Array(vec![json!("00".repeat(32)); 1000]);
    assert!(matches!(verdict(&long), Err(Invalid::Field { field, .. }) if field == "path"));
    let mut swapped = trust();
    swapped["voters"][0]["node"] = swapped["voters"][1]["node"].clone();
    let text = serde_json::to_vec(&swapped).expect("JSON");
    assert!(matches!(
        read_trust(&text),
        Err(Invalid::Contradiction { .. })
    ));
}

#[test]
fn a_missing_key_makes_no_trust_document() {
    let mut keys = keys();
    keys.pop_first();
    assert_eq!(trust_json(CLUSTER, &made().0, &keys), None);
}

/// The JSON pointers of all leaves and of all lists that are not empty.
fn pointers(value: &Value) -> Vec<String> {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, one)| (name.clone(), one))
            .collect(),
        Value::Array(items) => (0..).map(|n: usize| n.to_string()).zip(items).collect(),
        _ => return vec![String::new()],
    };
    let mut all: Vec<String> = inner
        .into_iter()
        .flat_map(|(name, one)| {
            pointers(one)
                .into_iter()
                .map(move |rest| format!("/{name}{rest}"))
        })
        .collect();
    if value.as_array().is_some_and(|items| !items.is_empty()) {
        all.push(String::new());
    }
    all
}

fn alter(value: &mut Value) {
    *value = match value {
        Value::Number(number) => json!(number.as_u64().expect("whole") + 1),
        Value::Array(items) => json!(items[1..]),
        Value::String(text) if text == "app" => json!("noop"),
        Value::String(text) if text == "noop" => json!("app"),
        Value::String(text) if text.is_empty() => json!("AA=="),
        Value::String(text) => {
            let place = text.len() / 2;
            let other = if &text[place..=place] == "1" {
                "2"
            } else {
                "1"
            };
            json!(format!("{}{other}{}", &text[..place], &text[place + 1..]))
        }
        other => panic!("no such field: {other}"),
    };
}
