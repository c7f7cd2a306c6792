use alloc::format;

use crate::codec::{Decode, Encode};
use crate::crypto::fake::FakeAuthority;
use crate::crypto::{
    NodeCert, P256Verifier, PublicKey, Signature, Signer, TransportKey, Verifier, VerifyError, hex,
};
use crate::types::ClusterId;

#[test]
fn honest_signatures_verify() {
    let authority = FakeAuthority::new(1);
    let verifier = authority.verifier();
    for number in 0..16 {
        let signer = authority.signer(number);
        let signature = signer.sign_bytes(b"message");
        assert_eq!(
            verifier.verify_bytes(signer.public_key(), b"message", &signature),
            Ok(())
        );
        assert_eq!(signature, authority.signer(number).sign_bytes(b"message"));
    }
}

/// What an adversary can try: other keys, other messages, other runs, bits.
#[test]
fn signatures_of_other_keys_messages_and_runs_are_refused() {
    let authority = FakeAuthority::new(1);
    let (victim, corrupted) = (authority.signer(1), authority.signer(2));
    let verifier = authority.verifier();
    let refused = |key: &PublicKey, message: &[u8], signature: &Signature| {
        assert_eq!(
            verifier.verify_bytes(key, message, signature),
            Err(VerifyError)
        );
    };
    let seen = victim.sign_bytes(b"seen");
    refused(victim.public_key(), b"seen2", &seen);
    refused(victim.public_key(), b"", &seen);
    refused(victim.public_key(), b"seen", &corrupted.sign_bytes(b"seen"));
    refused(corrupted.public_key(), b"seen", &seen);
    refused(
        victim.public_key(),
        b"seen",
        &FakeAuthority::new(2).signer(1).sign_bytes(b"seen"),
    );
    for bit in 0..512 {
        let mut bytes = *seen.as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(forged) = Signature::from_bytes(bytes) {
            refused(victim.public_key(), b"seen", &forged);
        }
    }
}

#[test]
fn keys_and_signatures_take_the_same_paths_as_real_ones() {
    let authority = FakeAuthority::new(1);
    let signer = authority.signer(1);
    let key = *signer.public_key();
    assert_eq!(PublicKey::from_bytes(&key.to_bytes()), Ok(key));
    let signature = signer.sign_bytes(b"m");
    assert_eq!(
        <Signature as Decode>::from_bytes(&signature.to_bytes()),
        Ok(signature)
    );
    let transport = TransportKey([1; 32]);
    let cert = NodeCert::issue(&signer, ClusterId(1), transport, 0);
    assert!(
        cert.clone()
            .verify(&authority.verifier(), ClusterId(1), &transport)
            .is_ok()
    );
    assert!(
        cert.verify(&P256Verifier, ClusterId(1), &transport)
            .is_err()
    );
}

#[test]
fn nothing_prints_a_secret() {
    let authority = FakeAuthority::new(1);
    let texts = [
        format!("{authority:?}"),
        format!("{:?}", authority.signer(1)),
        format!("{:?}", authority.verifier()),
    ];
    let master = crate::crypto::tagged("decube/fake/master", &[&1u64.to_be_bytes()]);
    let digits = hex::encode(master.as_bytes());
    for text in texts {
        assert!(text.contains("[REDACTED]") && !text.contains(&digits[..8]));
    }
}
