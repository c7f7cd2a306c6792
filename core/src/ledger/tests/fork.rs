//! What an operator reads when the ledger is forked.

use alloc::string::String;
use alloc::vec::Vec;

use crate::bft::{
    BlockRef, Epoch, Evidence, Height, Power, Statement, Validator, ValidatorIndex, ValidatorSet,
    View, Vote, VoteKind,
};
use crate::crypto::fake::FakeAuthority;
use crate::crypto::{ChainId, Signer as _, sha256};
use crate::ledger::chain::fork::fork_reason;
use crate::limits::LEDGER_GUILTY_NAMED_MAX;

/// Validators, and evidence against the first `count` of them.
fn reported(count: u16) -> (ValidatorSet, Vec<Evidence>) {
    let authority = FakeAuthority::new(7);
    let signers = (0..u64::from(count.max(1))).map(|number| authority.signer(number));
    let mut signers: Vec<_> = signers.collect();
    signers.sort_by_key(|signer| signer.public_key().node_id());
    let validators = signers.iter().map(|signer| {
        let key = *signer.public_key();
        let (node, power) = (key.node_id(), Power(1));
        Validator { node, key, power }
    });
    let set = ValidatorSet::new(validators.collect()).expect("a set");
    let place = |name: &[u8]| BlockRef {
        view: View(1),
        height: Height(1),
        hash: sha256(name),
    };
    let evidence = (0..count).map(|at| {
        let [one, two] = [&b"one"[..], b"two"].map(|name| {
            let statement = Statement::on(VoteKind::Finalize, Epoch(0), place(name));
            let signer = &signers[usize::from(at)];
            Vote {
                statement,
                signer: ValidatorIndex(at),
                signature: signer.sign(&statement.preimage(ChainId(1))),
            }
        });
        Evidence::of(one, two).expect("two blocks of one view")
    });
    (set, evidence.collect())
}

fn reason(count: u16) -> String {
    let (set, evidence) = reported(count);
    fork_reason(&evidence, &set)
}

#[test]
fn the_guilty_are_named_up_to_a_bound() {
    assert!(reason(0).contains("can name nobody"), "{}", reason(0));
    for count in [1, 3, 20] {
        let (set, _) = reported(count);
        let reason_given = reason(count);
        let named = set
            .iter()
            .filter(|(_, one)| reason_given.contains(&alloc::format!("{}", one.node)));
        let wanted = usize::from(count).min(LEDGER_GUILTY_NAMED_MAX);
        assert_eq!(named.count(), wanted, "{reason_given}");
    }
    assert!(reason(20).contains("and 4 more"), "{}", reason(20));
}
