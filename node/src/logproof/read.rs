//! From documents, which are hostile, to the core's types.
//!
//! A document that repeats what its signed part says must repeat it exactly, and
//! a field that nobody knows is refused: what is shown to a person was checked.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use decube_core::crypto::{Digest, PublicKey, Signature, hex};
use decube_core::limits::{ENTRY_BYTES_MAX, LOG_PROOF_ENTRIES_MAX, MERKLE_PATH_MAX, VOTERS_MAX};
use decube_core::proof::{
    HeadSignature, LogHead, LogProof, Payload, ProofEntry, SignedHead, TrustedVoters,
};
use decube_core::raft::EntryKind;
use decube_core::types::{ClusterId, Index, NodeId, Term};
use serde_json::{Map, Value};

/// What can be verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// A signed head alone.
    Head(SignedHead),
    /// Entries under a head.
    Proof(Box<LogProof>),
}

/// Why a text is no such document. Nothing of it may be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It is not a JSON object.
    #[error("it is not a JSON object: {0}")]
    Json(String),
    /// A field is missing, or not of the form that it must have.
    #[error("`{field}` is missing or not valid: {wanted} is wanted")]
    Field {
        /// The path of the field.
        field: String,
        /// What must stand there.
        wanted: &'static str,
    },
    /// A field that no verifier knows.
    #[error("`{0}` is not a field of this document")]
    Unknown(String),
    /// A field contradicts what it repeats.
    #[error("`{field}` does not repeat {repeats}")]
    Contradiction {
        /// The path of the field.
        field: String,
        /// What it repeats.
        repeats: &'static str,
    },
    /// Keys that are no voter set.
    #[error("the voters: {0}")]
    Voters(String),
}

/// Reads a head or a proof.
pub fn read(text: &[u8]) -> Result<Document, Invalid> {
    let mut object = Object::parse(text)?;
    if object.fields.contains_key("entries") {
        let proof = proof(&mut object)?;
        object.done()?;
        return Ok(Document::Proof(Box::new(proof)));
    }
    let head = head(&mut object)?;
    object.done()?;
    Ok(Document::Head(head))
}

/// Reads a trust document: the name of the cluster, for people, and the voters.
pub fn read_trust(text: &[u8]) -> Result<(String, TrustedVoters), Invalid> {
    let mut object = Object::parse(text)?;
    let name = object.text("cluster")?;
    let cluster = ClusterId(object.id("cluster_id")?);
    let epoch = Index(object.number("membership_epoch")?);
    let voters = keys(&mut object, "voters")?;
    let outgoing = keys(&mut object, "outgoing")?;
    object.done()?;
    let trusted = match outgoing.is_empty() {
        true => TrustedVoters::new(cluster, epoch, &voters),
        false => TrustedVoters::joint(cluster, epoch, &voters, &outgoing),
    };
    let trusted = trusted.map_err(|error| Invalid::Voters(error.to_string()))?;
    Ok((name, trusted))
}

/// Keys with the ids that must follow from them.
fn keys(object: &mut Object, name: &str) -> Result<Vec<PublicKey>, Invalid> {
    let read_one = |mut voter: Object| {
        let node = NodeId(voter.id("node")?);
        let wanted = "a P-256 key, 0x and hexadecimal";
        let text = voter.text("public_key")?;
        let key = PublicKey::from_edge_text(&text);
        let key = key.map_err(|_| voter.invalid("public_key", wanted))?;
        if key.node_id() != node {
            return Err(voter.contradiction("node", "the id that follows from the key"));
        }
        voter.done()?;
        Ok(key)
    };
    object
        .list(name, VOTERS_MAX)?
        .into_iter()
        .map(read_one)
        .collect()
}

fn head(object: &mut Object) -> Result<SignedHead, Invalid> {
    let head = LogHead {
        cluster: ClusterId(object.id("cluster_id")?),
        membership_epoch: Index(object.number("membership_epoch")?),
        size: Index(object.number("size")?),
        root: object.digest("root")?,
        commit_term: Term(object.number("commit_term")?),
    };
    let signature = |mut one: Object| {
        let node = NodeId(one.id("node")?);
        let wanted = "an ECDSA signature in DER with a low s, 0x and hexadecimal";
        let text = one.text("signature")?;
        let signature = Signature::from_edge_text(&text);
        let signature = signature.map_err(|_| one.invalid("signature", wanted))?;
        one.done()?;
        Ok(HeadSignature { node, signature })
    };
    let most = 2 * VOTERS_MAX;
    let signatures = object.list("signatures", most)?;
    let signatures = signatures.into_iter().map(signature);
    // As they stand: their order is part of what is verified.
    Ok(SignedHead {
        head,
        signatures: signatures.collect::<Result<_, _>>()?,
    })
}

fn proof(object: &mut Object) -> Result<LogProof, Invalid> {
    let first = Index(object.number("index")?);
    let term = object.number("term")?;
    let checksum = object.digest("checksum")?;
    let mut inner = object.object("head")?;
    let head = head(&mut inner)?;
    inner.done()?;
    let entries = object.list("entries", LOG_PROOF_ENTRIES_MAX)?;
    let entries: Vec<ProofEntry> = (first.0..=u64::MAX)
        .zip(entries)
        .map(|(index, one)| entry(one, index))
        .collect::<Result<_, _>>()?;
    let path = object.digests("path", 2 * MERKLE_PATH_MAX)?;
    if checksum != head.head.root {
        return Err(object.contradiction("checksum", "the root of the head"));
    }
    if entries.first().map(|entry| entry.term.0) != Some(term) {
        return Err(object.contradiction("term", "the term of the first entry"));
    }
    Ok(LogProof {
        head,
        first,
        entries,
        path,
        extension: None,
    })
}

fn entry(mut object: Object, index: u64) -> Result<ProofEntry, Invalid> {
    if object.number("index")? != index {
        return Err(object.contradiction("index", "the place of the entry"));
    }
    let term = Term(object.number("term")?);
    let kind = match object.text("kind")?.as_str() {
        "noop" => EntryKind::Noop,
        "membership" => EntryKind::Membership,
        "app" => EntryKind::App,
        _ => return Err(object.invalid("kind", "noop, membership or app")),
    };
    let payload = if object.fields.contains_key("data_base64") {
        let text = object.text("data_base64")?;
        let wanted = "base64 of at most the bytes of an entry";
        if text.len() / 4 * 3 > ENTRY_BYTES_MAX + 2 {
            return Err(object.invalid("data_base64", wanted));
        }
        let data = STANDARD.decode(text);
        Payload::Data(
            data.map_err(|_| object.invalid("data_base64", wanted))?
                .into(),
        )
    } else {
        let len = object.number("data_bytes")?;
        let wanted = "a length below 4 GiB";
        Payload::Omitted {
            len: u32::try_from(len).map_err(|_| object.invalid("data_bytes", wanted))?,
            digest: object.digest("data_sha256")?,
        }
    };
    object.done()?;
    Ok(ProofEntry {
        term,
        kind,
        payload,
    })
}

/// A JSON object that is taken apart field by field.
struct Object {
    path: String,
    fields: Map<String, Value>,
}

impl Object {
    fn parse(text: &[u8]) -> Result<Self, Invalid> {
        let fields = serde_json::from_slice(text).map_err(|error| Invalid::Json(error.to_string()));
        Ok(Self {
            path: String::new(),
            fields: fields?,
        })
    }

    fn invalid(&self, name: &str, wanted: &'static str) -> Invalid {
        let field = format!("{}{name}", self.path);
        Invalid::Field { field, wanted }
    }

    fn contradiction(&self, name: &str, repeats: &'static str) -> Invalid {
        let field = format!("{}{name}", self.path);
        Invalid::Contradiction { field, repeats }
    }

    fn text(&mut self, name: &str) -> Result<String, Invalid> {
        match self.fields.remove(name) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(self.invalid(name, "a text")),
        }
    }

    fn number(&mut self, name: &str) -> Result<u64, Invalid> {
        let number = self.fields.remove(name).and_then(|value| value.as_u64());
        number.ok_or_else(|| self.invalid(name, "a whole number"))
    }

    fn id(&mut self, name: &str) -> Result<u128, Invalid> {
        let id = hex::decode_array(&self.text(name)?).map(u128::from_be_bytes);
        id.map_err(|_| self.invalid(name, "32 hexadecimal digits"))
    }

    fn digest(&mut self, name: &str) -> Result<Digest, Invalid> {
        let digest = hex::decode_array(&self.text(name)?).map(Digest);
        digest.map_err(|_| self.invalid(name, "64 hexadecimal digits"))
    }

    fn digests(&mut self, name: &str, most: usize) -> Result<Vec<Digest>, Invalid> {
        let wanted = "a list of hashes, no longer than a path can be";
        let items = match self.fields.remove(name) {
            Some(Value::Array(items)) if items.len() <= most => items,
            _ => return Err(self.invalid(name, wanted)),
        };
        let digest = |value: &Value| hex::decode_array(value.as_str()?).map(Digest).ok();
        let digests: Option<Vec<Digest>> = items.iter().map(digest).collect();
        digests.ok_or_else(|| self.invalid(name, wanted))
    }

    fn object(&mut self, name: &str) -> Result<Self, Invalid> {
        match self.fields.remove(name) {
            Some(Value::Object(fields)) => Ok(Self {
                path: format!("{}{name}.", self.path),
                fields,
            }),
            _ => Err(self.invalid(name, "an object")),
        }
    }

    fn list(&mut self, name: &str, most: usize) -> Result<Vec<Self>, Invalid> {
        let wanted = "a list of objects, no longer than the limit";
        let items = match self.fields.remove(name) {
            Some(Value::Array(items)) if items.len() <= most => items,
            _ => return Err(self.invalid(name, wanted)),
        };
        let object = |(place, item)| match item {
            Value::Object(fields) => Ok(Self {
                path: format!("{}{name}[{place}].", self.path),
                fields,
            }),
            _ => Err(self.invalid(name, wanted)),
        };
        items.into_iter().enumerate().map(object).collect()
    }

    /// Everything was taken.
    fn done(self) -> Result<(), Invalid> {
        match self.fields.keys().next() {
            Some(name) => Err(Invalid::Unknown(format!("{}{name}", self.path))),
            None => Ok(()),
        }
    }
}
