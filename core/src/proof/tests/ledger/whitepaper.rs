//! One attack on each flaw of the whitepaper's verifiers: the printed one believes
//! it, ours does not. `docs/src/explanation/unsound-proofs.md` tells them.

use alloc::vec;
use alloc::vec::Vec;

use super::printed::{self, CommitProof, LogProof, NamedSignature};
use super::{Chain, three_epochs};
use crate::bft::{
    Cert, CertError, Epoch, Height, Power, Signers, Statement, Validator, ValidatorIndex,
    ValidatorSet, VoteKind,
};
use crate::codec::Encode as _;
use crate::crypto::fake::{FakeAuthority, FakeSigner};
use crate::crypto::{
    Digest, P256Signer, P256Verifier, SecretBytes, SecretKey, Signature, SignatureError,
    Signer as _, sha256,
};
use crate::ledger_types::{
    AccountId, Genesis, Intent, Lane, Name, Operation, Sequence, TimeMs, Transaction, TxError,
};
use crate::merkle::{Inclusion, LeafHash, LeafIndex, MerkleError, TreeHead, TreeSize};
use crate::proof::ledger::{Finality, FinalityError, ReceiptError, TrustedEpoch};

const BLOCK: Height = Height(3);

/// The printed proof of a block, by these signers.
fn printed_proof(chain: &Chain, signers: &[FakeSigner]) -> CommitProof {
    let header = chain.made(BLOCK).header;
    let hash = header.hash();
    let sign = |signer: &FakeSigner| NamedSignature {
        key: *signer.public_key(),
        signature: signer.sign_bytes(&hash.0),
    };
    CommitProof {
        block_height: BLOCK.0,
        block_hash: hash,
        signatures: signers.iter().map(sign).collect(),
        threshold: 3,
    }
}

fn key(chain: &Chain, validator: u16) -> FakeSigner {
    chain.key(Epoch(0), ValidatorIndex(validator))
}

fn verify(chain: &Chain, finality: &Finality) -> Result<(), FinalityError> {
    let trusted = chain.trusted(Epoch(0));
    finality.verify(&trusted, &chain.verifier).map(|_| ())
}

/// A finality with another certificate.
fn with(chain: &Chain, change: impl FnOnce(&mut Cert)) -> Finality {
    let mut finality = chain.finality(BLOCK);
    assert_eq!(verify(chain, &finality), Ok(()));
    change(&mut finality.finalization);
    finality
}

fn anything() -> Digest {
    sha256(b"any transaction")
}

#[test]
fn flaw_01_one_signer_listed_three_times_is_one_signer() {
    let chain = three_epochs();
    let byzantine = || key(&chain, 0);
    let forged = printed_proof(&chain, &[byzantine(), byzantine(), byzantine()]);
    let verifier = &chain.verifier;
    assert!(printed::verify_commit_proof(&forged, &anything(), verifier));

    // Signers are a set over the trusted validators: the same one twice cannot be
    // written down, and a signature in the place of another one is not that one's.
    let thrice = |cert: &mut Cert| cert.signatures = vec![cert.signatures[0]; 3];
    let refused = verify(&chain, &with(&chain, thrice));
    let wrong = CertError::Signature(ValidatorIndex(1));
    assert_eq!(refused, Err(wrong.into()));
    let alone = |cert: &mut Cert| {
        cert.signers = Signers::NONE;
        cert.signers.insert(ValidatorIndex(0));
        cert.signatures = vec![cert.signatures[0]; 3];
    };
    let refused = verify(&chain, &with(&chain, alone));
    assert_eq!(refused, Err(CertError::Form.into()));
}

#[test]
fn flaw_02_the_proof_does_not_say_how_many_are_enough() {
    let chain = three_epochs();
    let mut forged = printed_proof(&chain, &[]);
    forged.threshold = 0;
    let verifier = &chain.verifier;
    assert!(printed::verify_commit_proof(&forged, &anything(), verifier));

    for signers in [&[][..], &[0], &[0, 1]] {
        let place = chain.made(BLOCK).header.place();
        let few = chain.cert(Epoch(0), place, signers);
        let refused = verify(&chain, &with(&chain, |cert| *cert = few));
        assert_eq!(refused, Err(CertError::NoQuorum.into()), "{signers:?}");
    }
}

#[test]
fn flaw_03_keys_that_nobody_trusts_count_for_nothing() {
    let chain = three_epochs();
    let strangers: Vec<FakeSigner> = (900..903)
        .map(|number| chain.authority.signer(number))
        .collect();
    let forged = printed_proof(&chain, &strangers);
    let verifier = &chain.verifier;
    assert!(printed::verify_commit_proof(&forged, &anything(), verifier));

    let refused = verify(
        &chain,
        &with(&chain, |cert| {
            let preimage = cert.statement.preimage(chain.id());
            let signed = strangers.iter().map(|stranger| stranger.sign(&preimage));
            cert.signatures = signed.collect();
        }),
    );
    let wrong = CertError::Signature(ValidatorIndex(0));
    assert_eq!(refused, Err(wrong.into()));
}

#[test]
fn flaw_04_the_transaction_stands_in_the_block_or_nothing_is_proven() {
    let chain = three_epochs();
    let honest = printed_proof(&chain, &[key(&chain, 0), key(&chain, 1), key(&chain, 2)]);
    let verifier = &chain.verifier;
    assert!(printed::verify_commit_proof(&honest, &anything(), verifier));

    let trusted = chain.trusted(Epoch(0));
    let mut receipt = chain.receipt(BLOCK, Height(4));
    assert!(receipt.verify(&trusted, verifier).is_ok());
    // A transaction of another block, well signed, in the place of this one's.
    receipt.transaction = chain.receipt(Height(2), Height(4)).transaction;
    let refused = receipt.verify(&trusted, verifier);
    let wrong = MerkleError::RootMismatch;
    assert_eq!(refused, Err(ReceiptError::Inclusion(wrong)));
}

#[test]
fn flaw_05_the_height_is_signed() {
    let chain = three_epochs();
    let mut moved = printed_proof(&chain, &[key(&chain, 0), key(&chain, 1), key(&chain, 2)]);
    moved.block_height = 1_000_000;
    let verifier = &chain.verifier;
    assert!(printed::verify_commit_proof(&moved, &anything(), verifier));

    let raised = with(&chain, |cert| cert.statement.block.height = Height(4));
    let refused = verify(&chain, &raised);
    assert_eq!(refused, Err(FinalityError::OtherStatement));
    // Nor does the header help: it is hashed, and the hash is signed.
    let mut raised = chain.finality(BLOCK);
    raised.header.height = Height(4);
    let refused = verify(&chain, &raised);
    assert_eq!(refused, Err(FinalityError::OtherStatement));
    raised.finalization.statement.block = raised.header.place();
    assert!(matches!(
        verify(&chain, &raised),
        Err(FinalityError::Cert(CertError::Signature(_)))
    ));
}

#[test]
fn flaw_06_what_was_signed_for_another_purpose_finalises_nothing() {
    let chain = three_epochs();
    // Validators are asked to sign any 32 bytes, say as the hash of a file: with the
    // hash of a block they have signed that block.
    let file = chain.made(BLOCK).header.hash();
    let signed = [0, 1, 2].map(|validator| NamedSignature {
        key: *key(&chain, validator).public_key(),
        signature: key(&chain, validator).sign_bytes(&file.0),
    });
    let mut forged = printed_proof(&chain, &[]);
    forged.signatures = signed.to_vec();
    let verifier = &chain.verifier;
    assert!(printed::verify_commit_proof(&forged, &anything(), verifier));

    let wrong = CertError::Signature(ValidatorIndex(0));
    let bare = with(&chain, |cert| {
        cert.signatures = signed.iter().map(|one| one.signature).collect();
        cert.signers = first(3);
    });
    assert_eq!(verify(&chain, &bare), Err(wrong.into()));
    // Not even the other votes of the same validators on the same block.
    let notarized = with(&chain, |cert| {
        let mut statement = cert.statement;
        statement.kind = VoteKind::Notarize;
        let preimage = statement.preimage(chain.id());
        cert.signatures = (0..3).map(|one| key(&chain, one).sign(&preimage)).collect();
        cert.signers = first(3);
    });
    assert_eq!(verify(&chain, &notarized), Err(wrong.into()));
    let honest = with(&chain, |cert| cert.statement.kind = VoteKind::Notarize);
    let refused = verify(&chain, &honest);
    assert_eq!(refused, Err(FinalityError::OtherStatement));
}

fn first(count: u16) -> Signers {
    let mut signers = Signers::NONE;
    (0..count).for_each(|one| {
        signers.insert(ValidatorIndex(one));
    });
    signers
}

#[test]
fn flaw_07_a_proof_does_not_move_to_another_ledger() {
    let chain = three_epochs();
    // A test network with the validators of the real one.
    let other = Genesis {
        name: "test network".into(),
        ..chain.genesis.clone()
    };
    let proof = printed_proof(&chain, &[key(&chain, 0), key(&chain, 1), key(&chain, 2)]);
    let verifier = &chain.verifier;
    assert!(printed::verify_commit_proof(&proof, &anything(), verifier));

    let trusted = TrustedEpoch::genesis(&other).unwrap();
    assert_eq!(trusted.validators(), chain.set(Epoch(0)));
    let mut finality = chain.finality(BLOCK);
    let refused = finality.verify(&trusted, verifier);
    assert_eq!(refused.err(), Some(FinalityError::WrongChain));
    // Renamed, it is another block than the one that was signed.
    finality.header.chain = other.chain();
    finality.finalization.statement.block = finality.header.place();
    assert!(matches!(
        finality.verify(&trusted, verifier),
        Err(FinalityError::Cert(CertError::Signature(_)))
    ));
}

#[test]
fn flaw_08_retired_validators_finalise_nothing_any_more() {
    let chain = three_epochs();
    let retired = || [0, 1, 2].map(|one| key(&chain, one));
    let proof = printed_proof(&chain, &retired());
    let verifier = &chain.verifier;
    assert!(printed::verify_commit_proof(&proof, &anything(), verifier));

    // Three of the four who voted in epoch 0 make up a block of today.
    let present = chain.trusted(Epoch(2));
    let mut invented = chain.made(Height(12)).header;
    invented.content.time_ms += 1;
    let sign = |finality: &mut Finality, epoch| {
        let place = finality.header.place();
        let statement = Statement::on(VoteKind::Finalize, epoch, place);
        let preimage = statement.preimage(chain.id());
        finality.finalization = Cert {
            statement,
            signers: first(3),
            signatures: retired().iter().map(|one| one.sign(&preimage)).collect(),
        };
    };
    let mut forged = chain.certified(invented);
    sign(&mut forged, Epoch(2));
    assert!(matches!(
        forged.verify(&present, verifier),
        Err(FinalityError::Cert(CertError::Signature(_)))
    ));
    forged.header.epoch = Epoch(0);
    forged.header.content.validators = chain.set(Epoch(0)).hash();
    sign(&mut forged, Epoch(0));
    let refused = forged.verify(&present, verifier);
    assert_eq!(refused.err(), Some(FinalityError::WrongEpoch));
    // Who still trusts epoch 0 is the one whom they can deceive, and it is told that
    // its trust has become too old.
    let stale = chain.trusted(Epoch(0));
    assert!(forged.verify(&stale, verifier).is_ok());
    let began = stale.root_time().0;
    assert!(stale.is_fresh(TimeMs(began + 1_000), 1_000));
    assert!(!stale.is_fresh(TimeMs(began + 1_001), 1_000));
}

/// A pair of keys of the curve, from any number.
fn pair(number: u8) -> (p256::ecdsa::SigningKey, P256Signer) {
    let entropy = SecretBytes::new([number; 32]);
    let signer = P256Signer::new(&SecretKey::from_entropy(&entropy));
    let key = p256::ecdsa::SigningKey::from_slice(&[number; 32]).unwrap();
    (key, signer)
}

fn printed_transaction(key: &p256::ecdsa::SigningKey) -> printed::Transaction {
    use p256::ecdsa::signature::Signer as _;
    let payload = b"{\"pay\":100}";
    let signature: p256::ecdsa::Signature = key.sign(payload);
    printed::Transaction {
        kind: "payment",
        payload,
        signature: signature.to_der().as_bytes().to_vec(),
    }
}

fn payment(chain: &Chain, signer: &P256Signer) -> Intent {
    Intent {
        chain: chain.id(),
        account: AccountId::of(signer.public_key()),
        lane: Lane(0),
        sequence: Sequence(7),
        valid_until: Height(100),
        operations: vec![Operation::Data {
            kind: Name::new("payment").unwrap(),
            payload: b"{\"pay\":100}"[..].into(),
        }],
    }
}

#[test]
fn flaw_09a_a_signature_is_good_for_one_place_and_one_purpose() {
    let chain = three_epochs();
    let (secret, signer) = pair(1);
    let public = *secret.verifying_key();
    let paid = printed_transaction(&secret);
    assert!(printed::verify_transaction(&paid, &public));
    // Handed in again by anybody, and as something else: the same signature.
    let again = paid.clone();
    assert!(printed::verify_transaction(&again, &public));
    let other = printed::Transaction {
        kind: "key_rotate",
        ..paid
    };
    assert!(printed::verify_transaction(&other, &public));

    let signed = payment(&chain, &signer).sign(&signer);
    let bytes = signed.to_bytes();
    let checked = Transaction::check(&bytes, chain.id(), &P256Verifier).expect("it holds");
    assert_eq!(checked.intent(), signed.intent());
    // Every byte of what surrounds the payload is signed: the place in the lane, the
    // last height, the account, the kind.
    for place in 0..bytes.len() {
        let mut altered = bytes.to_vec();
        altered[place] ^= 1;
        let checked = Transaction::check(&altered.into(), chain.id(), &P256Verifier);
        assert!(checked.is_err(), "byte {place}");
    }
    // The same bytes again name the same operation, and the ledger takes each once
    // (`bad_transactions_are_refused_with_their_reason` in the tests of the ledger).
    let mut later = payment(&chain, &signer);
    later.sequence = Sequence(8);
    assert_ne!(later.ids().next(), signed.intent().ids().next());
}

#[test]
fn flaw_09b_the_key_belongs_to_the_account() {
    let chain = three_epochs();
    let (secret, signer) = pair(1);
    let (thief, thief_signer) = pair(2);
    let mut stolen = printed_transaction(&secret);
    stolen.signature = printed_transaction(&thief).signature;
    // The caller brings the key, so the thief brings its own.
    assert!(printed::verify_transaction(&stolen, thief.verifying_key()));

    // Ours carries the key under the signature, and the account follows from it: the
    // ledger compares both before it executes anything.
    let mine = payment(&chain, &signer);
    let theirs = mine.clone().sign(&thief_signer);
    assert_eq!(theirs.key(), thief_signer.public_key());
    assert_ne!(AccountId::of(theirs.key()), mine.account);
    let honest = mine.sign(&signer);
    let (honest, theirs) = (honest.to_bytes(), theirs.to_bytes());
    // The signature of the one under the key of the other.
    let mut mixed = honest[..honest.len() - 64].to_vec();
    mixed.extend_from_slice(&theirs[theirs.len() - 64..]);
    let refused = Transaction::check(&mixed.into(), chain.id(), &P256Verifier);
    assert_eq!(refused.err(), Some(TxError::BadSignature));
}

#[test]
fn flaw_09c_a_statement_has_one_signature() {
    let (secret, _) = pair(1);
    let paid = printed_transaction(&secret);
    let mirrored = mirror(&paid.signature);
    assert_ne!(mirrored, paid.signature);
    let twin = printed::Transaction {
        signature: mirrored.clone(),
        ..paid.clone()
    };
    // A second document with a name of its own, made without the key.
    assert!(printed::verify_transaction(&paid, secret.verifying_key()));
    assert!(printed::verify_transaction(&twin, secret.verifying_key()));

    let raw = |der: &[u8]| -> [u8; 64] {
        let signature = p256::ecdsa::Signature::from_der(der).unwrap();
        signature.to_bytes().into()
    };
    let read = [&paid.signature, &mirrored].map(|der| Signature::from_bytes(raw(der)));
    let refused = read
        .iter()
        .filter(|one| **one == Err(SignatureError::HighS));
    assert_eq!(refused.count(), 1, "one of the two is no signature");
}

/// `(r, n - s)` for `(r, s)`.
fn mirror(der: &[u8]) -> Vec<u8> {
    let signature = p256::ecdsa::Signature::from_der(der).unwrap();
    let (r, s) = signature.split_scalars();
    let twin = p256::ecdsa::Signature::from_scalars(r, -s).unwrap();
    twin.to_der().as_bytes().to_vec()
}

/// The printed tree over four leaves, and ours over the same four pieces of data.
struct Trees {
    leaves: [Digest; 4],
    printed_root: Digest,
    head: TreeHead,
}

fn trees() -> Trees {
    let data: [&[u8]; 4] = [b"a", b"b", b"c", b"d"];
    let leaves = data.map(sha256);
    let lower = [
        printed::join(&leaves[0], &leaves[1]),
        printed::join(&leaves[2], &leaves[3]),
    ];
    let tree = super::tree_of(data.iter().map(|bytes| LeafHash::of(bytes)));
    Trees {
        leaves,
        printed_root: printed::join(&lower[0], &lower[1]),
        head: TreeHead {
            size: tree.size(),
            root: tree.root(),
        },
    }
}

fn claim(index: u64, path: Vec<Digest>) -> Inclusion {
    Inclusion {
        index: LeafIndex(index),
        size: TreeSize(4),
        path,
    }
}

#[test]
fn flaw_10a_neither_the_root_nor_an_inner_node_is_a_leaf() {
    let trees = trees();
    let root = trees.printed_root;
    assert!(printed::verify_merkle_proof(&root, &[], &root, 0));
    let right = printed::join(&trees.leaves[2], &trees.leaves[3]);
    let left = printed::join(&trees.leaves[0], &trees.leaves[1]);
    assert!(printed::verify_merkle_proof(&root, &[right], &left, 0));
    // So whoever chooses a "leaf" of 64 bytes chooses what stands below it.

    let as_leaf = LeafHash::assume(trees.head.root);
    let refused = claim(0, vec![]).verify(&trees.head, &as_leaf);
    let wrong = |expected, found| Err(MerkleError::WrongLength { expected, found });
    assert_eq!(refused, wrong(2, 0));
    let refused = claim(0, vec![right]).verify(&trees.head, &LeafHash::assume(left));
    assert_eq!(refused, wrong(2, 1));
    // And the bytes of a node hash to something else as a leaf.
    let mut bytes = trees.leaves[0].0.to_vec();
    bytes.extend(trees.leaves[1].0);
    let node = crate::merkle::node_hash(&trees.leaves[0], &trees.leaves[1]);
    assert_ne!(*LeafHash::of(&bytes).digest(), node);
}

#[test]
fn flaw_10b_a_leaf_stands_at_one_place_of_a_tree_of_one_size() {
    let trees = trees();
    let right = printed::join(&trees.leaves[2], &trees.leaves[3]);
    let path = [trees.leaves[1], right];
    for index in [0, 4, 8, 1 << 40] {
        let root = trees.printed_root;
        let leaf = &trees.leaves[0];
        assert!(printed::verify_merkle_proof(&root, &path, leaf, index));
    }

    let data: [&[u8]; 4] = [b"a", b"b", b"c", b"d"];
    let tree = super::tree_of(data.iter().map(|bytes| LeafHash::of(bytes)));
    let good = tree.prove_inclusion(LeafIndex(0), TreeSize(4)).unwrap();
    let leaf = LeafHash::of(b"a");
    assert!(good.verify(&trees.head, &leaf).is_ok());
    for index in [1, 2, 3, 4, 8, 1 << 40] {
        let moved = claim(index, good.path.clone());
        assert!(moved.verify(&trees.head, &leaf).is_err(), "{index}");
    }
    let mut larger = good;
    larger.size = TreeSize(8);
    assert!(matches!(
        larger.verify(&trees.head, &leaf),
        Err(MerkleError::OtherSize { .. })
    ));
}

#[test]
fn flaw_11_whoever_invents_a_log_invents_its_checksum() {
    let entries: Vec<&[u8]> = vec![b"give everything to me", b"and thank me"];
    let invented = LogProof {
        checksum: printed::checksum(&entries),
        entries,
    };
    assert!(printed::verify_log_proof(&invented));
    // Ours: `a_self_made_checksum_proves_nothing` in `forged.rs`. On the ledger: a
    // history that nobody signed, with a root that fits.
    let chain = three_epochs();
    let trusted = chain.trusted(Epoch(0));
    let mut checkpoint = chain.checkpoint(BLOCK);
    assert!(checkpoint.verify(&trusted, &chain.verifier).is_ok());
    let made_up = super::tree_of([b"x", b"y", b"z"].iter().map(|one| LeafHash::of(*one)));
    checkpoint.finality.header.content.history = made_up.root();
    let refused = checkpoint.verify(&trusted, &chain.verifier);
    assert_eq!(refused, Err(FinalityError::OtherStatement.into()));
}

#[test]
fn flaw_12_two_quorums_share_an_honest_validator() {
    // Two of four are "2/3+" by whole numbers: two halves finalise two blocks, and
    // nobody is Byzantine.
    let chain = three_epochs();
    let verifier = &chain.verifier;
    for half in [[0, 1], [2, 3]] {
        let mut proof = printed_proof(&chain, &half.map(|one| key(&chain, one)));
        proof.threshold = printed::two_thirds(4);
        proof.block_hash = chain.made(BLOCK).header.hash();
        assert!(printed::verify_commit_proof(&proof, &anything(), verifier));
        let place = chain.made(BLOCK).header.place();
        let few = chain.cert(Epoch(0), place, &half);
        let refused = verify(&chain, &with(&chain, |cert| *cert = few));
        assert_eq!(refused, Err(CertError::NoQuorum.into()));
    }

    let authority = FakeAuthority::new(3);
    for count in 1..=40 {
        let validators = (0..count).map(|number| {
            let key = *authority.signer(number).public_key();
            Validator {
                node: key.node_id(),
                key,
                power: Power(1),
            }
        });
        let set = ValidatorSet::new(validators.collect()).unwrap();
        let count = u16::try_from(count).unwrap();
        let least = (1..=count).find(|enough| set.is_quorum(first(*enough)));
        let least = usize::from(least.expect("all are enough"));
        // Two of them overlap in more than can be Byzantine; one without those exists.
        let overlap = (2 * least).saturating_sub(set.len());
        assert!(overlap > set.faulty_max(), "{count} validators");
        assert!(least + set.faulty_max() <= set.len(), "{count} validators");
    }
}
