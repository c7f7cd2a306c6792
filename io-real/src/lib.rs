//! io-real

#[cfg(feature = "fast-crypto")]
pub mod verifier;
