//! What holds, and that no alteration of it does.

use super::{Chain, three_epochs};
use crate::bft::{BlockRef, Epoch, Header, Height, View};
use crate::codec::{Decode, Encode};
use crate::ledger_types::Outcome;
use crate::merkle::{LeafIndex, MerkleError, TreeSize};
use crate::proof::ledger::{
    Checkpoint, Extension, ExtensionError, FinalityError, PastError, Receipt, ReceiptError,
};

/// Each byte of an encoding altered in turn: how many of them are refused, of how
/// many. What is believed is handed to `check`.
fn alter<T: Encode + Decode, P>(
    claim: &T,
    verify: impl Fn(&T) -> Option<P>,
    check: impl Fn(&P),
) -> (usize, usize) {
    let bytes = claim.to_bytes().to_vec();
    let mut refused = 0;
    for place in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[place] ^= 1;
        match T::from_bytes(&altered.into())
            .ok()
            .as_ref()
            .and_then(&verify)
        {
            None => refused += 1,
            Some(proven) => check(&proven),
        }
    }
    (refused, bytes.len())
}

#[test]
fn an_old_block_is_proven_by_the_present_validators_alone() {
    let chain = three_epochs();
    // The client knows the third epoch only; nothing that the first one signed is
    // in the receipt.
    let trusted = chain.trusted(Epoch(2));
    for (old, head) in [(1, 12), (4, 10), (5, 11), (9, 10), (10, 12), (11, 12)] {
        let (old, head) = (Height(old), Height(head));
        let receipt = chain.receipt(old, head);
        let proven = receipt.verify(&trusted, &chain.verifier).expect("it holds");
        assert_eq!(proven.id(), chain.first_id(old));
        assert_eq!(proven.block().header(), &chain.made(old).header);
        assert_eq!(proven.head().header(), &chain.made(head).header);
        assert_eq!(proven.outcome(), Some(Outcome::Done));
    }
    // The direct proof is of no use to this client, and neither is a fresh one to a
    // client that was not told how the epochs handed over.
    let direct = chain.receipt(Height(4), Height(4));
    let refused = direct.verify(&trusted, &chain.verifier);
    assert_eq!(refused, Err(FinalityError::WrongEpoch.into()));
    let mut fresh = chain.receipt(Height(4), Height(12));
    let first = chain.trusted(Epoch(0));
    let refused = fresh.verify(&first, &chain.verifier);
    assert_eq!(refused, Err(FinalityError::WrongEpoch.into()));
    fresh.epochs = alloc::vec![chain.end(Epoch(0)), chain.end(Epoch(1))];
    assert!(fresh.verify(&first, &chain.verifier).is_ok());
}

#[test]
fn no_altered_receipt_under_a_later_block_is_believed() {
    let chain = three_epochs();
    let trusted = chain.trusted(Epoch(2));
    let receipt = chain.receipt(Height(5), Height(12));
    let proven = receipt.verify(&trusted, &chain.verifier).unwrap();
    let verify = |altered: &Receipt| altered.verify(&trusted, &chain.verifier).ok();
    let (refused, all) = alter(&receipt, verify, |other| assert_eq!(*other, proven));
    assert_eq!(refused, all);
}

#[test]
fn the_outcome_of_the_last_block_of_an_epoch_is_proven_by_the_next_epoch() {
    let chain = three_epochs();
    let first = chain.trusted(Epoch(0));
    let mut receipt = chain.receipt(Height(5), Height(6));
    receipt.epochs = alloc::vec![chain.end(Epoch(0))];
    let proven = receipt.verify(&first, &chain.verifier).expect("it holds");
    assert!(proven.block().header().content.ends_epoch);
    assert_eq!(proven.head().header().epoch, Epoch(1));
    assert_eq!(proven.outcome(), Some(Outcome::Done));
    // Another block than the child says nothing about it.
    let mut other = chain.receipt(Height(5), Height(7));
    other.epochs.clone_from(&receipt.epochs);
    assert!(other.verify(&first, &chain.verifier).is_ok());
    other.outcome.as_mut().unwrap().child = None;
    let refused = other.verify(&first, &chain.verifier);
    assert_eq!(refused, Err(ReceiptError::Outcome));
}

#[test]
fn an_earlier_block_stands_at_its_own_height_of_the_same_ledger() {
    let chain = three_epochs();
    let trusted = chain.trusted(Epoch(2));
    let head = chain.finality(Height(12));
    let head = head.verify(&trusted, &chain.verifier).unwrap();
    let good = chain.past(Height(3), Height(12));
    assert!(good.verify(&head).is_ok());

    let mut other = good.clone();
    other.header.chain.0 ^= 1;
    assert_eq!(other.verify(&head), Err(PastError::WrongChain));
    let mut other = good.clone();
    other.inclusion.index = LeafIndex(4);
    assert_eq!(other.verify(&head), Err(PastError::WrongHeight));
    let mut other = good.clone();
    other.header.content.items_root.0[0] ^= 1;
    let refused = other.verify(&head);
    assert_eq!(refused, Err(MerkleError::RootMismatch.into()));
    // A tree of another size than the one that the head names.
    let other = chain.past(Height(3), Height(11));
    assert!(matches!(
        other.verify(&head),
        Err(PastError::Merkle(MerkleError::OtherSize { .. }))
    ));
    // A block that comes later is not in the history of an earlier one.
    let head = chain.finality(Height(10));
    let head = head.verify(&trusted, &chain.verifier).unwrap();
    let later = chain.past(Height(11), Height(12));
    assert!(later.verify(&head).is_err());
}

#[test]
fn every_history_continues_every_older_one() {
    let chain = three_epochs();
    let trusted = chain.trusted(Epoch(2));
    for new in 10..=12 {
        for old in 1..=new {
            let extension = chain.extension(Height(old), Height(new));
            let proven = extension.verify(&trusted, &chain.verifier).expect("holds");
            assert_eq!(*proven.old(), chain.head_before(Height(old)));
            let head = chain.head_before(Height(new));
            assert_eq!(proven.history().head(), head);
        }
    }
}

#[test]
fn no_altered_extension_is_believed() {
    let chain = three_epochs();
    let trusted = chain.trusted(Epoch(2));
    for old in [3, 8, 12] {
        let extension = chain.extension(Height(old), Height(12));
        let proven = extension.verify(&trusted, &chain.verifier).unwrap();
        let verify = |altered: &Extension| altered.verify(&trusted, &chain.verifier).ok();
        let (refused, all) = alter(&extension, verify, |other| assert_eq!(*other, proven));
        assert_eq!(refused, all, "from {old}");
    }
    // A history that was rewritten: the same size, another root.
    let mut rewritten = chain.extension(Height(6), Height(12));
    rewritten.old.root = chain.head_before(Height(7)).root;
    let refused = rewritten.verify(&trusted, &chain.verifier);
    assert_eq!(
        refused,
        Err(ExtensionError::Consistency(MerkleError::OldRootMismatch))
    );
    // An older history that is longer.
    let mut shrunk = chain.extension(Height(6), Height(10));
    shrunk.old = chain.head_before(Height(12));
    shrunk.consistency.old = TreeSize(12);
    let refused = shrunk.verify(&trusted, &chain.verifier);
    assert!(matches!(
        refused,
        Err(ExtensionError::Consistency(MerkleError::Shrinks { .. }))
    ));
}

/// The block that only helps to finalise the last one of an epoch is signed by a
/// quorum, and says the history of its parent. Believed, its height would make two
/// histories of one size.
#[test]
fn a_block_behind_the_end_of_an_epoch_is_no_block_of_the_ledger() {
    let chain = three_epochs();
    let trusted = chain.trusted(Epoch(0));
    let last = chain.made(Height(5)).header;
    let tail = behind(&last);
    let checkpoint = Checkpoint {
        epochs: alloc::vec::Vec::new(),
        finality: chain.certified(tail),
    };
    let refused = checkpoint.verify(&trusted, &chain.verifier);
    assert_eq!(refused, Err(FinalityError::WrongValidators.into()));
    // It does what it is for.
    let mut finality = chain.certified(last);
    finality.path = alloc::vec![tail];
    finality.finalization = chain.cert(Epoch(0), tail.place(), &[0, 1, 2]);
    let proven = finality.verify(&trusted, &chain.verifier).expect("holds");
    assert_eq!(*proven.header(), last);
    assert_eq!(true_child(&chain), tail.height);
}

fn behind(last: &Header) -> Header {
    let BlockRef { view, height, hash } = last.place();
    Header {
        height: height.next(),
        view: View(view.0 + 1),
        parent: hash,
        parent_view: view,
        content: last.content.epoch_closing(),
        ..*last
    }
}

/// The height of the first block of the next epoch.
fn true_child(chain: &Chain) -> Height {
    let first = chain.blocks.iter();
    let mut first = first.filter(|made| made.header.epoch == Epoch(1));
    first.next().unwrap().header.height
}
