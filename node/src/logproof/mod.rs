//! Log proofs as JSON documents: written by the API, read and checked by
//! `decube verify`, and by anybody else with SHA-256 and ECDSA P-256.
//!
//! Three documents. A *trust* document names the voters of a cluster and their
//! keys: it is what the verifier brings along. A *head* is the signed root of the
//! log. A *proof* shows entries under a head; it is the whitepaper's `LogProof`
//! with fields that prove something.
//!
//! Numbers are JSON numbers, hashes bare lower-case hexadecimal, keys and
//! signatures `0x` and hexadecimal (SEC1 uncompressed, ASN.1 DER), data base64.
//! Every field is either checked or leads to a signature: reading refuses unknown
//! and contradicting ones.
//!
//! | file | what it holds |
//! |---|---|
//! | `write` | from the core's types to documents |
//! | `read` | from documents, which are hostile, to the core's types |
//! | `describe` | what an entry does, in words |

mod describe;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub use describe::describe;
pub use read::{Document, Invalid, read, read_trust};
pub use write::{head_json, proof_json, trust_json};
