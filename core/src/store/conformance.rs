//! What every [`Store`] must do, as a suite that panics where one does not.
//!
//! A test of an engine implements [`Harness`] and calls [`run`]. The suite knows
//! nothing of engines: expected contents come from a plain ordered map, and what
//! may survive a crash follows from the documentation of [`StoreBatch::sync`]
//! alone.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Debug;

use bytes::Bytes;

use super::{Store, StoreBatch, StoreOp, StoreSeq};

/// Opens the engine under test.
pub trait Harness {
    /// The engine.
    type Store: Store<Error: Debug>;

    /// Opens an empty store at a place of its own.
    fn fresh(&mut self) -> Self::Store;

    /// Closes a store in order and opens the same place again.
    fn reopen(&mut self, store: Self::Store) -> Self::Store;

    /// Ends a store as a crash would, losing as much as the harness can make it
    /// lose of what was not synced, and opens the same place again. `None` if
    /// the harness cannot simulate a crash.
    fn crash(&mut self, store: Self::Store) -> Option<Self::Store>;
}

/// Batches of a random run between two looks at the whole content.
const BATCHES_PER_CHECK: u64 = 16;

/// Runs the whole suite. `seed` varies the random parts; a failure names it.
pub fn run<H: Harness>(harness: &mut H, seed: u64) {
    empty_store_is_empty(harness);
    later_changes_override(harness);
    delete_range_is_half_open(harness);
    scan_is_ordered_and_half_open(harness);
    scan_pages_cover_everything(harness);
    large_values_survive(harness);
    reopening_keeps_everything(harness);
    for round in 0..4 {
        behaves_like_a_map(harness, seed.wrapping_add(round));
        crash_keeps_a_prefix(harness, seed.wrapping_add(round));
    }
}

/// Reads nothing where nothing was written.
pub fn empty_store_is_empty<H: Harness>(harness: &mut H) {
    let store = harness.fresh();
    assert_eq!(get(&store, b""), None, "no empty key");
    assert_eq!(get(&store, b"a"), None, "no key");
    assert_eq!(scan_all(&store, 100), vec![], "no pairs");
}

/// Inside a batch and between batches the later change of a key counts.
pub fn later_changes_override<H: Harness>(harness: &mut H) {
    let mut store = harness.fresh();
    let ops = vec![
        put("a", "1"),
        put("a", "2"),
        put("b", "1"),
        delete("b"),
        delete("c"),
        put("c", "1"),
        put("d", "1"),
        delete_range("d", "e"),
        delete_range("e", "f"),
        put("e", "1"),
        put("", "empty key"),
        put("g", ""),
    ];
    commit(&mut store, 1, ops, false);
    let expected = pairs(&[
        ("", "empty key"),
        ("a", "2"),
        ("c", "1"),
        ("e", "1"),
        ("g", ""),
    ]);
    assert_eq!(
        scan_all(&store, 1 << 20),
        expected,
        "the order inside a batch counts"
    );
    assert_eq!(get(&store, b"b"), None, "deleted after it was put");
    assert_eq!(
        get(&store, b"g"),
        Some(Bytes::new()),
        "an empty value is a value"
    );
    commit(
        &mut store,
        2,
        vec![delete("a"), put("c", "2"), delete("missing")],
        true,
    );
    let expected = pairs(&[("", "empty key"), ("c", "2"), ("e", "1"), ("g", "")]);
    assert_eq!(
        scan_all(&store, 1 << 20),
        expected,
        "the order of batches counts"
    );
    commit(&mut store, 3, vec![], true);
    assert_eq!(
        scan_all(&store, 1 << 20),
        expected,
        "an empty batch changes nothing"
    );
}

/// `DeleteRange` takes its first bound and leaves its second.
pub fn delete_range_is_half_open<H: Harness>(harness: &mut H) {
    let mut store = harness.fresh();
    let all = ["a", "b", "b\0", "b\u{7f}", "c", "c\0", "d"];
    commit(
        &mut store,
        1,
        all.iter().map(|key| put(key, "1")).collect(),
        false,
    );
    commit(&mut store, 2, vec![delete_range("b", "c")], false);
    let expected = pairs(&[("a", "1"), ("c", "1"), ("c\0", "1"), ("d", "1")]);
    assert_eq!(scan_all(&store, 1 << 20), expected);
    commit(
        &mut store,
        3,
        vec![delete_range("d", "a"), delete_range("c", "c")],
        false,
    );
    assert_eq!(
        scan_all(&store, 1 << 20),
        expected,
        "an empty range removes nothing"
    );
    commit(&mut store, 4, vec![delete_range("", "z")], true);
    assert_eq!(scan_all(&store, 1 << 20), vec![]);
}

/// `scan` yields keys in bytewise order, from its first bound to before its second.
pub fn scan_is_ordered_and_half_open<H: Harness>(harness: &mut H) {
    let mut store = harness.fresh();
    let keys: [&[u8]; 6] = [b"\xff\xff", b"\xff", b"\x80", b"a\0", b"a", b"\0"];
    let ops = keys.iter().map(|key| StoreOp::Put {
        key: Bytes::copy_from_slice(key),
        value: Bytes::from_static(b"v"),
    });
    commit(&mut store, 1, ops.collect(), false);
    let found = |from: &[u8], to: Option<&[u8]>| -> Vec<Bytes> {
        let page = store.scan(from, to, 1 << 20).expect("scan");
        assert!(page.is_last, "it has room for all");
        page.pairs.into_iter().map(|(key, _)| key).collect()
    };
    let expected: [&[u8]; 6] = [b"\0", b"a", b"a\0", b"\x80", b"\xff", b"\xff\xff"];
    assert_eq!(found(b"", None), expected, "all, in bytewise order");
    assert_eq!(found(b"a", Some(b"\x80")), expected[1..3], "half open");
    assert_eq!(found(b"b", Some(b"b")), expected[..0], "an empty range");
    assert_eq!(
        found(b"\xff", Some(b"a")),
        expected[..0],
        "a reversed range"
    );
    assert_eq!(
        found(b"\xff\xff\0", None),
        expected[..0],
        "behind the last key"
    );
}

/// Going on behind the last key of each page meets every pair exactly once, and
/// pages stop near the size asked for.
pub fn scan_pages_cover_everything<H: Harness>(harness: &mut H) {
    let mut store = harness.fresh();
    let expected: BTreeMap<Bytes, Bytes> = (0..200_u32)
        .map(|i| {
            (
                Bytes::from(format!("key{i:05}")),
                Bytes::from(vec![0_u8; 92]),
            )
        })
        .collect();
    let ops = expected.iter().map(|(key, value)| StoreOp::Put {
        key: key.clone(),
        value: value.clone(),
    });
    commit(&mut store, 1, ops.collect(), false);
    for bytes_max in [0, 1, 99, 100, 101, 1000, 1 << 20] {
        let found = scan_all(&store, bytes_max);
        assert!(
            found.iter().map(|(k, v)| (k, v)).eq(expected.iter()),
            "pages of {bytes_max}"
        );
    }
    // Each pair is 100 bytes, so "about" leaves room for one pair too many.
    let page = store.scan(b"", None, 1000).expect("scan");
    assert!(
        (10..=11).contains(&page.pairs.len()),
        "a page of 1000 bytes has {} pairs",
        page.pairs.len()
    );
    assert!(!page.is_last, "more follow");
    // A range that a page fills exactly ends with it.
    let page = store.scan(b"", Some(b"key00010"), 1000).expect("scan");
    assert_eq!((page.pairs.len(), page.is_last), (10, true));
}

/// The largest value that the layer above writes comes back whole.
pub fn large_values_survive<H: Harness>(harness: &mut H) {
    let mut store = harness.fresh();
    let key = Bytes::from(vec![7_u8; crate::limits::STORE_KEY_BYTES_MAX]);
    let value = Bytes::from(vec![9_u8; crate::limits::KV_VALUE_BYTES_MAX]);
    let op = StoreOp::Put {
        key: key.clone(),
        value: value.clone(),
    };
    commit(&mut store, 1, vec![op], true);
    let store = harness.reopen(store);
    assert_eq!(get(&store, &key), Some(value), "the largest pair");
}

/// Closing in order loses nothing, synced or not.
pub fn reopening_keeps_everything<H: Harness>(harness: &mut H) {
    let mut store = harness.fresh();
    commit(&mut store, 1, vec![put("a", "1")], true);
    commit(&mut store, 2, vec![put("b", "2")], false);
    let mut store = harness.reopen(store);
    let expected = pairs(&[("a", "1"), ("b", "2")]);
    assert_eq!(scan_all(&store, 1 << 20), expected);
    // Sequence numbers begin again with each start of a node.
    commit(&mut store, 1, vec![put("c", "3")], false);
    let store = harness.reopen(store);
    assert_eq!(get(&store, b"c"), Some(Bytes::from_static(b"3")));
}

/// A random run of batches, reads and reopenings against an ordered map.
pub fn behaves_like_a_map<H: Harness>(harness: &mut H, seed: u64) {
    let mut random = Random(seed);
    let mut store = harness.fresh();
    let mut model = BTreeMap::new();
    for number in 1..=6 * BATCHES_PER_CHECK {
        let ops = random_ops(&mut random);
        apply(&mut model, &ops);
        commit(&mut store, number, ops, random.below(4) == 0);
        let key = random_key(&mut random);
        assert_eq!(get(&store, &key), model.get(&key).cloned(), "seed {seed}");
        if number % BATCHES_PER_CHECK == 0 {
            if random.below(2) == 0 {
                store = harness.reopen(store);
            }
            let page_bytes = usize::try_from(random.below(200)).expect("small");
            let found = scan_all(&store, page_bytes);
            assert!(
                found.iter().map(|(k, v)| (k, v)).eq(model.iter()),
                "seed {seed}"
            );
        }
    }
}

/// After a crash the store holds the first so many batches, whole, and at least
/// those up to the last synced one.
pub fn crash_keeps_a_prefix<H: Harness>(harness: &mut H, seed: u64) {
    let mut random = Random(seed ^ 0x5eed);
    let mut store = harness.fresh();
    let mut states = vec![BTreeMap::new()];
    for life in 0..4 {
        let mut synced = 0;
        let first = states.last().cloned().expect("at least the empty state");
        states = vec![first];
        for number in 1..=1 + random.below(24) {
            let mut ops = random_ops(&mut random);
            // Makes every state differ from every other, so that the survivor
            // can be told from its neighbours.
            ops.push(put("stamp", &format!("{life}.{number}")));
            let sync = random.below(6) == 0;
            let mut state = states.last().cloned().expect("at least the first state");
            apply(&mut state, &ops);
            states.push(state);
            commit(&mut store, number, ops, sync);
            if sync {
                synced = states.len() - 1;
            }
        }
        let Some(survivor) = harness.crash(store) else {
            return;
        };
        store = survivor;
        let found: BTreeMap<Bytes, Bytes> = scan_all(&store, 1 << 20).into_iter().collect();
        let survived = states.iter().position(|state| *state == found);
        let survived = survived.unwrap_or_else(|| panic!("seed {seed}: not a prefix of batches"));
        assert!(
            survived >= synced,
            "seed {seed}: synced {synced}, survived {survived}"
        );
        states.truncate(survived + 1);
    }
}

fn get<S: Store<Error: Debug>>(store: &S, key: &[u8]) -> Option<Bytes> {
    store.get(key).expect("get")
}

fn commit<S: Store<Error: Debug>>(store: &mut S, number: u64, ops: Vec<StoreOp>, sync: bool) {
    let batch = StoreBatch {
        seq: StoreSeq(number),
        ops,
        sync,
    };
    store.commit(&batch).expect("commit");
}

/// All pairs, page by page.
fn scan_all<S: Store<Error: Debug>>(store: &S, bytes_max: usize) -> Vec<(Bytes, Bytes)> {
    let mut all = Vec::new();
    let mut from = Vec::new();
    loop {
        let page = store.scan(&from, None, bytes_max).expect("scan");
        all.extend(page.pairs);
        if page.is_last {
            return all;
        }
        let (last, _) = all.last().expect("a page that is not the last has pairs");
        // The least key behind `last`.
        from = last.to_vec();
        from.push(0);
    }
}

fn apply(model: &mut BTreeMap<Bytes, Bytes>, ops: &[StoreOp]) {
    for op in ops {
        match op {
            StoreOp::Put { key, value } => {
                model.insert(key.clone(), value.clone());
            }
            StoreOp::Delete { key } => {
                model.remove(key);
            }
            StoreOp::DeleteRange { from, to } => model.retain(|key, _| key < from || key >= to),
        }
    }
}

fn random_ops(random: &mut Random) -> Vec<StoreOp> {
    (0..random.below(12)).map(|_| random_op(random)).collect()
}

fn random_op(random: &mut Random) -> StoreOp {
    match random.below(10) {
        0 | 1 => StoreOp::Delete {
            key: random_key(random),
        },
        2 => StoreOp::DeleteRange {
            from: random_key(random),
            to: random_key(random),
        },
        _ => StoreOp::Put {
            key: random_key(random),
            value: Bytes::from(format!("{:x}", random.next())),
        },
    }
}

/// Few keys, so that changes meet; some are prefixes of others.
fn random_key(random: &mut Random) -> Bytes {
    let length = usize::try_from(random.below(4)).expect("small");
    (0..length)
        .map(|_| [0, b'a', b'b', 0xff][usize::try_from(random.below(4)).expect("small")])
        .collect::<Vec<u8>>()
        .into()
}

fn put(key: &str, value: &str) -> StoreOp {
    StoreOp::Put {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::copy_from_slice(value.as_bytes()),
    }
}

fn delete(key: &str) -> StoreOp {
    StoreOp::Delete {
        key: Bytes::copy_from_slice(key.as_bytes()),
    }
}

fn delete_range(from: &str, to: &str) -> StoreOp {
    StoreOp::DeleteRange {
        from: Bytes::copy_from_slice(from.as_bytes()),
        to: Bytes::copy_from_slice(to.as_bytes()),
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(Bytes, Bytes)> {
    let owned = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    pairs
        .iter()
        .map(|(key, value)| (owned(key), owned(value)))
        .collect()
}

/// SplitMix64 (Steele, Lea, Flood 2014): enough to vary a test.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, nearly uniform.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
