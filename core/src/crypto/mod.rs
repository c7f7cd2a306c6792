//! Hashes, signatures and keys.
//!
//! **Purpose.** The few cryptographic values that every protocol shares, each as
//! a type whose only constructors check it: a [`Signature`] that exists is in
//! range and low-S, a [`PublicKey`] that exists is a point of the curve, a
//! [`VerifiedCert`] that exists has been verified.
//!
//! **Sources.** SHA-256: FIPS 180-4. ECDSA P-256: FIPS 186-5, nonces by RFC 6979.
//! Points: SEC 1 §2.3. DER: RFC 5912 §6. The whitepaper's `VerifyTransaction`
//! signs the payload alone; here everything is signed over one [`Preimage`].
//!
//! **Rules.**
//! - C1: inside the system a signature is 64 bytes `r‖s` with `s <= n/2`, so a
//!   message and a key have no second encoding of the same signature. DER and
//!   high `s` exist at the HTTP API only and are normalised there.
//! - C2: nothing is signed but a [`Preimage`]: domain tag, scope (cluster or
//!   chain), then fields of fixed width or with a length in front. Bytes signed
//!   for one purpose or one cluster cannot be replayed for another.
//! - C3: signing is deterministic (RFC 6979), so a run replays byte for byte.
//! - C4: secret keys are never encoded by [`crate::codec`], print as `[REDACTED]`
//!   and are wiped when dropped.
//!
//! **Adversary.** Chooses every byte of signatures, keys and certificates, and
//! holds any number of keys of its own. Decoding is total; the cost of one check
//! is bounded by one signature verification.
//!
//! | file | holds |
//! |---|---|
//! | `hex.rs` | strict hexadecimal text |
//! | `hash.rs` | [`Digest`], [`sha256`], [`tagged`], [`Hasher`] |
//! | `signature.rs` | [`Signature`]: range, low-S, DER at the HTTP API |
//! | `key.rs` | [`PublicKey`] and the ids derived from it |
//! | `secret.rs` | [`SecretKey`], [`SecretBytes`] |
//! | `sign.rs` | [`Signer`], [`Verifier`] and the portable P-256 implementation |
//! | `shared.rs` | [`SharedSigner`], [`SharedVerifier`]: both as parts of a configuration |
//! | `preimage.rs` | [`Preimage`], [`Domain`], [`Scope`]: what is signed |
//! | `cert.rs` | [`NodeCert`]: binds a node's key to its transport key |
//! | `fake.rs` | a cheap scheme for volume simulation that stays unforgeable there |

pub mod cert;
pub mod fake;
pub mod fingerprint;
pub mod hash;
pub mod hex;
pub mod key;
pub mod preimage;
pub mod secret;
pub mod shared;
pub mod sign;
pub mod signature;

#[cfg(test)]
pub(crate) mod tests;

pub use cert::{CertError, NodeCert, TransportKey, VerifiedCert};
pub use fingerprint::Fingerprint;
pub use hash::{Digest, Hasher, sha256, tagged};
pub use hex::HexError;
pub use key::{KeyError, PublicKey};
pub use preimage::{ChainId, Domain, Preimage, Scope};
pub use secret::{SecretBytes, SecretKey};
pub use shared::{SharedSigner, SharedVerifier};
pub use sign::{P256Signer, P256Verifier, Signer, Verifier, VerifyError};
pub use signature::{Signature, SignatureError};
