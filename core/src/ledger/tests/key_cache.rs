use alloc::vec::Vec;

use super::*;
use crate::bft::Height;
use crate::codec::Encode as _;
use crate::crypto::fake::FakeAuthority;
use crate::crypto::{ChainId, P256Signer, P256Verifier, SecretBytes, SecretKey, Signer as _};

use crate::ledger::{AccountId, Intent, Lane, Name, Operation, Sequence, Transaction, TxError};

#[test]
fn a_key_that_signs_stays_and_others_go() {
    let authority = FakeAuthority::new(1);
    let keys: Vec<PublicKey> = (0..3)
        .map(|number| *authority.signer(number).public_key())
        .collect();
    let mut known = KeyCache::new();
    known.note(&keys[0]);
    known.note(&keys[1]);
    assert_eq!(known.find(&keys[0].to_compressed()), Some(keys[0]));
    assert_eq!(known.find(&keys[2].to_compressed()), None);
    // A generation of others comes; the encodings are made up.
    let fill = |known: &mut KeyCache, from: u8| {
        while known.young.len() < LEDGER_KEYS_KEPT / 2 {
            let mut encoded = [from; 33];
            encoded[..8].copy_from_slice(&known.young.len().to_be_bytes());
            known.young.insert(encoded, keys[2]);
        }
    };
    fill(&mut known, 1);
    known.note(&keys[2]);
    assert_eq!(known.find(&keys[0].to_compressed()), Some(keys[0]), "old");
    known.note(&keys[0]);
    fill(&mut known, 2);
    known.note(&keys[1]);
    assert_eq!(
        known.find(&keys[0].to_compressed()),
        Some(keys[0]),
        "signed again"
    );
    fill(&mut known, 3);
    known.note(&keys[2]);
    assert_eq!(
        known.find(&keys[0].to_compressed()),
        None,
        "silent for long"
    );
    assert!(known.young.len() + known.old.len() <= LEDGER_KEYS_KEPT);
}

/// A known key changes what decoding costs and nothing else.
#[test]
fn transactions_decode_alike_whether_their_key_is_known() {
    let secret = SecretKey::from_entropy(&SecretBytes::new([5; 32]));
    let signer = P256Signer::new(&secret);
    let key = *signer.public_key();
    let operation = Operation::Data {
        kind: Name::new("note").unwrap(),
        payload: "n".into(),
    };
    let intent = Intent {
        chain: ChainId(3),
        account: AccountId::of(&key),
        lane: Lane(0),
        sequence: Sequence(0),
        valid_until: Height(9),
        operations: alloc::vec![operation],
    };
    let bytes = intent.sign(&signer).to_bytes();
    let mut known = KeyCache::new();
    known.note(&key);
    let asked = core::cell::Cell::new(0);
    let find = |encoded: &[u8; 33]| {
        asked.set(asked.get() + 1);
        known.find(encoded)
    };
    let fresh = Transaction::decode(&bytes, ChainId(3)).unwrap();
    let again = Transaction::decode_known(&bytes, ChainId(3), find).unwrap();
    assert_eq!((&again, asked.get()), (&fresh, 1));
    again.verify(bytes.clone(), &P256Verifier).unwrap();
    // No point of the curve has this coordinate, whoever is known.
    let place = bytes.len() - 64 - 33;
    let mut off_curve = bytes.to_vec();
    off_curve[place..place + 33].fill(0xff);
    off_curve[place] = 2;
    let off_curve = off_curve.into();
    let plain = Transaction::decode(&off_curve, ChainId(3));
    assert!(matches!(plain, Err(TxError::Malformed(_))));
    assert_eq!(
        Transaction::decode_known(&off_curve, ChainId(3), find),
        plain
    );
    // Bytes left over are refused either way.
    let mut longer = bytes.to_vec();
    longer.push(0);
    let longer = longer.into();
    let plain = Transaction::decode(&longer, ChainId(3));
    assert_eq!(Transaction::decode_known(&longer, ChainId(3), find), plain);
}

#[test]
#[should_panic(expected = "G2: keys of those who have signed lately")]
fn the_key_cache_is_bounded() {
    let key = *FakeAuthority::new(1).signer(0).public_key();
    let mut known = KeyCache::new();
    for number in (0_u64..).take(LEDGER_KEYS_KEPT) {
        let mut encoded = [1; 33];
        encoded[..8].copy_from_slice(&number.to_be_bytes());
        known.old.insert(encoded, key);
    }
    known.note(&key);
}
