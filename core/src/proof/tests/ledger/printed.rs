//! The verifiers of the whitepaper, written again from what it prints and says. They
//! are what the attacks are shown on, and nothing else may use them.

use alloc::vec::Vec;

use crate::crypto::fake::FakeVerifier;
use crate::crypto::{Digest, PublicKey, Signature, Verifier as _, sha256};

/// "`Signatures []Signature`": each brings its key, since `VerifySignature` is given
/// nothing else.
#[derive(Clone)]
pub struct NamedSignature {
    pub key: PublicKey,
    pub signature: Signature,
}

/// Its four fields.
#[derive(Clone)]
pub struct CommitProof {
    pub block_height: u64,
    pub block_hash: Digest,
    pub signatures: Vec<NamedSignature>,
    pub threshold: usize,
}

/// Counts the signatures over the hash of the block; neither the height nor the
/// transaction is looked at.
pub fn verify_commit_proof(proof: &CommitProof, _tx_hash: &Digest, keys: &FakeVerifier) -> bool {
    let is_valid = |one: &&NamedSignature| {
        let hash = &proof.block_hash.0;
        keys.verify_bytes(&one.key, hash, &one.signature).is_ok()
    };
    proof.signatures.iter().filter(is_valid).count() >= proof.threshold
}

/// Its fields, as far as its verifier looks at them or ought to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transaction {
    pub kind: &'static str,
    pub payload: &'static [u8],
    pub signature: Vec<u8>,
}

/// Checks the signature, in ASN.1, over the payload alone and under the key that the
/// caller brings.
pub fn verify_transaction(tx: &Transaction, key: &p256::ecdsa::VerifyingKey) -> bool {
    use p256::ecdsa::signature::Verifier as _;
    let signature = p256::ecdsa::Signature::from_der(&tx.signature);
    signature.is_ok_and(|signature| key.verify(tx.payload, &signature).is_ok())
}

/// Goes up from the leaf by as many hashes as there are, and compares.
pub fn verify_merkle_proof(root: &Digest, hashes: &[Digest], leaf: &Digest, index: u64) -> bool {
    let mut hash = *leaf;
    let mut index = index;
    for sibling in hashes {
        hash = if index.is_multiple_of(2) {
            join(&hash, sibling)
        } else {
            join(sibling, &hash)
        };
        index /= 2;
    }
    hash == *root
}

/// A node of the printed tree: no prefix tells it from a leaf.
pub fn join(left: &Digest, right: &Digest) -> Digest {
    sha256(&[left.0, right.0].concat())
}

/// A log of entries with the checksum that comes along.
pub struct LogProof {
    pub entries: Vec<&'static [u8]>,
    pub checksum: Digest,
}

/// Computes the checksum again and compares it with the one in the proof.
pub fn verify_log_proof(proof: &LogProof) -> bool {
    checksum(&proof.entries) == proof.checksum
}

pub fn checksum(entries: &[&[u8]]) -> Digest {
    sha256(&entries.concat())
}

/// "2/3+" as whole numbers are often divided.
pub const fn two_thirds(validators: usize) -> usize {
    validators * 2 / 3
}
