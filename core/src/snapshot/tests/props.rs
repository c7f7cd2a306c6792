//! Properties over generated values and bytes.

use alloc::collections::BTreeMap;
use alloc::vec;

use proptest::collection::{btree_map, vec as vec_of};
use proptest::prelude::*;

use super::*;
use crate::codec::{Decode, Encode};

prop_compose! {
    fn any_attributes()(
        mode in 0..=0o7777_u32,
        uid: u32,
        gid: u32,
        seconds: i64,
        nanos in 0..1_000_000_000_u32,
        xattrs in btree_map(vec_of(1..=255_u8, 1..20), vec_of(any::<u8>(), 0..50), 0..4),
    ) -> Attributes {
        let xattrs = xattrs.into_iter().map(|(name, value)| Xattr {
            name: name.into(),
            value: value.into(),
        });
        Attributes {
            mode,
            uid,
            gid,
            modified: Timestamp { seconds, nanos },
            xattrs: xattrs.collect(),
        }
    }
}

fn any_file() -> impl Strategy<Value = Kind> {
    let steps = vec_of((1..1_000_000_u64, 1..1_000_000_u64), 0..20);
    (steps, any::<u32>(), 0..1000_u64).prop_map(|(steps, offset, hole_at_end)| {
        let mut at = 0;
        let extents: Vec<_> = steps
            .into_iter()
            .map(|(hole, length)| {
                let start = at + hole;
                at = start + length;
                Extent { start, length }
            })
            .collect();
        Kind::File {
            size: at + hole_at_end,
            offset: if extents.is_empty() { 0 } else { offset.into() },
            extents,
        }
    })
}

fn any_kind() -> impl Strategy<Value = Kind> {
    let page_ref =
        (any::<u32>(), 1..1000_u32, any::<[u8; 32]>()).prop_map(|(offset, length, hash)| PageRef {
            offset: offset.into(),
            length,
            hash: SegmentId(hash),
        });
    prop_oneof![
        any_file(),
        vec_of(page_ref, 0..5).prop_map(|pages| Kind::Directory { pages }),
        vec_of(1..=255_u8, 1..100).prop_map(|target| Kind::Symlink {
            target: target.into()
        }),
        Just(Kind::Fifo),
        Just(Kind::Socket),
        (any::<u32>(), any::<u32>()).prop_map(|(major, minor)| Kind::CharDevice { major, minor }),
        (any::<u32>(), any::<u32>()).prop_map(|(major, minor)| Kind::BlockDevice { major, minor }),
    ]
}

fn any_item() -> impl Strategy<Value = Item> {
    let node = (any_attributes(), any_kind(), 0..3_u64).prop_map(|(attributes, kind, group)| {
        let groupable = !matches!(kind, Kind::Directory { .. });
        Item::Node(Node {
            attributes,
            link_group: Some(group).filter(|group| *group > 0 && groupable),
            kind,
        })
    });
    prop_oneof![4 => node, 1 => (1..u64::MAX).prop_map(|group| Item::HardLink { group })]
}

fn any_page() -> impl Strategy<Value = Page> {
    let name = vec_of(any::<u8>(), 1..30).prop_filter("valid", |name| name_is_valid(name));
    btree_map(name, any_item(), 1..10).prop_map(|entries: BTreeMap<Vec<u8>, Item>| Page {
        entries: entries
            .into_iter()
            .map(|(name, item)| Entry {
                name: name.into(),
                item,
            })
            .collect(),
    })
}

fn any_manifest() -> impl Strategy<Value = Manifest> {
    let omissions = vec_of((vec_of(any::<u8>(), 0..30), "[a-z ]{0,20}"), 0..4);
    (
        any_item(),
        0..10_000_u64,
        0..10_000_u64,
        any::<[u64; 8]>(),
        omissions,
    )
        .prop_map(|(item, data_bytes, metadata_bytes, numbers, omissions)| {
            let mut manifest = manifest(segments(1024, data_bytes, metadata_bytes));
            manifest.roots[0].item = item;
            manifest.created_unix_ns = numbers[0];
            manifest.totals = Totals {
                files: numbers[1],
                directories: numbers[2],
                symlinks: numbers[3],
                hard_links: numbers[4],
                specials: numbers[5],
                file_bytes: numbers[6],
                data_bytes: numbers[7],
            };
            manifest.omissions = omissions
                .into_iter()
                .map(|(path, reason)| Omission {
                    path: path.into(),
                    reason: reason.into(),
                })
                .collect();
            manifest
        })
}

/// Damages an encoding: replaced bytes, then a cut or extra bytes.
fn damage(mut bytes: Vec<u8>, edits: &[(u32, u8)], length: u32) -> Vec<u8> {
    for (at, value) in edits {
        let at = usize::try_from(*at).unwrap() % bytes.len();
        bytes[at] = *value;
    }
    if length.is_multiple_of(3) {
        let keep = usize::try_from(length / 3).unwrap() % (bytes.len() + 8);
        bytes.resize(keep, 0);
    }
    bytes
}

proptest! {
    #[test]
    fn pages_survive_their_encoding(page in any_page()) {
        let bytes = page.to_bytes();
        prop_assert_eq!(Page::from_bytes(&bytes), Ok(page.clone()));
        prop_assert_eq!(Page::from_slice(&bytes), Ok(page));
    }

    #[test]
    fn manifests_survive_their_encoding(manifest in any_manifest()) {
        prop_assert_eq!(Manifest::from_bytes(&manifest.to_bytes()), Ok(manifest));
    }

    /// F1 and totality: damaged bytes are refused or mean exactly themselves.
    #[test]
    fn damaged_pages_never_panic_and_never_have_two_encodings(
        page in any_page(),
        edits in vec_of(any::<(u32, u8)>(), 0..4),
        length: u32,
    ) {
        let bytes = damage(page.to_bytes().to_vec(), &edits, length);
        if let Ok(page) = Page::from_slice(&bytes) {
            prop_assert_eq!(page.to_bytes(), bytes);
        }
    }

    #[test]
    fn damaged_manifests_never_panic_and_never_have_two_encodings(
        manifest in any_manifest(),
        edits in vec_of(any::<(u32, u8)>(), 0..4),
        length: u32,
    ) {
        let bytes = damage(manifest.to_bytes().to_vec(), &edits, length);
        if let Ok(manifest) = Manifest::from_slice(&bytes) {
            prop_assert_eq!(manifest.to_bytes(), bytes);
        }
    }

    #[test]
    fn noise_never_panics(bytes in vec_of(any::<u8>(), 0..300)) {
        let _ = Page::from_slice(&bytes);
        let tagged = [&b"decube/manifest/v1\0"[..], &bytes].concat();
        let _ = Manifest::from_slice(&tagged);
    }

    /// The pieces of a range are the range: cutting a stream at segment borders
    /// and picking the pieces gives the same bytes as slicing the stream.
    #[test]
    fn pieces_cover_a_range_exactly(
        data_bytes in 0..9000_u64,
        metadata_bytes in 1..9000_u64,
        from in 0..9000_u64,
        length in 0..9000_u64,
    ) {
        let layout = Layout::new(&manifest(segments(1024, data_bytes, metadata_bytes)));
        match layout.pieces(SegmentKind::Data, from, length) {
            Err(_) => prop_assert!(from + length > data_bytes),
            Ok(pieces) => {
                prop_assert!(from + length <= data_bytes);
                let mut places = vec![];
                for piece in pieces {
                    prop_assert!(piece.length > 0 && piece.start + piece.length <= 1024);
                    let base = u64::try_from(piece.segment).unwrap() * 1024 + piece.start;
                    places.extend(base..base + piece.length);
                }
                prop_assert_eq!(places, (from..from + length).collect::<Vec<_>>());
            }
        }
    }

    /// The incremental root equals the recursive definition of RFC 6962 §2.1.
    #[test]
    fn incremental_root_equals_the_definition(count in 0..200_u64) {
        let list = segments(1024, count * 1024, 0);
        prop_assert_eq!(segments_root(&list), definition(&list, 0));
    }
}

/// `MTH` of RFC 6962 §2.1, word for word.
fn definition(list: &[SegmentRef], first: u64) -> [u8; 32] {
    use sha2::{Digest as _, Sha256};
    match list {
        [] => Sha256::digest([]).into(),
        [segment] => {
            let mut bytes = vec![0];
            bytes.extend(first.to_be_bytes());
            bytes.extend(segment.length.to_be_bytes());
            bytes.extend(segment.id.0);
            Sha256::digest(&bytes).into()
        }
        _ => {
            let split = list.len().next_power_of_two() / 2;
            let left = definition(&list[..split], first);
            let right = definition(&list[split..], first + u64::try_from(split).unwrap());
            Sha256::digest([&[1][..], &left, &right].concat()).into()
        }
    }
}
