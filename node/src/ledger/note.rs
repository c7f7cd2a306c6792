//! A checkpoint as transparency logs write one (C2SP signed-note, tlog-checkpoint).
//!
//! The text is origin, size and root. Validators do not sign it: they sign that a
//! block is final, and its header commits to size and root. No type byte of a note's
//! signatures means that, nor P-256 over anything but the text, so the lines have the
//! type 0xff, which is for such cases, with a name of its own behind it ([`KIND`]).
//! Each line is complete: it holds the header of the block, those up to the
//! certified one, and one validator's signature. Who knows that validator's key
//! checks the line alone; a quorum of them proves the checkpoint.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use decube_core::bft::{
    BlockRef, Cert, Header, Signers, Statement, Validator, ValidatorIndex, ValidatorSet, VoteKind,
};
use decube_core::codec::{Decode, Encode};
use decube_core::crypto::{ChainId, Signature, sha256};
use decube_core::limits::{PATH_HEADERS_MAX, VALIDATORS_MAX};
use decube_core::proof::ledger::{Checkpoint, Finality, TrustedEpoch};

/// The type of the signatures, behind the byte 0xff: a P-256 signature `r ‖ s` over the
/// finalization of a block that follows from the headers before it.
pub const KIND: &str = "decube/finality/v1";

/// Why a note was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is no note, or its text is not that of a checkpoint of a ledger.
    #[error("the note is not well formed: {0}")]
    Form(&'static str),
    /// It is one of another log.
    #[error("the note is one of {found}, the trusted ledger is {expected}")]
    Origin {
        /// The origin in the note.
        found: String,
        /// That of the trusted ledger.
        expected: String,
    },
    /// No line is by a validator of the trusted epoch.
    #[error("no validator of the trusted epoch {0} has signed the note")]
    NoSigner(u64),
    /// A line by a validator says something else than the text or another line.
    #[error("the line of {0} does not belong to the note")]
    Line(String),
}

/// The name of a ledger as a log.
pub fn origin(chain: ChainId) -> String {
    format!("decube/{:032x}", chain.0)
}

/// The name of a validator's key.
fn key_name(chain: ChainId, validator: &Validator) -> String {
    format!("{}/{}", origin(chain), validator.node)
}

fn key_id(name: &str, validator: &Validator) -> [u8; 4] {
    let mut bytes = name.as_bytes().to_vec();
    bytes.extend(*b"\n\xff");
    bytes.extend(KIND.as_bytes());
    bytes.extend(validator.key.to_compressed());
    let hash = sha256(&bytes);
    *hash.0.first_chunk().expect("a hash has 32 bytes")
}

fn text(header: &Header) -> String {
    let root = STANDARD.encode(header.content.history.0);
    format!("{}\n{}\n{root}\n", origin(header.chain), header.height.0)
}

/// A checkpoint as a note. The set is that of its epoch.
pub fn render(checkpoint: &Checkpoint, set: &ValidatorSet) -> String {
    let finality = &checkpoint.finality;
    let header = &finality.header;
    let cert = &finality.finalization;
    assert_eq!(
        header.content.validators,
        set.hash(),
        "the set of its epoch"
    );
    let block = Certified {
        header: *header,
        path: finality.path.clone(),
    };
    let mut note = text(header) + "\n";
    for (signer, signature) in cert.signers.iter().zip(&cert.signatures) {
        let validator = set
            .get(signer)
            .expect("a final block was signed by its set");
        let name = key_name(header.chain, validator);
        let mut line = key_id(&name, validator).to_vec();
        line.extend(block.to_bytes());
        line.extend(signature.as_bytes());
        writeln!(note, "\u{2014} {name} {}", STANDARD.encode(line)).expect("a text takes all");
    }
    note
}

/// Whether a document looks like a note of a ledger.
pub fn is_note(document: &[u8]) -> bool {
    document.starts_with(b"decube/")
}

/// A block and the headers up to the certified one: what a signature is about.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
struct Certified {
    header: Header,
    #[codec(max = PATH_HEADERS_MAX)]
    path: Vec<Header>,
}

/// One line that a validator of the trusted epoch may have signed.
struct Line {
    signer: ValidatorIndex,
    block: Certified,
    signature: Signature,
}

/// A checkpoint from a note. Lines by others than the validators of the trusted epoch
/// are passed over, as the format demands; nothing is verified yet.
///
/// # Errors
/// See [`NoteError`].
pub fn read(note: &str, trusted: &TrustedEpoch) -> Result<Checkpoint, NoteError> {
    let (before, lines) = note
        .rsplit_once("\n\n")
        .ok_or(NoteError::Form("no empty line before the signatures"))?;
    let is_plain = note.ends_with('\n') && note.chars().all(|one| one == '\n' || one >= ' ');
    if !is_plain {
        return Err(NoteError::Form("not lines of text"));
    }
    let found = before.lines().next().unwrap_or_default();
    let expected = origin(trusted.chain());
    if found != expected {
        let found = found.to_owned();
        return Err(NoteError::Origin { found, expected });
    }
    let mut signed = Vec::new();
    for line in lines.lines() {
        if let Some(line) = read_line(line, trusted)? {
            signed.push(line);
        }
    }
    join(signed, &format!("{before}\n"), trusted)
}

/// A line of a note, if a validator of the trusted epoch could have signed it.
fn read_line(line: &str, trusted: &TrustedEpoch) -> Result<Option<Line>, NoteError> {
    let form = NoteError::Form("a line that is no signature");
    let rest = line.strip_prefix("\u{2014} ").ok_or(form.clone())?;
    let (name, encoded) = rest.split_once(' ').ok_or(form.clone())?;
    let bytes = STANDARD.decode(encoded).map_err(|_| form.clone())?;
    let (id, signature) = bytes.split_at_checked(4).ok_or(form)?;
    let mut known = trusted.validators().iter().filter(|(_, validator)| {
        key_name(trusted.chain(), validator) == name && key_id(name, validator) == id
    });
    let Some((signer, _)) = known.next() else {
        return Ok(None);
    };
    let wrong = || NoteError::Line(name.to_owned());
    let (block, signature) = signature.split_last_chunk().ok_or_else(wrong)?;
    let block = bytes::Bytes::copy_from_slice(block);
    Ok(Some(Line {
        signer,
        block: Certified::from_bytes(&block).map_err(|_| wrong())?,
        signature: Signature::from_bytes(*signature).map_err(|_| wrong())?,
    }))
}

/// All lines speak of one block, and the text says what its header says.
fn join(mut lines: Vec<Line>, said: &str, trusted: &TrustedEpoch) -> Result<Checkpoint, NoteError> {
    assert!(trusted.validators().len() <= VALIDATORS_MAX);
    lines.sort_by_key(|line| line.signer);
    let name = |line: &Line| {
        let validator = trusted.validators().get(line.signer);
        key_name(trusted.chain(), validator.expect("it was just found"))
    };
    let Some(first) = lines.first() else {
        return Err(NoteError::NoSigner(trusted.epoch().0));
    };
    let block = first.block.clone();
    let mut signers = Signers::NONE;
    for line in &lines {
        let belongs = line.block == block && text(&line.block.header) == said;
        if !belongs || !signers.insert(line.signer) {
            return Err(NoteError::Line(name(line)));
        }
    }
    let Certified { header, path } = block;
    let certified: BlockRef = path.last().unwrap_or(&header).place();
    Ok(Checkpoint {
        epochs: Vec::new(),
        finality: Finality {
            header,
            path,
            finalization: Cert {
                statement: Statement::on(VoteKind::Finalize, header.epoch, certified),
                signers,
                signatures: lines.iter().map(|line| line.signature).collect(),
            },
        },
    })
}
