//! The key that a node signs with, and the check of others' signatures, as parts
//! of its configuration.

use alloc::sync::Arc;
use core::fmt;
use core::ops::Deref;

use crate::crypto::{P256Verifier, Signer, Verifier};

/// The key that a node signs heads of its log with. Clones share it; it prints
/// its public half alone, and two are equal if their public halves are.
#[derive(Clone)]
pub struct HeadSigner(Arc<dyn Signer + Send + Sync>);

/// How a node checks the signatures that it gathers: P-256 unless the shell
/// injects another implementation, or a simulation another scheme.
#[derive(Clone)]
pub struct HeadVerifier(Arc<dyn Verifier + Send + Sync>);

impl HeadSigner {
    /// Signs with this key.
    pub fn new(signer: impl Signer + Send + Sync + 'static) -> Self {
        Self(Arc::new(signer))
    }
}

impl HeadVerifier {
    /// Checks with this implementation.
    pub fn new(verifier: impl Verifier + Send + Sync + 'static) -> Self {
        Self(Arc::new(verifier))
    }
}

impl Default for HeadVerifier {
    fn default() -> Self {
        Self::new(P256Verifier)
    }
}

impl Deref for HeadSigner {
    type Target = dyn Signer + Send + Sync;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Deref for HeadVerifier {
    type Target = dyn Verifier + Send + Sync;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl PartialEq for HeadSigner {
    fn eq(&self, other: &Self) -> bool {
        self.0.public_key() == other.0.public_key()
    }
}

impl Eq for HeadSigner {}

impl PartialEq for HeadVerifier {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for HeadVerifier {}

impl fmt::Debug for HeadSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeadSigner({:?}, [REDACTED])", self.0.public_key())
    }
}

impl fmt::Debug for HeadVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeadVerifier")
    }
}
