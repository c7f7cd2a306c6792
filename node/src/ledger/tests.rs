//! Notes, extensions and kept epochs, on a ledger of four keys and two blocks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use decube_core::bft::{
    Cert, Commitments, Epoch, Header, Height, Signers, Statement, ValidatorIndex, View, VoteKind,
};
use decube_core::crypto::{
    P256Signer, PublicKey, SecretBytes, SecretKey, Signature, Signer as _, Verifier as _, sha256,
};
use decube_core::ledger::{Genesis, Member, Params, TimeMs};
use decube_core::merkle::{LeafHash, Tree, TreeHead, TreeSize};
use decube_core::proof::ledger::{Checkpoint, Extension, Finality, TrustedEpoch};
use decube_core::types::ClusterId;
use decube_io_real::verifier::FastVerifier;
use serde_json::{Value, json};

use super::note::{self, NoteError};
use super::{genesis, receipt, trust};

const CLUSTERS: [&str; 4] = ["a", "b", "c", "d"];

fn signers() -> Vec<P256Signer> {
    let secret = |number| SecretKey::from_entropy(&SecretBytes::new([number; 32]));
    (1..5)
        .map(|number| P256Signer::new(&secret(number)))
        .collect()
}

fn began() -> Genesis {
    let members = signers()
        .into_iter()
        .zip(CLUSTERS)
        .map(|(signer, cluster)| {
            let key = *signer.public_key();
            Member::new(key.node_id(), key, ClusterId::from_name(cluster), 1)
        });
    Genesis {
        name: "four".into(),
        time: TimeMs(1_000),
        params: Params::default(),
        members: members.collect(),
    }
}

fn trusted() -> TrustedEpoch {
    TrustedEpoch::genesis(&began()).expect("a ledger")
}

fn key(place: u16) -> P256Signer {
    let trusted = trusted();
    let wanted = trusted.validators().get(ValidatorIndex(place));
    let wanted: PublicKey = wanted.expect("one of four").key;
    let mut all = signers().into_iter();
    all.find(|signer| *signer.public_key() == wanted)
        .expect("one of ours")
}

/// Block 1, with a child that a quorum has certified.
fn checkpoint() -> Checkpoint {
    let genesis = began();
    let trusted = trusted();
    let header = Header {
        chain: genesis.chain(),
        epoch: Epoch(0),
        height: Height(1),
        view: View(1),
        parent: genesis.hash(),
        parent_view: View(0),
        proposer: ValidatorIndex(0),
        content: Commitments {
            time_ms: 2_000,
            history: genesis.hash(),
            validators: trusted.validators().hash(),
            ..Commitments::to_items(&[])
        },
    };
    let child = Header {
        height: Height(2),
        view: View(2),
        parent: header.hash(),
        parent_view: View(1),
        ..header
    };
    let statement = Statement::on(VoteKind::Finalize, Epoch(0), child.place());
    let mut signers = Signers::NONE;
    let places = [0, 2, 3];
    for place in places {
        signers.insert(ValidatorIndex(place));
    }
    let sign = |place| key(place).sign(&statement.preimage(genesis.chain()));
    Checkpoint {
        epochs: Vec::new(),
        finality: Finality {
            header,
            path: vec![child],
            finalization: Cert {
                statement,
                signers,
                signatures: places.map(sign).to_vec(),
            },
        },
    }
}

fn rendered() -> String {
    note::render(&checkpoint(), trusted().validators())
}

#[test]
fn a_note_proves_the_checkpoint_that_it_was_made_from() {
    let made = checkpoint();
    let text = rendered();
    assert!(note::is_note(text.as_bytes()));
    let read = note::read(&text, &trusted()).expect("it is one");
    assert_eq!(read, made);
    let proven = read.verify(&trusted(), &FastVerifier).expect("it holds");
    assert_eq!(proven.head().size.0, 1);
    println!("{text}");
}

/// The format as the specifications write it, read by nothing of ours.
#[test]
fn a_note_is_what_the_specification_says() {
    let text = rendered();
    let (body, lines) = text.split_once("\n\n").expect("an empty line");
    let name = format!("decube/{:032x}", began().chain().0);
    let root = STANDARD.encode(began().hash().0);
    assert_eq!(body, format!("{name}\n1\n{root}"));
    assert_eq!(lines.lines().count(), 3);
    for (line, place) in lines.lines().zip([0, 2, 3]) {
        let parts: Vec<&str> = line.split(' ').collect();
        let [dash, key_name, encoded] = parts[..] else {
            panic!("{line}");
        };
        let public = *key(place).public_key();
        assert_eq!(dash, "—");
        assert_eq!(key_name, format!("{name}/{}", public.node_id()));
        assert!(!key_name.contains('+'));
        let bytes = STANDARD.decode(encoded).expect("base64");
        let mut hashed = key_name.as_bytes().to_vec();
        hashed.extend([0x0a, 0xff]);
        hashed.extend(b"decube/finality/v1");
        hashed.extend(public.to_compressed());
        assert_eq!(bytes[..4], sha256(&hashed).0[..4]);
        // Each line alone is a signature over what its headers lead to.
        let signature: [u8; 64] = bytes[bytes.len() - 64..].try_into().expect("64");
        let signature = Signature::from_bytes(signature).expect("low S");
        let made = checkpoint();
        let statement = made.finality.finalization.statement;
        let preimage = statement.preimage(began().chain());
        assert!(FastVerifier.verify(&public, &preimage, &signature).is_ok());
    }
}

#[test]
fn no_altered_note_is_believed() {
    let text = rendered();
    let proven = checkpoint();
    let trusted = trusted();
    let holds = |text: &str| {
        let read = note::read(text, &trusted).ok()?;
        read.verify(&trusted, &FastVerifier).ok()?;
        Some(read)
    };
    let mut refused = 0;
    let places: Vec<(usize, char)> = text.char_indices().collect();
    for (at, old) in &places {
        let new = match old {
            'A' => 'B',
            '\n' => ' ',
            _ => 'A',
        };
        let mut altered = text[..*at].to_owned();
        altered.push(new);
        altered.push_str(&text[at + old.len_utf8()..]);
        match holds(&altered) {
            None => refused += 1,
            Some(read) => panic!("at {at}: {read:?}, not {proven:?}"),
        }
    }
    assert_eq!(refused, places.len());
}

#[test]
fn lines_of_others_are_passed_over_and_missing_ones_are_missed() {
    let text = rendered();
    let stranger = "— example.com/witness AAAAAAAA\n";
    let read = note::read(&(text.clone() + stranger), &trusted()).expect("it is one");
    assert_eq!(read, checkpoint());
    let (body, lines) = text.split_once("\n\n").expect("an empty line");
    let two: String = lines
        .lines()
        .take(2)
        .map(|line| format!("{line}\n"))
        .collect();
    let read = note::read(&format!("{body}\n\n{two}"), &trusted()).expect("it is one");
    assert!(read.verify(&trusted(), &FastVerifier).is_err(), "no quorum");
    let none = note::read(&format!("{body}\n\n{stranger}"), &trusted());
    assert_eq!(none, Err(NoteError::NoSigner(0)));
    let first = lines.lines().next().expect("a line");
    let twice = note::read(&format!("{text}{first}\n"), &trusted());
    assert!(matches!(twice, Err(NoteError::Line(_))), "{twice:?}");
    // A root of its own over good signatures, an extension line, another ledger.
    let other = format!("{body}\nmore\n\n{lines}");
    assert!(matches!(
        note::read(&other, &trusted()),
        Err(NoteError::Line(_))
    ));
    let other = text.replacen("decube/", "decube/0", 1);
    assert!(matches!(
        note::read(&other, &trusted()),
        Err(NoteError::Origin { .. })
    ));
    for broken in [
        "",
        "decube/x\n1\n",
        &text[..text.len() - 1],
        "decube/\t\n\n\n",
    ] {
        assert!(note::read(broken, &trusted()).is_err(), "{broken:?}");
    }
}

#[test]
fn an_epoch_is_kept_and_taken_up_again() {
    let genesis_text = genesis::render(&began(), &CLUSTERS.map(str::to_owned));
    let first = trust::read(genesis_text.as_bytes()).expect("a genesis");
    assert_eq!((first.ledger.as_str(), &first.epoch), ("four", &trusted()));
    let kept = trust::epoch(&first.epoch);
    assert!(trust::is_trust(kept.to_string().as_bytes()));
    let again = trust::read(kept.to_string().as_bytes()).expect("a kept epoch");
    assert_eq!(again.epoch, first.epoch);
    let mut altered = kept.clone();
    altered["note"] = json!("x");
    assert!(trust::read(altered.to_string().as_bytes()).is_err());
    let mut altered = kept;
    altered["validators"][0]["power"] = json!("much");
    assert!(trust::read(altered.to_string().as_bytes()).is_err());
}

/// Block 2, certified itself, and that its history begins with the one before
/// block 1.
fn extension() -> Extension {
    let before = checkpoint().finality;
    let (genesis, first) = (began(), before.header);
    let leaf = LeafHash::assume;
    let mut tree = Tree::new();
    tree.append(leaf(genesis.hash()));
    tree.append(leaf(first.hash()));
    let mut header = before.path[0];
    header.content.history = tree.root();
    let statement = Statement::on(VoteKind::Finalize, Epoch(0), header.place());
    let sign = |place| key(place).sign(&statement.preimage(genesis.chain()));
    let consistency = tree.prove_consistency(TreeSize(1), TreeSize(2));
    Extension {
        old: TreeHead {
            size: TreeSize(1),
            root: genesis.hash(),
        },
        checkpoint: Checkpoint {
            epochs: Vec::new(),
            finality: Finality {
                header,
                path: Vec::new(),
                finalization: Cert {
                    statement,
                    signers: before.finalization.signers,
                    signatures: [0, 2, 3].map(sign).to_vec(),
                },
            },
        },
        consistency: consistency.expect("sizes of the tree"),
    }
}

#[test]
fn an_extension_is_read_as_it_was_written_and_not_otherwise() {
    let made = extension();
    let document = receipt::extension(&made);
    assert_eq!(receipt::read_extension(&document), Ok(made));
    let trusted = trusted();
    let holds = |document: &Value| {
        let read = receipt::read_extension(document).ok();
        read.is_some_and(|read| read.verify(&trusted, &FastVerifier).is_ok())
    };
    assert!(holds(&document));
    let mut places = Vec::new();
    leaves(&document, String::new(), &mut places);
    assert!(places.len() > 25, "{places:?}");
    for place in &places {
        let mut altered = document.clone();
        let leaf = altered.pointer_mut(place).expect("just found");
        *leaf = match &*leaf {
            Value::Number(number) => json!(number.as_u64().expect("whole") ^ 1),
            Value::Bool(flag) => json!(!flag),
            Value::String(text) => {
                let last = if text.ends_with('0') { '1' } else { '0' };
                json!(format!("{}{last}", &text[..text.len() - 1]))
            }
            other => panic!("{place}: {other}"),
        };
        assert!(!holds(&altered), "{place} can be altered");
    }
    let mut more = document;
    more["more"] = json!(1);
    assert!(!holds(&more), "what is not known is refused");
}

fn leaves(value: &Value, at: String, places: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(name, value)| leaves(value, format!("{at}/{name}"), places)),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .for_each(|(place, value)| leaves(value, format!("{at}/{place}"), places)),
        _ => places.push(at),
    }
}
