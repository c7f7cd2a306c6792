//! The encoding of everything that validators say, sign and store: it comes back
//! as it was, there is one encoding of each value, and no bytes do any harm.

extern crate std;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, RngAlgorithm, TestRng, TestRunner};

use super::solo::Keys;
use crate::bft::*;
use crate::codec::{Decode, Encode};
use crate::crypto::{ChainId, Digest, Signature};
use crate::limits::PROPOSAL_SKIPS_MAX;

/// Cases of each law. The seed is fixed, so each run tries the same.
const CASES: u32 = 300;

fn check<S: Strategy>(strategy: S, law: impl Fn(S::Value)) {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let cases = Cases {
        cases: CASES,
        failure_persistence: None,
        ..Cases::default()
    };
    let outcome = TestRunner::new_with_rng(cases, rng).run(&strategy, |value| {
        law(value);
        Ok(())
    });
    outcome.unwrap();
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn place() -> impl Strategy<Value = BlockRef> {
    (1_u64.., any::<u64>(), digest()).prop_map(|(view, height, hash)| BlockRef {
        view: View(view),
        height: Height(height),
        hash,
    })
}

fn statement() -> impl Strategy<Value = Statement> {
    (0_usize..3, any::<u64>(), place()).prop_map(|(kind, epoch, block)| match VoteKind::ALL[kind] {
        VoteKind::Nullify => Statement::nullify(Epoch(epoch), block.view),
        kind => Statement::on(kind, Epoch(epoch), block),
    })
}

/// Both halves have to be in range: a small first byte sees to it.
fn signature() -> impl Strategy<Value = Signature> {
    any::<([u8; 32], [u8; 32])>().prop_map(|halves| {
        let mut bytes = [0; 64];
        for (half, drawn) in bytes.chunks_exact_mut(32).zip([halves.0, halves.1]) {
            half.copy_from_slice(&drawn);
            half[0] = half[0] & 0x3f | 0x20;
        }
        Signature::from_bytes(bytes).unwrap()
    })
}

fn vote() -> impl Strategy<Value = Vote> {
    (statement(), any::<u16>(), signature()).prop_map(|(statement, signer, signature)| Vote {
        statement,
        signer: ValidatorIndex(signer),
        signature,
    })
}

fn cert() -> impl Strategy<Value = Cert> {
    let signatures = prop::collection::btree_map(0_u16..128, signature(), 0..8);
    (statement(), signatures).prop_map(|(statement, signed)| Cert {
        statement,
        signers: signed.keys().copied().map(ValidatorIndex).collect(),
        signatures: signed.into_values().collect(),
    })
}

fn items() -> impl Strategy<Value = Vec<Bytes>> {
    let item = prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
    prop::collection::vec(item, 0..5)
}

fn block() -> impl Strategy<Value = Block> {
    let numbers = any::<(u128, u64, u64, u64, u16, u64, bool)>();
    let digests = prop::array::uniform6(digest());
    (numbers, digests, place(), items()).prop_map(|(numbers, digests, parent, items)| {
        let (chain, epoch, height, view, proposer, time_ms, ends_epoch) = numbers;
        let content = Commitments {
            time_ms,
            parent_state: digests[0],
            parent_receipts: digests[1],
            history: digests[2],
            validators: digests[3],
            next_validators: digests[4],
            ends_epoch,
            ..Commitments::to_items(&items)
        };
        let header = Header {
            chain: ChainId(chain),
            epoch: Epoch(epoch),
            height: Height(height),
            view: View(view),
            parent: digests[5],
            parent_view: parent.view,
            proposer: ValidatorIndex(proposer),
            content,
        };
        Block::new(header, items).expect("its own commitments")
    })
}

fn proposal() -> impl Strategy<Value = Message> {
    let skips = prop::collection::vec(cert(), 0..=PROPOSAL_SKIPS_MAX);
    let parts = (block(), prop::option::of(cert()), skips, vote());
    parts.prop_map(|(block, parent, skips, vote)| {
        Message::Proposal(Box::new(Proposal {
            block,
            parent,
            skips,
            vote,
        }))
    })
}

fn status() -> impl Strategy<Value = Message> {
    let certs = (prop::option::of(cert()), prop::option::of(cert()));
    (any::<(u64, u64)>(), certs).prop_map(|((epoch, view), (entered_by, finalization))| {
        Message::Status(Box::new(Status {
            epoch: Epoch(epoch),
            view: View(view),
            entered_by,
            finalization,
        }))
    })
}

fn final_blocks() -> impl Strategy<Value = Message> {
    let blocks = prop::collection::vec(block(), 1..4);
    let path = prop::collection::vec(block().prop_map(|block| *block.header()), 0..3);
    (blocks, path, cert()).prop_map(|(blocks, path, finalization)| {
        Message::Blocks(Box::new(FinalBlocks {
            blocks,
            path,
            finalization,
        }))
    })
}

/// Every kind of message.
fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        proposal(),
        vote().prop_map(Message::Vote),
        cert().prop_map(|cert| Message::Cert(Box::new(cert))),
        status(),
        Just(Message::AskStatus),
        any::<(u64, u64)>().prop_map(|(epoch, view)| Message::AskCerts {
            epoch: Epoch(epoch),
            view: View(view)
        }),
        digest().prop_map(|hash| Message::AskBlock { hash }),
        block().prop_map(|block| Message::Block(Box::new(block))),
        any::<u64>().prop_map(|from| Message::AskBlocks { from: Height(from) }),
        final_blocks(),
    ]
}

/// Two votes that contradict each other.
fn evidence() -> impl Strategy<Value = Evidence> {
    (vote(), digest(), signature()).prop_map(|(vote, hash, signature)| {
        let mut other = Vote { signature, ..vote };
        if other.statement.kind == VoteKind::Nullify {
            other.statement.kind = VoteKind::Finalize;
        }
        other.statement.block.hash = hash;
        Evidence::of(vote, other).expect("another block, or given up and finalised")
    })
}

/// It comes back, alone and not with anything behind it.
fn returns<T: Encode + Decode + PartialEq + core::fmt::Debug>(value: &T) {
    let bytes = value.to_bytes();
    assert_eq!(T::from_bytes(&bytes).as_ref(), Ok(value));
    let mut longer = bytes.to_vec();
    longer.push(0);
    assert!(T::from_slice(&longer).is_err(), "bytes behind the value");
    for end in 0..bytes.len() {
        assert!(T::from_slice(&bytes[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn everything_comes_back_as_it_was() {
    check(message(), |value| returns(&value));
    check(vote(), |value| returns(&value));
    check(cert(), |value| returns(&value));
    check(block(), |value| returns(&value));
    check(block(), |value| returns(value.header()));
    check(evidence(), |value| returns(&value));
    for count in [1, 4, 7, 128] {
        returns(&*Keys::new(&vec![3; count]).epoch.validators);
    }
    std::println!("bft codec: {} values came back", 6 * CASES + 4);
}

/// What these bytes are taken for, if for anything, is written as these bytes.
fn is_canonical<T: Encode + Decode>(bytes: &[u8]) -> bool {
    let Ok(value) = T::from_slice(bytes) else {
        return false;
    };
    assert_eq!(value.to_bytes(), bytes, "a second encoding of one value");
    true
}

/// Every decoder on the same bytes; how many took them.
fn decode_as_all(bytes: &[u8]) -> usize {
    let taken = [
        is_canonical::<Message>(bytes),
        is_canonical::<Vote>(bytes),
        is_canonical::<Statement>(bytes),
        is_canonical::<Cert>(bytes),
        is_canonical::<Block>(bytes),
        is_canonical::<Header>(bytes),
        is_canonical::<Evidence>(bytes),
        is_canonical::<Proposal>(bytes),
        is_canonical::<Status>(bytes),
        is_canonical::<FinalBlocks>(bytes),
        is_canonical::<ValidatorSet>(bytes),
    ];
    taken.into_iter().filter(|taken| *taken).count()
}

#[test]
fn arbitrary_bytes_do_no_harm() {
    let mut tried = 0;
    for tag in 0..=12_u8 {
        check(prop::collection::vec(any::<u8>(), 0..600), |mut bytes| {
            decode_as_all(&bytes);
            bytes.insert(0, tag);
            decode_as_all(&bytes);
        });
        tried += 2 * CASES;
    }
    std::println!("bft codec: {tried} arbitrary inputs to 11 decoders");
}

/// Flips a bit, cuts, doubles, or writes an extreme length.
fn damage(bytes: &mut Vec<u8>, how: u8, at: usize, with: u8) {
    let at = at % bytes.len().max(1);
    match how % 6 {
        0 => bytes[at] ^= 1 << (with % 8),
        1 => bytes[at] = with,
        2 => bytes.truncate(at),
        3 => bytes.insert(at, with),
        4 => drop(bytes.drain(at..(at + usize::from(with)).min(bytes.len()))),
        _ => {
            let end = (at + 4).min(bytes.len());
            bytes[at..end].fill(if with < 128 { 0xff } else { 0 });
        }
    }
}

#[test]
fn damaged_messages_are_refused_or_have_one_encoding() {
    let taken = core::cell::Cell::new(0);
    let damages = prop::collection::vec(any::<(u8, usize, u8)>(), 1..4);
    for tag in 0..10_u8 {
        check((message(), damages.clone()), |(message, damages)| {
            let mut bytes = message.to_bytes().to_vec();
            for (how, at, with) in damages {
                if !bytes.is_empty() {
                    damage(&mut bytes, how, at, with);
                }
            }
            taken.set(taken.get() + decode_as_all(&bytes));
            // The same under another tag.
            if let Some(first) = bytes.first_mut() {
                *first = tag;
            }
            taken.set(taken.get() + decode_as_all(&bytes));
        });
    }
    let tried = 20 * CASES;
    std::println!(
        "bft codec: {tried} damaged messages, {} of them taken",
        taken.get()
    );
    assert!(taken.get() > 0, "some damage leaves another message");
}

#[test]
fn damaged_evidence_convicts_of_one_thing_or_is_refused() {
    let damages = (evidence(), any::<(u8, usize, u8)>());
    check(damages, |(evidence, (how, at, with))| {
        let mut bytes = evidence.to_bytes().to_vec();
        let [first, second] = evidence.votes();
        let turned = [second.to_bytes(), first.to_bytes()].concat();
        if first.statement != second.statement {
            assert!(Evidence::from_slice(&turned).is_err(), "one order");
        }
        let twice = [first.to_bytes(), first.to_bytes()].concat();
        assert!(Evidence::from_slice(&twice).is_err(), "one vote twice");
        damage(&mut bytes, how, at, with);
        is_canonical::<Evidence>(&bytes);
    });
    std::println!("bft codec: {CASES} damaged evidence");
}
