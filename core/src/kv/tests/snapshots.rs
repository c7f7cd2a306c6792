//! Snapshots, installation, loading, rot.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::codec::Writer;
use crate::replica::HEADER_KEY;
use crate::replica::{ImageError, SnapshotError, wipe_ops};

/// A state with something of everything.
fn full_rig() -> Rig {
    let config = Config {
        snapshot_chunk_bytes: 256,
        ..Config::new()
    };
    let mut rig = Rig::new(config);
    let lease = rig.grant(1_000);
    let session = rig.open(7, 1_000);
    for number in 0..40 {
        rig.once(put(&alloc::format!("key{number}"), "some value"));
    }
    rig.once(put_leased("leased", "1", lease));
    rig.once(Op::LockAcquire {
        name: "l".into(),
        lease,
    });
    rig.run(Command::InSession {
        session,
        sequence: 1,
        answered_upto: 0,
        op: put("session", "1"),
    });
    rig
}

fn chunks(kv: &Replica) -> Vec<Bytes> {
    let mut frozen = kv.freeze();
    (0..)
        .map_while(|n| frozen.chunk(n))
        .map(|(chunk, _)| chunk)
        .collect()
}

fn install(kv: &Replica, generation: Generation) -> Replica {
    let mut staging = kv_config().staging();
    for chunk in chunks(kv) {
        staging.push_chunk(&chunk).unwrap();
    }
    staging.finish(kv.digest(), generation).unwrap()
}

fn kv_config() -> Config {
    Config {
        snapshot_chunk_bytes: 256,
        ..Config::new()
    }
}

fn stage(chunks: &[Bytes], expected: [u8; 32]) -> Result<Replica, SnapshotError> {
    let mut staging = kv_config().staging();
    for chunk in chunks {
        staging.push_chunk(chunk)?;
    }
    staging.finish(expected, Generation(2))
}

fn pair(key: &[u8], value: &[u8]) -> Bytes {
    let mut writer = Writer::new();
    writer.blob(key);
    writer.blob(value);
    writer.into_bytes()
}

#[test]
fn chunks_can_be_asked_for_in_any_order_and_depend_on_the_content_alone() {
    let rig = full_rig();
    let straight = chunks(&rig.kv);
    assert!(straight.len() > 5);
    assert!(straight.iter().all(|chunk| chunk.len() < 256 + 100));
    let loaded = rig.disk.load(kv_config()).unwrap().unwrap();
    assert_eq!(
        chunks(&loaded),
        straight,
        "another history, the same chunks"
    );
    let mut frozen = rig.kv.freeze();
    for (number, expected) in straight.iter().enumerate().rev() {
        let (chunk, last) = frozen.chunk(number as u64).unwrap();
        assert_eq!(&chunk, expected);
        assert_eq!(last, number + 1 == straight.len());
    }
    assert_eq!(frozen.chunk(straight.len() as u64), None);
    assert_eq!(frozen.chunk(u64::MAX), None);
}

#[test]
fn a_frozen_state_stays_as_it_was() {
    let mut rig = full_rig();
    let before = chunks(&rig.kv);
    let mut frozen = rig.kv.freeze();
    let (digest, applied) = (rig.kv.digest(), rig.kv.applied());
    for number in 0..40 {
        rig.once(delete(&alloc::format!("key{number}")));
    }
    let after: Vec<Bytes> = (0..).map_while(|n| frozen.chunk(n)).map(|c| c.0).collect();
    assert_eq!(after, before);
    assert_eq!((frozen.digest(), frozen.applied()), (digest, applied));
    assert_eq!(frozen.log_time(), LogTime(1_000));
    assert_ne!(rig.kv.digest(), digest);
}

#[test]
fn the_empty_state_is_one_chunk() {
    let kv = kv_config().state();
    assert_eq!(chunks(&kv).len(), 1);
    let installed = install(&kv, Generation(2));
    assert_eq!(installed.digest(), kv.digest());
}

#[test]
fn a_crash_at_any_batch_of_a_replacement_leaves_the_old_or_the_new_state() {
    let mut old = full_rig();
    old.once(put("only in the old", "1"));
    let source = full_rig();
    let generation = Generation(2);
    let installed = install(&source.kv, generation);
    let batches: Vec<Vec<StoreOp>> = installed.replace_ops().collect();
    let (before, after) = (old.kv.digest(), installed.digest());
    let mut seen = BTreeSet::new();
    let mut disk = old.disk.clone();
    // Leftovers of an earlier replacement that did not finish.
    disk.commit(&batches[1][..5]);
    let stray = StoreOp::Put {
        key: generation.first_key(),
        value: "stray".into(),
    };
    disk.commit(&[stray]);
    for batch in [Vec::new()].iter().chain(&batches) {
        disk.commit(batch);
        let mut loader = kv_config().loader();
        loader.push(disk.0.clone());
        let cleanup = loader.cleanup();
        let loaded = loader.finish().unwrap().unwrap();
        loaded.audit();
        assert!(loaded.digest() == before || loaded.digest() == after);
        seen.insert(loaded.digest() == after);
        let mut cleaned = disk.clone();
        cleaned.commit(&cleanup);
        assert_eq!(cleaned.0.len() as u64, pairs_of(&loaded) + 1);
        assert_eq!(
            cleaned.load(kv_config()).unwrap().unwrap().digest(),
            loaded.digest()
        );
    }
    assert_eq!(seen.len(), 2);
    assert_eq!(
        disk.0.len() as u64,
        pairs_of(&installed) + 1,
        "nothing is left over"
    );
}

fn pairs_of(kv: &Replica) -> u64 {
    let (common, counts) = (kv.counts(), kv.module().counts());
    let all = counts.keys + counts.leases + counts.locks + common.sessions + common.answers;
    all as u64
}

#[test]
fn an_installed_state_goes_on_in_its_own_generation() {
    let source = full_rig();
    let mut rig = Rig::new(kv_config());
    rig.once(put("old", "1"));
    rig.kv = install(&source.kv, rig.kv.generation().next());
    for batch in rig.kv.replace_ops() {
        rig.disk.commit(&batch);
    }
    rig.once(put("new", "1"));
    let loaded = rig.disk.load(kv_config()).unwrap().unwrap();
    assert_eq!(loaded.digest(), rig.kv.digest());
    assert_eq!(loaded.generation(), Generation(2));
    assert_eq!(rig.value("old"), None);
    // Watches begin after what the snapshot covers.
    let oldest = Revision(source.kv.applied().index.0 + 1);
    assert_eq!(rig.kv.changes_since(b"", None, Revision(1)), Err(oldest));
}

#[test]
fn an_empty_store_has_no_state_and_an_unfinished_first_one_is_cleaned() {
    let loader = kv_config().loader();
    assert_eq!(loader.cleanup(), vec![]);
    assert_eq!(loader.next_generation(), Generation::FIRST.next());
    assert!(loader.finish().unwrap().is_none());
    let installed = install(&full_rig().kv, Generation(3));
    let mut disk = Disk::default();
    installed
        .replace_ops()
        .take(2)
        .for_each(|batch| disk.commit(&batch));
    assert!(!disk.0.is_empty());
    let mut loader = kv_config().loader();
    loader.push(disk.0.clone());
    assert_eq!(loader.next_generation(), Generation(4));
    assert_eq!(loader.cleanup(), wipe_ops());
    disk.commit(&loader.cleanup());
    assert!(disk.0.is_empty());
    assert!(loader.finish().unwrap().is_none());
}

#[test]
fn rot_anywhere_in_the_store_is_found() {
    let rig = full_rig();
    let pairs: Vec<(Bytes, Bytes)> = rig.disk.0.clone().into_iter().collect();
    for (number, (key, value)) in pairs.iter().enumerate() {
        for (in_key, bit) in [(true, 7), (false, 0), (false, 77)] {
            let mut disk = rig.disk.clone();
            let mut rotten = if in_key { key.to_vec() } else { value.to_vec() };
            let last = rotten.len() - 1;
            rotten[last.saturating_sub(bit / 8)] ^= 1 << (bit % 8);
            disk.0.remove(key);
            if in_key {
                disk.0.insert(rotten.into(), value.clone());
            } else {
                disk.0.insert(key.clone(), rotten.into());
            }
            let loaded = disk.load(kv_config());
            let lost_meta = in_key && key == HEADER_KEY;
            if lost_meta {
                // Without its meta record there is no state: it is rebuilt as well.
                assert!(!matches!(loaded, Ok(Some(_))));
            } else {
                assert!(loaded.is_err(), "pair {number}, key {in_key}, bit {bit}");
            }
        }
        let mut disk = rig.disk.clone();
        disk.0.remove(key);
        assert!(
            !matches!(disk.load(kv_config()), Ok(Some(_))),
            "a lost pair"
        );
    }
}

#[test]
fn a_scan_out_of_order_is_an_error() {
    let rig = full_rig();
    let mut loader = kv_config().loader();
    loader.push(rig.disk.0.into_iter().rev());
    assert!(matches!(loader.finish(), Err(LoadError::Order)));
}

#[test]
fn a_snapshot_that_is_not_the_announced_one_is_refused() {
    let rig = full_rig();
    let good = chunks(&rig.kv);
    let digest = rig.kv.digest();
    let failure = |chunks: &[Bytes], digest| stage(chunks, digest).err().unwrap();
    assert!(stage(&good, digest).is_ok());
    let wrong = SnapshotError::Content(ImageError::Digest);
    assert_eq!(failure(&good, [0; 32]), wrong);
    assert_eq!(failure(&good[..good.len() - 1], digest), wrong);
    assert_eq!(failure(&[], digest), SnapshotError::NoHeader);
    assert_eq!(failure(&good[1..], digest), SnapshotError::NoHeader);
    let mut swapped = good.clone();
    swapped.swap(1, 2);
    assert_eq!(failure(&swapped, digest), SnapshotError::Order);
    let repeated = [&good[..2], &good[1..]].concat();
    assert_eq!(failure(&repeated, digest), SnapshotError::Order);
    let longer = [&good[..], &[pair(&[0xff], b"x")]].concat();
    assert_eq!(failure(&longer, digest), SnapshotError::TooLarge);
    let mut cut = good.clone();
    cut[0] = cut[0].slice(..cut[0].len() - 1);
    assert!(matches!(failure(&cut, digest), SnapshotError::Malformed(_)));
    let huge = pair(HEADER_KEY, &[0xff; 48]);
    assert_eq!(failure(&[huge], digest), SnapshotError::TooLarge);
}

/// What a broken sender could announce with a fitting digest is still refused.
#[test]
fn a_consistent_digest_does_not_excuse_an_inconsistent_state() {
    use crate::replica::tests::PairSum;
    let answer = Outcome::Ticked;
    let id = |number: u64| number.to_be_bytes();
    let data = |lease: u64, modified: u64| [id(1), id(modified), id(lease)].concat();
    let mut answer_key = vec![0x41];
    answer_key.extend([id(1), id(1)].concat());
    let bad: [(Vec<u8>, Vec<u8>); 6] = [
        (b"\x10a".to_vec(), data(7, 1)),
        (b"\x10a".to_vec(), data(0, 99)),
        (b"\x10a".to_vec(), vec![0; 23]),
        (b"\x10".to_vec(), data(0, 1)),
        (b"\x30l".to_vec(), [id(1), id(1)].concat()),
        (answer_key, crate::codec::Encode::to_bytes(&answer).to_vec()),
    ];
    for (key, value) in bad {
        let mut header = Writer::new();
        let bytes = (key.len() + value.len()) as u64;
        for number in [1, 5, 0, 5, 1, bytes] {
            header.u64(number);
        }
        let mut sum = PairSum::default();
        sum.add(HEADER_KEY, header.as_slice());
        sum.add(&key, &value);
        let stream = [pair(HEADER_KEY, header.as_slice()), pair(&key, &value)];
        let refused = stage(&stream, sum.to_bytes()).err().unwrap();
        assert!(
            matches!(refused, SnapshotError::Content(_)),
            "{key:?}: {refused}"
        );
        assert_ne!(refused, SnapshotError::Content(ImageError::Digest));
    }
}

#[test]
fn the_digest_does_not_depend_on_the_path_to_a_state() {
    use crate::replica::tests::PairSum;
    let mut one = PairSum::default();
    one.add(b"a", b"1");
    one.add(b"b", b"2");
    let mut other = PairSum::default();
    other.add(b"b", b"0");
    other.add(b"b", b"2");
    other.add(b"a", b"1");
    other.remove(b"b", b"0");
    assert_eq!(one, other);
    let mut shifted = PairSum::default();
    shifted.add(b"a1", b"");
    shifted.add(b"b", b"2");
    assert_ne!(one, shifted);
    other.remove(b"a", b"1");
    other.remove(b"b", b"2");
    assert_eq!(other.to_bytes(), [0; 32]);
}

proptest! {
    #[test]
    fn arbitrary_chunks_never_panic(
        bytes in proptest::collection::vec(prop_oneof![4 => 0u8..9, 1 => any::<u8>()], 0..200),
    ) {
        let _ = stage(&[Bytes::from(bytes)], [0; 32]);
    }

    #[test]
    fn damaged_chunks_never_panic_and_are_never_taken(
        which in any::<proptest::sample::Index>(),
        bit in any::<proptest::sample::Index>(),
    ) {
        let kv = full_rig().kv;
        let mut damaged = chunks(&kv);
        let chunk = which.index(damaged.len());
        let mut bytes = damaged[chunk].to_vec();
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        damaged[chunk] = bytes.into();
        prop_assert!(stage(&damaged, kv.digest()).is_err());
    }

    #[test]
    fn arbitrary_stores_never_panic(
        pairs in proptest::collection::btree_map(
            proptest::collection::vec(0u8..3, 1..12),
            proptest::collection::vec(0u8..3, 0..100),
            0..9,
        ),
    ) {
        let pairs = pairs.into_iter().map(|(key, value)| (key.into(), value.into()));
        let disk = Disk(pairs.collect());
        let mut loader = kv_config().loader();
        loader.push(disk.0.clone());
        let _ = loader.cleanup();
        let _ = loader.next_generation();
        prop_assert!(!matches!(loader.finish(), Ok(Some(_))));
    }
}
