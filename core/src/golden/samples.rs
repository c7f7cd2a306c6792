//! Values that the samples of several folders are made of. No two fields of one
//! value are equal, and no number is the same in another order or width, so that an
//! exchange of fields shows.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;

use crate::bft::{
    Block, BlockRef, Cert, Commitments, Epoch, Header, Height, Power, Signers, Statement,
    Validator, ValidatorIndex, ValidatorSet, View, Vote, VoteKind,
};
use crate::crypto::fake::{FakeAuthority, FakeSigner};
use crate::crypto::{ChainId, Digest, PublicKey, Signature, Signer as _};
use crate::merkle::{Frontier, Inclusion, LeafHash, LeafIndex, TreeSize};
use crate::proof::ledger::{EpochEnd, Finality, Past};
use crate::proof::{AppliedLog, HeadSignature, LogHead, SignedHead};
use crate::raft::{Base, Entry, EntryKind, Membership, chain};
use crate::types::{Chain, ClusterId, Index, LogId, ModuleId, NodeId, Term};

/// Bytes that count up from the first one.
pub(crate) fn counted<const N: usize>(first: u8) -> [u8; N] {
    let mut next = first;
    [(); N].map(|()| {
        let byte = next;
        next = next.wrapping_add(1);
        byte
    })
}

pub(crate) fn number(first: u8) -> u64 {
    u64::from_be_bytes(counted(first))
}

pub(crate) fn small(first: u8) -> u32 {
    u32::from_be_bytes(counted(first))
}

pub(crate) fn tiny(first: u8) -> u16 {
    u16::from_be_bytes(counted(first))
}

pub(crate) fn wide(first: u8) -> u128 {
    u128::from_be_bytes(counted(first))
}

pub(crate) fn module() -> ModuleId {
    ModuleId::new(0x23).expect("below the limit")
}

pub(crate) fn digest(first: u8) -> Digest {
    Digest(counted(first))
}

/// Both halves are in range as long as the first byte is small.
pub(crate) fn signature(first: u8) -> Signature {
    assert!((1..0x40).contains(&first), "a half above its bound");
    Signature::from_bytes(counted(first)).expect("in range")
}

pub(crate) fn signer(place: u64) -> FakeSigner {
    FakeAuthority::new(number(1)).signer(place)
}

pub(crate) fn key(place: u64) -> PublicKey {
    *signer(place).public_key()
}

pub(crate) fn node(first: u8) -> NodeId {
    NodeId(wide(first))
}

pub(crate) fn cluster(first: u8) -> ClusterId {
    ClusterId(wide(first))
}

pub(crate) fn log_id(first: u8) -> LogId {
    LogId::new(Term(number(first)), Index(number(first.wrapping_add(0x10))))
}

pub(crate) fn blob(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

/// A joint one, in which a voter becomes a learner.
pub(crate) fn membership() -> Membership {
    Membership {
        voters: vec![node(0x11), node(0x12)],
        outgoing: vec![node(0x11), node(0x13), node(0x14)],
        learners: vec![node(0x14)],
    }
}

pub(crate) fn base() -> Base {
    Base {
        id: log_id(0x21),
        chain: Chain(counted(0x31)),
        membership: membership(),
    }
}

/// Entries of each kind behind a position, with the checksums that they must have.
pub(crate) fn entries() -> (LogId, Chain, Vec<Entry>) {
    let (term, index) = (number(1), number(0x21));
    let first = LogId::new(Term(term), Index(index));
    let kinds = [
        (EntryKind::Noop, ""),
        (EntryKind::Membership, "membership"),
        (EntryKind::App, "command"),
    ];
    let start = Chain(counted(0x41));
    let mut chain = start;
    let mut list = Vec::new();
    for (place, (kind, data)) in (1..).zip(kinds) {
        let id = LogId::new(Term(term + place), Index(index + place));
        let entry = chain::seal(cluster(0x51), chain, id, kind, blob(data));
        chain = entry.chain;
        list.push(entry);
    }
    (first, start, list)
}

/// The sum of a short log.
pub(crate) fn applied_log() -> AppliedLog {
    let of = cluster(0x51);
    let mut log = AppliedLog::new(of);
    let mut chain = chain::EMPTY;
    let kinds = [EntryKind::Noop, EntryKind::Membership, EntryKind::App];
    for (index, kind) in (1..).zip(kinds) {
        let id = LogId::new(Term(number(1)), Index(index));
        let entry = chain::seal(of, chain, id, kind, blob("data"));
        log.apply(&entry).expect("the next one");
        chain = entry.chain;
    }
    log
}

pub(crate) fn log_head() -> LogHead {
    LogHead {
        cluster: cluster(0x01),
        membership_epoch: Index(number(0x11)),
        size: Index(number(0x21)),
        root: digest(0x31),
        commit_term: Term(number(0x51)),
    }
}

pub(crate) fn signed_head() -> SignedHead {
    let signed = [(0x01, 0x02), (0x12, 0x13)];
    let signed = signed.map(|(first, second)| HeadSignature {
        node: node(first),
        signature: signature(second),
    });
    SignedHead::new(log_head(), signed.to_vec())
}

pub(crate) fn frontier() -> Frontier {
    let mut frontier = Frontier::new();
    for first in [1, 2, 3] {
        frontier.append(LeafHash::assume(digest(first)));
    }
    frontier
}

pub(crate) fn inclusion() -> Inclusion {
    Inclusion {
        index: LeafIndex(number(0x01)),
        size: TreeSize(number(0x11)),
        path: vec![digest(0x21), digest(0x22)],
    }
}

pub(crate) fn place() -> BlockRef {
    BlockRef {
        view: View(number(0x01)),
        height: Height(number(0x11)),
        hash: digest(0x21),
    }
}

pub(crate) fn statement(kind: VoteKind) -> Statement {
    let epoch = Epoch(number(0x61));
    match kind {
        VoteKind::Nullify => Statement::nullify(epoch, place().view),
        VoteKind::Notarize | VoteKind::Finalize => Statement::on(kind, epoch, place()),
    }
}

pub(crate) fn vote(kind: VoteKind) -> Vote {
    Vote {
        statement: statement(kind),
        signer: ValidatorIndex(tiny(0x71)),
        signature: signature(0x05),
    }
}

pub(crate) fn cert(kind: VoteKind) -> Cert {
    let signers = [2, 77].map(ValidatorIndex);
    Cert {
        statement: statement(kind),
        signers: signers.into_iter().collect::<Signers>(),
        signatures: vec![signature(0x06), signature(0x07)],
    }
}

/// A header over these transactions.
pub(crate) fn header_over(items: &[Bytes]) -> Header {
    Header {
        chain: ChainId(wide(0x01)),
        epoch: Epoch(number(0x11)),
        height: Height(number(0x21)),
        view: View(number(0x31)),
        parent: digest(0x41),
        parent_view: View(number(0x51)),
        proposer: ValidatorIndex(tiny(0x61)),
        content: Commitments {
            time_ms: number(0x71),
            parent_state: digest(0x81),
            parent_receipts: digest(0x91),
            history: digest(0xa1),
            validators: digest(0xb1),
            next_validators: digest(0xc1),
            ends_epoch: true,
            ..Commitments::to_items(items)
        },
    }
}

pub(crate) fn header() -> Header {
    header_over(&items())
}

pub(crate) fn items() -> Vec<Bytes> {
    vec![blob("first"), blob(""), blob("third")]
}

pub(crate) fn block() -> Block {
    Block::new(header(), items()).expect("its own commitments")
}

pub(crate) fn validators() -> ValidatorSet {
    validators_of(0..3)
}

/// The set of the signers with these places.
pub(crate) fn validators_of(places: Range<u64>) -> ValidatorSet {
    let of = |place: u64| Validator {
        node: key(place).node_id(),
        key: key(place),
        power: Power(number(0x11) + place),
    };
    ValidatorSet::new(places.map(of).collect()).expect("a set")
}

pub(crate) fn finality() -> Finality {
    Finality {
        header: header(),
        path: vec![header_over(&[]), header_over(&[blob("item")])],
        finalization: cert(VoteKind::Finalize),
    }
}

pub(crate) fn epoch_end() -> EpochEnd {
    EpochEnd {
        finality: finality(),
        next: validators(),
    }
}

pub(crate) fn past() -> Past {
    Past {
        header: header_over(&[blob("past")]),
        inclusion: inclusion(),
    }
}
