//! The asserts of log and store, broken by hand.

use super::{Pending, Storage};
use crate::bft::{Epoch, View};
use crate::ledger::Ledger;
use crate::ledger::tests::asserts::node;
use crate::store::StoreSeq;
use crate::wal::WalSeq;

macro_rules! stopped {
    ($($name:ident: $rule:literal, |$ledger:ident| $break:block)+) => {$(
        #[test]
        #[should_panic(expected = $rule)]
        fn $name() {
            let mut ledger = node();
            let before = ledger.heads();
            let $ledger = &mut ledger;
            $break
            ledger.check_invariants();
            ledger.assert_forward(before.as_ref());
        }
    )+};
}

fn waits(storage: &mut Storage, seq: u64) {
    storage.wal_pending.push_back(Pending {
        seq: WalSeq(seq),
        persist: None,
        prune_below: None,
    });
}

/// Something is synced and done: the log may be cut.
fn synced(ledger: &mut Ledger) {
    let (seq, place) = (ledger.storage.store_seq, ledger.storage.tip);
    ledger.storage.note_syncing(seq, Epoch(0), place);
    ledger.on_store_committed(seq);
}

stopped! {
    the_last_batch_waits_last: "G7: the last batch of the log waits last", |ledger| {
        waits(&mut ledger.storage, u64::MAX);
    }
    no_batch_is_left_out: "G7: no batch of the log is left out", |ledger| {
        let last = ledger.storage.wal_seq.0;
        ledger.storage.wal_pending.clear();
        waits(&mut ledger.storage, last - 2);
        waits(&mut ledger.storage, last);
    }
    what_was_cut_off_is_forgotten: "G7: what was cut off is forgotten", |ledger| {
        ledger.storage.pruned_below = u64::MAX;
    }
    the_log_is_cut_upwards: "G7: the log is cut upwards", |ledger| {
        ledger.storage.note_written(1, Epoch(0), View(1));
        ledger.storage.pruned_below = u64::MAX;
        synced(ledger);
    }
    the_log_is_never_uncut: "G3: the log is cut upwards", |ledger| {
        synced(ledger);
        let before = ledger.heads();
        ledger.storage.pruned_below = 0;
        ledger.assert_forward(before.as_ref());
    }
    batches_of_the_log_count_upwards: "G3: batches of the log count upwards", |ledger| {
        ledger.storage.wal_pending.clear();
        ledger.storage.wal_seq = WalSeq(0);
    }
    batches_of_the_store_count_upwards: "G3: batches of the store too", |ledger| {
        ledger.storage.syncing = None;
        ledger.storage.store_committed = StoreSeq(0);
        ledger.storage.store_seq = StoreSeq(0);
    }
    what_is_stored_stays: "G3: what is stored stays", |ledger| {
        ledger.storage.store_committed = StoreSeq(0);
    }
}
