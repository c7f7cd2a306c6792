//! A key to sign with, and a check of others' signatures, as parts of a
//! machine's configuration.

use alloc::sync::Arc;
use core::fmt;
use core::ops::Deref;

use super::sign::{P256Verifier, Signer, Verifier};

/// The key that a node signs with. Clones share it; it prints
/// its public half alone, and two are equal if their public halves are.
#[derive(Clone)]
pub struct SharedSigner(Arc<dyn Signer + Send + Sync>);

/// How a node checks signatures: P-256 unless the shell
/// injects another implementation, or a simulation another scheme.
#[derive(Clone)]
pub struct SharedVerifier(Arc<dyn Verifier + Send + Sync>);

impl SharedSigner {
    /// Signs with this key.
    pub fn new(signer: impl Signer + Send + Sync + 'static) -> Self {
        Self(Arc::new(signer))
    }
}

impl SharedVerifier {
    /// Checks with this implementation.
    pub fn new(verifier: impl Verifier + Send + Sync + 'static) -> Self {
        Self(Arc::new(verifier))
    }
}

impl Default for SharedVerifier {
    fn default() -> Self {
        Self::new(P256Verifier)
    }
}

impl Deref for SharedSigner {
    type Target = dyn Signer + Send + Sync;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Deref for SharedVerifier {
    type Target = dyn Verifier + Send + Sync;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl PartialEq for SharedSigner {
    fn eq(&self, other: &Self) -> bool {
        self.0.public_key() == other.0.public_key()
    }
}

impl Eq for SharedSigner {}

impl PartialEq for SharedVerifier {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for SharedVerifier {}

impl fmt::Debug for SharedSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedSigner({:?}, [REDACTED])", self.0.public_key())
    }
}

impl fmt::Debug for SharedVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedVerifier")
    }
}
