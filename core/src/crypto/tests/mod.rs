//! What the cryptographic types promise, tested against published vectors and
//! against the forgeries that they exist to refuse.

mod cert;
mod fake;
pub(crate) mod fingerprint;
mod golden;
mod hash;
mod keys;
mod preimage;
mod props;
mod sign;

use super::{P256Signer, SecretBytes, SecretKey};

/// The signer of a test, by number.
pub(super) fn signer(number: u8) -> P256Signer {
    P256Signer::new(&secret(number))
}

/// The secret key of a test, by number.
pub(super) fn secret(number: u8) -> SecretKey {
    SecretKey::from_entropy(&SecretBytes::new([number; 32]))
}
