//! The simulated engine keeps the promises of the store contract.

use bytes::Bytes;
use decube_core::store::{Store, StoreBatch, StoreOp, StoreSeq};

use super::SimStore;

fn put(seq: u64, key: &str, sync: bool) -> StoreBatch {
    let op = |suffix: &str| StoreOp::Put {
        key: Bytes::from(format!("{key}{suffix}")),
        value: Bytes::from(seq.to_string()),
    };
    StoreBatch {
        seq: StoreSeq(seq),
        ops: vec![op("/a"), op("/b")],
        sync,
    }
}

#[test]
fn a_power_loss_keeps_a_prefix_of_whole_batches() {
    let mut kept_counts = Vec::new();
    for seed in 0..40 {
        let mut store = SimStore::new(seed, 1);
        for seq in 1..=10 {
            let batch = put(seq, &format!("k{seq:02}"), seq == 4);
            store.commit(&batch).expect("it cannot fail");
        }
        store.crash(true);
        let pairs = store
            .scan(b"", None, 1 << 20)
            .expect("it cannot fail")
            .pairs;
        assert_eq!(pairs.len() % 2, 0, "no half of a batch");
        let kept = pairs.len() / 2;
        assert!((4..=10).contains(&kept), "the synced ones survive");
        assert_eq!(
            pairs[pairs.len() - 1].0,
            Bytes::from(format!("k{kept:02}/b")),
            "a prefix"
        );
        kept_counts.push(kept);
    }
    kept_counts.sort_unstable();
    kept_counts.dedup();
    assert!(
        kept_counts.len() > 3,
        "different seeds keep different prefixes"
    );
}

#[test]
fn the_end_of_a_process_loses_nothing() {
    let mut store = SimStore::new(1, 1);
    store.commit(&put(1, "k", false)).expect("it cannot fail");
    store.crash(false);
    assert_eq!(
        store.get(b"k/a").expect("it cannot fail"),
        Some(Bytes::from("1"))
    );
}

#[test]
fn scans_are_ordered_bounded_and_never_empty_without_need() {
    let mut store = SimStore::new(1, 1);
    for seq in 1..=5 {
        store
            .commit(&put(seq, &format!("k{seq}"), false))
            .expect("it cannot fail");
    }
    let remove = StoreBatch {
        seq: StoreSeq(6),
        ops: vec![
            StoreOp::DeleteRange {
                from: Bytes::from("k2"),
                to: Bytes::from("k4"),
            },
            StoreOp::Delete {
                key: Bytes::from("k5/a"),
            },
        ],
        sync: false,
    };
    store.commit(&remove).expect("it cannot fail");
    let all = store
        .scan(b"", None, 1 << 20)
        .expect("it cannot fail")
        .pairs;
    let keys: Vec<&[u8]> = all.iter().map(|(key, _)| key.as_ref()).collect();
    assert_eq!(keys, [&b"k1/a"[..], b"k1/b", b"k4/a", b"k4/b", b"k5/b"]);
    assert_eq!(
        store
            .scan(b"k1/b", Some(b"k4/b"), 1 << 20)
            .expect("it cannot fail")
            .pairs
            .len(),
        2
    );
    assert_eq!(
        store
            .scan(b"k4", None, 1)
            .expect("it cannot fail")
            .pairs
            .len(),
        1
    );
}
