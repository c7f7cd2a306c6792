//! What each operation does, and which transactions have no place in a block.

use alloc::vec;
use alloc::vec::Vec;

use super::cluster::note;
use crate::bft::{
    BlockRef, Epoch, Evidence, Height, Statement, ValidatorIndex, View, Vote, VoteKind,
};
use crate::codec::Encode as _;
use crate::crypto::fake::{FakeAuthority, FakeSigner};
use crate::crypto::{ChainId, SharedVerifier, Signer as _, sha256};
use crate::ledger::execution::executor::{BlockExecutor, Executed, Place, ends_epoch};
use crate::ledger::*;
use crate::types::ClusterId;

/// A ledger of four validators, numbers 0 to 3, whose blocks are made by hand.
struct Chain {
    authority: FakeAuthority,
    id: ChainId,
    ledger_state: LedgerState,
    height: Height,
}

impl Chain {
    fn new() -> Self {
        Self::with(Params::default())
    }

    fn with(params: Params) -> Self {
        let authority = FakeAuthority::new(7);
        let members = (0..4).map(|number| {
            let key = *authority.signer(number).public_key();
            Member::new(key.node_id(), key, ClusterId(number.into()), 1)
        });
        let genesis = Genesis {
            name: "by hand".into(),
            time: TimeMs(1),
            params,
            members: members.collect(),
        };
        Self {
            id: genesis.chain(),
            ledger_state: LedgerState::genesis(&genesis).unwrap(),
            authority,
            height: Height(0),
        }
    }

    fn signer(&self, number: u64) -> FakeSigner {
        self.authority.signer(number)
    }

    fn account(&self, number: u64) -> AccountId {
        AccountId::of(self.signer(number).public_key())
    }

    fn intent(&self, number: u64, sequence: u64, operations: Vec<Operation>) -> Intent {
        Intent {
            chain: self.id,
            account: self.account(number),
            lane: Lane(0),
            sequence: Sequence(sequence),
            valid_until: Height(1_000),
            operations,
        }
    }

    fn check(&self, transaction: &Transaction) -> Result<Checked, TxError> {
        Transaction::check(&transaction.to_bytes(), self.id, &self.authority.verifier())
    }

    fn sign(&self, intent: Intent, number: u64) -> Checked {
        self.check(&intent.sign(&self.signer(number))).unwrap()
    }

    /// Makes a block of these transactions: whether each was taken, and how all
    /// operations ended.
    fn block(&mut self, list: &[Checked]) -> (Vec<Result<(), Invalid>>, Vec<Outcome>) {
        self.height = self.height.next();
        let ledger_state = self.ledger_state.clone();
        let place = Place {
            chain: self.id,
            height: self.height,
            verifier: SharedVerifier::new(self.authority.verifier()),
        };
        let ends = ends_epoch(&ledger_state, self.height);
        let mut executor = BlockExecutor::new(&ledger_state, place);
        let taken = list.iter().map(|one| executor.take(one)).collect();
        let Executed {
            ledger_state,
            results,
            ..
        } = executor.finish(ends);
        // What was decoded once is what the map says.
        let read = LedgerState::of(ledger_state.tree().clone()).unwrap();
        assert_eq!(ledger_state.rules(), read.rules());
        self.ledger_state = ledger_state;
        (taken, results.iter().map(|result| result.outcome).collect())
    }

    /// One operation of an account, in a block of its own.
    fn run(&mut self, number: u64, operation: Operation) -> Outcome {
        let account = self.ledger_state.account(&self.account(number));
        let next = account.map_or(0, |account| account.next(Lane(0)).0);
        let signed = self.sign(self.intent(number, next, vec![operation]), number);
        let (taken, outcomes) = self.block(&[signed]);
        assert_eq!(taken, [Ok(())]);
        outcomes[0]
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn snapshot(id: &str) -> Operation {
    Operation::SnapshotCreate(SnapshotRecord {
        id: name(id),
        manifest: sha256(id.as_bytes()),
        bytes: 1,
        segments: 1,
    })
}

#[test]
fn snapshots_belong_to_who_registered_them() {
    let mut chain = Chain::new();
    assert_eq!(chain.run(10, snapshot("a/s")), Outcome::Done);
    let entry = chain.ledger_state.snapshot(&name("a/s")).unwrap();
    assert_eq!(
        (entry.account, entry.height),
        (chain.account(10), Height(1))
    );
    assert_eq!(chain.run(11, snapshot("a/s")), Outcome::Exists);
    let delete = Operation::SnapshotDelete { id: name("a/s") };
    assert_eq!(chain.run(11, delete.clone()), Outcome::NotOwner);
    assert_eq!(chain.run(10, delete.clone()), Outcome::Done);
    assert_eq!(chain.run(10, delete), Outcome::NotFound);
    assert_eq!(chain.run(11, snapshot("a/s")), Outcome::Done);
}

#[test]
fn images_are_moved_on_by_their_owner_alone() {
    let mut chain = Chain::new();
    let image = |text: &str| Operation::ImageRegister {
        name: name("app"),
        digest: sha256(text.as_bytes()),
    };
    assert_eq!(chain.run(10, image("1")), Outcome::Done);
    assert_eq!(chain.run(11, image("x")), Outcome::NotOwner);
    assert_eq!(chain.run(10, image("2")), Outcome::Done);
    assert_eq!(
        chain.ledger_state.image(&name("app")).unwrap().digest,
        sha256(b"2")
    );
}

#[test]
fn an_account_goes_on_with_its_new_key() {
    let mut chain = Chain::new();
    let (id, new) = (chain.account(10), chain.signer(11));
    let key = *new.public_key();
    let preimage = KeyProof::preimage(chain.id, KeyOwner::Account(id), &key);
    let signature = new.sign(&preimage);
    let rotate = Operation::KeyRotate(KeyProof { key, signature });
    assert_eq!(chain.run(10, rotate.clone()), Outcome::Done);
    let old = chain.sign(chain.intent(10, 1, vec![note("old")]), 10);
    let with_new = chain.sign(chain.intent(10, 1, vec![note("new")]), 11);
    let (taken, _) = chain.block(&[old, with_new]);
    assert_eq!(taken, [Err(Invalid::WrongKey), Ok(())]);
    // The consent was for that account: another one cannot use it.
    let stolen = chain.intent(12, 0, vec![rotate]).sign(&chain.signer(12));
    assert_eq!(chain.check(&stolen), Err(TxError::BadKeyProof));
}

#[test]
fn a_lane_is_a_strict_sequence() {
    let mut chain = Chain::new();
    let at = |chain: &Chain, sequence| chain.sign(chain.intent(10, sequence, vec![note("n")]), 10);
    let bundle = chain.sign(chain.intent(10, 1, vec![note("1"), note("2")]), 10);
    let list = [
        at(&chain, 1),
        at(&chain, 0),
        bundle,
        at(&chain, 2),
        at(&chain, 3),
        at(&chain, 3),
    ];
    let (taken, outcomes) = chain.block(&list);
    let expected = [
        Err(Invalid::Gap(1, 0)),
        Ok(()),
        Ok(()),
        Err(Invalid::Used(2, 3)),
        Ok(()),
        Err(Invalid::Used(3, 4)),
    ];
    assert_eq!(taken, expected);
    assert_eq!(outcomes.len(), 4);
    let late = Intent {
        valid_until: Height(1),
        ..chain.intent(10, 4, vec![note("late")])
    };
    let late = chain.sign(late, 10);
    assert_eq!(chain.block(&[late]).0, [Err(Invalid::Expired(Height(1)))]);
    let lanes: Vec<Checked> = (1..=16)
        .map(|lane| Intent {
            lane: Lane(lane),
            ..chain.intent(10, 0, vec![note("l")])
        })
        .map(|intent| chain.sign(intent, 10))
        .collect();
    let (taken, _) = chain.block(&lanes);
    assert_eq!(taken[14], Ok(()), "lane 0 and fifteen more");
    assert_eq!(taken[15], Err(Invalid::Lanes));
}

#[test]
fn blocks_and_accounts_have_their_bounds() {
    let mut params = Params::default();
    params.set(Param::AccountOps, 1_000).unwrap();
    params.set(Param::NewAccounts, 2).unwrap();
    params.set(Param::BlockItems, 5).unwrap();
    params.set(Param::EpochBlocks, 3).unwrap();
    let mut chain = Chain::with(params);
    let bundles: Vec<Checked> = (0..4)
        .map(|place| chain.intent(10, place * 256, vec![note("n"); 256]))
        .map(|intent| chain.sign(intent, 10))
        .collect();
    let others = (11..14).map(|number| {
        chain
            .intent(number, 0, vec![note("o")])
            .sign(&chain.signer(number))
    });
    let others: Vec<Checked> = others.map(|one| chain.check(&one).unwrap()).collect();
    let (taken, _) = chain.block(&[&bundles[..], &others[..]].concat());
    assert_eq!(taken[..4], [Ok(()), Ok(()), Ok(()), Err(Invalid::Quota)]);
    assert_eq!(
        taken[4..],
        [Ok(()), Err(Invalid::NewAccounts), Err(Invalid::NewAccounts)]
    );
    assert_eq!(chain.block(&bundles[3..]).0, [Err(Invalid::Quota)]);
    chain.block(&[]);
    assert_eq!(chain.ledger_state.epoch().epoch, Epoch(1));
    assert_eq!(
        chain.block(&bundles[3..]).0,
        [Ok(())],
        "a new epoch, a new share"
    );
    let many: Vec<Checked> = (1..8)
        .map(|sequence| chain.intent(11, sequence, vec![note("m")]))
        .map(|intent| chain.sign(intent, 11))
        .collect();
    let (taken, _) = chain.block(&many);
    assert_eq!(taken.iter().filter(|one| one.is_ok()).count(), 5);
    assert_eq!(taken[5], Err(Invalid::Full));
}

#[test]
fn validators_decide_by_saying_the_same() {
    let mut chain = Chain::new();
    let change = |value| Operation::Param {
        param: Param::EpochBlocks,
        value,
    };
    assert_eq!(chain.run(10, change(9)), Outcome::NotValidator);
    assert_eq!(chain.run(0, change(1)), Outcome::OutOfBounds);
    assert_eq!(chain.run(0, change(9)), Outcome::Approved);
    assert_eq!(chain.run(0, change(9)), Outcome::Approved, "one voice each");
    assert_eq!(
        chain.run(1, change(8)),
        Outcome::Approved,
        "that is another one"
    );
    assert_eq!(chain.run(1, change(9)), Outcome::Approved);
    assert_eq!(chain.ledger_state.proposals().len(), 2);
    assert_eq!(chain.run(2, change(9)), Outcome::Done);
    assert_eq!(chain.ledger_state.params().get(Param::EpochBlocks), 9);
    assert_eq!(chain.ledger_state.proposals().len(), 1);

    let members = chain.ledger_state.members().to_vec();
    let remove = |node| Operation::Validator(ValidatorChange::Remove { node });
    assert_eq!(
        chain.run(0, remove(chain.signer(20).public_key().node_id())),
        Outcome::NotFound
    );
    let leaves = chain.signer(3).public_key().node_id();
    for number in 0..3 {
        chain.run(number, remove(leaves));
    }
    assert_eq!(chain.ledger_state.members().len(), members.len() - 1);
    assert!(ends_epoch(&chain.ledger_state, chain.height.next()));
    chain.block(&[]);
    assert_eq!(chain.ledger_state.epoch().set().len(), 3);
    assert_eq!(
        chain.run(3, change(7)),
        Outcome::NotValidator,
        "it has left"
    );
}

#[test]
fn who_equivocates_is_convicted_once_and_votes_no_more() {
    let mut chain = Chain::new();
    let key = *chain.signer(2).public_key();
    let place = chain
        .ledger_state
        .epoch()
        .set()
        .index_of(key.node_id())
        .unwrap();
    let vote = |chain: &Chain, number: u64, text: &str| {
        let block = BlockRef {
            view: View(5),
            height: Height(3),
            hash: sha256(text.as_bytes()),
        };
        let statement = Statement::on(VoteKind::Notarize, Epoch(0), block);
        Vote {
            statement,
            signer: place,
            signature: chain.signer(number).sign(&statement.preimage(chain.id)),
        }
    };
    let report = |one: Vote, other: Vote| {
        let evidence = Evidence::of(one, other).expect("they differ");
        Operation::Evidence(alloc::boxed::Box::new(evidence))
    };
    let forged = report(vote(&chain, 2, "a"), vote(&chain, 9, "b"));
    assert_eq!(chain.run(10, forged), Outcome::NotProven);
    let mut later = vote(&chain, 2, "a");
    later.statement.epoch = Epoch(4);
    let mut other = vote(&chain, 2, "b");
    other.statement.epoch = Epoch(4);
    assert_eq!(chain.run(10, report(later, other)), Outcome::NotProven);
    let mut last = [vote(&chain, 2, "a"), vote(&chain, 2, "b")];
    last.iter_mut()
        .for_each(|vote| vote.statement.epoch = Epoch(u64::MAX));
    assert_eq!(chain.run(10, report(last[0], last[1])), Outcome::NotProven);
    let proven = report(vote(&chain, 2, "a"), vote(&chain, 2, "b"));
    assert_eq!(chain.run(10, proven.clone()), Outcome::Done);
    assert_eq!(chain.run(11, proven.clone()), Outcome::AlreadyConvicted);
    chain.block(&[]);
    assert_eq!(chain.ledger_state.epoch().set().len(), 3);
    assert_eq!(chain.run(11, proven.clone()), Outcome::AlreadyConvicted);
    assert!(
        chain
            .ledger_state
            .epoch()
            .set()
            .index_of(key.node_id())
            .is_none()
    );
    assert_ne!(place, ValidatorIndex(u16::MAX));
}

#[test]
fn clusters_weigh_the_same() {
    let key = |number| *FakeAuthority::new(1).signer(number).public_key();
    let member = |number, cluster, weight| {
        let key = key(number);
        Member::new(key.node_id(), key, ClusterId(cluster), weight)
    };
    let members = [
        member(0, 1, 1),
        member(1, 2, 1),
        member(2, 2, 1),
        member(3, 2, 1),
        member(4, 3, 1),
        member(5, 3, 3),
    ];
    let set = normalise(&members).unwrap();
    let power = |number| {
        let place = set.index_of(key(number).node_id()).unwrap();
        set.get(place).unwrap().power.0
    };
    assert_eq!(power(0), CLUSTER_POWER);
    assert_eq!(power(1) + power(2) + power(3), CLUSTER_POWER);
    assert_eq!(
        (power(4), power(5)),
        (CLUSTER_POWER / 4, CLUSTER_POWER / 4 * 3)
    );
}
